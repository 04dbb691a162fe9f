// Where experts review: queues, one suggestion at a time with the next one read ahead, and a judgement by keyboard.

import { drawAgreement } from "./agreement.js";
import { get, post } from "./api.js";
import { byId, h, reconcile, setText } from "./dom.js";
import { content } from "./drawer.js";
import { count, plural, time } from "./format.js";
import { fill, judgementOf, press, setUp } from "./judgement.js";
import { run } from "./loop.js";
import { readAddress } from "./selection.js";
import { term } from "./tip.js";
import { drawVitals } from "./vitals.js";

const NAME = "keeprate-reviewer";
const REFRESH_MS = 10_000;
const LOOKING_MS = 1_000;
const READ_AHEAD_MS = 20_000;
const RENEW_MS = 60_000;

/** board: queues and what can be said. items: held, the one before the reviewer first; shown: the key of the one that the form is of. read: what is known of each, by key, and since when. taken: what was said of the one that was taken back. */
const desk = { board: null, isSetUp: false, queue: "", app: "", items: [], shown: "", read: new Map(), busy: false, active: true, choose: null, taken: {} };

const name = () => byId("reviewer").value.trim();
const keyOf = ({ app, generation_id, choice_index }) => `${app}~${generation_id}~${choice_index}`;
const say = (what, said = {}) => post(`review/${what}`, { reviewer: name(), queue: desk.queue, app: desk.app, ...said });

async function refresh() {
  const board = await get("review", [["reviewer", name()], ["app", desk.app]]).catch((error) => ({ on: false, remedy: error.message, failed: true }));
  if (board.failed && desk.board) return;
  desk.board = board;
  drawBoard();
  clearTimeout(desk.again);
  // A queue that is still being looked for is looked for while somebody asks for it.
  if (!document.hidden && board.queues?.some((each) => each.looked_back_to !== null)) desk.again = setTimeout(refresh, LOOKING_MS);
  // What is said of an empty queue follows its counts; what went wrong stays until something else is done.
  if (desk.isSetUp && board.on && desk.queue && !desk.items.length && !byId("review-nothing").classList.contains("warning")) drawHead();
  const isIdle = desk.isSetUp && desk.items.length === 0 && !desk.busy;
  // What has come meanwhile is shown to who waits for it.
  if (isIdle && board.reviewer && board.queues?.some((each) => each.name === desk.queue && each.open > 0)) claim();
  if (!board.on || desk.isSetUp) return;
  desk.isSetUp = true;
  setUp(board, actions);
  if (desk.queue) openQueue(desk.queue);
}

function drawBoard() {
  const { board } = desk;
  const off = byId("review-off");
  off.hidden = board.on && board.reviewer !== null && board.waiting === 0;
  setText(off, !board.on ? board.remedy : board.reviewer === null ? "Say who you are, so that nobody is given what you have: type your name above." : `${plural(board.waiting, "event is", "events are")} on their way: nobody has acknowledged them yet. They are kept, and sent by themselves.`);
  const input = byId("reviewer");
  if (board.reviewer?.is_known) {
    input.value = board.reviewer.name;
    input.disabled = true;
  }
  const rows = (board.queues ?? []).map((queue) => ({ ...queue, me: board.reviewer?.id, names: board.names, isOpen: queue.name === desk.queue }));
  reconcile(byId("queues"), rows, (queue) => queue.name, card);
}

/** A number of a queue that may hold more: "200 or more". */
const atLeast = (number, { goes_on: goesOn }) => `${count(number)}${goesOn && number > 0 ? " or more" : ""}`;

/** How far a queue is done. Until all of it was looked for, that is no share of anything. */
const doneOf = (queue) => (queue.looked_back_to === null ? `${count(queue.complete)} of ${atLeast(queue.suggestions, queue)} done` : `${count(queue.complete)} done, ${count(queue.suggestions)} found so far: looked back to ${time(queue.looked_back_to)}, and looking further …`);

function card(queue) {
  const { name: id, title, meaning, reviewers, blind, suggestions, complete, open, progress, me, names, isOpen } = queue;
  const share = suggestions && queue.looked_back_to === null ? (100 * complete) / suggestions : 0;
  const who = progress.map((each) => `${each.reviewer === me ? "you" : names[each.reviewer] ?? each.reviewer.slice(0, 8)} ${count(each.done)}${each.today ? ` (${count(each.today)} in a day)` : ""}`);
  return h(
    "li",
    { class: isOpen ? "queue current" : "queue" },
    h("button", { type: "button", class: "queue-open", "aria-pressed": String(isOpen), onclick: () => openQueue(id) }, h("strong", { text: title }), h("span", { class: "soft", text: open ? `${atLeast(open, queue)} for you` : "nothing for you" })),
    h("p", { class: "soft", text: meaning }),
    h("span", { class: "share-bar", role: "img", "aria-label": doneOf(queue), vars: { "--share": `${share}%` } }),
    h("p", { class: "block soft", text: `${doneOf(queue)}${queue.looked_back_to === null ? "," : ""} ${plural(reviewers, "reviewer", "reviewers")} each${blind ? ", blind to what users did" : ""}` }),
    who.length ? h("p", { class: "block soft", text: who.join(" · ") }) : null,
  );
}

async function openQueue(id) {
  // What was read for another queue may be more than this one shows, or less.
  Object.assign(desk, { queue: id, items: [], shown: "", read: new Map() });
  desk.choose?.({ queue: id });
  drawBoard();
  if (name()) return claim();
  drawHead();
  byId("reviewer").focus();
}

/** Takes what is to be done, and shows it, but for what is shown: half of it may be said. The reservation of what is held begins anew. */
async function claim() {
  const { queue } = desk;
  const answer = await say("claim").catch((error) => ({ error }));
  if (queue !== desk.queue) return;
  if (answer.error) return tell(answer.error.message, true);
  desk.items = answer.items;
  drawHead();
  if (desk.items.length && desk.shown !== keyOf(desk.items[0])) await show();
  else if (desk.items[1]) read(desk.items[1]);
  // Of nothing there is nothing new to tell.
  if (desk.items.length) refresh();
}

function drawHead() {
  const queue = desk.board.queues.find((each) => each.name === desk.queue);
  byId("review").hidden = false;
  setText(byId("review-title"), queue?.title ?? desk.queue);
  setText(byId("review-left"), desk.items.length && queue ? `${atLeast(queue.open, queue)} for you` : "");
  byId("review-sides").hidden = desk.items.length === 0;
  const nothing = byId("review-nothing");
  nothing.hidden = desk.items.length > 0;
  nothing.classList.remove("warning");
  setText(nothing, whyNothing(queue));
}

function whyNothing(queue) {
  if (!queue) return `There is no queue of the name ${desk.queue}: choose one above.`;
  const looking = queue.looked_back_to === null ? "" : ` It was looked for back to ${time(queue.looked_back_to)}, and is looked for further.`;
  if (!name()) return `${plural(queue.suggestions, "suggestion waits", "suggestions wait")} in this queue${queue.goes_on ? ", and there may be more" : ""}. Type your name above, and the first one is shown here.`;
  if (queue.suggestions === 0 && looking) return `Nothing was found for this queue yet.${looking}`;
  if (queue.suggestions === 0) return `No suggestion is in this queue${desk.app ? ` of ${desk.app}` : ""} now. ${queue.meaning} One that comes is shown here.`;
  const rest = queue.complete === queue.suggestions ? "all of it is done" : `${count(queue.complete)} of ${count(queue.suggestions)} are done, and the others are with other reviewers, skipped by you, or read by you with what others say`;
  return `Nothing is left for you in this queue: ${rest}.${looking} What comes is shown here.`;
}

/** Shows the first of what is held, and reads the next one meanwhile. */
async function show() {
  const [item, next] = desk.items;
  if (!item) return;
  const { since, answer } = read(item);
  const found = await answer;
  if (!isFirst(item)) return;
  desk.shown = keyOf(item);
  drawItem(item, found);
  if (byId("review").getBoundingClientRect().top < 0) byId("review").scrollIntoView();
  fill(textOf(found.generation, item.choice_index), desk.taken.key === desk.shown ? desk.taken.words : {});
  byId("review-title").focus({ preventScroll: true });
  if (next) read(next);
  // What was read ahead may have gone on since: a check that came later is what the suggestion is here for.
  if (performance.now() - since > READ_AHEAD_MS) await renew(item);
}

async function renew(item) {
  desk.read.delete(keyOf(item));
  const found = await read(item).answer;
  if (isFirst(item) && !found.error) drawItem(item, found);
}

const isFirst = (item) => keyOf(item) === (desk.items[0] && keyOf(desk.items[0]));

function drawItem(item, found) {
  const parts = found.error ? [h("p", { class: "drawer-error", text: found.error.message })] : content(found);
  const choices = found.generation?.output?.length ?? 1;
  const which = choices > 1 ? `, choice ${item.choice_index + 1} of ${count(choices)}` : "";
  const head = h("p", { class: "soft" }, item.app + which + " ", h("code", { text: item.generation_id }));
  byId("review-item").replaceChildren(head, ...parts);
}

const textOf = (generation, index) => {
  const text = generation?.output?.[index]?.content;
  return typeof text === "string" && generation.content_mode !== "hashed" ? text : null;
};

function read(item) {
  const key = keyOf(item);
  if (!desk.read.has(key)) {
    const asked = [["reviewer", name()], ["queue", desk.queue], ["choice_index", String(item.choice_index)]];
    const answer = get(`review/items/${item.app}/${item.generation_id}`, asked).catch((error) => ({ error }));
    // What failed is asked again.
    answer.then(({ error }) => error && desk.read.delete(key));
    desk.read.set(key, { since: performance.now(), answer });
  }
  return desk.read.get(key);
}

/** One thing at a time: what is pressed while it is on its way is not done twice. */
async function once(what, said, then) {
  if (desk.busy || !desk.queue) return;
  desk.busy = true;
  byId("judgement").setAttribute("aria-busy", "true");
  const answer = await say(what, said).catch((error) => ({ error }));
  desk.busy = false;
  byId("judgement").setAttribute("aria-busy", "false");
  if (answer.error) {
    tell(answer.error.message, true);
    if (answer.error.status === 409) await claim();
    return;
  }
  await then(answer);
}

const actions = {
  send() {
    const [item] = desk.items;
    const said = judgementOf();
    if (!item) return;
    if (!said.vote) return tell("Say good or bad first: g or b.", true);
    once("submit", { ...item, ...said }, async ({ sent }) => {
      tell(sent ? "Sent." : "Kept, and sent as soon as Kafka answers.");
      await onward(item);
    });
  },
  skip() {
    const [item] = desk.items;
    if (item) once("skip", item, async () => {
      tell("Skipped: it is for others now.");
      await onward(item);
    });
  },
  undo() {
    once("undo", {}, async ({ item, words }) => {
      tell("Taken back. Say it anew.");
      desk.items = [item, ...desk.items.filter((each) => keyOf(each) !== keyOf(item))];
      drawHead();
      // Whatever shows it, as a claim that was under way: with what was said of it.
      desk.taken = { key: keyOf(item), words };
      await show();
      refresh();
    });
  },
};

/** The next one, which is there already; and one more is taken. */
async function onward(item) {
  desk.read.delete(keyOf(item));
  desk.taken = {};
  desk.items = desk.items.slice(1);
  drawHead();
  await show();
  await claim();
  if (desk.items.length > 0) return;
  // The form is hidden with what was focused in it: who works by keyboard goes on from here.
  byId("review-title").focus({ preventScroll: true });
  refresh();
}

function tell(text, isWrong = false) {
  const line = desk.items.length ? byId("said") : byId("review-nothing");
  byId("review").hidden = line.hidden = false;
  line.classList.toggle("warning", isWrong);
  setText(line, text);
}

function keys() {
  const rows = [["g, b", "good, bad"], ["1 to 9", "labels, on and off"], ["q", "to the first question"], ["e", "correct the text"], ["c", "comment"], ["Enter, Ctrl+Enter", "send and go on; in a text Ctrl+Enter"], ["s", "skip: for others"], ["u", "take back the last one"], ["Esc", "out of a text"], ["?", "this"]];
  const sheet = byId("keys-sheet");
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", text: "✕", onclick: () => sheet.close() });
  sheet.replaceChildren(h("header", {}, h("h2", { id: "keys-title", text: "Keys" }), close), h("dl", { class: "facts" }, ...rows.flatMap(([key, what]) => [h("dt", {}, h("kbd", { text: key })), h("dd", { text: what })])));
  if (!sheet.open) sheet.showModal();
}

function remembered() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    // A browser may keep nothing for pages: then the name is typed again.
    return "";
  }
}

function remember() {
  try {
    localStorage.setItem(NAME, name());
  } catch {
    // As above.
  }
}

byId("queues-title").replaceChildren(term("queues", "Queues"));
byId("reviewer").value = remembered();
byId("reviewer").onchange = () => {
  remember();
  Object.assign(desk, { items: [], shown: "", read: new Map() });
  refresh().then(() => desk.queue && (name() ? claim() : drawHead()));
};
byId("show-keys").onclick = keys;
document.addEventListener("keydown", (event) => {
  desk.active = true;
  if (document.querySelector("dialog[open]")) return;
  press(event, { ...actions, keys });
});
document.addEventListener("pointerdown", () => (desk.active = true));
setInterval(() => document.hidden || refresh(), REFRESH_MS);
// Who is at work keeps what they have; who has left gives it back when the reservation ends.
setInterval(() => {
  if (desk.items.length && desk.active && !desk.busy && !document.hidden) claim();
  desk.active = false;
}, RENEW_MS);

// The queues are asked for at once: what stands below them takes longer.
Object.assign(desk, { queue: readAddress().queue, app: readAddress().app });
const early = refresh();

let shown;
function drawReview(agreement, { chosen, choose }) {
  const isFirst = shown === undefined;
  shown = agreement;
  desk.choose = choose;
  const isOther = desk.app !== chosen.app;
  desk.app = chosen.app;
  if (isFirst) early.then(() => drawAgreement(shown, desk.board.names ?? {}));
  if (isOther) {
    desk.items = [];
    refresh().then(() => desk.queue && name() && claim());
  }
  drawAgreement(agreement, desk.board?.names ?? {});
}

run({ questions: { review_screen: { status: drawVitals, agreement: drawReview } } });
