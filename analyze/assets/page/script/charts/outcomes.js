// How contacts and requests of a torrent ended, what each source named, and whom of its peers nobody believes.
const shareOf = (value, all) => (all > 0 ? percent(value / all) : percent(NaN));

charts.contacts = (torrent, { contacts: { outcomes, torrents } }, width, name) => {
  const own = torrents[torrent];
  if (!own) return nothing(width, "No contact with a peer of this torrent was tried.");
  const all = contactsOf(own);
  const bars = own.map(([outcome, first, later]) => {
    const [text, success, meaning] = outcomes[outcome];
    const about = meaning ? `${text} (${meaning})` : text;
    const kind = success ? "c3" : "c2";
    const parts = [
      [kind, first, `${about}: ${numberOf(first, "first contact")}`],
      [`${kind} faint`, later, `${about}: ${numberOf(later, "later contact")}`],
    ];
    return { name: text, success, all: first + later, parts, note: `${integer(first + later)} (${shareOf(first + later, all)})` };
  });
  bars.sort((a, b) => b.success - a.success || b.all - a.all || (a.name < b.name ? -1 : 1));
  const keys = [
    ["c3", "with handshake, first contact"],
    ["c3 faint", "later contact"],
    ["c2", "no handshake, first contact"],
    ["c2 faint", "later contact"],
  ];
  return stackedBars(bars, keys, "contacts", width, name);
};
const contactsOf = (own) => (own ?? []).reduce((all, [, first, later]) => all + first + later, 0);

charts.requests = (torrent, { requests: { asked, causes, torrents } }, width, name) => {
  const own = torrents[torrent];
  if (!own) return nothing(width, "No source was asked about this torrent.");
  const bars = own.map(([whom, answered, failed]) => {
    const failures = sum(failed);
    const why = failed.map(([cause, count]) => [causes[cause], count]).sort(([a], [b]) => (a < b ? -1 : 1));
    const told = why.map(([cause, count]) => `${integer(count)} ${cause}`).join(", ");
    const parts = [
      ["c3", answered, `${asked[whom]}: ${integer(answered)} answered`],
      ["c2", failures, `${asked[whom]}: ${told}`],
    ];
    const all = answered + failures;
    return { name: asked[whom], all, parts, note: `${integer(all)} (${shareOf(answered, all)} ok)` };
  });
  bars.sort((a, b) => b.all - a.all || (a.name < b.name ? -1 : 1));
  return stackedBars(bars.slice(0, BARS), [["c3", "answered"], ["c2", "failed"]], "requests", width, name);
};

// Wilson's interval of a share, as analyze/src/estimate/share.rs makes it.
const Z95 = 1.959963984540054;
const wilson = (part, whole) => {
  const [share, z2] = [part / whole, Z95 ** 2];
  const middle = (share + z2 / (2 * whole)) / (1 + z2 / whole);
  const half = (Z95 * Math.sqrt((share * (1 - share)) / whole + z2 / (4 * whole ** 2))) / (1 + z2 / whole);
  return [share, part === 0 ? 0 : Math.max(0, middle - half), part === whole ? 1 : Math.min(1, middle + half)];
};

charts.sources = (torrent, { sources: { names, torrents } }, width, name) => {
  const own = torrents[torrent];
  if (!own) return nothing(width, "No source named a peer of this torrent.");
  const sources = [...own].sort((a, b) => b[1] - a[1] || (names[a[0]] < names[b[0]] ? -1 : 1));
  const bars = sources.map(([source, peers, alone]) => ({
    name: names[source],
    parts: [
      ["c1", alone, `${names[source]}: ${numberOf(alone, "peer")} named by this source alone`],
      ["pale", peers - alone, `${names[source]}: ${numberOf(peers - alone, "peer")} named by others too`],
    ],
    note: `${integer(peers)} (${shareOf(alone, peers)} alone)`,
  }));
  const keys = [["c1", "named by this source alone"], ["pale", "named by others too"]];
  const above = stackedBars(bars, keys, "different peers", width, name);
  const dots = sources
    .filter(([, , , tried]) => tried > 0)
    .map(([source, , , tried, answered]) => {
      const [value, low, high] = wilson(answered, tried);
      const told = `${percent(value)} of ${numberOf(tried, "peer")} tried answered (${percent(low)} to ${percent(high)})`;
      const note = `${percent(value)} of ${integer(tried)}`;
      return { name: names[source], kind: "c3", value, interval: [low, high], note, tip: `${names[source]}: ${told}` };
    });
  if (!dots.length) return above;
  const axis = { title: "part of the peers tried that answered", most: 1, format: (share) => `${fixed(share * 100, 0)} %` };
  return below(above, "Peers that answered", dotRows(dots, [], axis, width, name), width, name);
};

charts.flagged = (torrent, { flagged: { reasons, torrents } }, width, name) => {
  const own = torrents[torrent];
  if (!own) return nothing(width, "No count of this torrent's peers had to be doubted.");
  const [all, , counts] = own;
  const bars = counts.map(([crossed, others], index) => ({
    name: reasons[index],
    parts: [
      ["c2", crossed, `${reasons[index]}: ${numberOf(crossed, "peer")} that would be confirmed`],
      ["pale", others, `${reasons[index]}: ${numberOf(others, "peer")} that never reached the threshold`],
    ],
    note: `${integer(crossed + others)} (${shareOf(crossed + others, all)})`,
  }));
  const keys = [["c2", "would be a confirmed download"], ["pale", "never reached the threshold"]];
  return stackedBars(bars, keys, "flagged peers", width, name);
};
