// What did not get through, or not yet: orphans, lag and dead letters, each with its reason.

import { byId, h, reconcile } from "./dom.js";
import { count, duration, percent, time } from "./format.js";
import { term } from "./tip.js";

/** Draws /api/intake: orphans by app, lag by topic, dead letters by reason. */
export function drawIntake(intake) {
  for (const [id, name] of [["orphans-title", "orphans"], ["lag-title", "lag"], ["dead-letters-title", "dead_letters"]]) {
    if (!byId(id).firstChild) byId(id).replaceChildren(term(name));
  }
  block(byId("orphans"), orphanRows(intake.orphans), "Every feedback found its generation.");
  block(byId("lag"), lagRows(intake.lag), "Nothing has landed in the last quarter of an hour.", "");
  block(byId("dead-letters"), letterRows(intake.dead_letters), "No record was refused.");
}

function block(parent, items, nothing, mood = "good") {
  const shown = items.length ? items : [{ key: "", nothing, mood }];
  reconcile(parent, shown, (item) => item.key, (item) => (item.nothing ? h("p", { class: `nothing ${item.mood}`, text: item.nothing }) : line(item)));
}

function line({ title, value, note, detail }) {
  return h(
    "div",
    { class: "line" },
    h("div", {}, h("span", { class: "line-title", text: title }), h("strong", { text: value })),
    note ? h("p", { class: "soft", text: note }) : null,
    detail ? h("p", { class: "detail", text: detail }) : null,
  );
}

function orphanRows(orphans) {
  return orphans.map((each) => ({
    key: each.app,
    title: each.app,
    value: count(each.count),
    note: `${percent(each.share)} of its suggestions; the oldest waits since ${time(each.oldest_at)}`,
  }));
}

function lagRows(lag) {
  return lag.map((each) => ({
    key: each.topic,
    title: each.topic,
    value: duration(each.p50_s),
    note: `half land within this, 99 % within ${duration(each.p99_s)}; ${count(each.rows)} rows, newest ${time(each.newest_at)}`,
  }));
}

function letterRows(letters) {
  return letters.map((each) => ({
    key: `${each.topic}/${each.stage}/${each.error_type}/${each.field}`,
    title: each.field ? `${each.error_type}: ${each.field}` : each.error_type,
    value: count(each.count),
    note: `refused by the ${each.stage}, from ${each.topic}; the latest ${time(each.newest_at)}`,
    detail: each.reason,
  }));
}
