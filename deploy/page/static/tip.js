// Definitions on hover, focus or tap: one tooltip for the page, shown next to the term it explains.

import { byId, h } from "./dom.js";

let definitions = {};

/** The plain-word definitions, by metric name, as /api/meta sends them. */
export function define(all) {
  definitions = all;
}

/** What a metric is called on the page. */
export const titleOf = (name) => definitions[name]?.title ?? name;

/** A term with its definition: a button, so that a keyboard reaches it. */
export function term(name, text = titleOf(name)) {
  return h("button", {
    type: "button",
    class: "term",
    "data-term": name,
    text,
    onmouseenter: (event) => show(event.currentTarget),
    onmouseleave: hide,
    onfocus: (event) => show(event.currentTarget),
    onblur: hide,
    onclick: (event) => show(event.currentTarget),
    onkeydown: (event) => event.key === "Escape" && hide(),
  });
}

function show(button) {
  const definition = definitions[button.dataset.term];
  if (!definition) return;
  const tip = byId("tip");
  tip.replaceChildren(
    h("strong", { text: definition.title }),
    h("p", { text: definition.meaning }),
    ...(definition.formula ? [h("code", { text: definition.formula })] : []),
  );
  tip.hidden = false;
  button.setAttribute("aria-describedby", "tip");
  const at = button.getBoundingClientRect();
  const left = Math.min(at.left, window.innerWidth - tip.offsetWidth - 12);
  const below = at.bottom + 8 + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${Math.max(12, left)}px`;
  tip.style.top = `${below ? at.bottom + 8 : at.top - tip.offsetHeight - 8}px`;
}

function hide() {
  byId("tip").hidden = true;
}
