// The suggestions behind a number: a list, newest or worst first, page after page. A row opens its suggestion.

import { get } from "./api.js";
import { byId, h, options, reconcile, setText } from "./dom.js";
import { drawSteps, openDrawer } from "./drawer.js";
import { count, horizon, iso, percent, plural, time } from "./format.js";
import { run } from "./loop.js";
import { parametersOf } from "./selection.js";
import { downloadCases } from "./suite.js";
import { drawVitals } from "./vitals.js";

const FATES = {
  shown: "shown", accepted: "accepted", rejected: "rejected", ignored: "ignored", superseded: "superseded", unanswered: "no answer yet",
  auto_applied: "applied by itself", undone: "undone", touchless: "used untouched", orphan: "feedback without a generation",
  kept: "kept", unchanged: "kept, unchanged", changed: "changed", removed: "removed", not_kept: "changed or removed",
  observed: "observed", unobserved: "not observed", missing: "no check came",
};
const SIGNALS = {
  flagged: "flagged", upvoted: "voted up", downvoted: "voted down", corrected: "corrected", negative: "anything negative",
  judged: "judged by a model", misjudged: "judge and people disagree", failed: "failed",
};
const AFTER_ACCEPT = new Set(["kept", "unchanged", "changed", "removed", "not_kept", "observed", "unobserved", "missing"]);
const ORDERS = [{ value: "newest", text: "the newest" }, { value: "worst", text: "the worst" }];
const WAIT_MS = 300;

/** In a list that begins with the worst, what each rank holds, as `rank` of a row names it; and the words for all of it. */
const RANKS = ["what users said against", "what they removed", "what was undone", "what they changed", "what they corrected", "what they rejected", "the rest"];
const WORST = `The worst first: ${RANKS.slice(0, -1).join(", ")}; then ${RANKS.at(-1)}. Of each, the newest first.`;

/**
 * What is listed: rows of a question, `asked`, in its order; where it goes on; how many rows are to be there before looking
 * ends, which is a page, and one more for each press. turn: of this question alone; its underWay: looking further.
 */
const list = { asked: "", turn: { underWay: null }, rows: [], next: null, page: 0, wanted: 0, error: "", open: "" };

/** Draws /api/suggestions: its first page, and what is further back until the page is full. A press adds another page. */
function drawList(answer, view) {
  const { chosen, choose, isOld } = view;
  drawControls(answer, chosen, choose);
  // What is there answers another question, and its rows are none of this one.
  if (isOld) return setText(byId("listed-state"), "Looking …");
  const asked = JSON.stringify(parametersOf(chosen));
  if (asked !== list.asked) Object.assign(list, { asked, turn: { underWay: null }, rows: answer.rows, next: answer.next, page: answer.limit, wanted: answer.limit, error: "" });
  else if (list.wanted === list.page) renew(answer);
  drawRows(chosen, choose);
  look(chosen, choose);
  if (chosen.open && list.open !== chosen.open) show(chosen.open, chosen, choose);
}

/** The first page anew: what has come since stands first, and what was found further back than it looked stays. */
function renew(answer) {
  const fresh = new Set(answer.rows.map(keyOf));
  const further = answer.next === null ? [] : list.rows.filter((row) => !fresh.has(keyOf(row)) && isAfter(row.place, answer.next));
  const rows = [...answer.rows, ...further];
  list.rows = rows.slice(0, list.page);
  if (answer.next === null) list.next = null;
  else if (rows.length > list.page) list.next = list.rows.at(-1).place;
}

/** Whether a place is at or behind another one in the list's order, as far as ranks and times say. */
function isAfter(place, other) {
  const [[rank, at], [otherRank, otherAt]] = [place, other].map((each) => each.split("~").map(Number));
  return rank > otherRank || (rank === otherRank && at <= otherAt);
}

function drawControls(answer, chosen, choose) {
  const after = horizon(answer.horizon_s);
  const fates = answer.fates.map((value) => ({ value, text: AFTER_ACCEPT.has(value) ? `${FATES[value]}, after ${after}` : FATES[value] }));
  pick("fate", [{ value: "", text: "anything" }, ...fates], chosen.fate, (fate) => choose({ fate }));
  const signals = answer.signals.map((value) => ({ value, text: SIGNALS[value] }));
  pick("signal", [{ value: "", text: "anything, or nothing" }, ...signals], chosen.signal, (signal) => choose({ signal }));
  pick("order", ORDERS, chosen.order, (order) => choose({ order }));
  const text = byId("pick-text");
  if (document.activeElement !== text) text.value = chosen.text;
  text.oninput = () => {
    clearTimeout(text.waiting);
    text.waiting = setTimeout(() => choose({ text: text.value.trim() }), WAIT_MS);
  };
  const query = new URLSearchParams(parametersOf(chosen).filter(([, value]) => value !== ""));
  byId("suggestions-csv").setAttribute("href", `api/suggestions.csv?${query}`);
  byId("suggestions-cases").onclick = () => downloadCases("cases.jsonl", parametersOf(chosen), nameOf(chosen), byId("suggestions-said"));
}

/** What the suite of a list is called: as what it is of. */
const nameOf = ({ app, fate, signal }) => `${["cases", app, fate, signal].filter(Boolean).join("-")}.jsonl`;

function pick(name, all, chosen, onChange) {
  const control = byId(`pick-${name}`);
  options(control, all, chosen);
  control.onchange = () => onChange(control.value);
}

function drawRows(chosen, choose) {
  reconcile(byId("listed").tBodies[0], list.rows, keyOf, (row) => tableRow(row, () => choose({ open: keyOf(row) })));
  const isFull = list.rows.length >= list.wanted;
  const more = byId("listed-more");
  more.hidden = list.next === null || !(isFull || list.error);
  more.textContent = list.error ? "Try again" : "More";
  more.onclick = () => add(chosen, choose);
  const nothing = byId("listed-nothing");
  nothing.hidden = list.rows.length > 0 || list.next !== null;
  setText(nothing, "No suggestion is like that in this selection.");
  setText(byId("listed-state"), list.error || (list.next !== null && !isFull ? lookedBack(chosen) : whole(chosen)));
}

/** How far the list was looked through: in one that begins with the worst, of which rank. */
function lookedBack({ order }) {
  const [rank, at] = list.next.split("~").map(Number);
  return `${list.rows.length ? `${count(list.rows.length)} so far: looked` : "Looked"} back to ${time(at)}${order === "worst" ? ` for ${RANKS[rank]}` : ""}, and looking further …`;
}

/** What the rows are, once all that is wanted is there. */
function whole({ order }) {
  const all = list.next === null && list.rows.length > 0 ? `${plural(list.rows.length, "suggestion", "suggestions")} in all. ` : "";
  return all + (order === "worst" ? WORST : "");
}

/** Looks further back, part by part, until as many rows are there as are wanted or the period's end is reached. */
function look(chosen, choose) {
  const { turn } = list;
  turn.underWay ??= goOn(turn, chosen, choose).finally(() => (turn.underWay = null));
  return turn.underWay;
}

async function goOn(turn, chosen, choose) {
  while (!list.error && list.next !== null && list.rows.length < list.wanted) {
    const more = [["after", list.next], ["limit", String(list.wanted - list.rows.length)]];
    const answer = await get("suggestions", [...parametersOf(chosen), ...more]).catch((error) => ({ error }));
    // The selection may be another one by now.
    if (turn !== list.turn) return;
    list.error = answer.error?.message ?? "";
    if (!list.error) append(answer);
    drawRows(chosen, choose);
  }
}

function append({ rows, next }) {
  const known = new Set(list.rows.map(keyOf));
  list.rows = [...list.rows, ...rows.filter((row) => !known.has(keyOf(row)))];
  list.next = next;
}

/** Another page of rows, or as many as are said; after what went wrong, what was wanted. */
async function add(chosen, choose, rows = list.page) {
  if (!list.error) list.wanted = list.rows.length + rows;
  list.error = "";
  drawRows(chosen, choose);
  await look(chosen, choose);
}

const keyOf = (row) => `${row.app}~${row.generation_id}${row.choice_index ? `~${row.choice_index}` : ""}`;

function tableRow(row, open) {
  const version = [row.prompt_name, row.prompt_version].filter(Boolean).join(" ");
  return h(
    "tr",
    { onclick: open },
    h("td", { class: "when" }, h("button", { type: "button", class: "open", "aria-label": `Open the suggestion of ${time(row.at)}` }, h("time", { datetime: iso(row.at), text: time(row.at) }))),
    h("td", {}, h("span", { text: row.app }), h("span", { class: "soft block", text: version })),
    h("td", {}, h("span", { text: FATES[row.fate] ?? "not shown" }), h("span", { class: "soft block", text: stateOf(row) })),
    h("td", {}, ...said(row)),
    h("td", {}, h("span", { text: row.model || "–" }), h("span", { class: "soft block", text: [row.language, row.surface, row.step].filter(Boolean).join(", ") })),
  );
}

function stateOf({ state, distance_ratio: ratio }) {
  if (state === "") return "";
  const share = state !== "removed" && ratio ? `, ${percent(ratio)} changed` : "";
  return state === "mostly" ? `kept${share}` : `${{ missing: "no check of the last accept", unobserved: "not observed", branch_changed: "on another branch", late: "looked at too late" }[state] ?? state}${share}`;
}

function said(row) {
  const chip = (kind, mark, text) => h("span", { class: `chip ${kind}` }, h("span", { "aria-hidden": "true", text: `${mark} ` }), h("span", { text }));
  const chips = [
    ...row.flag_labels.map((label) => chip(row.negative ? "negative" : "neutral", "●", label)),
    row.votes_positive ? chip("positive", "▲", plural(row.votes_positive, "vote up", "votes up")) : null,
    row.votes_negative ? chip("negative", "▼", plural(row.votes_negative, "vote down", "votes down")) : null,
    row.corrections ? chip("neutral", "✎", row.corrections === 1 ? "corrected" : `corrected ${count(row.corrections)} times`) : null,
    ...row.judgements.map(([name, label]) => chip("neutral", "◆", `${name}: ${label}`)),
    row.error_type ? chip("negative", "!", row.error_type) : null,
  ].filter(Boolean);
  return chips.length ? chips : [h("span", { class: "soft", text: "–" })];
}

/** Opens a suggestion over the list, with the one before it and the one after. The address names it. */
function show(key, chosen, choose) {
  list.open = key;
  const [app, generation_id] = key.split("~");
  const at = list.rows.findIndex((row) => keyOf(row) === key);
  const beside = (step) => (at < 0 || !list.rows[at + step] ? null : () => choose({ open: keyOf(list.rows[at + step]) }));
  // Beyond the rows that are loaded the list goes on: they are fetched first.
  const further = async () => {
    await add(chosen, choose, 1);
    if (list.open === key && list.rows[at + 1]) choose({ open: keyOf(list.rows[at + 1]) });
  };
  const next = beside(1) ?? (at >= 0 && list.next !== null ? further : null);
  const closed = () => {
    list.open = "";
    choose({ open: "" });
  };
  const ways = { previous: beside(-1), next, closed };
  openDrawer({ app, generation_id }, ways);
  if (at < 0) findBeside(key, ways, chosen, choose);
}

/** The ways from one that is not among the loaded rows, as where an address led to it: by its place in the same list. */
async function findBeside(key, ways, chosen, choose) {
  const [, generation_id, choice = "0"] = key.split("~");
  const asked = (more) => get("suggestions", [...parametersOf({ ...chosen, text: "" }), ...more]).catch(() => ({ rows: [], next: null }));
  const { rows } = await get("suggestions", parametersOf({ ...chosen, text: generation_id })).catch(() => ({ rows: [] }));
  const place = rows.find((row) => row.generation_id === generation_id && String(row.choice_index) === choice)?.place;
  if (place === undefined || list.open !== key) return;
  const way = (name, backwards) => async () => {
    const from = [["limit", "1"], ["backwards", backwards]].filter(([, value]) => value);
    let found = await asked([...from, ["after", place]]);
    // What was looked through in one go may hold none, and the list goes on.
    while (found.rows.length === 0 && found.next !== null && list.open === key) found = await asked([...from, ["after", found.next]]);
    if (list.open !== key) return;
    if (found.rows.length) return choose({ open: keyOf(found.rows[0]) });
    ways[name] = null;
    drawSteps(ways);
  };
  Object.assign(ways, { previous: way("previous", "1"), next: way("next", "") });
  drawSteps(ways);
}

run({ questions: { explore: { status: drawVitals, suggestions: drawList } } });
