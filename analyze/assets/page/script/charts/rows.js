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

// Bars from 0, each with its value: name, value, what is told.
const barChart = (bars, kind, title, width, name) => {
  const notes = bars.map(([, value]) => integer(value));
  const { narrow, panel, name: row } = rowsOf(bars.map(([text]) => text), noteWidth(notes), 4, width);
  const svg = picture(width, panel.bottom + 44, name);
  const most = Math.max(1, ...bars.map(([, value]) => value));
  const across = linear(0, most, panel.left, panel.right);
  horizontalAxis(svg, panel, across, ticksTo(most, narrow ? 4 : 6).filter(Number.isInteger), short, title, width);
  bars.forEach(([, value, tip], index) => {
    const y = row(svg, index);
    if (value > 0) svg.append(rect(kind, panel.left, y - 8, Math.max(1, across(value) - panel.left), 17, tip));
    svg.append(label("value", across(value) + 6, y + 4.5, "start", notes[index]));
  });
  svg.append(line("axis", panel.left, panel.top, panel.left, panel.bottom));
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
  const { narrow, panel, name: rowName } = rowsOf(rows.map(nameOf), noteWidth(rows.map(noteOf)), 4, width);
  const svg = picture(width, panel.bottom + 44, name);
  const most = Math.max(1, ...rows.map((row) => row[column.peers_high] ?? row[column.peers]));
  const across = linear(0, most, panel.left, panel.right);
  horizontalAxis(svg, panel, across, ticksTo(most, narrow ? 4 : 8).filter(Number.isInteger), short, "peers (from 0)", width);
  rows.forEach((row, index) => {
    const y = rowName(svg, index);
    const [low, high] = [row[column.peers_low], row[column.peers_high]];
    if (low !== null) {
      svg.append(line("whisker", across(low), y, across(high), y));
      for (const end of [low, high]) svg.append(line("whisker", across(end), y - 4, across(end), y + 4));
    }
    const tip = `${nameOf(row)}: ${noteOf(row)} ${noteOf(row) === "1" ? "peer" : "peers"}; errs ${row[column.bias]}`;
    svg.append(circle(["rest", "c1", "c2"][rank(row)], across(row[column.peers]), y, 5, tip));
    svg.append(label("value", panel.right + 10, y + 4, "start", noteOf(row)));
  });
  return svg;
};
