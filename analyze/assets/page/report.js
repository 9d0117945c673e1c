// Makes the tables sortable. The page is complete without it.
(() => {
  "use strict";
  const text = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  // Numbers and times carry their value; an absent value carries an empty one and always sorts last.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v === "") return null;
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : text.compare(a, b));

  const sort = (table, column, descending) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, key: value(row, column), sum: row.classList.contains("sum") }));
    rows.sort((a, b) => {
      if (a.sum !== b.sum) return a.sum ? -1 : 1;
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return descending ? compare(b.key, a.key) : compare(a.key, b.key);
    });
    body.append(...rows.map((entry) => entry.row));
  };

  for (const table of document.querySelectorAll("table.data")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        // Numbers are mostly looked at from the largest down.
        const descending = before ? before === "ascending" : head.classList.contains("n");
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(table, column, descending);
      });
    });
  }
})();
