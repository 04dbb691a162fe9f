// How well judges, users and experts agree: in words first, then who with whom, each judge over time, and several raters.

import { byId, h, labelled, reconcile } from "./dom.js";
import { count, day, horizon } from "./format.js";
import { term } from "./tip.js";

const KEPT = "what users kept";
// Landis & Koch, Biometrics 33, 1977: a convention, and widely known.
const WORDS = [[0.8, "almost perfectly"], [0.6, "substantially"], [0.4, "moderately"], [0.2, "fairly"], [0, "slightly"]];

/** Draws /api/agreement. names: what reviewers are called, by their pseudonyms. */
export function drawAgreement(agreement, names) {
  if (!byId("agreement-title").firstChild) byId("agreement-title").replaceChildren(term("agreement"));
  const { comparisons, together, reviewers, over_time: overTime, enough, unread } = agreement;
  const judges = comparisons.filter((each) => each.judge !== "" || each.evaluation);
  const sentences = judges.filter((each) => each.truth === KEPT).map((each) => ({ ...each, enough, after: agreement.horizon_s }));
  reconcile(byId("agreement-words"), [...sentences, ...unread.map((each) => ({ ...each, isUnread: true }))], (each) => (each.isUnread ? `unread ${each.evaluation}` : each.voice), (each) => (each.isUnread ? unreadLine(each) : sentence(each)));
  byId("agreement-nothing").hidden = comparisons.length + together.length > 0;
  byId("agreement-all").hidden = comparisons.length === 0;
  reconcile(byId("comparisons").tBodies[0], comparisons.map((each) => ({ ...each, enough })), (each) => `${each.voice} ${each.truth}`, comparison);
  labelled(byId("comparisons"));
  reconcile(byId("over-time"), overTime.filter((each) => each.stretches.length > 1), (each) => each.title, judgeOverTime);
  const rows = [
    ...together.map((each) => ({ title: each.title, raters: each.raters, estimate: each.alpha, enough })),
    ...reviewers.map((each) => ({ title: `${names[each.reviewer] ?? each.reviewer.slice(0, 8)} against other experts`, raters: "", estimate: each.kappa, enough })),
  ];
  byId("agreement-raters").hidden = rows.length === 0;
  reconcile(byId("raters").tBodies[0], rows, (each) => each.title, raters);
  labelled(byId("raters"));
}

/** "0.41 (0.30 to 0.52)". */
export function coefficient({ value, low, high }) {
  if (value === null) return "–";
  const write = (number) => number.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");
  return low === null ? `${write(value)} (one is too few for an interval)` : `${write(value)} (${write(low)} to ${write(high)})`;
}

function shareOf({ value, low, high }) {
  if (value === null) return "–";
  const [share, from, to] = [value, low, high].map((each) => Math.round(100 * each));
  return `${share}\u202f% (${from}–${to}\u202f%)`;
}

const beyondChance = ({ value }) => (value === null ? "cannot be told from chance, because one side always says the same" : value <= 0 ? "is no better than chance" : `agrees ${WORDS.find(([from]) => value > from)[1]} with it beyond chance`);

function sentence(each) {
  const { voice, precision, recall, kappa, items, after, enough } = each;
  return h(
    "li",
    {},
    h("p", { class: "verdict-head" }, h("strong", { text: voice }), h("span", { class: "soft", text: `against what users kept after ${horizon(after)}, of ${count(items)}${items < enough ? ": few, so hardly more than a hint" : ""}` })),
    h("p", { class: "finding", text: `It ${beyondChance(kappa)}: kappa ${coefficient(kappa)}. Of what users did not keep it calls ${shareOf(recall)} bad; of what it calls bad, users did not keep ${shareOf(precision)}.` }),
  );
}

function unreadLine({ evaluation, number, words }) {
  return h("li", {}, h("p", { class: "warning", text: `${evaluation}: ${count(number)} judgements are in nothing here, because nothing says whether ${words.map((word) => `“${word}”`).join(", ")} is good. The review configuration can: [judges.${evaluation}] good, bad, at_least.` }));
}

function comparison({ voice, truth, items, agreement, precision, recall, kappa, enough }) {
  return h(
    "tr",
    {},
    h("th", { scope: "row", text: voice }),
    h("td", { text: truth }),
    h("td", {}, count(items), items < enough ? h("span", { class: "block soft", text: "few" }) : null),
    ...[agreement, precision, recall].map((each) => h("td", { text: shareOf(each) })),
    h("td", {}, coefficient(kappa)),
  );
}

/** A line for each day or week: kappa against what users kept, on a scale from 0 to 1. */
function judgeOverTime({ title, stretches }) {
  const place = (value) => `${100 * Math.min(1, Math.max(0, value ?? 0))}%`;
  return h(
    "article",
    {},
    h("h3", { text: `${title}: kappa against what users kept` }),
    ...stretches.map(({ at, items, kappa }) => h("div", { class: "mini" }, h("span", { text: day(at) }), h("strong", { text: coefficient(kappa) }), h("span", { class: "soft", text: `of ${count(items)}` }), h("span", { class: "rate-bar", "aria-hidden": "true", vars: { "--at": place(kappa.value), "--low": place(kappa.low), "--high": place(kappa.high) } }))),
  );
}

const raters = ({ title, raters: number, estimate, enough }) => h("tr", {}, h("th", { scope: "row", text: title }), h("td", { text: number === "" ? "" : count(number) }), h("td", {}, count(estimate.items), estimate.items < enough ? h("span", { class: "block soft", text: "few" }) : null), h("td", { text: coefficient(estimate) }));
