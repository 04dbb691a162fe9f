// What to do when there is nothing to see: no event at all, or none in the selection.

import { arrivalLine, firstEvent } from "./arrival.js";
import { byId, h } from "./dom.js";
import { time } from "./format.js";
import { knownApps, unknownOf } from "./unknown.js";

const SEEN_MS = 10_000;
let seenUntilMs = 0;

/** Shows the first steps for an empty store, or the way to where the data is for an empty selection. */
export function drawEmpty(answer, chosen, choose) {
  const { status, summary } = answer;
  const never = status.newest_event_at === null;
  const nothing = never || summary.opportunities === 0;
  byId("numbers").hidden = nothing;
  const empty = byId("empty");
  if (!nothing && empty.dataset.content?.startsWith("[true")) {
    // Whoever waited for it is told that it was this event that made the numbers.
    empty.dataset.content = "";
    empty.replaceChildren(arrivalLine());
    seenUntilMs = Date.now() + SEEN_MS;
  }
  empty.hidden = !nothing && Date.now() >= seenUntilMs;
  const content = JSON.stringify([never, nothing, never ? null : chosen]);
  if (!nothing || empty.dataset.content === content) return;
  empty.dataset.content = content;
  empty.replaceChildren(...(never ? firstSteps() : elsewhere(answer, chosen, choose)));
}

function firstSteps() {
  return [
    h("h1", { id: "empty-title", text: "No events yet" }),
    h("p", { text: "Keeprate shows what users keep of what a model wrote, as soon as an app says so. To look around first, let three simulated apps send their history, and then go on live:" }),
    h("pre", {}, h("code", { text: "keeprate demo" })),
    h("p", { text: "To send your own, tell Keeprate of each generation and of what became of it:" }),
    firstEvent(),
    h("p", { class: "soft", text: "The first generation turns this page into numbers by itself." }),
  ];
}

function elsewhere(answer, chosen, choose) {
  const { status, meta } = answer;
  const { value: widest, text: title } = meta.periods[meta.periods.length - 1];
  const period = meta.periods.find((each) => each.value === chosen.period)?.text ?? chosen.period;
  const unfiltered = chosen.app === "" && chosen.environment === "" && chosen.only.length === 0;
  const reset = h("button", { type: "button", class: "primary", text: `Show everything of ${title}`, onclick: () => choose({ app: "", environment: "", only: [], period: widest }) });
  return [
    h("h1", { id: "empty-title", text: "Nothing in this selection" }),
    ...unknownOf(answer, chosen).map((text) => h("p", { text })),
    knownApps(answer, choose),
    h("p", { text: `No request of ${period} matches. The newest event of all is from ${time(status.newest_event_at)}.` }),
    chosen.period === widest && unfiltered ? null : reset,
    // Events without one generation among them: the line says what they wait for.
    unfiltered ? firstEvent() : null,
  ].filter(Boolean);
}
