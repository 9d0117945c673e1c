// One function a figure: a torrent's numbers → its picture, or a sentence where there are none.
const charts = {};

const bucketTime = (buckets, index) => buckets.start_us + index * buckets.step_us;

charts.confirmed_hourly = (torrent, { buckets, confirmed_hourly: all }, width, name) => {
  const bars = all[torrent] ?? [];
  if (!bars.length) return nothing(width, "No peer of this torrent was seen below the threshold and later at or above it.");
  const panel = { left: 44, top: 34, right: width - 8, bottom: 274 };
  const svg = picture(width, panel.bottom + 28, name);
  const most = roundUp(Math.max(...bars.map(([, count]) => count)), 5);
  const up = linear(0, most, panel.bottom, panel.top);
  const whole = ticksTo(most, 5).filter(Number.isInteger);
  verticalAxis(svg, panel, up, whole, short, `confirmed downloads per ${buckets.unit}`);
  const end = bucketTime(buckets, buckets.count);
  const across = linear(buckets.start_us, end, panel.left, panel.right);
  for (const [index, count] of bars) {
    const [left, right] = [across(bucketTime(buckets, index)), across(bucketTime(buckets, index + 1))];
    const gap = Math.max(Math.min((right - left) * 0.12, 3), right - left - 64);
    const tip = `${minute(bucketTime(buckets, index))} UTC: ${integer(count)} confirmed downloads`;
    svg.append(rect("c1", left + gap / 2, up(count), right - left - gap, panel.bottom - up(count), tip));
  }
  baseLine(svg, panel);
  timeAxis(svg, panel, across, buckets.start_us, end, buckets.step_us, width);
  return svg;
};

charts.seeders_hourly = (torrent, { buckets, seeders_hourly: all }, width, name) => {
  const hours = all[torrent] ?? [];
  if (!hours.length) return nothing(width, "No peer of this torrent told its pieces, and no tracker its counts.");
  const lines = [
    ["line1", "c1", "seeders seen", 1],
    ["line2", "c2", "leechers seen", 2],
    ["line1 dashed", "c1 faint", "seeders told", 3],
    ["line2 dashed", "c2 faint", "leechers told", 4],
  ];
  const panel = { left: 48, top: legendHeight + 34 + (width < 500 ? legendHeight : 0), right: width - 10 };
  panel.bottom = panel.top + 240;
  const svg = picture(width, panel.bottom + 28, name);
  const keys = lines.map(([, fill, text]) => [fill, text]);
  if (width < 500) {
    const second = element("g", { transform: `translate(0 ${legendHeight})` });
    legend(svg, keys.slice(0, 2));
    legend(second, keys.slice(2));
    svg.append(second);
  } else {
    legend(svg, keys);
  }
  const most = roundUp(Math.max(...hours.flatMap((hour) => hour.slice(1).filter((value) => value !== null))), 5);
  const up = linear(0, most, panel.bottom, panel.top);
  verticalAxis(svg, panel, up, ticksTo(most, 5).filter(Number.isInteger), short, "peers");
  const end = bucketTime(buckets, buckets.count);
  const across = linear(buckets.start_us, end, panel.left, panel.right);
  const middle = (index) => across(bucketTime(buckets, index + 0.5));
  for (const [stroke, fill, , column] of lines) {
    let part = [];
    const finish = () => {
      if (part.length) svg.append(path(stroke, part));
      part = [];
    };
    let before;
    for (const hour of hours) {
      if (hour[column] === null || (before !== undefined && hour[0] !== before + 1)) finish();
      if (hour[column] !== null) {
        part.push([middle(hour[0]), up(hour[column])]);
        if (hours.length <= 60) svg.append(circle(fill, middle(hour[0]), up(hour[column]), 3));
      }
      before = hour[0];
    }
    finish();
  }
  for (const hour of hours) {
    const told = lines.filter(([, , , column]) => hour[column] !== null);
    const tip = `${minute(bucketTime(buckets, hour[0]))} UTC: ${told.map(([, , text, column]) => `${text} ${integer(hour[column])}`).join(", ")}`;
    const [left, right] = [across(bucketTime(buckets, hour[0])), across(bucketTime(buckets, hour[0] + 1))];
    svg.append(rect("hit", left, panel.top, right - left, panel.bottom - panel.top, tip));
  }
  baseLine(svg, panel);
  timeAxis(svg, panel, across, buckets.start_us, end, buckets.step_us, width);
  return svg;
};

const SOURCES = { dht: "DHT", incoming: "incoming", lsd: "LSD", magnet: "magnets", pex: "PEX", tracker_http: "HTTP trackers", tracker_udp: "UDP trackers" };
const METHODS = {
  seen: () => "seen",
  chapman: (of) => `Chapman: ${of.split(" ").map((source) => SOURCES[source] ?? source).join(" and ")}`,
  chao2: () => "Chao: seen again over time",
  bep33: () => "told by DHT nodes (BEP 33)",
  scrape: (of) => `told by ${of}`,
};

charts.population = (torrent, { tables: { population } }, width, name) => {
  const column = Object.fromEntries(population.columns.map(([key], index) => [key, index]));
  const rank = (row) => (row[column.method] === "seen" ? 0 : row[column.counts] === "at_once" ? 2 : 1);
  const rows = population.rows.filter((row) => row[column.info_hash] === torrent).sort((a, b) => rank(a) - rank(b));
  if (!rows.length) return nothing(width, "No method could be applied to this torrent.");
  const narrow = width < 500;
  const nameOf = (row) => METHODS[row[column.method]]?.(row[column.of] ?? "") ?? row[column.method];
  const noteOf = (row) => {
    const [low, high] = [row[column.peers_low], row[column.peers_high]];
    return integer(row[column.peers]) + (low === null ? "" : ` (${integer(low)} to ${integer(high)})`);
  };
  const notes = Math.max(...rows.map((row) => widthOf(noteOf(row), 11))) + 16;
  const names = Math.max(...rows.map((row) => widthOf(nameOf(row), 12)));
  const step = narrow ? 40 : 26;
  const panel = { left: narrow ? 8 : Math.min(names, width * 0.36) + 16, top: 4, right: width - notes };
  panel.bottom = panel.top + rows.length * step + 4;
  const svg = picture(width, panel.bottom + 44, name);
  const most = Math.max(1, ...rows.map((row) => row[column.peers_high] ?? row[column.peers]));
  const across = linear(0, most, panel.left, panel.right);
  horizontalAxis(svg, panel, across, ticksTo(most, narrow ? 4 : 8).filter(Number.isInteger), short, "peers (from 0)", width);
  rows.forEach((row, index) => {
    const top = panel.top + index * step;
    const y = narrow ? top + 28 : top + 13;
    const text = fit(nameOf(row), 12, narrow ? width - 4 : panel.left - 12);
    svg.append(narrow ? label("label", 0, top + 15, "start", text) : label("label", panel.left - 10, y + 4, "end", text));
    const [low, high] = [row[column.peers_low], row[column.peers_high]];
    if (low !== null) {
      svg.append(line("whisker", across(low), y, across(high), y));
      for (const end of [low, high]) svg.append(line("whisker", across(end), y - 4, across(end), y + 4));
    }
    const tip = `${nameOf(row)}: ${noteOf(row)} peers; errs ${row[column.bias]}`;
    svg.append(circle(["rest", "c1", "c2"][rank(row)], across(row[column.peers]), y, 5, tip));
    svg.append(label("value", panel.right + 10, y + 4, "start", noteOf(row)));
  });
  return svg;
};

charts.speeds = (torrent, { speeds: all }, width, name) => {
  const own = all.torrents[torrent];
  if (!own) return nothing(width, "No speed was measured in this torrent.");
  const keys = [["c1", "mean speed"], ["outline", "highest speed (over at least 5 s)"]];
  const panel = { left: 48, top: legendHeight + 38, right: width - 12, bottom: legendHeight + 268 };
  const svg = picture(width, panel.bottom + 44, name);
  legend(svg, keys);
  const edge = (bin) => 10 ** (all.from + bin / all.per_decade);
  const bins = [...own.mean, ...own.max].map(([bin]) => bin);
  const [first, last] = [Math.min(...bins), Math.max(...bins) + 1];
  const across = logarithmic(edge(first), edge(last), panel.left, panel.right);
  const most = roundUp(Math.max(...[...own.mean, ...own.max].map(([, count]) => count)), 5);
  const up = linear(0, most, panel.bottom, panel.top);
  verticalAxis(svg, panel, up, ticksTo(most, 5).filter(Number.isInteger), short, "peers");
  const marks = [];
  for (let power = Math.floor(Math.log10(edge(first))); power <= Math.log10(edge(last)); power += 1) {
    const factors = edge(last) / edge(first) < 150 ? [1, 2, 5] : [1];
    marks.push(...factors.map((factor) => factor * 10 ** power));
  }
  const ticks = marks.filter((mark) => mark >= edge(first) * 0.999 && mark <= edge(last) * 1.001);
  horizontalAxis(svg, panel, across, ticks, speed, "download speed (logarithmic)", width);
  const maxima = new Map(own.max);
  for (const [bin, count] of own.mean) {
    const [left, right] = [across(edge(bin)), across(edge(bin + 1))];
    const tip = `${speed(edge(bin))} to ${speed(edge(bin + 1))}: mean speed of ${integer(count)}, highest speed of ${integer(maxima.get(bin) ?? 0)} peers`;
    svg.append(rect("c1", left + 0.5, up(count), right - left - 1, panel.bottom - up(count), tip));
  }
  const outline = [[across(edge(first)), panel.bottom]];
  for (let bin = first; bin < last; bin += 1) {
    const y = up(maxima.get(bin) ?? 0);
    outline.push([across(edge(bin)), y], [across(edge(bin + 1)), y]);
  }
  svg.append(path("outline", [...outline, [across(edge(last)), panel.bottom]]));
  baseLine(svg, panel);
  const x = across(own.median);
  svg.append(line("mark", x, panel.top - 4, x, panel.bottom));
  const anchor = x > width / 2 ? "end" : "start";
  svg.append(label("note", x + (anchor === "end" ? -5 : 5), panel.top - 8, anchor, `median ${speed(own.median)}`));
  return svg;
};

// Classes from 1 to the highest count, as analyze/src/figure/countries.rs makes them.
const STARTS = [[6, [1, 2, 3, 4, 5, 6]], [100, [1, 3, 6, 11, 21, 41]], [10000, [1, 6, 21, 101, 501, 2001]], [Infinity, [1, 11, 101, 1001, 10001, 100001]]];

charts.countries = (torrent, { places: all }, width, name, figure) => {
  const own = all[torrent];
  if (!own) return nothing(width, "No confirmed download of this torrent is in a known country.");
  const counts = new Map(own);
  const most = Math.max(...counts.values());
  const starts = STARTS.find(([enough]) => most <= enough)[1].filter((start) => start <= most);
  const skipped = Math.floor((6 - starts.length) / 2);
  const classOf = (count) => `q${starts.filter((start) => count >= start).length + skipped}`;
  const confirmed = sum(own);
  const map = figure.querySelector(width < 500 ? "svg.narrow" : "svg.wide");
  const svg = picture(map.viewBox.baseVal.width, map.viewBox.baseVal.height, name);
  const shapes = [...map.querySelectorAll("[data-c]")];
  for (const shape of shapes) {
    const count = counts.get(shape.dataset.c);
    if (shape.tagName === "circle" && !count) continue;
    const copy = shape.cloneNode(false);
    copy.setAttribute("class", count ? classOf(count) : "land");
    delete copy.dataset.tip;
    const country = all.names[shape.dataset.c] ?? shape.dataset.c;
    if (count) copy.dataset.tip = `${country}: ${integer(count)} confirmed downloads (${percent(count / confirmed)})`;
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

// What stands beside each: what is counted, and how many there are.
const sum = (pairs) => (pairs ?? []).reduce((all, [, count]) => all + count, 0);
const readings = {
  confirmed_hourly: (torrent, all) =>
    `${integer(sum(all.confirmed_hourly[torrent]))} confirmed downloads of this torrent, each at the first observation at or above the threshold. Times are UTC.`,
  seeders_hourly: () =>
    "Seen: peers of this torrent we watched, by what they told last in each interval. Told: what the tracker or DHT node that knows most of them says.",
  population: () =>
    "Whiskers of estimates are 95 % intervals, those of trackers and DHT nodes reach from the lowest to the highest answer.",
  speeds: (torrent, all) =>
    `Mean speed of ${integer(sum(all.speeds.torrents[torrent]?.mean))} peers of this torrent while they were watched, and the highest speed of ${integer(sum(all.speeds.torrents[torrent]?.max))} of them.`,
  countries: (torrent, all) =>
    `${integer(sum(all.places[torrent]))} confirmed downloads of this torrent in ${integer(all.places[torrent]?.length ?? 0)} countries.`,
};
