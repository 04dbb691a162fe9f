// What a reviewer says: a form that is filled by keys, and what it holds.

import { byId, h } from "./dom.js";

let form;

/** Builds the form of what can be said. actions: send, skip, undo. */
export function setUp(board, actions) {
  form = byId("judgement");
  const key = (text) => h("kbd", { "aria-hidden": "true", text });
  const vote = (value, text, hint) => h("label", { class: `vote ${value}` }, h("input", { type: "radio", name: "vote", value }), h("span", {}, text, " ", key(hint)));
  const label = ({ name, title, meaning }, at) => h("label", { class: "issue", title: meaning }, h("input", { type: "checkbox", name: "label", value: name }), h("span", {}, title, " ", at < 9 ? key(String(at + 1)) : null));
  const question = ({ name, title, answers }) => h("label", { class: "pick" }, title, h("select", { name: `answer ${name}`, "data-question": name }, h("option", { value: "", text: "–" }), ...answers.map((answer) => h("option", { value: answer, text: answer }))));
  form.replaceChildren(
    h("fieldset", { class: "votes" }, h("legend", { text: "Is it good?" }), vote("good", "▲ Good", "g"), vote("bad", "▼ Bad", "b")),
    board.labels.length ? h("fieldset", { class: "issues" }, h("legend", { text: "What is wrong with it" }), ...board.labels.map(label)) : null,
    ...board.questions.map(question),
    h("label", { class: "pick wide" }, h("span", {}, "What it should have been ", key("e")), h("textarea", { name: "corrected", rows: 5, spellcheck: "false", dir: "auto" })),
    h("p", { class: "block soft", id: "corrected-note" }),
    h("label", { class: "pick wide" }, h("span", {}, "Comment ", key("c")), h("textarea", { name: "comment", rows: 2, maxlength: 4000, dir: "auto" })),
    h("div", { class: "judge-buttons" }, h("button", { type: "submit", class: "primary" }, "Send ", key("Enter")), h("button", { type: "button", class: "apply", onclick: actions.skip }, "Skip ", key("s")), h("button", { type: "button", class: "apply", onclick: actions.undo }, "Undo last ", key("u"))),
    h("p", { id: "said", role: "status", "aria-live": "polite" }),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    actions.send();
  };
}

/** Empties the form for the next one. output: the text that may be corrected, null where none was captured. */
export function fill(output, words = {}) {
  form.reset();
  form.output = output;
  const corrected = form.elements.corrected;
  corrected.value = output ?? "";
  corrected.disabled = output === null;
  byId("corrected-note").textContent = output === null ? "No text was captured, so there is none to correct." : "As it is: it counts as corrected once you change it.";
  for (const [name, said] of Object.entries(words)) restore(name, said);
}

/** What was said before it was taken back, by the names that events have. */
function restore(name, said) {
  const [, label] = name.match(/^expert_flag:(.*)$/) ?? [];
  const find = (test) => [...form.elements].find(test);
  const control = name === "expert_vote" ? find((each) => each.name === "vote" && each.value === said) : label ? find((each) => each.name === "label" && each.value === label) : null;
  if (control) control.checked = true;
  const question = find((each) => each.dataset.question === name);
  if (question) question.value = said;
}

/** What the form says; no vote where none is chosen. */
export function judgementOf() {
  const fields = [...form.elements];
  const corrected = form.elements.corrected.value;
  // A textarea has one kind of line ends.
  const isChanged = form.output !== null && corrected !== form.output.replace(/\r\n?/g, "\n");
  return {
    vote: fields.find((each) => each.name === "vote" && each.checked)?.value ?? null,
    labels: fields.filter((each) => each.name === "label" && each.checked).map((each) => each.value),
    answers: Object.fromEntries(fields.filter((each) => each.dataset.question && each.value).map((each) => [each.dataset.question, each.value])),
    corrected: isChanged ? corrected : null,
    comment: form.elements.comment.value,
  };
}

/** Does what a key stands for. */
export function press(event, actions) {
  const isText = event.target.matches?.("textarea, select, input:not([type=radio], [type=checkbox])");
  if (event.key === "Escape" && isText) return event.target.blur();
  if (event.altKey || event.metaKey) return;
  if (event.key === "Enter" && event.ctrlKey) return done(event, actions.send);
  if (isText || event.ctrlKey) return;
  if (event.key === "?") return done(event, actions.keys);
  if (!form || byId("review").hidden) return;
  const isButton = event.target.matches?.("button, a, summary");
  if (event.key === "Enter" && !isButton) return done(event, actions.send);
  const does = { g: () => check("vote", "good"), b: () => check("vote", "bad"), s: actions.skip, u: actions.undo, e: () => form.elements.corrected.focus(), c: () => form.elements.comment.focus(), q: () => form.querySelector("[data-question]")?.focus() }[event.key] ?? (/^[1-9]$/.test(event.key) ? () => toggle(Number(event.key)) : null);
  if (does) done(event, does);
}

function done(event, does) {
  event.preventDefault();
  does();
}

function check(name, value) {
  const control = [...form.elements].find((each) => each.name === name && each.value === value);
  if (control) control.checked = true;
}

function toggle(number) {
  const control = form.querySelectorAll("input[name=label]")[number - 1];
  if (control) control.checked = !control.checked;
}
