// What fires now, as the Alertmanager has it: the gravest first, each with a way to what it is about and to what to do.

import { byId, h, reconcile, setText } from "./dom.js";
import { inZone, iso, plural, time } from "./format.js";
import { isAnyJudged } from "./releases.js";
import { term } from "./tip.js";

const TONES = { critical: "negative", warning: "negative" };
const KEPT_BACK = { silenced: "silenced: nobody is told", inhibited: "held back while a graver one fires" };
const RAISED = "When the alert began to fire. What it tells of began earlier: its text says when, where that is known.";
/** So many are shown at once: a screen is no archive. */
const MOST = 6;

/** Draws /api/alerts: `said` of the source, and rows {name, severity, app, summary, since, kept_back, page, runbook}. */
export function drawAlerts({ source, said, rows }, { chosen }) {
  if (!byId("alerts-title").firstChild) byId("alerts-title").replaceChildren(term("alerts"));
  reconcile(byId("alerts-list"), rows.slice(0, MOST), (row) => JSON.stringify([row.name, row.app, row.summary, row.since]), alert);
  const rest = rows.length > MOST ? `${plural(rows.length - MOST, "more fires", "more fire")}: keeprate alerts list has all.` : "";
  const nothing = source === "watched" && rows.length === 0 ? (isAnyJudged() ? "Nothing fires." : "Nothing fires so far. No release is judged yet, and until one is, none fires for being worse.") : "";
  byId("alerts-wider").hidden = rows.length === 0 || (chosen.environment === "" && chosen.only.length === 0);
  const line = byId("alerts-said");
  setText(line, said || rest || nothing);
  line.hidden = line.textContent === "";
  line.className = nothing ? `nothing${isAnyJudged() ? " good" : ""}` : source === "none" || rest ? "nothing" : "warning";
}

function alert({ severity, app, summary, description, since, kept_back, page, runbook }) {
  const links = [page && h("a", { href: page, text: page.startsWith("./why") ? "Why?" : "Show the numbers" }), runbook && h("a", { href: runbook, text: "What to do" })].filter(Boolean);
  return h(
    "li",
    { "data-severity": severity },
    h("div", { class: "verdict-head" },
      h("span", { class: `chip ${(!kept_back && TONES[severity]) || "neutral"}`, text: severity || "alert" }),
      h("strong", { text: inZone(summary, since), title: inZone(description, since) }),
      h("span", { class: "soft", text: app }),
      h("span", { class: "soft when", title: RAISED }, "alert raised ", h("time", { datetime: iso(since), text: time(since) }))),
    h("p", { class: "soft sure" }, kept_back ? `${KEPT_BACK[kept_back]}. ` : null, ...links.flatMap((each, at) => (at ? [" · ", each] : [each]))),
  );
}
