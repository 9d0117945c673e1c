// Sorts, filters and turns the pages of tables; rows beyond those in the page's markup come from its data.
const PAGE = 25;
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
// By name: what each table shows.
const tables = new Map();

const columnsOf = (stored) => stored.columns.map(([name, kind], index) => ({ name, kind, index }));
const isNumeric = (kind) => !["text", "time", "torrent", "truth"].includes(kind);

// The cell of a value, as analyze/src/report/cell.rs makes it.
const cell = (column, value, stored, torrents) => {
  const td = document.createElement("td");
  if (isNumeric(column.kind)) td.className = "n";
  if (value === null) {
    if (column.kind === "time") td.className = "t";
    if (column.index === 0) td.append("unknown");
    return td;
  }
  const text = document.createElement("bdi");
  td.append(text);
  if (column.kind === "torrent") {
    const torrent = torrents[value];
    if (!torrent) {
      text.textContent = "all";
      return td;
    }
    const named = !stored.named && torrent.name;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "torrent";
    button.dataset.torrent = torrent.hash;
    button.textContent = named ? cut(torrent.name, 60) : `${torrent.hash.slice(0, 10)}…`;
    button.title = torrent.hash;
    td.className = named ? "w" : "h";
    text.append(button);
    return td;
  }
  if (column.name === "peer_id") {
    td.className = "h";
    td.title = value;
    text.textContent = `${value.slice(0, 10)}…`;
    return td;
  }
  text.textContent = written[column.kind](value);
  const hint = exact[column.kind]?.(value);
  if (hint) td.title = hint;
  if (column.kind === "time") td.className = "t";
  if (column.kind === "text") td.className = [...value].length <= 24 ? "t" : "w";
  return td;
};

const cut = (text, longest) => {
  const characters = [...text];
  return characters.length > longest ? `${characters.slice(0, longest).join("")}…` : text;
};

// What a value is sorted and searched by.
const keyOf = (column, value, torrents) => {
  if (value === null || column.kind !== "torrent") return value;
  return torrents[value]?.name || torrents[value]?.hash || "";
};

const compare = (a, b) => (typeof a === "string" ? collator.compare(a, b) : a - b);

class Table {
  constructor(element) {
    this.element = element;
    this.name = element.dataset.table;
    this.page = 0;
    this.search = "";
    this.torrent = null;
    this.isOfTorrents = element.hasAttribute("data-of-torrents");
    this.sort = null;
    this.caption = element.caption;
    this.about = [...element.caption.childNodes];
    this.heads = [...element.tHead.rows[0].cells];
    this.heads.forEach((head, place) => this.makeSortable(head, place));
    this.bar = this.makeBar();
    element.closest(".scroll").before(this.bar);
    this.bar.hidden = Number(element.dataset.rows) <= PAGE;
  }

  makeSortable(head, place) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      // Numbers are mostly looked at from the largest down.
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : head.classList.contains("n");
      this.heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      this.sort = { column: this.heads[place].dataset.column, sign: descending ? -1 : 1 };
      this.page = 0;
      return this.show();
    });
  }

  makeBar() {
    const bar = document.createElement("div");
    bar.className = "bar";
    const search = document.createElement("input");
    search.type = "search";
    search.placeholder = "Search these rows";
    search.setAttribute("aria-label", `Search the table ${this.name}`);
    search.addEventListener("input", () => {
      this.search = search.value.trim().toLowerCase();
      this.page = 0;
      return this.show();
    });
    this.place = document.createElement("span");
    const turn = (label, name, step) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("aria-label", name);
      button.addEventListener("click", () => {
        this.page += step;
        return this.show();
      });
      return button;
    };
    this.back = turn("‹", "Rows before", -1);
    this.forth = turn("›", "Rows after", 1);
    bar.append(search, this.back, this.place, this.forth);
    this.tellPlace(Math.min(PAGE, Number(this.element.dataset.rows)), Number(this.element.dataset.rows));
    return bar;
  }

  tellPlace(shown, all) {
    const first = this.page * PAGE;
    this.place.textContent = all ? `${integer(first + 1)}–${integer(first + shown)} of ${integer(all)}` : "nothing found";
    this.back.disabled = this.page === 0;
    this.forth.disabled = first + shown >= all;
  }

  // The rows that fit the torrent and the search, in order.
  matching(stored, columns, torrents) {
    const torrentColumn = columns.find((column) => column.kind === "torrent");
    let rows = stored.rows;
    if (this.torrent !== null && torrentColumn) {
      rows = rows.filter((row) => row[torrentColumn.index] === this.torrent);
    }
    if (this.search) {
      const texts = columns.filter((column) => ["text", "torrent"].includes(column.kind));
      const isFound = (row) =>
        texts.some((column) => {
          const value = row[column.index];
          const hash = column.kind === "torrent" ? torrents[value]?.hash : undefined;
          return [keyOf(column, value, torrents), hash].some((text) => text?.toLowerCase().includes(this.search));
        });
      rows = rows.filter(isFound);
    }
    if (!this.sort) return rows;
    const column = columns.find((other) => other.name === this.sort.column);
    const isSum = (row) => torrentColumn && row[torrentColumn.index] === -1;
    // The absent come last, the sum of all torrents first, whatever the order.
    const keyed = rows.map((row) => ({ row, key: keyOf(column, row[column.index], torrents), sum: isSum(row) }));
    keyed.sort((a, b) => {
      if (a.sum !== b.sum) return a.sum ? -1 : 1;
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return this.sort.sign * compare(a.key, b.key);
    });
    return keyed.map((entry) => entry.row);
  }

  async show() {
    if (!canUnpack) return;
    const { torrents, tables: all } = await data();
    const stored = all[this.name];
    const columns = columnsOf(stored);
    const shown = this.heads.map((head) => columns.find((column) => column.name === head.dataset.column));
    const rows = this.matching(stored, columns, torrents);
    this.page = Math.max(0, Math.min(this.page, Math.ceil(rows.length / PAGE) - 1));
    const part = rows.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const torrentColumn = columns.find((column) => column.kind === "torrent");
    const lines = part.map((row) => {
      const tr = document.createElement("tr");
      if (torrentColumn && row[torrentColumn.index] === -1) tr.className = "sum";
      tr.append(...shown.map((column) => cell(column, row[column.index], stored, torrents)));
      return tr;
    });
    this.element.tBodies[0].replaceChildren(...lines);
    this.tellPlace(part.length, rows.length);
    this.tell(stored, rows.length, torrentColumn);
  }

  // What the rows are, above them.
  tell(stored, found, torrentColumn) {
    this.bar.hidden = found <= PAGE && !this.search && stored.rows.length <= PAGE;
    if (this.torrent === null || !torrentColumn) {
      this.caption.replaceChildren(...this.about);
      return;
    }
    const all = stored.of[this.torrent] ?? 0;
    const file = document.createElement("code");
    file.textContent = this.element.dataset.file;
    const kept = all > found && !this.search ? `${integer(found)} of ${numberOf(all, "row")}` : numberOf(found, "row");
    this.caption.replaceChildren(`${kept} of this torrent; `, file, " has all.");
  }

  select(torrent) {
    this.torrent = torrent;
    this.page = 0;
    return this.show();
  }
}

for (const element of document.querySelectorAll("table.data")) tables.set(element.dataset.table, new Table(element));
