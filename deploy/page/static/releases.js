// The verdicts: what replaced what, since when, whether users take it for worse or better, how sure that is, and where.

import { byId, h, reconcile, setText } from "./dom.js";
import { iso, percent, time } from "./format.js";
import { addressOf, split } from "./selection.js";
import { term } from "./tip.js";

/** What narrows releases: all else that is chosen leaves them as they are. */
const NARROWING = ["app", "prompt_name", "prompt_version", "model", "surface", "context_strategy"];
/** The period that nobody chose. */
const USUAL = "7d";
const MARKS = { worse: "▼", better: "▲", same: "=", not_yet: "…" };
const CHIPS = { worse: "worse", better: "better", same: "the same", not_yet: "not yet" };
const HOW = { "side by side": "hour by hour, where both have traffic", "before and after": "against the same hours of the week before it" };
const NOTHING = { same: "the same as before in every metric", not_yet: "no difference is certain yet" };
const EXPLAINED = { acceptance: "acceptance_rate", retention: "retention", correction: "correction_rate", negative: "negative_feedback_rate" };

const NOT_JUDGED = "No release is judged so far, so what got worse or better is not known: either nothing replaced another within 28 days, or the monitor has not judged it yet. A verdict appears here by itself.";
const NONE = "Nothing of this selection replaced another within 28 days.";

let shown = [];
let judged = false;
let places = {};

/** Whether any release is judged: before one is, nothing can be said of them. */
export const isAnyJudged = () => judged;

/** The releases that are on the screen, for the marks in charts over time: a version of several prompts is one. */
export const markers = () => [...new Map(shown.map(({ component, version, app, released_at }) => [`${app} ${version}`, { at: released_at, component, app, version, text: `${app} ${version}` }])).values()];

/** Draws /api/releases: rows {key, app, version, predecessor, released_at, verdict, findings}; whether any is judged at all. */
export function drawReleases({ rows, is_judged }, { chosen }) {
  shown = rows;
  judged = is_judged;
  const note = byId("releases-said");
  setText(note, rows.length ? wider(chosen) : judged ? NONE : NOT_JUDGED);
  note.hidden = note.textContent === "";
  const heading = byId("releases-title");
  if (!heading.firstChild) heading.replaceChildren(term("releases"));
  const shared = addressOf({ ...chosen, app: "", horizon: "" });
  reconcile(byId("releases-list"), rows.map((row) => ({ ...row, shared })), (row) => row.key, release);
  fillPlaces();
}

/** That a verdict is of all traffic since its release, where somebody has chosen less. */
function wider({ period, environment, only }) {
  const isNarrower = environment !== "" || only.some((filter) => !NARROWING.includes(split(filter)[0]));
  if (!isNarrower && period === USUAL) return "";
  return `Each is judged by all of its traffic since it was released: the period${isNarrower ? " and these filters narrow" : " narrows"} the numbers below, and not this.`;
}

/** Draws /api/where: in which languages the first finding of each release is. */
export function drawWhere({ rows }) {
  places = rows;
  fillPlaces();
}

function fillPlaces() {
  for (const place of byId("releases-list").querySelectorAll("[data-where]")) setText(place, places[place.dataset.where] ? `, ${places[place.dataset.where]}` : "");
}

function release(row) {
  const where = [row.app, row.family].filter(Boolean).join(" · ");
  const [first] = row.findings;
  const said = row.findings.length ? row.findings : [{ verdict: row.verdict, short: NOTHING[row.verdict] }];
  return h(
    "li",
    { "data-verdict": row.verdict },
    h("div", { class: "verdict-head" },
      h("span", { class: `chip ${row.verdict === "worse" ? "negative" : row.verdict === "better" ? "positive" : "neutral"}` }, h("span", { "aria-hidden": "true", text: `${MARKS[row.verdict]} ` }), CHIPS[row.verdict]),
      h("strong", { text: `${row.version} after ${row.predecessor}` }),
      h("span", { class: "soft", text: where }),
      h("span", { class: "soft when" }, "since ", h("time", { datetime: iso(row.released_at), text: time(row.released_at) }))),
    h("p", {}, ...said.flatMap(({ verdict, short }, at) => [at ? "; " : "", h("span", { class: "finding", "data-verdict": verdict, text: short }), at === 0 && first ? h("span", { "data-where": row.key }) : null]), "."),
    first ? h("p", { class: "soft sure" }, `Compared ${row.how}: ${HOW[row.how]}. ${chance(first.chance)} `, ...ways(row, first)) : null,
  );
}

/** To what explains the first finding, where the page can, and to what the release changed in its prompt. */
function ways(row, first) {
  const { component, shared } = row;
  const why = first.metric in EXPLAINED ? h("a", { href: whyOf(row, first), text: "Why?" }) : h("a", { href: versionsOf(row, { component }, shared), text: "All its metrics" });
  return component === "prompt_version" ? [why, " · ", h("a", { href: promptOf(row, shared), text: "What changed in the prompt" })] : [why];
}

/** To what a release changed in the text of its prompt. shared: what goes along, as an address has it. */
export const promptOf = (row, shared) => `${versionsOf(row, { prompt: row.key }, shared)}#prompts`;

const versionsOf = ({ app }, query, shared) => `./versions?${new URLSearchParams({ app, ...query })}${shared.replace("?", "&")}`;

/** How sure a verdict is: as much evidence comes without a difference as rarely as this, however often one looks. */
function chance(share) {
  const odds = share < 0.0001 ? "less than once in 10,000" : share < 0.001 ? "less than once in 1,000" : `${percent(share)} of the time`;
  return `Chance alone would look like this ${odds}, however often you look.`;
}

/** To what explains a release in a metric. shared: what goes along, as an address has it. */
function whyOf({ app, key, shared }, { metric, horizon_s }) {
  const query = new URLSearchParams([["app", app], ["release", key], ["metric", EXPLAINED[metric] ?? ""], ["horizon", horizon_s || ""]].filter(([, value]) => value !== ""));
  return `./why?${query}${shared.replace("?", "&")}`;
}

/** Both periods have it, so that their difference is not what it changed: that is the one against what it replaced. */
export function inBoth({ period, ...row }) {
  return h(
    "li",
    {},
    `${row.version} of ${[row.app, row.family].filter(Boolean).join(" · ")} came on `,
    h("time", { datetime: iso(row.released_at), text: time(row.released_at) }),
    `, so the ${period} before has it too, and the change since does not show what it did. `,
    h("a", { href: whyOf(row, row.findings[0]), text: `Why, against ${row.predecessor}` }),
  );
}
