// What stands beside each: what is counted, and how many there are.
const sum = (pairs) => (pairs ?? []).reduce((all, [, count]) => all + count, 0);
const readings = {
  clients: (torrent, all) => `${numberOf(sum(all.clients[torrent]), "confirmed download")} of this torrent, by the program that the peer runs.`,
  confirmed_hourly: (torrent, all) =>
    `${numberOf(sum(all.confirmed_hourly[torrent]), "confirmed download")} of this torrent, each at the first observation at or above the threshold. Times are UTC.`,
  seeders_hourly: () =>
    "Seen: peers of this torrent we watched, by what they told last in each interval. Told: what the tracker or DHT node that knows most of them says.",
  population: () =>
    "Whiskers of estimates are 95 % intervals, those of trackers and DHT nodes reach from the lowest to the highest answer.",
  speeds: (torrent, all) =>
    `Mean speed of ${numberOf(sum(all.speeds.torrents[torrent]?.mean), "peer")} of this torrent while watched, and the highest speed of ${integer(sum(all.speeds.torrents[torrent]?.max))} of them.`,
  speeds_by_country: () =>
    "Countries by peers of this torrent measured (n). Boxes hold the middle half of their mean speeds, the line in them is the median, whiskers reach to the slowest and the fastest.",
  trackers: () =>
    "How far each tracker's counter of this torrent rose during the capture. Trackers count the same downloads, so that bars must not be added up.",
  countries: (torrent, all) =>
    `${numberOf(sum(all.places[torrent]), "confirmed download")} of this torrent in ${numberOf(all.places[torrent]?.length ?? 0, "country")}.`,
};
