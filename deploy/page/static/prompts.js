// What a release changed in its prompt: both texts, where apps send them, word by word. Read when somebody asks for it.

import { get } from "./api.js";
import { byId, h, options } from "./dom.js";
import { diff } from "./drawer.js";
import { count, plural } from "./format.js";
import { sharedParametersOf } from "./selection.js";
import { term } from "./tip.js";

let shown = "";
let isFollowed = false;

/** Offers the releases of prompts among the judged ones, the newest first. */
export function drawPrompts({ judged, component }, chosen) {
  if (!byId("prompts-title").firstChild) byId("prompts-title").replaceChildren(term("prompts"));
  const releases = new Map(judged.map(({ release, version, predecessor, app, family }) => [release, { value: release, text: `${version} after ${predecessor}, ${app} ${family}` }]));
  byId("prompts").hidden = component !== "prompt_version" || releases.size === 0;
  if (byId("prompts").hidden) return;
  const pick = byId("pick-prompts");
  options(pick, [...releases.values()], releases.has(pick.value) ? pick.value : [...releases.keys()][0]);
  const clear = () => {
    shown = pick.value;
    byId("prompts-shown").replaceChildren();
  };
  if (shown !== pick.value) clear();
  pick.onchange = clear;
  byId("show-prompts").onclick = () => show(pick.value, chosen);
  follow(pick, chosen, clear);
}

/** Whoever comes by a link to a release's prompt has asked for it. Once: then they choose. */
function follow(pick, chosen, clear) {
  if (isFollowed || ![...pick.options].some(({ value }) => value === chosen.prompt)) return;
  isFollowed = true;
  pick.value = chosen.prompt;
  clear();
  byId("prompts").scrollIntoView();
  show(pick.value, chosen);
}

async function show(release, chosen) {
  const place = byId("prompts-shown");
  place.replaceChildren(h("p", { class: "soft", text: "Reading …" }));
  const found = await get("prompts", [...sharedParametersOf(chosen), ["release", release]]).catch((error) => ({ error }));
  if (shown === release) place.replaceChildren(...told(found));
}

function told({ error, withheld, old, new: now, pieces }) {
  if (error) return [h("p", { class: "warning", text: error.message })];
  if (withheld) return [h("p", { class: "warning", text: "What users and models wrote is hidden from your role in this app." })];
  if (!old) return [h("p", { class: "nothing", text: "This release is not in the selection." })];
  const sides = [old, now].map((side) => h("p", { class: "soft block", text: about(side) }));
  if (!pieces) return sides;
  const same = pieces.every(([kind]) => kind === "same");
  return [same ? h("p", { text: "The text of the prompt did not change: something else did, such as the model, its parameters or its context." }) : null, h("div", { class: "message change" }, diff(pieces)), ...sides].filter(Boolean);
}

function about({ version, text, same, calls }) {
  if (calls === 0) return `${version}: no call in these weeks.`;
  if (text === null) return `${version}: the app sends no system message, or hashes in place of content.`;
  return same === calls ? `${version}: the same text in all of the ${plural(calls, "call", "calls")} that were read.` : `${version}: the text of ${count(same)} of ${plural(calls, "call", "calls")}; in the others it differs, as a template does that is filled.`;
}
