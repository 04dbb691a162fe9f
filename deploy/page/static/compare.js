// Versions side by side: a row for each group, a bar with its interval for each rate, sorted as the reader likes.

import { byId, h, labelled, reconcile } from "./dom.js";
import { count, horizon, interval, named, percent } from "./format.js";
import { arrange, styleOf, swatch } from "./palette.js";
import { term } from "./tip.js";

const RATES = ["acceptance_rate", "retention", "correction_rate", "negative_feedback_rate"];
const COLUMNS = ["name", "shown", ...RATES];

/** Draws /api/compare: groups {name, opportunities, shown, accepted, rates: {metric: rate}, coverage}. */
export function drawCompare(compare, { chosen, choose }) {
  const heading = byId("compare-title");
  const text = compare.by === "" ? "All together" : `By ${compare.by_text}`;
  if (heading.textContent !== text) heading.replaceChildren(term("compare", text));
  head(compare, chosen, choose);
  const scales = Object.fromEntries(RATES.map((name) => [name, scale(compare.groups, name)]));
  // Before the rows are sorted as the reader likes: the largest come first.
  arrange(compare);
  const styled = compare.groups.map((group) => ({ ...group, scales, by: compare.by, style: styleOf(group.name, compare.by) }));
  const rows = styled.sort(order(chosen));
  reconcile(byId("compare").tBodies[0], rows, (row) => row.name, tableRow);
  labelled(byId("compare"));
}

const valueOf = (group, column) =>
  column === "name" ? named(group.name) : RATES.includes(column) ? group.rates[column].value : group[column];

/** What has no value comes last, whichever way the column is sorted. */
function order({ sort, descending }) {
  const column = COLUMNS.includes(sort) ? sort : "shown";
  const way = descending === "1" ? -1 : 1;
  return (a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === null || y === null) return (x === null) - (y === null);
    return way * (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
  };
}

function head(compare, chosen, choose) {
  const cells = COLUMNS.map((column) => ({ column, horizon_s: compare.horizon_s, by_text: compare.by_text, sorted: chosen.sort === column ? chosen.descending : null }));
  const content = JSON.stringify(cells);
  const table = byId("compare").tHead;
  if (table.dataset.content === content) return;
  table.dataset.content = content;
  const focused = table.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
  table.replaceChildren(h("tr", {}, ...cells.map((cell) => headCell(cell, choose))));
  if (focused) table.querySelector(`[data-sort="${focused}"]`)?.focus();
}

function headCell({ column, horizon_s, by_text, sorted }, choose) {
  const names = { name: by_text || "group", shown: "Shown", acceptance_rate: "Accepted", retention: `Kept ${horizon(horizon_s)}`, correction_rate: "Corrected", negative_feedback_rate: "Negative" };
  const aria = sorted === null ? "none" : sorted === "1" ? "descending" : "ascending";
  const next = sorted === "1" ? "0" : sorted === "0" ? "1" : column === "name" ? "0" : "1";
  const mark = sorted === null ? "" : sorted === "1" ? " ↓" : " ↑";
  const sort = h("button", { type: "button", class: "sort", "data-sort": column, text: `${names[column]}${mark}`, onclick: () => choose({ sort: column, descending: next }) });
  return h("th", { scope: "col", "data-name": names[column], "aria-sort": aria, class: column === "name" ? "" : "number" }, sort);
}

function scale(groups, name) {
  const highs = groups.map((group) => group.rates[name]).filter((rate) => rate.high !== null && rate.denominator >= 20);
  return Math.min(1, Math.max(0.01, 1.05 * Math.max(0, ...highs.map((rate) => rate.high))));
}

function tableRow(group) {
  return h(
    "tr",
    { "data-group": group.name },
    h("th", { scope: "row" }, group.by === "" ? null : swatch(group.style), h("span", { text: named(group.name) })),
    h("td", { class: "number", text: count(group.shown) }),
    ...RATES.map((name) => rateCell(group, name)),
  );
}

function rateCell(group, name) {
  const rate = group.rates[name];
  const about = `${count(rate.numerator)} of ${count(rate.denominator)}${name === "retention" && group.coverage !== null ? `, coverage ${percent(group.coverage)}` : ""}`;
  if (rate.value === null) return h("td", { class: "rate none", "data-metric": name, title: about }, h("span", { class: "rate-value", text: percent(null) }));
  const place = (value) => `${100 * Math.min(1, value / group.scales[name])}%`;
  return h(
    "td",
    { class: "rate", "data-metric": name, title: about },
    h("span", { class: "rate-value", text: percent(rate.value) }),
    h("span", { class: "rate-interval", text: interval(rate) }),
    h("span", { class: "rate-bar", "aria-hidden": "true", vars: { "--at": place(rate.value), "--low": place(rate.low), "--high": place(rate.high) } }),
  );
}
