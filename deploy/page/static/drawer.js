// One suggestion in full: its captured input and output, the correction, and everything that happened to it.

import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { count, duration, horizon, iso, percent, time } from "./format.js";
import { downloadCases } from "./suite.js";

const MOST_SHOWN = 200_000;

/**
 * Opens the drawer for a row of feedback or of a list. Escape or the button closes it, and focus returns to the row.
 * beside: previous and next, where the row is one of a list, and closed, which is called when it is.
 */
export async function openDrawer(row, beside = {}) {
  const drawer = byId("drawer");
  const back = drawer.open ? drawer.back : document.activeElement;
  drawer.back = back;
  drawer.onclose = () => {
    back?.focus?.();
    beside.closed?.();
  };
  drawer.onclick = (event) => event.target === drawer && drawer.close();
  drawer.onkeydown = (event) => ({ ArrowLeft: beside.previous, ArrowRight: beside.next })[event.key]?.();
  fill(drawer, row, beside, h("p", { class: "soft", text: "Reading …" }));
  if (!drawer.open) drawer.showModal();
  drawer.row = row;
  const parts = await get(`generations/${row.app}/${row.generation_id}`, []).then(opened, failure);
  // Another generation may have been opened meanwhile.
  if (drawer.row === row) fill(drawer, row, beside, ...parts);
}

const HELD = "You hold this suggestion in Review: what others say of it is shown once you have judged or skipped it.";
const opened = (found) => [...(found.blind ? [h("p", { class: "warning", text: HELD })] : []), ...content(found)];
const failure = (error) => [h("p", { class: "drawer-error", text: error.message })];

function fill(drawer, row, beside, ...parts) {
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", text: "✕", onclick: () => drawer.close() });
  const head = h("header", {}, h("div", {}, h("h2", { id: "drawer-title", text: row.app }), h("code", { class: "soft", text: row.generation_id })), h("div", { class: "steps" }, h("span", { class: "steps", id: "drawer-steps" }), close));
  drawer.replaceChildren(head, h("div", { class: "drawer-body" }, ...parts));
  drawSteps(beside);
}

/** Draws the ways to what stands beside what is open: again, where more of that is known by now. */
export function drawSteps(beside) {
  const step = (name, sign, go) => go && h("button", { type: "button", class: "close", "aria-label": name, title: `${name} (arrow key)`, text: sign, onclick: go });
  byId("drawer-steps").replaceChildren(...[step("The one before", "←", beside.previous), step("The next one", "→", beside.next)].filter(Boolean));
}

/** All that is known of a generation, as elements. blind: for who is to judge it, so without what others made of it. */
export function content({ generation, events, more, changes, chain, withheld, trace_url: traceUrl, blind }) {
  const origin = events[0]?.occurred_at;
  return [
    withheld ? h("p", { class: "warning", text: "What users and models wrote is hidden from your role in this app." }) : null,
    generation ? facts(generation, traceUrl) : h("p", { class: "warning", text: "The generation itself has not arrived: this feedback is an orphan. It is counted, and joined if the generation comes." }),
    generation && !withheld ? messages("Input", generation.input, generation.content_mode) : null,
    generation && !withheld ? messages("Output", generation.output, generation.content_mode) : null,
    generation && !withheld && !blind ? testCase(generation) : null,
    ...changes.map(change),
    generation && !withheld ? unread(generation, events, changes) : null,
    ...events.filter((event) => event.type === "edit" && event.corrected_text).map(correction),
    chain.length > 1 && !withheld ? stages(chain, generation) : null,
    h("h3", { text: "What happened" }),
    h("ol", { class: "timeline" }, ...events.map((event) => moment(event, origin))),
    more ? h("p", { class: "soft", text: `Only ${count(events.length)} of its events are shown.` }) : null,
  ].filter(Boolean);
}

function facts(generation, traceUrl) {
  const tokens = generation.input_tokens == null ? null : `${count(generation.input_tokens)} in, ${count(generation.output_tokens)} out`;
  const pairs = [
    ["Model", [generation.provider, generation.model].filter(Boolean).join(" / ")],
    ["Prompt", [generation.prompt_name, generation.prompt_version].filter(Boolean).join(" ")],
    ["Surface", [generation.surface, generation.language].filter(Boolean).join(", ")],
    ["Context", [generation.context_strategy, (generation.context_sources ?? []).join(", ")].filter(Boolean).join(": ")],
    ["Tools offered", (generation.tools_offered ?? []).join(", ")],
    ["Tools called", (generation.tools_called ?? []).join(", ")],
    ["Tokens", tokens],
    ["Latency", generation.latency_ms == null ? null : duration(generation.latency_ms / 1000)],
    ["Cost", generation.cost_usd == null ? null : `$${generation.cost_usd.toPrecision(3)}`],
    ["Error", [generation.error_type, generation.error_message].filter(Boolean).join(": ")],
    ["Environment", generation.environment],
    ["Trace", generation.trace_id && traceUrl ? h("a", { href: traceUrl, rel: "noreferrer", target: "_blank", text: generation.trace_id }) : generation.trace_id],
  ].filter(([, value]) => value);
  return h("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", {}, value)]));
}

function messages(title, all, mode) {
  const reason = mode === "hashed" ? "Captured as hashes only." : mode === "off" ? "Content capture is off for this app." : "Nothing was captured.";
  const shown = (all ?? []).map((message) => h("div", { class: "message" }, h("span", { class: "role", text: message.role }), h("pre", { dir: "auto", text: visible(textOf(message.content)) })));
  return h("section", {}, h("h3", { text: title }), ...(shown.length ? shown : [h("p", { class: "soft", text: reason })]));
}

/** Makes a regression test of it, or says why that cannot be. */
function testCase({ app, generation_id: id }) {
  const said = h("span", { class: "soft", role: "status" });
  const press = () => downloadCases(`generations/${app}/${id}/cases.jsonl`, [], `case-${id}.jsonl`, said);
  return h("p", { class: "test-case" }, h("button", { type: "button", class: "apply", onclick: press, text: "Make it a test case" }), said);
}

const textOf = (content) => (typeof content === "string" ? content : JSON.stringify(content, null, 2));

function correction(edit) {
  return h("section", {}, h("h3", { text: `Correction${edit.origin ? ` by ${edit.origin}` : ""}` }), h("div", { class: "message corrected" }, h("pre", { dir: "auto", text: visible(edit.corrected_text) })));
}

function change({ type, horizon_s: after, moment: when, origin, status, pieces }) {
  const at = after == null ? `at ${when}` : `after ${horizon(after)}`;
  const title = type === "edit" ? `What the ${origin ?? "user"} corrected` : status === "removed" ? `Removed ${at}` : `What was changed ${at}`;
  return h("section", {}, h("h3", { text: title }), h("div", { class: "message change" }, diff(pieces)));
}

/** Why what a user made of it cannot be read, where looks found it changed and no text came with them; and what would do. */
function unread({ content_mode: mode }, events, changes) {
  const changed = (event) => event.type === "retention_check" && event.status === "present" && event.distance > 0;
  if (!events.some(changed) || changes.some(({ type, status }) => type === "retention_check" && status === "present")) return null;
  const reason = mode === "full" ? "its looks came without current_text, the text as it was then" : `this app captures no texts (content is ${mode || "off"})`;
  return h("section", {}, h("h3", { text: "What was changed" }), h("p", { class: "soft", text: `How much of it changed is known, and what it became is not: ${reason}. An app that sends current_text with each retention_check, and content in full, shows it here word by word: docs/events.md.` }));
}

/** Two texts in one: what is gone is struck out and what is new underlined, so that it can be told apart without colours. */
export function diff(pieces) {
  const tags = { same: "span", gone: "del", new: "ins" };
  return h("p", { class: "diff", dir: "auto" }, ...pieces.map(([kind, text]) => h(tags[kind], { text: visible(text) })));
}

/** Every stage of the chain or agent: its input, output and tools. */
function stages(chain, opened) {
  return h("section", {}, h("h3", { text: `Chain of ${count(chain.length)} stages` }), ...chain.map((stage) => stageOf(stage, stage.generation_id === opened?.generation_id)));
}

function stageOf(stage, isOpened) {
  const name = [stage.step || stage.operation || "stage", stage.model, (stage.tools_called ?? []).length ? `tools: ${stage.tools_called.join(", ")}` : ""].filter(Boolean).join(" · ");
  const title = isOpened ? `${name} (this one)` : name;
  return h("details", { class: "stage" }, h("summary", { text: title }), messages("Input", stage.input, stage.content_mode), messages("Output", stage.output, stage.content_mode));
}

/** Not all of a giant text: a browser would stand still. */
function visible(text) {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}\n… ${count(text.length - MOST_SHOWN)} more characters` : text;
}

function moment(event, origin) {
  const passed = event.occurred_at === origin ? "" : `+${duration((event.occurred_at - origin) / 1000)}`;
  return h(
    "li",
    { class: event.type },
    h("time", { datetime: iso(event.occurred_at), title: time(event.occurred_at), text: passed || time(event.occurred_at) }),
    h("div", {}, h("strong", { text: headline(event) }), event.comment || event.explanation ? h("p", { text: visible(event.comment ?? event.explanation) }) : null),
  );
}

function headline(event) {
  switch (event.type) {
    case "generation": return `Generated: ${event.outcome ?? "produced"}`;
    case "action": return `${event.action.replaceAll("_", " ")}${event.length == null ? "" : `, ${count(event.length)} characters`}`;
    case "vote": return event.value == null ? `Score ${event.score} of ${event.scale_min} to ${event.scale_max}` : ["Voted down", "Vote withdrawn", "Voted up"][event.value + 1];
    case "flag": return `Flag ${event.label} ${event.status}${event.severity ? `, ${event.severity}` : ""}`;
    case "edit": return event.distance == null ? "Corrected" : `Corrected, distance ${count(event.distance)}`;
    case "retention_check": return retained(event);
    case "evaluation": return `${event.name}: ${[event.label, event.value].filter((each) => each != null).join(", ")} (${event.annotator_kind})`;
    default: return event.type;
  }
}

function retained(event) {
  const when = event.horizon_s == null ? `At ${event.moment}` : `After ${horizon(event.horizon_s)}`;
  if (event.status === "removed") return `${when}: removed`;
  if (event.status === "unobserved") return `${when}: not observed, ${event.reason}`;
  const longest = Math.max(event.original_length, event.current_length);
  return `${when}: ${event.distance === 0 ? "unchanged" : `${percent(event.distance / longest)} changed`}`;
}
