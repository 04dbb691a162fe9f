// One generation in full: its captured input and output, the correction, and everything that happened to it.

import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { count, duration, iso, percent, time } from "./format.js";

/** Opens the drawer for a row of feedback. Escape or the button closes it, and focus returns to the row. */
export async function openDrawer(row) {
  const drawer = byId("drawer");
  const back = document.activeElement;
  drawer.onclose = () => back?.focus?.();
  drawer.onclick = (event) => event.target === drawer && drawer.close();
  fill(drawer, row, h("p", { class: "soft", text: "Reading …" }));
  if (!drawer.open) drawer.showModal();
  drawer.row = row;
  const parts = await get(`generations/${row.app}/${row.generation_id}`, []).then(content, failure);
  // Another generation may have been opened meanwhile.
  if (drawer.row === row) fill(drawer, row, ...parts);
}

const failure = (error) => [h("p", { class: "drawer-error", text: error.message })];

function fill(drawer, row, ...parts) {
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", text: "✕", onclick: () => drawer.close() });
  const head = h("header", {}, h("div", {}, h("h2", { id: "drawer-title", text: row.app }), h("code", { class: "soft", text: row.generation_id })), close);
  drawer.replaceChildren(head, h("div", { class: "drawer-body" }, ...parts));
}

function content({ generation, events, more }) {
  const origin = events[0]?.occurred_at;
  return [
    generation ? facts(generation) : h("p", { class: "warning", text: "The generation itself has not arrived: this feedback is an orphan. It is counted, and joined if the generation comes." }),
    generation ? messages("Input", generation.input, generation.content_mode) : null,
    generation ? messages("Output", generation.output, generation.content_mode) : null,
    ...events.filter((event) => event.type === "edit" && event.corrected_text).map(correction),
    h("h3", { text: "What happened" }),
    h("ol", { class: "timeline" }, ...events.map((event) => moment(event, origin))),
    more ? h("p", { class: "soft", text: `Only the first ${count(events.length)} events are shown.` }) : null,
  ].filter(Boolean);
}

function facts(generation) {
  const tokens = generation.input_tokens == null ? null : `${count(generation.input_tokens)} in, ${count(generation.output_tokens)} out`;
  const pairs = [
    ["Model", [generation.provider, generation.model].filter(Boolean).join(" / ")],
    ["Prompt", [generation.prompt_name, generation.prompt_version].filter(Boolean).join(" ")],
    ["Surface", [generation.surface, generation.language].filter(Boolean).join(", ")],
    ["Context", [generation.context_strategy, (generation.context_sources ?? []).join(", ")].filter(Boolean).join(": ")],
    ["Tools called", (generation.tools_called ?? []).join(", ")],
    ["Tokens", tokens],
    ["Latency", generation.latency_ms == null ? null : duration(generation.latency_ms / 1000)],
    ["Cost", generation.cost_usd == null ? null : `$${generation.cost_usd.toPrecision(3)}`],
    ["Error", [generation.error_type, generation.error_message].filter(Boolean).join(": ")],
    ["Environment", generation.environment],
    ["Trace", generation.trace_id],
  ].filter(([, value]) => value);
  return h("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]));
}

function messages(title, all, mode) {
  const reason = mode === "hashed" ? "Captured as hashes only." : mode === "off" ? "Content capture is off for this app." : "Nothing was captured.";
  const shown = (all ?? []).map((message) => h("div", { class: "message" }, h("span", { class: "role", text: message.role }), h("pre", { text: textOf(message.content) })));
  return h("section", {}, h("h3", { text: title }), ...(shown.length ? shown : [h("p", { class: "soft", text: reason })]));
}

const textOf = (content) => (typeof content === "string" ? content : JSON.stringify(content, null, 2));

function correction(edit) {
  return h("section", {}, h("h3", { text: `Correction${edit.origin ? ` by ${edit.origin}` : ""}` }), h("div", { class: "message corrected" }, h("pre", { text: edit.corrected_text })));
}

function moment(event, origin) {
  const passed = event.occurred_at === origin ? "" : `+${duration((event.occurred_at - origin) / 1000)}`;
  return h(
    "li",
    { class: event.type },
    h("time", { datetime: iso(event.occurred_at), title: time(event.occurred_at), text: passed || time(event.occurred_at) }),
    h("div", {}, h("strong", { text: headline(event) }), event.comment || event.explanation ? h("p", { text: event.comment ?? event.explanation }) : null),
  );
}

function headline(event) {
  switch (event.type) {
    case "generation": return `Generated: ${event.outcome ?? "produced"}`;
    case "action": return event.length == null ? event.action : `${event.action}, ${count(event.length)} characters`;
    case "vote": return event.value == null ? `Score ${event.score} of ${event.scale_min} to ${event.scale_max}` : ["Voted down", "Vote withdrawn", "Voted up"][event.value + 1];
    case "flag": return `Flag ${event.label} ${event.status}${event.severity ? `, ${event.severity}` : ""}`;
    case "edit": return event.distance == null ? "Edited" : `Edited, distance ${count(event.distance)}`;
    case "retention_check": return retained(event);
    case "evaluation": return `${event.name}: ${[event.label, event.value].filter((each) => each != null).join(", ")} (${event.annotator_kind})`;
    default: return event.type;
  }
}

function retained(event) {
  const when = event.horizon_s == null ? `At ${event.moment}` : `After ${duration(event.horizon_s)}`;
  if (event.status === "removed") return `${when}: removed`;
  if (event.status === "unobserved") return `${when}: not observed, ${event.reason}`;
  const longest = Math.max(event.original_length, event.current_length);
  return `${when}: ${event.distance === 0 ? "unchanged" : `${percent(event.distance / longest)} changed`}`;
}
