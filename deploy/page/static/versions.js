// Versions side by side: what each release came to, a funnel of each version, and small multiples by a second cut.

import { byId, h, labelled, options, reconcile, segments } from "./dom.js";
import { count, horizon, interval, named, percent, time } from "./format.js";
import { run } from "./loop.js";
import { arrange, styleOf, swatch } from "./palette.js";
import { drawPrompts } from "./prompts.js";
import { term } from "./tip.js";
import { drawVitals } from "./vitals.js";

const TONES = { worse: "negative", better: "positive", same: "neutral", not_yet: "neutral" };
/** In the order in which they are told. */
const VERDICTS = { worse: "▼ worse", better: "▲ better", not_yet: "… not yet", same: "= the same" };

/** Draws /api/versions: `judged` rows, `whole` and `parts` as /api/compare has them. */
function drawVersions(versions, { chosen, meta, choose }) {
  for (const [id, name] of [["judged-title", "judged"], ["funnels-title", "funnels"], ["parts-title", "multiples"]]) {
    if (!byId(id).firstChild) byId(id).replaceChildren(term(name));
  }
  segments(byId("pick-component"), "component", versions.components, versions.component, (component) => choose({ component }));
  const split = byId("pick-split");
  options(split, versions.splits, versions.split);
  split.onchange = () => choose({ split: split.value });
  const metric = chosen.metric || meta.metric;
  segments(byId("pick-metric"), "metric", meta.metrics.map((name) => ({ value: name, text: meta.definitions[name].short })), metric, (name) => choose({ metric: name }));
  byId("judged-nothing").hidden = versions.judged.length > 0;
  reconcile(byId("judged").tBodies[0], inOrder(versions.judged), (row) => `${row.release} ${row.metric} ${row.horizon_s}`, judged);
  labelled(byId("judged"));
  drawPrompts(versions, chosen);
  const { by } = versions.whole;
  arrange(versions.whole);
  reconcile(byId("funnels"), versions.whole.groups.map((group) => ({ ...group, by, style: styleOf(group.name, by), horizon_s: versions.whole.horizon_s })), (group) => group.name, funnel);
  reconcile(byId("parts"), multiples(versions, metric), (each) => each.value, multiple);
}

/** The releases as they come, the newest first; of each, what is worse and what is better before what is open. */
function inOrder(rows) {
  const rank = ({ verdict }) => Object.keys(VERDICTS).indexOf(verdict);
  const releases = [...new Set(rows.map((row) => row.release))];
  return releases.flatMap((release) => rows.filter((row) => row.release === release).sort((a, b) => rank(a) - rank(b)).map((row, at) => ({ ...row, isFirst: at === 0 })));
}

function judged(row) {
  const known = row.difference !== null;
  const name = `${row.version} after ${row.predecessor}`;
  const about = h("span", { class: "block soft", text: `${[row.app, row.family].filter(Boolean).join(" · ")}, since ${time(row.released_at)}; compared ${row.how}` });
  return h(
    "tr",
    { class: row.isFirst ? "first" : "" },
    h("th", { scope: "row" }, ...(row.isFirst ? [name, about] : [h("span", { class: "unseen", text: name })])),
    h("td", {}, row.title, row.about ? h("span", { class: "block soft about", text: row.about }) : null),
    h("td", {}, h("span", { class: `chip ${TONES[row.verdict]}`, text: VERDICTS[row.verdict] }), row.why_open ? h("span", { class: "block soft about", text: row.why_open }) : null),
    h("td", {}, h("strong", { text: known ? `${row.points}\u202fpp` : "–" }), h("span", { class: "block soft", text: known ? row.between : "" })),
    side(row.new),
    side(row.old),
    h("td", { text: row.sees_in }),
  );
}

const side = ({ numerator, denominator }) => h("td", {}, percent(denominator ? numerator / denominator : null), h("span", { class: "block soft", text: `of ${count(denominator)}` }));

function funnel({ name, style, opportunities, shown, accepted, rates, coverage, horizon_s }) {
  const kept = rates.retention;
  const steps = [
    ["Requests", opportunities, null],
    ["Shown", shown, null],
    ["Accepted", accepted, rates.acceptance_rate],
    [`Kept ${horizon(horizon_s)}`, kept.numerator, kept],
  ];
  return h(
    "article",
    {},
    h("h3", {}, swatch(style), ` ${named(name)}`),
    ...steps.map(([text, number, rate]) => h("div", { class: "mini" }, h("span", { text }), h("strong", { text: count(number) }), h("span", { class: "soft", text: rate?.value == null ? "" : `${percent(rate.value)} (${interval(rate)})` }), h("span", { class: "share-bar", "aria-hidden": "true", vars: { "--share": `${opportunities ? (100 * number) / opportunities : 0}%` } }))),
    h("p", { class: "soft block", text: coverage === null ? "nothing was observed" : `coverage ${percent(coverage)} of those old enough` }),
  );
}

/** For each value of the second cut, the versions that have it, on one scale for all. */
function multiples({ parts, component, split }, metric) {
  const groups = parts.groups.filter((group) => group.rates[metric].value !== null);
  const top = Math.max(0.01, ...groups.filter((group) => group.rates[metric].denominator >= 20).map((group) => group.rates[metric].high));
  const values = [...new Set(groups.map((group) => group.dimensions[split] ?? ""))];
  const label = ({ dimensions }) => Object.entries(dimensions).filter(([name]) => name !== split).map(([, value]) => value).join(" · ");
  return values.map((value) => ({
    value,
    rows: groups.filter((group) => (group.dimensions[split] ?? "") === value).map((group) => ({ name: label(group), by: component, top, rate: group.rates[metric] })).sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true })),
  }));
}

function multiple({ value, rows }) {
  const place = (each, top) => `${100 * Math.min(1, each / top)}%`;
  return h(
    "article",
    {},
    h("h3", { text: named(value) }),
    ...rows.map(({ name, top, rate }) => h("div", { class: "mini", title: `${count(rate.numerator)} of ${count(rate.denominator)}` }, h("span", { text: named(name) }), h("strong", { text: percent(rate.value) }), h("span", { class: "soft", text: interval(rate) }), h("span", { class: "rate-bar", "aria-hidden": "true", vars: { "--at": place(rate.value, top), "--low": place(rate.low, top), "--high": place(rate.high, top) } }))),
  );
}

run({ questions: { versions_screen: { status: drawVitals, versions: drawVersions } } });
