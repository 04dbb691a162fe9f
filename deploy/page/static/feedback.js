// The latest flags, votes and edits: what users said, next to what it was said about.

import { byId, h, reconcile, segments } from "./dom.js";
import { iso, percent, time } from "./format.js";
import { term } from "./tip.js";

/** Draws /api/feedback: rows {event_id, at, kind, app, prompt_name, prompt_version, model, label, …, comment}. */
export function drawFeedback(feedback, { chosen, meta, choose, open }) {
  const heading = byId("feedback-title");
  if (!heading.firstChild) heading.replaceChildren(term("latest_feedback"));
  segments(byId("pick-kind"), "kind", meta.kinds, chosen.kind, (kind) => choose({ kind }));
  reconcile(byId("feedback").tBodies[0], feedback.rows, (row) => row.event_id, (row) => tableRow(row, open));
  byId("feedback-nothing").hidden = feedback.rows.length > 0;
}

function tableRow(row, open) {
  const version = [row.prompt_name, row.prompt_version].filter(Boolean).join(" ");
  return h(
    "tr",
    { "data-valence": row.valence, onclick: () => open(row) },
    h("td", { class: "when" }, h("button", { type: "button", class: "open", "aria-label": `Open the suggestion of ${time(row.at)}` }, h("time", { datetime: iso(row.at), text: time(row.at) }))),
    h("td", { text: row.app }),
    h("td", {}, h("span", { text: version || "–" }), h("span", { class: "soft block", text: row.model })),
    h("td", {}, signal(row)),
    h("td", { class: "comment", text: row.comment }),
  );
}

/** One chip for a signal: a mark as well as a colour, and words. */
export function signal(row) {
  const mark = { positive: "▲", negative: "▼", neutral: "●" }[row.valence] ?? "●";
  return h("span", { class: `chip ${row.valence}` }, h("span", { "aria-hidden": "true", text: `${mark} ` }), h("span", { text: words(row) }));
}

function words(row) {
  if (row.kind === "vote") return row.score === null ? ["vote down", "vote withdrawn", "vote up"][row.value + 1] : `score ${percent(row.score)}`;
  if (row.kind === "edit") return row.changed_share === null ? "corrected" : `corrected, ${percent(row.changed_share)} changed`;
  const severity = row.severity ? `, ${row.severity}` : "";
  return row.status === "unset" ? `${row.label}, taken back` : `${row.label}${severity}`;
}
