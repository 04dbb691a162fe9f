// The page's loop: what is chosen, what to ask the server for, and who draws the answer.

import { get } from "./api.js";
import { loadPlotly } from "./chart.js";
import { drawCompare } from "./compare.js";
import { byId, setText } from "./dom.js";
import { openDrawer } from "./drawer.js";
import { drawEmpty } from "./empty.js";
import { drawFeedback } from "./feedback.js";
import { drawFilters } from "./filters.js";
import { first } from "./first.js";
import { drawFunnel } from "./funnel.js";
import { drawIntake } from "./intake.js";
import { drawKeys } from "./keys.js";
import { drawReleases } from "./releases.js";
import { drawRetention } from "./retention.js";
import { parametersOf, readAddress, writeAddress } from "./selection.js";
import { drawSeries } from "./series.js";
import { define } from "./tip.js";
import { drawVitals, showBanner, tickVitals } from "./vitals.js";

const POLL_MS = 4000;
const SLOWEST_POLL_MS = 30_000;

/**
 * What each part of a screen is drawn by. A part that did not change is not drawn again. The table stands before the
 * charts: it knows the groups from the largest on, and so gives them their colours.
 */
const SECTIONS = {
  status: drawVitals,
  summary: drawKeys,
  releases: drawReleases,
  compare: drawCompare,
  series: drawSeries,
  retention: drawRetention,
  funnel: drawFunnel,
  feedback: drawFeedback,
  intake: drawIntake,
};

/** answers: the screen as it was sent last; answered: what it is the answer to. */
const state = { chosen: readAddress(), answers: null, answered: "", drawn: {}, failures: 0, request: null, timer: 0 };

/** What the server is asked, as text: it is the same for selections that differ only in how numbers are drawn. */
const question = () => JSON.stringify(parametersOf(state.chosen));

/** Changes the selection, and asks for its numbers at once. Those that are shown are another selection's from here on. */
function choose(changes) {
  const before = question();
  state.chosen = { ...state.chosen, ...changes };
  writeAddress(state.chosen);
  if (state.answers) draw();
  if (question() !== before) poll();
}

async function poll(early) {
  clearTimeout(state.timer);
  state.request?.abort();
  const request = new AbortController();
  const began = performance.now();
  const asked = question();
  state.request = request;
  dim();
  try {
    const answers = await (early ?? get("screen", parametersOf(state.chosen), request.signal));
    // An answer to an earlier question may arrive after all, and is nobody's then.
    if (request !== state.request) return;
    Object.assign(state, { answers, answered: asked });
    define(answers.meta.definitions);
    draw();
    recovered();
    loadPlotly(answers.meta.charts);
  } catch (error) {
    if (request !== state.request) return;
    failed(error);
  }
  const wait = Math.min(POLL_MS * 2 ** Math.max(0, state.failures - 1), SLOWEST_POLL_MS);
  // What a poll took counts as waiting, but a slow store gets a rest all the same.
  const took = performance.now() - began;
  if (!document.hidden) state.timer = setTimeout(() => poll(), Math.max(wait - took, wait / 4));
}

/** Numbers of another selection than the chosen one are dimmed until its own are there. */
function dim() {
  const old = state.answers !== null && state.answered !== question();
  document.body.classList.toggle("old", old);
  byId("numbers").setAttribute("aria-busy", String(old));
}

function draw() {
  const { answers, chosen } = state;
  drawFilters(answers.meta, chosen, choose);
  for (const [part, drawPart] of Object.entries(SECTIONS)) {
    const content = JSON.stringify([answers[part], chosen]);
    if (state.drawn[part] === content) continue;
    state.drawn[part] = content;
    drawPart(answers[part], { chosen, meta: answers.meta, choose, open: openDrawer });
  }
  dim();
  if (state.answered === question()) drawEmpty(answers, chosen, choose);
}

function recovered() {
  state.failures = 0;
  state.loadedAt = Date.now();
  document.body.classList.remove("stale");
  showBanner(null);
}

function failed(error) {
  state.failures += 1;
  document.body.classList.toggle("stale", state.loadedAt !== undefined);
  showBanner(error, state.loadedAt);
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(state.timer) : poll()));
window.addEventListener("popstate", () => choose(readAddress()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  state.drawn = {};
  if (state.answers) draw();
});
setText(byId("timezone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
setInterval(() => tickVitals(state.answers?.status), 1000);
poll(first);
