// The newest releases: what replaced what, since when, and whether users take it for worse or better.

import { byId, h, reconcile } from "./dom.js";
import { iso, time } from "./format.js";
import { term } from "./tip.js";

const MARKS = { worse: "▼", better: "▲", same: "=", not_yet: "…" };
const NOTHING = { same: "the same as before in every metric", not_yet: "no difference is certain yet" };

/** Draws /api/releases: rows {app, version, predecessor, released_at, verdict, findings}; nothing where there is none. */
export function drawReleases({ rows }) {
  byId("releases").hidden = rows.length === 0;
  const heading = byId("releases-title");
  if (!heading.firstChild) heading.replaceChildren(term("releases"));
  reconcile(byId("releases-list"), rows, (row) => [row.app, row.component, row.family, row.version].join("/"), release);
}

function release(row) {
  const where = [row.app, row.family].filter(Boolean).join(" · ");
  const said = row.findings.length ? row.findings : [{ verdict: row.verdict, text: NOTHING[row.verdict] }];
  return h(
    "li",
    {},
    h("div", {}, h("strong", { text: `${row.version} after ${row.predecessor}` }), h("span", { class: "soft", text: ` ${where}` })),
    h("ul", {}, ...said.map(({ verdict, text }) => h("li", { "data-verdict": verdict }, h("span", { "aria-hidden": "true", text: `${MARKS[verdict]} ` }), text))),
    h("div", { class: "soft when" }, "since ", h("time", { datetime: iso(row.released_at), text: time(row.released_at) })),
  );
}
