// The histogram of speeds.
charts.speeds = (torrent, { speeds: all }, width, name) => {
  const own = all.torrents[torrent];
  if (!own) return nothing(width, "No speed was measured in this torrent.");
  const keys = [["c1", "mean speed"], ["outline", "highest speed (over at least 5 s)"]];
  const panel = { left: 48, top: legendHeight(keys, width) + 38, right: width - 12 };
  panel.bottom = panel.top + 230;
  const svg = picture(width, panel.bottom + 44, name);
  legend(svg, keys, width);
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
    const tip = `${speed(edge(bin))} to ${speed(edge(bin + 1))}: mean speed of ${numberOf(count, "peer")}, highest speed of ${numberOf(maxima.get(bin) ?? 0, "peer")}`;
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
