"use strict";
// Sorts and filters the leaderboard. Without this script the page is whole, in ranked order.
const table = document.getElementById("rows");
const controls = document.getElementById("controls");
const status = document.getElementById("status");
const body = table.tBodies[0];
const more = document.getElementById("more");
// Laying out thousands of rows takes seconds: a screen shows the first, until it is asked for all.
let most = +(table.dataset.most ?? 200);
const heads = [...table.tHead.rows[0].cells];
const filters = [...controls.elements].filter((e) => e.tagName === "SELECT" && e.name !== "sort");
const rows = [...body.rows].map((row) => ({
  row,
  picked: row.dataset.f.split(" "),
  text: row.cells[1].textContent.toLowerCase(),
  values: [...row.cells].map((c) => ("v" in c.dataset ? (c.dataset.v === "" ? null : +c.dataset.v) : c.textContent)),
}));
const marks = [...document.querySelectorAll("[data-row]")];
const groups = [...document.querySelectorAll(".group-of")];
// A point's words are its row's; they are put there when somebody points at the chart.
function name(group) {
  for (const mark of group.querySelectorAll("[data-row]")) {
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    const words = named[mark.dataset.row].querySelectorAll("th a, .own b, .own i, .own .n");
    title.textContent = [...words].map((word) => word.textContent).join(" ");
    mark.append(title);
  }
}
const named = rows.map(({ row }) => row);
groups.forEach((group) => group.addEventListener("pointerover", () => name(group), { once: true }));
let sorted = { key: "rank", down: false };

// The first press of a column shows its best end: few bytes, but high accuracy.
const rising = new Set(["rank", "method", "stored", "compute"]);
const order = (a, b) => {
  const { column, down } = sorted;
  const [x, y] = [a.values[column], b.values[column]];
  if (x === null || y === null) return (x === null) - (y === null);
  const by = typeof x === "string" ? x.localeCompare(y) : x - y;
  return (down ? -by : by) || a.values[0] - b.values[0];
};

function sort(key, down) {
  const column = heads.findIndex((h) => h.dataset.key === key);
  if (column < 0) return;
  sorted = { key, column, down };
  heads.forEach((h, i) => {
    if (i === column) h.setAttribute("aria-sort", down ? "descending" : "ascending");
    else h.removeAttribute("aria-sort");
  });
  controls.sort.value = key;
  table.classList.toggle("ranked", key === "rank" && !down);
  rows.sort(order);
  if (rows.some(({ row }, i) => body.rows[i] !== row)) body.append(...rows.map(({ row }) => row));
}

function filter() {
  const words = controls.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Set();
  let count = 0;
  for (const { row, picked, text, values } of rows) {
    const fits = filters.every((f, i) => f.value === "" || picked[i] === f.value) && words.every((w) => text.includes(w));
    row.hidden = !fits;
    if (!fits) continue;
    count += 1;
    row.classList.toggle("later", count > most);
    shown.add(String(values[0]));
  }
  marks.forEach((m) => m.classList.toggle("off", !shown.has(m.dataset.row)));
  groups.forEach((g) => (g.hidden = ![...g.querySelectorAll("[data-row]")].some((m) => shown.has(m.dataset.row))));
  document.getElementById("none").hidden = count > 0;
  more.hidden = count <= most;
  more.firstElementChild.textContent = `Show all ${count} entries`;
  return count;
}

function update(remember = true) {
  const count = filter();
  const name = heads[sorted.column].textContent;
  const first = count > most ? `, the first ${most} of them shown` : "";
  status.textContent = `${count} of ${rows.length} entries, by ${name.toLowerCase()}, ${sorted.down ? "descending" : "ascending"}${first}.`;
  if (!remember) return;
  const state = new URLSearchParams();
  for (const e of [controls.text, ...filters]) if (e.value) state.set(e.name, e.value);
  if (sorted.key !== "rank" || sorted.down) state.set("sort", (sorted.down ? "-" : "") + sorted.key);
  history.replaceState(null, "", `#${state}`);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const e of [controls.text, ...filters]) e.value = state.get(e.name) ?? "";
  const by = state.get("sort") ?? "rank";
  const key = by.replace(/^-/, "");
  const known = heads.some((head) => head.dataset.key === key);
  sort(known ? key : "rank", known && by.startsWith("-"));
  update(false);
}

for (const head of heads) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => {
    const key = head.dataset.key;
    sort(key, sorted.key === key ? !sorted.down : !rising.has(key));
    update();
  });
  head.append(button);
  controls.sort.add(new Option(button.textContent, head.dataset.key));
}
controls.sort.addEventListener("change", () => {
  sort(controls.sort.value, !rising.has(controls.sort.value));
  update();
});
controls.addEventListener("input", (event) => event.target !== controls.sort && update());
controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("reset", () => setTimeout(() => (sort("rank", false), update())));
document.getElementById("clear").addEventListener("click", () => (controls.reset(), controls.text.focus()));
more.firstElementChild.addEventListener("click", () => {
  const next = body.querySelector("tr.later:not([hidden]) a");
  most = Infinity;
  update();
  next.focus();
});
controls.hidden = false;
restore();
