// The series that the drift detector holds for changed, each with the time at which that probably began.

import { byId, h, reconcile } from "./dom.js";
import { iso, time } from "./format.js";
import { term } from "./tip.js";

/** Draws /api/alarms: rows {app, prompt, prompt_version, model, metric, side, is_harm, since}; nothing where there is none. */
export function drawAlarms({ rows }) {
  byId("alarms").hidden = rows.length === 0;
  const heading = byId("alarms-title");
  if (!heading.firstChild) heading.replaceChildren(term("alarms"));
  reconcile(byId("alarms-list"), rows, (row) => JSON.stringify([row.app, row.prompt, row.prompt_version, row.model, row.metric, row.side]), alarm);
}

function alarm({ app, prompt, prompt_version, model, metric, side, is_harm, since }) {
  const of = [app, prompt, prompt_version, model].filter(Boolean).join(" · ");
  return h(
    "li",
    {},
    h("span", { class: `chip ${is_harm ? "negative" : "positive"}` }, h("span", { "aria-hidden": "true", text: side === "fell" ? "▼ " : "▲ " }), side),
    h("strong", { text: ` ${metric}` }),
    h("span", { class: "soft", text: ` ${of}, since about ` }),
    h("time", { datetime: iso(since), text: time(since) }),
  );
}
