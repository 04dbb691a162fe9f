// The verdicts: what replaced what, since when, whether users take it for worse or better, how sure that is, and where.

import { byId, h, reconcile, setText } from "./dom.js";
import { iso, percent, time } from "./format.js";
import { addressOf } from "./selection.js";
import { term } from "./tip.js";

const MARKS = { worse: "▼", better: "▲", same: "=", not_yet: "…" };
const CHIPS = { worse: "worse", better: "better", same: "the same", not_yet: "not yet" };
const NOTHING = { same: "the same as before in every metric", not_yet: "no difference is certain yet" };
const EXPLAINED = { acceptance: "acceptance_rate", retention: "retention", correction: "correction_rate", negative: "negative_feedback_rate" };

let shown = [];
let places = {};

/** The releases that are on the screen, for the marks in charts over time: a version of several prompts is one. */
export const markers = () => [...new Map(shown.map(({ version, app, released_at }) => [`${app} ${version}`, { at: released_at, text: `${app} ${version}` }])).values()];

/** Draws /api/releases: rows {key, app, version, predecessor, released_at, verdict, findings}; nothing where there is none. */
export function drawReleases({ rows }, { chosen }) {
  shown = rows;
  byId("releases").hidden = rows.length === 0;
  const heading = byId("releases-title");
  if (!heading.firstChild) heading.replaceChildren(term("releases"));
  const shared = addressOf({ ...chosen, app: "", horizon: "" });
  reconcile(byId("releases-list"), rows.map((row) => ({ ...row, shared })), (row) => row.key, release);
  fillPlaces();
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
    first ? h("p", { class: "soft sure" }, `Compared ${row.how}. ${chance(first.chance)} `, h("a", { href: whyOf(row, first), text: "Why?" })) : null,
  );
}

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
  const of = [row.app, row.family].filter(Boolean).join(" · ");
  return h(
    "li",
    {},
    `${row.version} of ${of} has been in use since `,
    h("time", { datetime: iso(row.released_at), text: time(row.released_at) }),
    `, before this period began: what changed against the ${period} before is not what it changed. `,
    h("a", { href: whyOf(row, row.findings[0]), text: `Compare it with ${row.predecessor}` }),
  );
}
