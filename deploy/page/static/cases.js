// What came of suggestions that became tests: what failed, since when, what mended it, and what users keep since.

import { byId, h, reconcile } from "./dom.js";
import { count, horizon, interval, iso, named, percent, plural, points, time } from "./format.js";
import { run } from "./loop.js";
import { addressOf } from "./selection.js";
import { drawVitals } from "./vitals.js";

const STATES = { green: ["positive", "✓ green"], red: ["negative", "✗ red"], error: ["neutral", "! without an answer"] };

const RESULTS = { passed: "passed", failed: "failed", error: "without an answer" };

/** Draws /api/cases: stories {app, suite, state, red, fixed, cases, runs, retention}. */
function drawStories({ stories }, { chosen }) {
  byId("stories-nothing").hidden = stories.length > 0;
  const items = stories.map((story) => ({ ...story, shared: addressOf({ ...chosen, app: story.app }) }));
  reconcile(byId("stories"), items, (story) => `${story.app}~${story.suite}`, drawStory);
}

function drawStory(story) {
  const [tone, state] = STATES[story.state];
  return h(
    "section",
    { class: "panel story", "aria-label": `${story.suite} of ${story.app}` },
    h("div", { class: "story-head" }, h("h2", { text: story.suite }), h("span", { class: `chip ${tone}`, text: state }), h("span", { class: "soft", text: `${story.app}, ${plural(story.count, "case", "cases")}` })),
    h("dl", { class: "told" }, ...told(story).flatMap(([name, ...parts]) => [h("dt", { text: name }), h("dd", {}, ...parts)])),
    h("details", { class: "stage" }, h("summary", { text: `Its cases, as the last run found them${story.count > story.results.length ? `: ${count(story.results.length)} of ${count(story.count)}` : ""}` }), h("ul", { class: "results" }, ...story.results.map((each) => suggestion({ ...each, why: [RESULTS[each.label] ?? each.label, each.why].filter(Boolean).join(": ") }, story)))),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Runs of ${story.suite}` }, runs(story)),
  );
}

/** The story's steps, each with what is known of it. */
function told(story) {
  const { red, fixed, retention } = story;
  if (!red) return [["So far", "no case has failed in this period."]];
  return [
    ["The suggestions", h("ul", {}, ...story.cases.map((each) => suggestion(each, story))), story.cases_count > story.cases.length ? `and ${count(story.cases_count - story.cases.length)} more` : ""],
    ["Went red", `${at(red)}: ${plural(red.failed, "case failed", "cases failed")} of ${count(red.failed + red.passed + red.error)}.`],
    ["Mended", fixed ? `${at(fixed)}: ${count(fixed.passed)} of ${count(fixed.passed + fixed.failed + fixed.error)} pass, ${count(fixed.repairs.length)} again.` : "Not yet."],
    ["What users keep", ...kept(retention, fixed)],
  ];
}

const at = ({ version, at: when }) => `${version ? `${version}, ` : ""}${time(when)}`;

function suggestion({ generation_id: id, flag_labels: flags, corrections, votes_negative: down, prompt_version: version, why }, { app, shared }) {
  const said = [...flags, corrections ? "corrected" : null, down ? "voted down" : null].filter(Boolean);
  const href = `suggestions${shared || "?"}${shared ? "&" : ""}open=${encodeURIComponent(`${app}~${id}`)}`;
  return h("li", {}, h("a", { href, text: said.join(", ") || "a suggestion" }), h("span", { class: "soft", text: ` of ${named(version)}: ${why}` }));
}

/** Retention of the version that it came from, and of the one that mended it. */
function kept(retention, fixed) {
  if (!retention) return ["–"];
  const { before, after, change, horizon_s: after_s } = retention;
  const rate = (side) => `${named(side.version)} ${percent(side.value)}${side.value === null ? "" : ` (${interval(side)})`}`;
  const looked = `${horizon(after_s)} after the accept: `;
  if (!fixed) return [`${looked}${rate(before)}.`];
  const moved = change ? h("strong", { text: ` ${points(change.value)} (${points(change.low)} to ${points(change.high)})` }) : h("span", { class: "soft", text: " Nothing to compare yet." });
  return [`${looked}${rate(before)}, then ${rate(after)}.`, moved];
}

function runs(story) {
  const heads = ["Run", "Version", "Passed", "Failed", "Broke", "Mended"];
  return h(
    "table",
    { class: "runs" },
    h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col", text })))),
    h("tbody", {}, ...[...story.runs].reverse().map((each) => h("tr", {},
      h("td", { class: "when" }, h("time", { datetime: iso(each.at), text: time(each.at) })),
      h("td", { text: named(each.version) }),
      h("td", { text: count(each.passed) }),
      h("td", { text: each.error ? `${count(each.failed)}, and ${count(each.error)} without an answer` : count(each.failed) }),
      h("td", { text: count(each.regressions.length), title: each.regressions.join(", ") }),
      h("td", { text: count(each.repairs.length), title: each.repairs.join(", ") })))),
  );
}

run({ questions: { stories: { status: drawVitals, cases: drawStories } } });
