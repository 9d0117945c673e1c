// The map of confirmed downloads, with the outlines of the map of all torrents.
// Classes from 1 to the highest count, as analyze/src/figure/countries.rs makes them.
const STARTS = [[6, [1, 2, 3, 4, 5, 6]], [100, [1, 3, 6, 11, 21, 41]], [10000, [1, 6, 21, 101, 501, 2001]], [Infinity, [1, 11, 101, 1001, 10001, 100001]]];

charts.countries = (torrent, { places: all }, width, name, figure) => {
  const own = all[torrent];
  const map = figure.querySelector(width < 500 ? "svg.narrow" : "svg.wide");
  if (!own || !map) return nothing(width, "No confirmed download of this torrent is in a known country.");
  const counts = new Map(own);
  const most = Math.max(...counts.values());
  const starts = STARTS.find(([enough]) => most <= enough)[1].filter((start) => start <= most);
  const skipped = Math.floor((6 - starts.length) / 2);
  const classOf = (count) => `q${starts.filter((start) => count >= start).length + skipped}`;
  const confirmed = sum(own);
  const svg = picture(map.viewBox.baseVal.width, map.viewBox.baseVal.height, name);
  const shapes = [...map.querySelectorAll("[data-c]")];
  for (const shape of shapes) {
    const count = counts.get(shape.dataset.c);
    if (shape.tagName === "circle" && !count) continue;
    const copy = shape.cloneNode(false);
    copy.setAttribute("class", count ? classOf(count) : "land");
    delete copy.dataset.tip;
    const country = all.names[shape.dataset.c] ?? shape.dataset.c;
    if (count) copy.dataset.tip = `${country}: ${numberOf(count, "confirmed download")} (${percent(count / confirmed)})`;
    svg.append(copy);
  }
  const top = Math.min(...[...map.querySelectorAll("text")].map((text) => Number(text.getAttribute("y")))) - 12.5;
  const keys = [["land", "none"], ...starts.map((start, index) => {
    const end = index + 1 < starts.length ? starts[index + 1] - 1 : most;
    const range = start === end ? integer(start) : `${integer(start)}–${integer(end)}`;
    return [`q${index + 1 + skipped}`, index + 1 < starts.length ? range : `${range} confirmed`];
  })];
  let [x, y] = [0, top];
  for (const [kind, text] of keys) {
    const needed = 37 + widthOf(text, 12);
    if (x > 0 && x + needed > svg.viewBox.baseVal.width) [x, y] = [0, y + 20];
    svg.append(rect(kind, x, y + 2, 16, 12));
    svg.append(label("label", x + 21, y + 12.5, "start", text));
    x += needed;
  }
  return svg;
};
