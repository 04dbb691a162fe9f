// Building elements from data. Text is always set as text: nothing on this page is ever parsed as HTML.

// What is not seen, or turns the reading direction of all that follows, is shown as what it is.
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** A text as it can be read: whoever wrote it hides nothing in it and turns nothing around. */
export function seen(text) {
  return String(text).replace(UNSEEN, (sign) => (sign < " " ? String.fromCharCode(0x2400 + sign.charCodeAt(0)) : `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`));
}

/** The element with an id that the document holds. */
export const byId = (id) => document.getElementById(id);

/**
 * An element. `attributes` starting with "on" are listeners, `class` and `text` are what they say,
 * null and false leave the attribute out, true makes it empty. Children are nodes, strings, or null.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "text") element.textContent = seen(value);
    else if (name === "vars") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else element.setAttribute(name, value === true ? "" : value);
  }
  const there = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...there.map((child) => (child instanceof Node ? child : seen(child))));
  return element;
}

/** An SVG element, for the small drawings inside tables and cards. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * Makes the children of `parent` those of `items`, in order, and keeps each element whose item did not change: a poll
 * that brings the same data moves nothing, and neither focus nor scroll position is lost.
 */
export function reconcile(parent, items, keyOf, build) {
  const old = parent.rendered ?? new Map();
  const now = new Map();
  const focused = document.activeElement?.closest?.("[data-key]");
  const focusedKey = focused && parent.contains(focused) ? focused.dataset.key : null;
  let position = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const content = JSON.stringify(item);
    const before = old.get(key);
    const element = before?.content === content ? before.element : build(item);
    element.dataset.key = key;
    now.set(key, { content, element });
    if (element === position) position = position.nextElementSibling;
    else parent.insertBefore(element, position);
  }
  const keep = new Set([...now.values()].map((each) => each.element));
  for (const element of [...parent.children]) if (!keep.has(element)) element.remove();
  parent.rendered = now;
  if (focusedKey !== null && document.activeElement === document.body) refocus(now.get(focusedKey)?.element);
}

/** Puts the focus back where it was before its element was built anew: on the element's control, or on itself. */
function refocus(element) {
  (element?.querySelector("button, a, [tabindex]") ?? element)?.focus?.();
}

/** Gives each cell the name of its column, which stands beside it where there is no room for a table and a row is a list. */
export function labelled(table) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.name ?? cell.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, at) => (cell.dataset.label = names[at]));
}

/** Sets the text only when it differs, so that a screen reader does not announce what it already said. */
export function setText(element, text) {
  const shown = seen(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/**
 * A fieldset's choice of one: real radio buttons, so that arrow keys and screen readers work.
 * options: [{value, text, title}]. Rebuilt only when the options change.
 */
export function segments(fieldset, name, options, chosen, onChange) {
  const content = JSON.stringify(options);
  if (fieldset.dataset.content !== content) {
    fieldset.dataset.content = content;
    for (const old of fieldset.querySelectorAll("label")) old.remove();
    for (const option of options) {
      const radio = h("input", { type: "radio", name, value: option.value, onchange: () => onChange(option.value) });
      fieldset.append(h("label", { title: option.title }, radio, h("span", { text: option.text })));
    }
  }
  for (const radio of fieldset.querySelectorAll("input")) radio.checked = radio.value === String(chosen);
}

/** A select's options, rebuilt only when they change. The chosen value stays offered even when no data has it. */
export function options(select, all, chosen) {
  const offered = all.some((each) => each.value === chosen) ? all : [...all, { value: chosen, text: chosen }];
  const content = JSON.stringify(offered);
  if (select.dataset.content !== content) {
    select.dataset.content = content;
    select.replaceChildren(...offered.map((each) => h("option", { value: each.value, text: each.text })));
  }
  if (select.value !== chosen) select.value = chosen;
}
