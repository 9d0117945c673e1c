// The choice of a torrent: key numbers, figures and tables show it alone, and what knows no torrents says so.
const choice = document.getElementById("torrent");
const phone = matchMedia("(max-width: 640px)");
let chosen = null;

const draw = (figure, all) => {
  figure.querySelector(":scope > .drawn")?.remove();
  figure.querySelector(".reading.own")?.remove();
  const chart = figure.classList.contains("all") ? undefined : charts[figure.dataset.figure];
  figure.classList.toggle("replaced", chosen !== null && Boolean(chart));
  if (chosen === null || !chart) return;
  tellReading(figure, all);
  const name = figure.querySelector("svg")?.getAttribute("aria-label") ?? figure.dataset.figure;
  const title = `${name}, ${all.torrents[chosen].name || all.torrents[chosen].hash}`;
  figure.append(chart(chosen, all, phone.matches ? NARROW : WIDE, title, figure));
};

// What the figure of all torrents says beside it gives way to what this one's says.
const tellReading = (figure, all) => {
  const before = figure.querySelector(".reading");
  if (!before) return;
  const own = document.createElement("span");
  own.className = "reading own";
  own.textContent = readings[figure.dataset.figure](chosen, all);
  before.before(own);
};

const mark = (hash) => {
  for (const made of document.querySelectorAll(".figure [data-t]")) {
    made.classList.toggle("other", chosen !== null && !hash.startsWith(made.dataset.t));
  }
};

const numbers = [...document.querySelectorAll(".numbers [data-column]")].map((item) => ({
  item,
  value: item.querySelector("strong"),
  what: item.querySelector(".what"),
  whatBefore: item.querySelector(".what").textContent,
  before: item.querySelector("strong").textContent,
  range: item.querySelector(".range"),
  rangeBefore: item.querySelector(".range")?.textContent,
}));

// What the header says first, as analyze/src/report/header.rs says it of all torrents.
const verdict = document.querySelector(".verdict");
const verdictBefore = verdict?.textContent;
const verdictOf = (value, threshold) => {
  const confirmed = value("confirmed_downloads") ?? 0;
  const sentences = [
    confirmed
      ? `At least ${numberOf(confirmed, "download")}: ${numberOf(confirmed, "peer")} seen below ${threshold} of the pieces and later at or above.`
      : `No download was confirmed: no peer was seen below ${threshold} of the pieces and later at or above. That does not say that nobody downloaded.`,
  ];
  const estimate = ["", "_low", "_high"].map((end) => value(`estimated_downloads${end}`));
  if (estimate.every((number) => number !== null)) {
    const [about, low, high] = estimate.map(integer);
    sentences.push(`With those that were likely missed about ${about} (${low} to ${high}, 95 % interval), peers that nobody can reach left out.`);
  }
  const scraped = value("scrape_downloads");
  if (scraped !== null) sentences.push(`Trackers themselves counted ${integer(scraped)}.`);
  return sentences.join(" ");
};

const tellNumbers = ({ tables: { summary } }) => {
  const row = chosen === null ? null : summary?.rows.find((row) => row[0] === chosen);
  const at = (name) => summary?.columns.findIndex(([column]) => column === name) ?? -1;
  const known = (name) => row?.[at(name)] ?? null;
  if (verdict) verdict.textContent = chosen === null ? verdictBefore : row ? verdictOf(known, verdict.dataset.threshold) : "";
  for (const { item, value, what, whatBefore, before, range, rangeBefore } of numbers) {
    const column = at(item.dataset.column);
    if (chosen === null || column < 0) {
      value.textContent = before;
      what.textContent = whatBefore;
      if (range) range.textContent = rangeBefore;
      continue;
    }
    // The page does not hold the rows of more than some ten thousand torrents.
    const number = row?.[column] ?? null;
    value.textContent = number === null ? "–" : written[summary.columns[column][1]](number);
    const { one } = what.dataset;
    if (one) what.textContent = number === 1 ? one : plural(one);
    if (!range) continue;
    const [low, high] = ["_low", "_high"].map((end) => known(item.dataset.column + end));
    range.textContent = number === null ? range.dataset.absent : low === null ? "" : `95 %: ${integer(low)} to ${integer(high)}`;
  }
};

// Torrents to choose from; more could not be found by looking, but tables can be searched for them.
const OFFERED = 5000;
const option = ({ hash, name, confirmed }) => {
  const made = document.createElement("option");
  made.value = hash;
  made.textContent = `${cut(name || `${hash.slice(0, 10)}…`, 60)} (${integer(confirmed)})`;
  return made;
};

const tellChoice = ({ torrents }, hash) => {
  choice.value = hash;
  if (choice.value === hash) return;
  choice.append(option(torrents[chosen]));
  choice.value = hash;
};

const choose = async (hash) => {
  const all = await data();
  const found = all.torrents.findIndex((torrent) => torrent.hash === hash);
  chosen = found < 0 ? null : found;
  if (choice) tellChoice(all, chosen === null ? "" : hash);
  document.body.classList.toggle("one", chosen !== null);
  document.querySelectorAll(".of-torrent").forEach((place) => {
    place.textContent = chosen === null ? "" : all.torrents[chosen].name || hash;
  });
  tellNumbers(all);
  mark(hash);
  document.querySelectorAll("figure[data-figure]").forEach((figure) => draw(figure, all));
  await Promise.all([...tables.values()].filter((table) => table.isOfTorrents).map((table) => table.select(chosen)));
  const address = chosen === null ? location.href.split("#")[0] : `#torrent=${hash}`;
  if (location.hash.startsWith("#torrent=") || chosen !== null) history.replaceState(null, "", address);
};

const offer = (torrents) => {
  choice.append(...torrents.slice(0, OFFERED).map(option));
  choice.closest(".choice").hidden = false;
};

const begin = async () => {
  const { torrents } = await data();
  if (choice && torrents.length > 1) offer(torrents);
  if (location.hash.startsWith("#torrent=")) await choose(location.hash.slice("#torrent=".length));
  document.documentElement.dataset.ready = "";
};

choice?.addEventListener("change", () => choose(choice.value));
document.getElementById("all-torrents")?.addEventListener("click", () => choose(""));
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.torrent");
  const point = event.target.closest(".figure [data-t]");
  if (button) choose(button.dataset.torrent === choice?.value ? "" : button.dataset.torrent);
  else if (point) data().then(({ torrents }) => choose(torrents.find(({ hash }) => hash.startsWith(point.dataset.t))?.hash));
});
phone.addEventListener("change", () => chosen !== null && choose(choice.value));
const withoutData = () => {
  document.querySelectorAll(".bar").forEach((bar) => bar.remove());
  document.documentElement.dataset.ready = "";
};
const start = () => (canUnpack ? begin() : withoutData());
// The page is complete without its data: it is unpacked once everything is shown.
if (document.readyState === "complete") setTimeout(start);
else addEventListener("load", () => setTimeout(start));
