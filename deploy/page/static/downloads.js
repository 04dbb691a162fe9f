// What a chart or a list shows, to take along: its numbers as CSV, and a chart as a picture.

import { picture } from "./chart.js";
import { byId, h } from "./dom.js";
import { parametersOf } from "./selection.js";

/** By the heading that it stands beside: the question under /api/ whose sheet it is, and the chart of which it has pictures. */
const PLACES = {
  "keys-title": ["summary"],
  "more-title": ["more"],
  "releases-title": ["releases"],
  "alerts-title": ["alerts"],
  "alarms-title": ["alarms"],
  "series-title": ["series", "series"],
  "retention-title": ["retention", "retention"],
  "funnel-title": ["funnel"],
  "compare-title": ["compare"],
  "feedback-title": ["feedback"],
  "judged-title": ["versions"],
  "parts-title": ["versions_by"],
  "reasons-title": ["why"],
  "orphans-title": ["intake"],
  "accounts-title": ["accounts"],
  "drift-title": ["drift"],
};

/** Puts the links where their headings are, and lets them lead to what is chosen. */
export function drawDownloads(chosen) {
  const query = new URLSearchParams(parametersOf(chosen).filter(([, value]) => value !== ""));
  for (const [id, [csv, chart]] of Object.entries(PLACES)) {
    const heading = byId(id);
    if (!heading) continue;
    heading.downloads ??= placed(heading, csv, chart);
    heading.downloads.setAttribute("href", `api/${csv}.csv?${query}`);
  }
}

function placed(heading, csv, chart) {
  const link = h("a", { class: "download", download: `${csv}.csv`, "aria-label": `Download ${csv} as CSV`, text: "CSV" });
  const save = (format) => () => picture(byId(chart), format, heading.textContent, chart);
  const saves = chart ? ["png", "svg"].map((format) => h("button", { type: "button", class: "download", "aria-label": `Save ${csv} as ${format.toUpperCase()}`, text: format.toUpperCase(), onclick: save(format) })) : [];
  heading.after(h("span", { class: "downloads" }, link, ...saves));
  return link;
}
