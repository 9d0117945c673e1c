// Figures of one torrent, drawn as analyze/src/figure draws those of all: the same classes, scales and axes.
const WIDE = 860;
const NARROW = 360;
const SVG = "http://www.w3.org/2000/svg";

const element = (name, attributes, tip) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (tip) made.dataset.tip = tip;
  return made;
};

const label = (kind, x, y, anchor, text) => {
  const made = element("text", { class: kind, x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
};

const line = (kind, x1, y1, x2, y2) => element("line", { class: kind, x1, y1, x2, y2 });
const circle = (kind, cx, cy, r, tip) => element("circle", { class: kind, cx, cy, r }, tip);
const rect = (kind, x, y, width, height, tip) =>
  element("rect", { class: kind, x, y, width: Math.max(0, width), height: Math.max(0, height) }, tip);
const path = (kind, points, closed = "") =>
  element("path", { class: kind, d: points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("") + closed });

const picture = (width, height, name) =>
  element("svg", {
    class: "figure drawn",
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    tabindex: 0,
    "aria-label": name,
    "aria-description": "Arrow keys tell the values.",
  });

// Widths of texts, for axes and legends.
const measure = document.createElement("canvas").getContext("2d");
const widthOf = (text, size) => {
  measure.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return measure.measureText(text).width;
};

const fit = (text, size, most) => {
  const characters = [...text];
  if (widthOf(text, size) <= most) return text;
  while (characters.length && widthOf(`${characters.join("")}…`, size) > most) characters.pop();
  return `${characters.join("")}…`;
};

const linear = (from, to, start, end) => (value) =>
  start + Math.min(1, Math.max(0, (value - from) / (to > from ? to - from : 1))) * (end - start);
const logarithmic = (from, to, start, end) => (value) =>
  start + Math.min(1, Math.max(0, Math.log10(Math.max(value, from) / from) / Math.log10(to / from))) * (end - start);

// A step of 1, 2 or 5 times a power of ten that divides a range into at most about `count` parts.
const roundStep = (range, count) => {
  const rough = range / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10) * power;
};
const roundUp = (most, count) => {
  if (!(most > 0)) return 1;
  const step = roundStep(most, count);
  return Math.ceil(most / step) * step;
};
const ticksTo = (most, count) => {
  const step = roundStep(most, count);
  return Array.from({ length: Math.floor(most / step + 1e-6) + 1 }, (_, i) => i * step);
};

const verticalAxis = (svg, panel, up, ticks, format, title) => {
  for (const tick of ticks) {
    svg.append(line("grid", panel.left, up(tick), panel.right, up(tick)));
    svg.append(label("tick", panel.left - 6, up(tick) + 4, "end", format(tick)));
  }
  if (title) svg.append(label("label", 0, panel.top - 14, "start", title));
};

// Labels under their places, within the picture; those that would touch the one before are left out.
const labelsBelow = (svg, panel, places, width) => {
  let free = -Infinity;
  for (const [x, text] of places) {
    const half = widthOf(text, 11) / 2;
    const centre = Math.min(Math.max(x, half), width - half);
    if (centre - half < free) continue;
    svg.append(label("tick", centre, panel.bottom + 17, "middle", text));
    free = centre + half + 6;
  }
};

const horizontalAxis = (svg, panel, across, ticks, format, title, width) => {
  for (const tick of ticks) svg.append(line("grid", across(tick), panel.top, across(tick), panel.bottom));
  labelsBelow(svg, panel, ticks.map((tick) => [across(tick), format(tick)]), width);
  svg.append(label("label", (panel.left + panel.right) / 2, panel.bottom + 36, "middle", title));
};

const MINUTE = 60e6;
const HOUR = 3600e6;
const DAY = 24 * HOUR;
const TIME_STEPS = [1e6, 5e6, 15e6, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR];
TIME_STEPS.push(12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 28 * DAY);

const timeAxis = (svg, panel, across, from, to, least, width) => {
  const most = Math.max(2, Math.floor((panel.right - panel.left) / 70));
  let step = TIME_STEPS.find((step) => step >= least && (to - from) / step <= most) ?? 28 * DAY;
  while ((to - from) / step > most) step *= 2;
  const places = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const date = new Date(time / 1000);
    const day = `${date.getUTCDate()} ${date.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
    const clock = date.toISOString().slice(11, step < MINUTE ? 19 : 16);
    places.push([across(time), time % DAY === 0 ? day : clock]);
    svg.append(line("axis", across(time), panel.bottom, across(time), panel.bottom + 4));
  }
  labelsBelow(svg, panel, places, width);
};

// Where the keys of a legend stand; lines break at the picture's edge.
const KEY_LINE = 20;
const keyPlaces = (keys, width) => {
  let [x, y] = [0, 0];
  return keys.map(([kind, text]) => {
    const name = fit(text, 12, Math.min(260, width - 17));
    const needed = 17 + widthOf(name, 12);
    if (x > 0 && x + needed > width) [x, y] = [0, y + KEY_LINE];
    const place = { kind, name, x, y };
    x += needed + 18;
    return place;
  });
};
const legendHeight = (keys, width) => (keys.length ? keyPlaces(keys, width).at(-1).y + KEY_LINE : 0);
const legend = (svg, keys, width) => {
  for (const { kind, name, x, y } of keyPlaces(keys, width)) {
    svg.append(element("rect", { class: kind, x, y: y + 3, width: 11, height: 11, rx: 2 }));
    svg.append(label("label", x + 17, y + 13, "start", name));
  }
};

// Two pictures as one, the second below the first and under a heading.
const below = (above, heading, second, width, name) => {
  const heightOf = (svg) => svg.viewBox.baseVal.height;
  const top = heightOf(above) + 34;
  const svg = picture(width, top + heightOf(second), name);
  const moved = element("g", { transform: `translate(0 ${top})` });
  moved.append(...second.childNodes);
  svg.append(...above.childNodes, label("strong", 0, top - 10, "start", heading), moved);
  return svg;
};

const baseLine = (svg, panel) => svg.append(line("axis", panel.left, panel.bottom, panel.right, panel.bottom));

const nothing = (width, why) => {
  const made = document.createElement("p");
  made.className = "nothing drawn";
  made.textContent = why;
  return made;
};
