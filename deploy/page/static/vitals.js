// The header: is it alive, and is anything lost. And the banner when the store does not answer.

import { byId, h, reconcile, setText } from "./dom.js";
import { count, duration, time } from "./format.js";
import { term } from "./tip.js";

const FRESH_S = 60;
const OLD_S = 3600;

let receivedAt = 0;

/** Draws the header's numbers from /api/status. */
export function drawVitals(status) {
  receivedAt = performance.now();
  const items = [
    { name: "freshness", text: freshness(status), state: ageState(status) },
    { name: "events_per_min", text: count(Math.round(status.events_per_min)), unit: "events/min" },
    { name: "lag", text: duration(status.lag_s), unit: "lag" },
    { name: "orphans", text: count(status.orphans), unit: status.orphans === 1 ? "orphan" : "orphans", link: true },
    { name: "dead_letters", text: count(status.dead_letters), unit: "dead letters", link: true, state: status.dead_letters ? "bad" : "" },
  ];
  reconcile(byId("vitals"), items, (item) => item.name, vital);
}

function vital({ name, text, unit, state, link }) {
  const value = h("span", { class: "vital-value", id: `vital-${name}`, text });
  const label = term(name, unit ?? "newest event");
  const dot = name === "freshness" ? h("span", { class: "dot", "aria-hidden": "true" }) : null;
  const shown = link ? h("a", { href: `./operations${location.search}#intake`, "aria-label": `${text} ${unit}: to the details` }, value) : value;
  return h("li", { "data-state": state ?? "" }, dot, ...(name === "freshness" ? [label, shown] : [shown, label]));
}

function ageOf(status) {
  return status.newest_event_at === null ? null : status.freshness_s + (performance.now() - receivedAt) / 1000;
}

function freshness(status) {
  const age = ageOf(status);
  return age === null ? "none yet" : `${duration(Math.max(0, Math.floor(age)) || 0.4).replace(/^400.ms$/, "now")}${age < 1 ? "" : " ago"}`;
}

function ageState(status) {
  const age = ageOf(status);
  if (age === null) return "none";
  return age < FRESH_S ? "good" : age < OLD_S ? "slow" : "bad";
}

/** Lets the age of the newest event grow between two polls, as it does. */
export function tickVitals(status) {
  const value = byId("vital-freshness");
  if (!status || !value) return;
  setText(value, freshness(status));
  value.closest("li").dataset.state = ageState(status);
}

/** Says that the numbers stand still, why, and since when; null takes the banner away. */
export function showBanner(error, loadedAt) {
  const banner = byId("banner");
  if (error === null) {
    banner.hidden = true;
    return;
  }
  const kept = loadedAt ? ` The numbers below are those of ${time(loadedAt)}.` : "";
  const what = error.code === "store_unavailable" ? "The store does not answer." : error.code === "page_unreachable" ? "" : "The numbers could not be read.";
  banner.replaceChildren(
    h("strong", { text: what || "No connection." }),
    h("span", { text: ` ${error.message}${kept} Trying again by itself.` }),
  );
  banner.hidden = false;
}
