// What to do when there is nothing to see: no event at all, or none in the selection.

import { byId, h } from "./dom.js";
import { time } from "./format.js";

const SDK = `from keeprate.producers import Keeprate

client = Keeprate("my-app", environment="production")
generation = client.generation(model="my-model", prompt_version="v1", output=answer)
generation.shown().accept()`;

/** Shows the first steps for an empty store, or the way to where the data is for an empty selection. */
export function drawEmpty({ status, summary, meta }, chosen, choose) {
  const never = status.newest_event_at === null;
  const nothing = never || summary.opportunities === 0;
  byId("numbers").hidden = nothing;
  const empty = byId("empty");
  empty.hidden = !nothing;
  const content = JSON.stringify([never, nothing, never ? null : chosen]);
  if (!nothing || empty.dataset.content === content) return;
  empty.dataset.content = content;
  empty.replaceChildren(...(never ? firstSteps() : elsewhere(status, chosen, meta, choose)));
}

function firstSteps() {
  return [
    h("h1", { id: "empty-title", text: "No events yet" }),
    h("p", { text: "Keeprate shows what users keep of what a model wrote, as soon as an app says so. To look around first, let three simulated apps send their history, and then go on live:" }),
    h("pre", {}, h("code", { text: "keeprate demo" })),
    h("p", { text: "To send your own, tell Keeprate of each generation and of what became of it:" }),
    h("pre", {}, h("code", { text: SDK })),
    h("p", { class: "soft", text: "This page looks every few seconds. The first event turns it into numbers by itself." }),
  ];
}

function elsewhere(status, chosen, meta, choose) {
  const { value: widest, text: title } = meta.periods[meta.periods.length - 1];
  const period = meta.periods.find((each) => each.value === chosen.period)?.text ?? chosen.period;
  const reset = h("button", { type: "button", class: "primary", text: `Show everything of ${title}`, onclick: () => choose({ app: "", environment: "", only: [], period: widest }) });
  return [
    h("h1", { id: "empty-title", text: "Nothing in this selection" }),
    h("p", { text: `No generation of ${period} matches. The newest event of all is from ${time(status.newest_event_at)}.` }),
    chosen.period === widest && chosen.app === "" && chosen.environment === "" && chosen.only.length === 0 ? null : reset,
  ].filter(Boolean);
}
