// The key numbers: each with its interval, its denominator, and its change against the period before.

import { behind } from "./behind.js";
import { byId, h, reconcile } from "./dom.js";
import { count, horizon, interval, percent, points } from "./format.js";
import { inBoth } from "./releases.js";
import { addressOf } from "./selection.js";
import { term } from "./tip.js";

const BEHIND = {
  acceptance_rate: { fate: "accepted" },
  retention: { fate: "kept" },
  correction_rate: { signal: "corrected" },
  negative_feedback_rate: { signal: "negative" },
};

let shown = null;
let usual = { days: 0, rows: {} };

/** Draws the cards from /api/summary. */
export function drawKeys(summary) {
  shown = summary;
  draw();
}

/** Draws into them /api/baseline: by metric {rate, change}, of the weeks before the period. */
export function drawBaseline(baseline) {
  usual = baseline;
  draw();
}

/** Draws beside them what they cannot show: releases of /api/releases that are older than the period. */
export function drawOlder({ rows }, { chosen }) {
  const older = rows.filter((row) => row.in_both);
  const shared = addressOf({ ...chosen, app: "", horizon: "" });
  reconcile(byId("keys-older"), older.map((row) => ({ ...row, shared, period: chosen.period })), (row) => row.key, inBoth);
}

function draw() {
  const cards = shown.metrics.map((metric) => ({ ...metric, horizon_s: shown.horizon_s, period: shown.period, days: usual.days, usual: usual.rows[metric.name], list: listOf(metric.name, shown.horizon_s) }));
  reconcile(byId("keys"), cards, (card) => card.name, card);
}

const listOf = (name, after) => (BEHIND[name] ? behind({ ...BEHIND[name], horizon: after }) : null);

function card(metric) {
  const title = metric.name === "retention" ? `Kept after ${horizon(metric.horizon_s)}` : undefined;
  return h(
    "article",
    { class: "key", "data-metric": metric.name },
    h("h3", {}, term(metric.name, title)),
    h("p", { class: "key-value", text: percent(metric.rate.value) }),
    h("p", { class: "key-interval", text: metric.rate.value === null ? "no denominator yet" : interval(metric.rate) }),
    range(metric),
    change(metric, `the ${metric.period} before`),
    metric.usual ? change({ ...metric, change: metric.usual.change, previous: metric.usual.rate }, `the ${metric.days}d before`) : null,
    h("p", { class: "key-of" }, metric.list ? h("a", { href: metric.list, title: "List them", text: basis(metric) }) : basis(metric)),
  );
}

function basis({ rate, of, coverage }) {
  const text = `${count(rate.numerator)} of ${count(rate.denominator)} ${of}`;
  return coverage === null ? text : `${text} · coverage ${percent(coverage)}`;
}

/** Where the interval of now lies against that of the period before, on one scale. */
function range({ rate, previous }) {
  const shown = [rate, previous].filter((each) => each && each.low !== null);
  if (rate.low === null) return h("div", { class: "range" });
  const low = Math.min(...shown.map((each) => each.low));
  const high = Math.max(...shown.map((each) => each.high));
  const pad = Math.max((high - low) * 0.08, 0.001);
  const place = (value) => `${(100 * (value - low + pad)) / (high - low + 2 * pad)}%`;
  const bar = (each, name) => [
    h("div", { class: `range-bar ${name}`, vars: { "--low": place(each.low), "--high": place(each.high) } }),
    h("div", { class: `range-mark ${name}`, vars: { "--at": place(each.value) } }),
  ];
  const before = previous && previous.low !== null ? bar(previous, "before") : [];
  return h("div", { class: "range", "aria-hidden": "true" }, ...before, ...bar(rate, "now"));
}

function change({ change: difference, better, previous }, before_text) {
  if (!difference) return h("p", { class: "key-change", text: `nothing to compare in ${before_text}` });
  const good = (difference.value > 0) === (better === "higher");
  const verdict = difference.clear ? (good ? "better" : "worse") : "unclear";
  const words = difference.clear ? `vs ${before_text}` : `vs ${before_text}, no certain change`;
  const arrow = difference.clear ? (difference.value > 0 ? "▲ " : "▼ ") : "";
  const before = `${percent(previous.value)}, ${count(previous.numerator)} of ${count(previous.denominator)}`;
  const between = `Before: ${before}. 95 % interval of the change: ${points(difference.low)} to ${points(difference.high)}.`;
  return h(
    "p",
    { class: `key-change ${verdict}`, title: between },
    h("strong", { text: `${arrow}${points(difference.value)}` }),
    h("span", { text: ` ${words}` }),
  );
}
