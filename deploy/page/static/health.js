// Operations: what became of every record, whether the ledger adds up, and what the drift detector watches.

import { byId, h, labelled, reconcile, setText } from "./dom.js";
import { count, named, percent, time } from "./format.js";
import { term } from "./tip.js";

const TONES = { alarm: "negative", suspected: "negative", watching: "positive", silent: "neutral", warming: "neutral" };

/** Draws /api/accounts: `hops` by topic, what was set aside, and the last day's ledger. null: they are of all apps. */
export function drawAccounts(accounts) {
  if (!byId("accounts-title").firstChild) byId("accounts-title").replaceChildren(term("accounts"));
  byId("accounts").hidden = accounts === null;
  if (accounts === null) {
    byId("ledger").className = "nothing";
    return setText(byId("ledger"), "The accounts are of all apps together: they are shown to who may see every app.");
  }
  const { hops, quarantined, ledger } = accounts;
  reconcile(byId("accounts").tBodies[0], hops, (each) => each.topic, (each) => h("tr", {}, h("th", { scope: "row", text: each.topic }), ...["ok", "dead_letter", "filtered"].map((name) => h("td", { text: count(each[name]) }))));
  const aside = quarantined.map((each) => `${count(each.count)} of ${each.topic} by the ${each.stage}`).join(", ");
  const sound = ledger.findings.length === 0;
  byId("ledger").className = ledger.ranges === 0 ? "nothing" : sound ? "nothing good" : "warning";
  setText(byId("ledger"), ledger.ranges === 0
    ? "No range was landed in the last day."
    : `${sound ? "The last day adds up" : `${count(ledger.findings.length)} ranges do not add up: ${ledger.findings.join("; ")}`}: ${count(ledger.ranges)} ranges, ${count(ledger.offsets)} offsets. ${aside ? `Set aside in quarantine: ${aside}.` : "Nothing is in quarantine."} keeprate verify compares facts, outcomes and Kafka too.`);
}

/** Draws /api/drift: every series, where the detector stands, and what it cannot see. */
export function drawDrift({ rows, enough }) {
  if (!byId("drift-title").firstChild) byId("drift-title").replaceChildren(term("drift"));
  byId("drift-else").replaceChildren("Drift is one kind of alert: what fires of all rules is on the ", h("a", { href: `./${location.search}#alerts`, text: "Overview" }), ".");
  const of = (standing) => rows.filter((row) => row.standing === standing).length;
  setText(byId("drift-caption"), rows.length === 0
    ? "The monitor has closed no batches yet: nothing is watched."
    : `${count(rows.length)} series: ${count(of("alarm"))} in a drift alarm, ${count(of("suspected"))} suspected, ${count(of("watching"))} watched. ${count(of("warming"))} are not watched yet: they have less than a day or ${enough} events, and a change in them raises no alarm; releases are judged all the same. ${count(of("silent"))} have been silent for two days.`);
  reconcile(byId("drift").tBodies[0], rows.slice(0, 100), (row) => JSON.stringify([row.app, row.prompt, row.prompt_version, row.model, row.metric]), series);
  labelled(byId("drift"));
}

function series(row) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, row.app, h("span", { class: "block soft", text: [row.prompt, row.prompt_version, row.model].filter(Boolean).map(named).join(" · ") })),
    h("td", { text: row.metric }),
    h("td", {}, h("span", { class: `chip ${TONES[row.standing]}`, text: row.standing })),
    h("td", { text: row.standing === "warming" ? "–" : `${(100 * row.evidence).toFixed(row.evidence < 0.1 ? 2 : 0)}\u202f%` }),
    h("td", { text: percent(row.rate) }),
    h("td", { text: count(row.events) }),
    h("td", { text: row.last_at === null ? "–" : time(row.last_at) }),
  );
}
