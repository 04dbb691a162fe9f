// A selection that names what nobody sent: which name that is, and the way to what there is.

import { byId, h } from "./dom.js";
import { split } from "./selection.js";

/** So many apps are offered at once; the list above has all. */
const MOST = 12;

/** A sentence for each dimension of which nobody has a chosen value. */
export function unknownOf({ meta, selected }, chosen) {
  return selected.unknown.map((name) => {
    const filters = chosen.only.map(split).filter(([each]) => each === name).map(([, value]) => value);
    const values = [chosen[name], ...filters].filter(Boolean).map((value) => `“${value}”`).join(" or ");
    return `No event of the last 90 days has the ${meta.dimensions.find(({ value }) => value === name)?.text ?? name} ${values}.`;
  });
}

/** Buttons that lead to what there is: the apps, where the app is what nobody has. */
export function knownApps({ meta, selected }, choose) {
  if (!selected.unknown.includes("app") || meta.apps.length === 0) return null;
  const buttons = meta.apps.slice(0, MOST).map((app) => h("button", { type: "button", class: "apply", text: app, onclick: () => choose({ app, only: [] }) }));
  return h("p", { class: "known" }, "There are: ", ...buttons);
}

/** Draws that in place of the numbers, on pages that say nothing else where there is nothing. */
export function drawUnknown(answer, chosen, choose) {
  const said = unknownOf(answer, chosen);
  const empty = byId("empty");
  byId("numbers").hidden = said.length > 0;
  empty.hidden = said.length === 0;
  const content = JSON.stringify([said, answer.meta.apps]);
  if (empty.hidden || empty.dataset.content === content) return;
  empty.dataset.content = content;
  const reset = h("button", { type: "button", class: "primary", text: "Show all apps, without filters", onclick: () => choose({ app: "", environment: "", only: [] }) });
  empty.replaceChildren(h("h1", { id: "empty-title", text: "Nothing of that name" }), ...said.map((text) => h("p", { text })), ...[knownApps(answer, choose), reset].filter(Boolean));
}
