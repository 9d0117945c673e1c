// What a mark says, shown beside it: under a pointer, at a touch, and by arrow keys on a figure that has the focus.
const tooltip = document.createElement("div");
tooltip.className = "tooltip";
tooltip.setAttribute("role", "status");
tooltip.hidden = true;
document.body.append(tooltip);
let told;

// The browser's own tooltip is slow, and absent on a phone: the text moves out of its <title>.
const textOf = (mark) => {
  const title = mark.querySelector(":scope > title");
  if (title) {
    mark.dataset.tip = title.textContent;
    title.remove();
  }
  return mark.dataset.tip;
};

const marksOf = (figure) => [...figure.querySelectorAll("[data-tip], :has(> title)")];

const hide = () => {
  tooltip.hidden = true;
  told?.classList.remove("told");
  told = undefined;
};

const show = (mark, x, y) => {
  const text = textOf(mark);
  if (!text) return hide();
  if (told !== mark) {
    told?.classList.remove("told");
    mark.classList.add("told");
    told = mark;
    tooltip.textContent = text;
  }
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x - width / 2), innerWidth - width - 8);
  const above = y - height - 14;
  tooltip.style.left = `${left}px`;
  tooltip.style.top = `${above > 8 ? above : y + 20}px`;
};

// The mark at a place of the window, or the nearest one whose middle is not far.
const REACH = 16;
const markAt = (figure, target, x, y) => {
  const direct = target.closest("[data-tip], :has(> title)");
  if (direct && figure.contains(direct)) return direct;
  let best;
  let distance = REACH;
  for (const mark of figure.querySelectorAll("circle, rect")) {
    if (!mark.dataset.tip && !mark.querySelector(":scope > title")) continue;
    const box = mark.getBoundingClientRect();
    const dx = Math.max(box.left - x, 0, x - box.right);
    const dy = Math.max(box.top - y, 0, y - box.bottom);
    if (Math.hypot(dx, dy) < distance) {
      distance = Math.hypot(dx, dy);
      best = mark;
    }
  }
  return best;
};

const follow = (event) => {
  const figure = event.target.closest?.("svg.figure");
  const mark = figure && markAt(figure, event.target, event.clientX, event.clientY);
  if (mark) show(mark, event.clientX, event.clientY);
  else hide();
};
addEventListener("pointermove", follow, { passive: true });
addEventListener("pointerdown", follow, { passive: true });
addEventListener("scroll", hide, { passive: true });

const walk = (figure, step) => {
  const marks = marksOf(figure).filter((mark) => mark.tagName !== "text");
  if (!marks.length) return;
  const at = marks.indexOf(told);
  const next = at < 0 ? (step > 0 ? 0 : marks.length - 1) : (at + step + marks.length) % marks.length;
  const box = marks[next].getBoundingClientRect();
  show(marks[next], box.left + box.width / 2, box.top);
};

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
  const figure = document.activeElement?.closest("svg.figure");
  if (!figure || !(event.key in STEPS)) return;
  event.preventDefault();
  walk(figure, STEPS[event.key]);
});
addEventListener("focusout", hide);

const makeWalkable = (figure) => {
  if (!figure.querySelector("title")) return;
  figure.setAttribute("tabindex", "0");
  figure.setAttribute("aria-description", "Arrow keys tell the values.");
};
document.querySelectorAll("svg.figure").forEach(makeWalkable);
