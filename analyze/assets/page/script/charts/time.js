// One function a figure: a torrent's numbers → its picture, or a sentence where there are none.
const charts = {};

// Over time: bars of confirmed downloads, lines of seeders and leechers.
const bucketTime = (buckets, index) => buckets.start_us + index * buckets.step_us;
// When one begins as people read it: to the second where buckets are shorter than a minute.
const bucketTold = (buckets, index) => (buckets.step_us % MINUTE === 0 ? minute : second)(bucketTime(buckets, index));

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
    const tip = `${bucketTold(buckets, index)} UTC: ${numberOf(count, "confirmed download")}`;
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
  const keys = lines.map(([, fill, text]) => [fill, text.replace("told", "told (dashed)")]);
  const panel = { left: 48, top: legendHeight(keys, width) + 34, right: width - 10 };
  panel.bottom = panel.top + 240;
  const svg = picture(width, panel.bottom + 28, name);
  legend(svg, keys, width);
  const most = roundUp(Math.max(...hours.flatMap((hour) => hour.slice(1).filter((value) => value !== null))), 5);
  const up = linear(0, most, panel.bottom, panel.top);
  verticalAxis(svg, panel, up, ticksTo(most, 5).filter(Number.isInteger), short, `peers in each ${buckets.unit}`);
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
    const tip = `${bucketTold(buckets, hour[0])} UTC: ${told.map(([, , text, column]) => `${text} ${integer(hour[column])}`).join(", ")}`;
    const [left, right] = [across(bucketTime(buckets, hour[0])), across(bucketTime(buckets, hour[0] + 1))];
    svg.append(rect("hit", left, panel.top, right - left, panel.bottom - panel.top, tip));
  }
  baseLine(svg, panel);
  timeAxis(svg, panel, across, buckets.start_us, end, buckets.step_us, width);
  return svg;
};
