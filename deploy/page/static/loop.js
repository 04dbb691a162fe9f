// The loop of every page: what is chosen, what to ask the server for, and who draws the answer.

import { get } from "./api.js";
import { loadPlotly } from "./chart.js";
import { byId, h, setText } from "./dom.js";
import { drawDownloads } from "./downloads.js";
import { openDrawer } from "./drawer.js";
import { drawFilters } from "./filters.js";
import { first } from "./first.js";
import { drawNav } from "./nav.js";
import { parametersOf, readAddress, spanOfAddress, writeAddress } from "./selection.js";
import { define } from "./tip.js";
import { drawUnknown } from "./unknown.js";
import { showBanner, tickVitals } from "./vitals.js";
import { drawWho } from "./who.js";

const POLL_MS = 4000;
const SLOWEST_POLL_MS = 30_000;

/** answers: by question, as they were sent last; answered: what each is the answer to. drawn: by part. */
const state = { chosen: readAddress(), answers: {}, answered: {}, drawn: {}, failures: 0, isRefused: false, isArrived: false, request: null, timer: 0 };
let page;

/**
 * Runs a page. questions: by name under /api/, in the order in which they are asked, the one that the document asks
 * first; each has parts by name, and who draws them. A part that did not change is not drawn again.
 * empty: draws what stands in place of numbers where there are none; else what names something that nobody has. charts: whether it has any.
 */
export function run(pages) {
  page = pages;
  tellIgnored(spanOfAddress());
  poll(first);
  drawWho();
}

function tellIgnored(names) {
  byId("ignored").hidden = names.length === 0;
  setText(byId("ignored"), `The address says ${names.join(" and ")}, which changes nothing here: choose a period above. Any span of time is counted by keeprate report --since … --until …`);
}

/** What the server is asked, as text: it is the same for selections that differ only in how numbers are drawn. */
const asked = () => JSON.stringify(parametersOf(state.chosen));
const names = () => Object.keys(page.questions);
/** What can be chosen, and what the server chose where nobody did. */
function meta() {
  const { meta: all, selected } = state.answers[names()[0]] ?? {};
  return all && { ...all, ...selected };
}

/** Changes the selection, and asks for its numbers at once. Those that are shown are another selection's from here on. */
function choose(changes) {
  const before = asked();
  state.chosen = { ...state.chosen, ...changes };
  writeAddress(state.chosen);
  if (meta()) draw();
  if (asked() !== before) poll();
}

async function poll(early) {
  clearTimeout(state.timer);
  state.request?.abort();
  const request = new AbortController();
  const began = performance.now();
  const question = asked();
  state.request = request;
  state.isRefused = false;
  dim();
  try {
    for (const name of names()) {
      const answer = await (early ?? get(name, parametersOf(state.chosen), request.signal));
      early = undefined;
      // An answer to an earlier question may arrive after all, and is nobody's then.
      if (request !== state.request) return;
      received(name, answer, question);
    }
    recovered();
    arrive();
  } catch (error) {
    if (request !== state.request) return;
    failed(error);
  }
  if (state.isRefused) return;
  const wait = Math.min(POLL_MS * 2 ** Math.max(0, state.failures - 1), SLOWEST_POLL_MS);
  // What a poll took counts as waiting, but a slow store gets a rest all the same.
  const took = performance.now() - began;
  if (!document.hidden) state.timer = setTimeout(() => poll(), Math.max(wait - took, wait / 4));
}

function received(name, answer, question) {
  document.body.classList.add("read");
  state.answers[name] = answer;
  state.answered[name] = question;
  if (answer.meta) define(answer.meta.definitions);
  draw();
  if (page.charts) loadPlotly(meta().charts);
}

/** Whether what is shown of a question is of another selection than the chosen one. */
const isOld = (name) => state.answers[name] !== undefined && state.answered[name] !== asked();

/** Numbers of another selection than the chosen one are dimmed until its own are there. */
function dim() {
  const old = names().some(isOld);
  document.body.classList.toggle("old", old);
  byId("numbers").setAttribute("aria-busy", String(old));
}

function draw() {
  const { chosen } = state;
  drawNav(chosen);
  drawDownloads(chosen);
  drawFilters(meta(), chosen, choose);
  for (const [name, parts] of Object.entries(page.questions)) {
    for (const [part, drawPart] of Object.entries(state.answers[name] ? parts : {})) {
      const content = JSON.stringify([state.answers[name][part], chosen, isOld(name)]);
      if (state.drawn[part] === content) continue;
      state.drawn[part] = content;
      drawPart(state.answers[name][part], { chosen, meta: meta(), choose, open: openDrawer, isOld: isOld(name) });
    }
  }
  dim();
  const main = names()[0];
  if (!isOld(main)) (page.empty ?? drawUnknown)(state.answers[main], chosen, choose);
}

/** Whoever came to a part of the page is led to it, once it is drawn and what stands above it has its height. */
function arrive() {
  if (state.isArrived) return;
  state.isArrived = true;
  const part = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part) part.scrollIntoView({ block: part.matches(".key") ? "center" : "start" });
}

function recovered() {
  state.failures = 0;
  state.loadedAt = Date.now();
  document.body.classList.remove("stale");
  showBanner(null);
}

function failed(error) {
  document.body.classList.add("read");
  if (error.status === 400) return refused(error);
  state.failures += 1;
  document.body.classList.toggle("stale", state.loadedAt !== undefined);
  showBanner(error, state.loadedAt);
}

/** What the address asks for is not offered: asked again, it would be refused again. Says so, with a way out. */
function refused({ message }) {
  state.isRefused = true;
  state.answers = {};
  state.drawn = {};
  showBanner(null);
  for (const name of ["numbers", "filters"]) byId(name).hidden = true;
  const empty = byId("empty");
  empty.hidden = false;
  empty.dataset.content = "";
  empty.replaceChildren(
    h("h1", { id: "empty-title", text: "This address asks for what is not offered" }),
    h("p", { text: message }),
    h("p", {}, h("a", { class: "apply", href: location.pathname, text: "Show this page without it" })),
  );
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(state.timer) : poll()));
window.addEventListener("popstate", () => choose(readAddress()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  state.drawn = {};
  if (meta()) draw();
});
setText(byId("timezone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
setInterval(() => tickVitals(state.answers[names()[0]]?.status), 1000);
