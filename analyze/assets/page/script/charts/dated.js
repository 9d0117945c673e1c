// How exactly a torrent's downloads are dated: the share of them whose interval is no longer than so much.
const KINDS_DATED = [["line1", "c1", "watched live"], ["line2", "c2", "between two visits"]];
const PARTS_DATED = 20;
const SHORTEST_DATED = 1e5;
const MARKS_DATED = [1e5, 1e6, 10e6, 60e6, 600e6, 3600e6, 14400e6, 86400e6, 604800e6, 2592000e6];

charts.confirmed_downloads = (torrent, { confirmed_downloads: all }, width, name) => {
  const own = all[torrent];
  if (!own) return nothing(width, "No download of this torrent was confirmed.");
  const drawn = KINDS_DATED.map(([stroke, fill, what], index) => {
    const [number, values] = own[1][index];
    const last = values.length - 1;
    // Of many downloads the page holds the values at the parts alone.
    const at = (part) => values[Math.floor((last * part) / PARTS_DATED)] * 1e3;
    const points = Array.from({ length: PARTS_DATED + 1 }, (_, part) => [at(part), part / PARTS_DATED]);
    return { stroke, fill, what, number, points };
  }).filter(({ number }) => number > 0);
  const keys = drawn.map(({ fill, what, number }) => [fill, `${what} (n = ${integer(number)})`]);
  const panel = { left: 48, top: legendHeight(keys, width) + 34, right: width - 14 };
  panel.bottom = panel.top + 200;
  const svg = picture(width, panel.bottom + 44, name);
  legend(svg, keys, width);
  const longest = Math.max(SHORTEST_DATED * 10, ...drawn.map(({ points }) => points.at(-1)[0]));
  const across = logarithmic(SHORTEST_DATED, longest, panel.left, panel.right);
  const up = linear(0, 1, panel.bottom, panel.top);
  verticalAxis(svg, panel, up, [0, 0.25, 0.5, 0.75, 1], (share) => `${fixed(share * 100, 0)} %`, "share of the downloads");
  const ticks = MARKS_DATED.filter((tick, index) => tick <= longest && (width >= 500 || index % 2 === 0));
  horizontalAxis(svg, panel, across, ticks, duration, "dated to within (logarithmic)", width);
  baseLine(svg, panel);
  for (const { stroke, fill, what, points } of drawn) {
    svg.append(path(stroke, points.map(([time, share]) => [across(time), up(share)])));
    for (const [time, share] of points) {
      svg.append(circle(fill, across(time), up(share), 3, `${what}: ${percent(share)} dated to within ${duration(time)}`));
    }
  }
  return svg;
};
