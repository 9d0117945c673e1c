// Named rows: populations with their intervals, bars of clients and trackers, box plots of countries.

// Where rows stand: names left of the plot, on a narrow picture above their rows.
const rowsOf = (names, notes, top, width) => {
  const narrow = width < 500;
  const step = narrow ? 40 : 26;
  const longest = Math.max(60, ...names.map((name) => widthOf(name, 12)));
  const panel = { left: narrow ? 8 : Math.min(longest, width * 0.36) + 16, top, right: width - notes };
  panel.bottom = top + names.length * step + 4;
  const name = (svg, index) => {
    const y = top + index * step + (narrow ? 28 : 13);
    const text = fit(names[index], 12, narrow ? width - 4 : panel.left - 12);
    svg.append(narrow ? label("label", 0, y - 13, "start", text) : label("label", panel.left - 10, y + 4, "end", text));
    return y;
  };
  return { narrow, panel, name };
};

const noteWidth = (notes) => Math.max(...notes.map((note) => widthOf(note, 11))) + 16;

// Bars from 0 of one or more parts: what each stands for, its parts (kind, value, what is told), and a note at its end.
const stackedBars = (bars, keys, title, width, name) => {
  const narrow = width < 500;
  const top = keys.length ? legendHeight(keys, width) + 8 : 0;
  const step = narrow ? 40 : 26;
  const notes = Math.max(...bars.map(({ note }) => widthOf(note, 11))) + 10;
  const names = narrow ? 0 : Math.min(Math.max(60, ...bars.map((bar) => widthOf(bar.name, 12))), width * 0.34) + 12;
  const panel = { left: names, top, right: width - notes, bottom: top + bars.length * step + 4 };
  const svg = picture(width, panel.bottom + 44, name);
  legend(svg, keys, width);
  const most = Math.max(1, ...bars.map(({ parts }) => parts.reduce((all, [, value]) => all + value, 0)));
  const across = linear(0, most, panel.left, panel.right);
  horizontalAxis(svg, panel, across, ticksTo(most, narrow ? 4 : 6).filter(Number.isInteger), short, title, width);
  bars.forEach((bar, index) => {
    const y = top + index * step + (narrow ? 20 : 5);
    const height = narrow ? 15 : 17;
    if (narrow) svg.append(label("label", panel.left + 2, y - 5, "start", fit(bar.name, 12, width - 4)));
    else svg.append(label("label", panel.left - 8, y + 13, "end", fit(bar.name, 12, panel.left - 10)));
    let from = 0;
    for (const [kind, value, tip] of bar.parts) {
      // A value that is there is seen, however small.
      const length = Math.max(1, across(from + value) - across(from));
      if (value > 0) svg.append(rect(kind, across(from), y, length, height, tip));
      from += value;
    }
    svg.append(label("value", across(from) + 6, y + 12.5, "start", bar.note));
  });
  svg.append(line("axis", panel.left, panel.top, panel.left, panel.bottom));
  return svg;
};

const barChart = (bars, kind, title, width, name) =>
  stackedBars(bars.map(([text, value, tip]) => ({ name: text, parts: [[kind, value, tip]], note: integer(value) })), [], title, width, name);

// Values with their intervals as dots, each on a row of its own.
const dotRows = (dots, keys, { title, most, format }, width, name) => {
  const top = keys.length ? legendHeight(keys, width) + 8 : 0;
  const { narrow, panel, name: row } = rowsOf(dots.map((dot) => dot.name), noteWidth(dots.map(({ note }) => note)), top, width);
  const svg = picture(width, panel.bottom + 44, name);
  legend(svg, keys, width);
  const across = linear(0, most, panel.left, panel.right);
  const ticks = ticksTo(most, narrow ? 4 : 8).filter((tick) => most <= 1 || Number.isInteger(tick));
  horizontalAxis(svg, panel, across, ticks, format, title, width);
  dots.forEach(({ kind, value, interval, note, tip }, index) => {
    const y = row(svg, index);
    if (interval) {
      const [low, high] = interval.map(across);
      svg.append(line("whisker", low, y, high, y));
      for (const end of [low, high]) svg.append(line("whisker", end, y - 4, end, y + 4));
    }
    svg.append(circle(kind, across(value), y, 5, tip));
    svg.append(label("value", panel.right + 10, y + 4, "start", note));
  });
  return svg;
};

const BARS = 15;

charts.clients = (torrent, { clients: all }, width, name) => {
  const own = all[torrent] ?? [];
  if (!own.length) return nothing(width, "No download of this torrent was confirmed.");
  const bars = own.slice(0, BARS).map(([client, count]) => [client, count, `${client}: ${numberOf(count, "confirmed download")}`]);
  const others = own.slice(BARS);
  if (others.length) bars.push([numberOf(others.length, "other program"), sum(others), numberOf(sum(others), "confirmed download")]);
  return barChart(bars, "c1", "confirmed downloads", width, name);
};

charts.trackers = (torrent, { tables: { trackers } }, width, name) => {
  const column = columnPlaces(trackers);
  const own = trackers.rows.filter((row) => row[column.info_hash] === torrent);
  if (!own.length) return nothing(width, "No tracker told a counter of this torrent's downloads.");
  // Both families of addresses of a tracker count the same downloads.
  const most = new Map();
  for (const row of own) {
    const tracker = row[column.tracker] ?? "unknown";
    most.set(tracker, Math.max(most.get(tracker) ?? 0, row[column.scrape_downloads]));
  }
  const bars = [...most].sort(([, a], [, b]) => b - a).slice(0, BARS);
  return barChart(bars.map(([tracker, count]) => [tracker, count, `${tracker}: ${numberOf(count, "download")}`]), "c2", "downloads counted", width, name);
};

charts.speeds_by_country = (torrent, { speeds_by_country: all }, width, name) => {
  const own = all[torrent] ?? [];
  if (!own.length) return nothing(width, "No speed was measured in this torrent.");
  const names = own.map(([country, count]) => `${country} (n = ${integer(count)})`);
  const { narrow, panel, name: row } = rowsOf(names, 16, 6, width);
  const svg = picture(width, panel.bottom + 44, name);
  const speeds = own.flatMap(([, , ...quartiles]) => quartiles).filter((value) => value > 0);
  const ends = [10 ** Math.floor(Math.log10(Math.min(...speeds))), 10 ** Math.ceil(Math.log10(Math.max(...speeds)))];
  const across = logarithmic(ends[0], Math.max(ends[1], ends[0] * 10), panel.left, panel.right);
  const ticks = [];
  for (let tick = ends[0]; tick <= ends[1] * 1.001; tick *= 10) ticks.push(tick);
  horizontalAxis(svg, panel, across, ticks, speed, "mean download speed (logarithmic)", width);
  own.forEach(([country, , ...quartiles], index) => {
    const y = row(svg, index);
    const [min, q1, median, q3, max] = quartiles.map(speed);
    const tip = `${country}: median ${median}, middle half ${q1} to ${q3}, all ${min} to ${max}`;
    const [left, first, middle, third, right] = quartiles.map(across);
    svg.append(line("whisker", left, y, right, y));
    for (const end of [left, right]) svg.append(line("whisker", end, y - 4, end, y + 4));
    svg.append(rect("box", first, y - 7, Math.max(2, third - first), 14, tip));
    svg.append(line("median", middle, y - 7, middle, y + 7));
  });
  return svg;
};

const columnPlaces = (stored) => Object.fromEntries(stored.columns.map(([key], index) => [key, index]));

const SOURCES = { dht: "DHT", incoming: "incoming", lsd: "LSD", magnet: "magnets", pex: "PEX", tracker_http: "HTTP trackers", tracker_udp: "UDP trackers" };
const METHODS = {
  seen: () => "seen",
  chapman: (of) => `Chapman: ${of.split(" ").map((source) => SOURCES[source] ?? source).join(" and ")}`,
  chao2: () => "Chao: seen again over time",
  bep33: () => "told by DHT nodes (BEP 33)",
  scrape: (of) => `told by ${of}`,
};

charts.population = (torrent, { tables: { population } }, width, name) => {
  const column = columnPlaces(population);
  const rank = (row) => (row[column.method] === "seen" ? 0 : row[column.counts] === "at_once" ? 2 : 1);
  const rows = population.rows.filter((row) => row[column.info_hash] === torrent).sort((a, b) => rank(a) - rank(b));
  if (!rows.length) return nothing(width, "No method could be applied to this torrent.");
  const nameOf = (row) => METHODS[row[column.method]]?.(row[column.of] ?? "") ?? row[column.method];
  const noteOf = (row) => {
    const [low, high] = [row[column.peers_low], row[column.peers_high]];
    return integer(row[column.peers]) + (low === null ? "" : ` (${integer(low)} to ${integer(high)})`);
  };
  const dots = rows.map((row) => {
    const [low, high] = [row[column.peers_low], row[column.peers_high]];
    const tip = `${nameOf(row)}: ${noteOf(row)} ${noteOf(row) === "1" ? "peer" : "peers"}; errs ${row[column.bias]}`;
    const interval = low === null ? null : [low, high];
    return { name: nameOf(row), kind: ["rest", "c1", "c2"][rank(row)], value: row[column.peers], interval, note: noteOf(row), tip };
  });
  const most = Math.max(1, ...rows.map((row) => row[column.peers_high] ?? row[column.peers]));
  const keys = [["rest", "seen, a count"], ["c1", "peers there at any time"], ["c2", "peers there at one time, on average"]];
  return dotRows(dots, keys, { title: "peers (from 0)", most, format: short }, width, name);
};
