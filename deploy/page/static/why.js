// Why a rate fell or rose: the cuts that explain most of it, and every cut with its values. A press applies a filter.

import { byId, h, labelled, options, reconcile, segments, setText } from "./dom.js";
import { count, interval, named, percent, points, time } from "./format.js";
import { run } from "./loop.js";
import { inBoth, promptOf } from "./releases.js";
import { addressOf } from "./selection.js";
import { term, titleOf } from "./tip.js";
import { drawVitals } from "./vitals.js";

const PERIODS = "periods";

/** Draws /api/why: what differs between `old` and `new`, `reasons`, and `cuts` with their values. */
function drawWhy(why, view) {
  const { chosen, meta, choose } = view;
  const metrics = meta.metrics.map((name) => ({ value: name, text: meta.definitions[name].short }));
  segments(byId("pick-metric"), "metric", metrics, why.metric, (metric) => choose({ metric }));
  const pick = byId("pick-release");
  options(pick, [{ value: PERIODS, text: `${why.release === PERIODS ? why.new.name : "The period"} and the one before` }, ...why.releases], why.release);
  pick.onchange = () => choose({ release: pick.value });
  const heading = byId("difference-title");
  const title = why.metric === "retention" ? `K${why.title.slice(1)}` : titleOf(why.metric);
  if (heading.textContent !== title) heading.replaceChildren(term(why.metric, title));
  drawPeriod(why.release === PERIODS);
  drawDifference(why, chosen);
  drawReasons(why, chosen, choose);
  const cuts = why.cuts.map((cut) => ({ ...cut, only: chosen.only }));
  reconcile(byId("cuts"), cuts, (cut) => cut.name, (cut) => drawCut(cut, meta, (value) => narrow(chosen, choose, cut.name, value)));
}

/** A release is compared since it was released: there is no period to choose. */
function drawPeriod(isAsked) {
  byId("filter-period").disabled = !isAsked;
  byId("period-said").hidden = isAsked;
}

function narrow(chosen, choose, cut, value) {
  if (cut === "app" || cut === "environment") return choose({ [cut]: value });
  return choose({ only: [...new Set([...chosen.only, `${cut}=${value}`])] });
}

/** By metric: what is listed of the suggestions behind it, and in which words. */
const BEHIND = {
  acceptance_rate: [{ fate: "rejected" }, "what was turned down"],
  retention: [{ fate: "not_kept" }, "what was changed or removed"],
  correction_rate: [{ signal: "corrected" }, "what was corrected"],
  negative_feedback_rate: [{ signal: "negative" }, "what was flagged or voted down"],
};

/** To the suggestions of what is new. Releases are of the last weeks, whichever period is chosen. */
function list({ release, new: now, values, metric, horizon_s }, chosen) {
  const { app = chosen.app, ...own } = values;
  const only = [...new Set([...chosen.only, ...Object.entries(own).filter(([, value]) => value).map((each) => each.join("="))])];
  const query = new URLSearchParams(addressOf({ ...chosen, app, only, period: release === PERIODS ? chosen.period : "30d", horizon: String(horizon_s) }));
  const [asked, text] = BEHIND[metric];
  for (const [name, value] of Object.entries({ ...asked, order: "worst" })) query.set(name, value);
  const ways = [h("a", { href: `suggestions?${query}`, text: `List ${text}${release === PERIODS ? "" : ` of ${now.name}`}` })];
  if (values.prompt_version) ways.push(" · ", h("a", { href: promptOf({ app, key: release }, addressOf({ ...chosen, app: "" })), text: "What changed in the prompt" }));
  return h("p", {}, ...ways);
}

function drawDifference(why, chosen) {
  const { difference, old, new: now, release, since } = why;
  const sides = [[old, "before"], [now, "after"]];
  const found = [
    why.missing ? h("p", { class: "warning", text: `There is no release “${why.missing}” of the last 28 days in this selection: these are the period and the one before.` }) : null,
    h("p", { class: "key-value", text: difference ? points(difference.value) : "–" }),
    h("p", { class: "soft", text: difference ? `new share minus old share, between ${points(difference.low)} and ${points(difference.high)}` : "One side has nothing that counts yet: choose another metric, time or period." }),
    h("dl", { class: "sides" }, ...sides.flatMap(([side, role]) => [
      h("dt", { text: release === PERIODS || role === "before" ? side.name : `${side.name}, since ${time(since)}` }),
      h("dd", {}, h("strong", { text: percent(side.value) }), h("span", { class: "soft", text: side.value === null ? "" : ` ${interval(side)} · ${count(side.numerator)} of ${count(side.denominator)}` })),
    ])),
    why.judged ? h("p", { class: "soft", text: `The verdict, on Versions and in alerts: ${why.judged}.` }) : null,
    why.in_both.length ? h("ul", { class: "caption" }, ...why.in_both.map((row) => inBoth({ ...row, shared: addressOf({ ...chosen, app: "", horizon: "" }), period: chosen.period }))) : null,
    list(why, chosen),
  ];
  byId("difference").replaceChildren(...found.filter(Boolean));
}

function drawReasons(why, chosen, choose) {
  const heading = byId("reasons-title");
  if (!heading.firstChild) heading.replaceChildren(term("reasons"));
  byId("reasons-nothing").hidden = why.reasons.length > 0 || why.difference === null;
  setText(byId("reasons-nothing"), why.nowhere);
  reconcile(byId("reasons"), why.reasons.map((reason) => ({ ...reason, only: chosen.only })), (each) => `${each.cut}=${each.value}`, (each) => drawReason(each, chosen, choose));
}

function drawReason({ cut, value, narrow: only, share, part, text }, chosen, choose) {
  const name = cut.replaceAll("_", " ");
  const apply = only && h("button", { type: "button", class: "apply", text: `Only ${only}`, onclick: () => narrow(chosen, choose, cut, only) });
  return h(
    "li",
    {},
    h("div", { class: "reason-head" }, h("strong", { text: `${percent(share)} of it` }), h("span", { text: value ? `${name}: ${value}` : `${name}: other shares` }), apply || null),
    h("span", { class: "share-bar", "aria-hidden": "true", vars: { "--share": `${Math.min(100, Math.max(0, 100 * share))}%` } }),
    h("p", { class: "soft", text: `${text}. Between ${points(part.low)} and ${points(part.high)}.` }),
  );
}

function drawCut({ name, mix, values }, meta, choose) {
  const text = meta.dimensions.find((each) => each.value === name)?.text ?? name;
  const id = `cut-${name}`;
  const columns = [text, "Moved", "Before", "After", "Share"];
  const table = h("table", { class: "cut cards" },
    h("thead", {}, h("tr", {}, ...columns.map((each) => h("th", { scope: "col", text: each })))),
    h("tbody", {}, ...values.map((each) => row(each, choose))));
  labelled(table);
  return h(
    "section",
    { class: "panel", "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id, text: `By ${text}` })),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": id }, table),
    h("p", { class: "caption", text: `Other shares: ${points(mix.value)} (${points(mix.low)} to ${points(mix.high)}).` }),
  );
}

function row({ value, old, new: now, moved }, choose) {
  const rate = (side) => h("td", { title: `${count(side.numerator)} of ${count(side.denominator)}` }, h("span", { class: "rate-value", text: percent(side.value) }), h("span", { class: "block soft", text: side.value === null ? "" : interval(side) }));
  const sure = moved && (moved.low > 0 || moved.high < 0);
  const pick = value && value !== "…" ? h("button", { type: "button", class: "open", title: "Only this", text: value, onclick: () => choose(value) }) : named(value);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, pick),
    h("td", { class: sure ? "" : "soft" }, h("strong", { text: moved ? points(moved.value) : "–" }), h("span", { class: "block soft", text: moved ? `${points(moved.low)} to ${points(moved.high)}` : "on one side only" })),
    rate(old),
    rate(now),
    h("td", { text: `${percent(old.share)} → ${percent(now.share)}` }),
  );
}

run({ questions: { explanation: { status: drawVitals, why: drawWhy } } });
