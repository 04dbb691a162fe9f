// The page's loop: what is chosen, what to ask the server for, and who draws the answer.

import { get } from "./api.js";
import { drawCompare } from "./compare.js";
import { byId, setText } from "./dom.js";
import { openDrawer } from "./drawer.js";
import { drawEmpty } from "./empty.js";
import { drawFeedback } from "./feedback.js";
import { drawFilters, parametersOf, readAddress, writeAddress } from "./filters.js";
import { drawFunnel } from "./funnel.js";
import { drawIntake } from "./intake.js";
import { drawKeys } from "./keys.js";
import { drawRetention } from "./retention.js";
import { drawSeries } from "./series.js";
import { define } from "./tip.js";
import { drawVitals, showBanner, tickVitals } from "./vitals.js";

const POLL_MS = 4000;
const SLOWEST_POLL_MS = 30_000;
/** An app that sends its first event belongs in the filters soon, without a reload. */
const META_MS = 30_000;

/** What each path under /api/ is drawn by. An answer that did not change is not drawn again. */
const SECTIONS = {
  status: drawVitals,
  summary: drawKeys,
  series: drawSeries,
  retention: drawRetention,
  funnel: drawFunnel,
  compare: drawCompare,
  feedback: drawFeedback,
  intake: drawIntake,
};

const CHARTS = ["series", "retention"];

const state = { chosen: readAddress(), meta: null, metaAt: 0, data: {}, drawn: {}, failures: 0, request: null, timer: 0 };

/** Changes the selection, and asks for its numbers at once. */
function choose(changes) {
  state.chosen = { ...state.chosen, ...changes };
  writeAddress(state.chosen);
  if (state.meta) drawFilters(state.meta, state.chosen, choose);
  // The choice itself may change how the same numbers are drawn.
  for (const path of Object.keys(state.data)) draw(path);
  poll();
}

async function poll() {
  clearTimeout(state.timer);
  state.request?.abort();
  const request = new AbortController();
  const began = performance.now();
  state.request = request;
  try {
    if (Date.now() - state.metaAt > META_MS) await loadMeta(request.signal);
    // The table knows the groups from the largest on, so it gives them their colours before a chart is drawn.
    // What is quick goes first, because a browser asks six at a time.
    const soon = ["status", "feedback"].map((path) => load(path, request.signal));
    const first = load("compare", request.signal);
    const rest = Object.keys(SECTIONS).filter((path) => !["status", "feedback", "compare"].includes(path));
    await Promise.all([...soon, first, ...rest.map((path) => load(path, request.signal, CHARTS.includes(path) ? first : null))]);
    recovered();
  } catch (error) {
    if (error.name === "AbortError" || request !== state.request) return;
    failed(error, request);
  }
  const wait = Math.min(POLL_MS * 2 ** Math.max(0, state.failures - 1), SLOWEST_POLL_MS);
  // What a poll took counts as waiting, but a slow store gets a rest all the same.
  const took = performance.now() - began;
  if (!document.hidden) state.timer = setTimeout(poll, Math.max(wait - took, wait / 4));
}

async function loadMeta(signal) {
  state.meta = await get("meta", {}, signal);
  state.metaAt = Date.now();
  define(state.meta.definitions);
  drawFilters(state.meta, state.chosen, choose);
}

async function load(path, signal, after) {
  const answer = await get(path, parametersOf(state.chosen, state.meta), signal);
  await after;
  state.data[path] = answer;
  draw(path);
}

function draw(path) {
  const content = JSON.stringify([state.data[path], state.chosen]);
  if (state.drawn[path] === content) return;
  state.drawn[path] = content;
  SECTIONS[path](state.data[path], { chosen: state.chosen, meta: state.meta, choose, open: openDrawer });
  if (path === "status" || path === "summary") drawEmpty(state.data, state.chosen, state.meta, choose);
}

function recovered() {
  state.failures = 0;
  state.loadedAt = Date.now();
  document.body.classList.remove("stale");
  showBanner(null);
}

function failed(error, request) {
  request.abort();
  state.failures += 1;
  document.body.classList.toggle("stale", state.loadedAt !== undefined);
  showBanner(error, state.loadedAt);
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(state.timer) : poll()));
window.addEventListener("popstate", () => choose(readAddress()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  state.drawn = {};
  for (const path of Object.keys(state.data)) draw(path);
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
setText(byId("timezone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
setInterval(() => tickVitals(state.data.status), 1000);
poll();
