// Numbers as people read them; the same rules as analyze/src/number.rs.
const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");
// As Rust writes decimals: what lies in the middle goes to the even side.
const fixed = (value, decimals) => {
  const isMiddle = /^50*$/.test(value.toFixed(60).split(".")[1].slice(decimals));
  return (isMiddle ? (2 * Math.round((value * 10 ** decimals) / 2)) / 10 ** decimals : value).toFixed(decimals);
};
const integer = (value) => (value < 0 ? "−" : "") + grouped(String(Math.abs(Math.trunc(value))));

// How many of something: `1 peer`, `1,234 peers`, `3 countries`; `what` is one of them.
const plural = (what) => {
  if (/[^aeiou]y$/.test(what)) return what.replace(/y$/, "ies");
  return what + (/(s|x|ch|sh)$/.test(what) ? "es" : "s");
};
const numberOf = (value, what) => `${integer(value)} ${value === 1 ? what : plural(what)}`;

const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

// At most three significant digits, without trailing zeros after the point.
const significant = (value) => {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "–";
  const before = Math.floor(Math.log10(Math.abs(value)));
  if (before >= 2) return integer(Math.round(value));
  const decimals = before >= 1 ? 1 : before >= 0 ? 2 : before >= -1 ? 3 : 4;
  return trimmed(fixed(value, decimals)).replace("-", "−");
};

const scaled = (value, units) => {
  let scaledValue = value / 1000;
  for (const [index, unit] of units.entries()) {
    // 999.95 of one unit would be written as 1,000 of it.
    if (Math.abs(scaledValue) < 999.5 || index === units.length - 1) return significant(scaledValue) + unit;
    scaledValue /= 1000;
  }
  return significant(value);
};

// A count short enough for an axis.
const short = (value) => {
  if (Math.abs(value) < 10000) return Number.isInteger(value) ? integer(value) : significant(value);
  return scaled(value, ["k", "M", "G", "T"]);
};

const bytes = (value) => (value < 1000 ? `${fixed(value, 0)} B` : scaled(value, [" kB", " MB", " GB", " TB", " PB"]));
const speed = (value) => `${bytes(value)}/s`;

const percent = (share) => {
  const value = share * 100;
  if (!Number.isFinite(value)) return "–";
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${fixed(value, value > 0 && value < 9.95 ? 1 : 0)} %`;
};

const duration = (us) => {
  if (us === 0) return "0 s";
  const steps = [[1e3, 1, "µs"], [1e6, 1e3, "ms"], [120e6, 1e6, "s"], [7200e6, 60e6, "min"], [172800e6, 3600e6, "h"]];
  const [, unit, name] = steps.find(([below]) => us < below) ?? [0, 86400e6, "d"];
  return `${significant(us / unit)} ${name}`;
};

// A time of so many microseconds since the Unix epoch, UTC.
const second = (us) => new Date(Math.floor(us / 1000)).toISOString().slice(0, 19).replace("T", " ");
const minute = (us) => second(us).slice(0, 16);

// What a column's value is written as; the same rules as analyze/src/report/cell.rs.
const written = {
  bytes,
  bytes_per_second: speed,
  count: integer,
  degrees: (value) => `${fixed(value, 2)}°`,
  microseconds: duration,
  number: (value) => String(value),
  per_second: (value) => `${significant(value)}/s`,
  share: (value) => (value > 0.99 && value < 1 ? `${significant(Math.floor(value * 1e4) / 1e2)} %` : percent(value)),
  text: String,
  time: second,
  truth: (value) => (value ? "yes" : "no"),
};

// Exact values where the text is rounded.
const exact = {
  bytes: (value) => (value >= 1000 ? `${integer(value)} bytes` : ""),
  bytes_per_second: (value) => `${fixed(value, 1)} bytes/s`,
  microseconds: (value) => `${integer(value)} µs`,
};
