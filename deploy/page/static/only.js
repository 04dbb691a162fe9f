// Filters by any dimension: a dimension is chosen, a value typed or picked. Each filter is a chip, which a press removes.

import { get } from "./api.js";
import { byId, h, options, reconcile } from "./dom.js";
import { sharedParametersOf, split } from "./selection.js";

/** Draws the chips and what adds to them. Values of one dimension add up, different dimensions narrow. */
export function drawOnly(meta, chosen, choose) {
  const [name, value] = [byId("only-name"), byId("only-value")];
  const dimensions = meta.dimensions.filter((each) => each.value !== "");
  options(name, [{ value: "", text: "Add a filter" }, ...dimensions], name.value);
  const show = (dimension) => {
    name.value = dimension;
    value.value = "";
    byId("only-entry").hidden = dimension === "";
  };
  name.onchange = () => {
    show(name.value);
    if (name.value !== "") suggest(name.value, chosen);
  };
  value.onkeydown = (event) => {
    if (event.key !== "Escape") return;
    show("");
    name.focus();
  };
  byId("filters").onsubmit = (event) => {
    event.preventDefault();
    if (name.value === "" || value.value === "") return;
    const filter = `${name.value}=${value.value}`;
    show("");
    name.focus();
    choose({ only: [...new Set([...chosen.only, filter])] });
  };
  const text = Object.fromEntries(dimensions.map((each) => [each.value, each.text]));
  const remove = (filter) => {
    choose({ only: chosen.only.filter((each) => each !== filter) });
    name.focus();
  };
  reconcile(byId("only"), chosen.only.map((filter) => ({ filter, all: chosen.only })), (each) => each.filter, (each) => chip(each.filter, text, remove));
}

function chip(filter, text, remove) {
  const [name, value] = split(filter);
  const shown = `${text[name] ?? name}: ${value}`;
  return h("li", {}, h("button", { type: "button", "aria-label": `Remove the filter ${shown}`, onclick: () => remove(filter) }, h("span", { text: shown }), h("span", { "aria-hidden": "true", text: "✕" })));
}

/** Offers the values that the rest of the selection has, the most frequent first. Any other may be typed all the same. */
async function suggest(dimension, chosen) {
  const list = byId("only-values");
  list.replaceChildren();
  byId("only-value").focus();
  const rest = chosen.only.filter((filter) => split(filter)[0] !== dimension);
  const { groups } = await get("compare", [...sharedParametersOf({ ...chosen, only: rest }), ["by", dimension]]).catch(() => ({ groups: [] }));
  if (byId("only-name").value !== dimension) return;
  const values = new Set(groups.map((group) => group.dimensions[dimension]));
  list.replaceChildren(...[...values].filter(Boolean).map((value) => h("option", { value })));
}
