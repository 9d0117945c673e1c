// What stands beside each: what is counted, and how many there are.
const sum = (pairs) => (pairs ?? []).reduce((all, [, count]) => all + count, 0);
const readings = {
  contacts: (torrent, { contacts: { outcomes, torrents } }) => {
    const own = torrents[torrent] ?? [];
    const all = contactsOf(own);
    const reached = contactsOf(own.filter(([outcome]) => outcomes[outcome][1]));
    return `${numberOf(all, "contact")} with peers of this torrent, ${integer(reached)} of them with a handshake (${shareOf(reached, all)}). Green outcomes come after a handshake, orange ones before; the paler part are later attempts at the same peer.`;
  },
  flagged: (torrent, { flagged: { torrents } }) => {
    const [all, crossed] = torrents[torrent] ?? [0, 0];
    return `${numberOf(all, "peer")} of this torrent. ${numberOf(crossed, "confirmed download")} would count without the flags.`;
  },
  requests: (torrent, { requests: { torrents } }) => {
    const own = torrents[torrent] ?? [];
    const answered = own.reduce((all, [, count]) => all + count, 0);
    const all = own.reduce((sums, [, , failed]) => sums + sum(failed), answered);
    return `${numberOf(all, "request")} about this torrent, ${integer(answered)} of them answered (${shareOf(answered, all)}).`;
  },
  sources: () =>
    "Above: different peers of this torrent that a source named, and how many of them no other source named. Below: which part of those we tried to connect to answered, with its 95 % interval; it errs low, for a source may name peers that have long left.",
  clients: (torrent, all) => `${numberOf(sum(all.clients[torrent]), "confirmed download")} of this torrent, by the program that the peer runs.`,
  confirmed_downloads: (torrent, { confirmed_downloads: all }) => {
    const [median, [[live], [revisited]]] = all[torrent] ?? [0, [[0], [0]]];
    const number = live + revisited;
    return `${numberOf(number, "confirmed download")} of this torrent, ${integer(live)} of them watched live (${shareOf(live, number)}), the others between two visits. Each crossed the threshold between its last observation below and its first at or above: half of these intervals are shorter than ${duration(median * 1e3)}.`;
  },
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
