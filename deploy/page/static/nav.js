// The links between pages: each carries the part of the selection that is the same on all of them.

import { byId } from "./dom.js";
import { addressOf } from "./selection.js";

/** Lets the header's links lead to the same apps, period and filters on the other pages. */
export function drawNav(chosen) {
  const query = addressOf(chosen);
  for (const link of byId("pages").querySelectorAll("a")) {
    link.dataset.path ??= link.getAttribute("href");
    const address = `${link.dataset.path}${query}`;
    if (link.getAttribute("href") !== address) link.setAttribute("href", address);
  }
}
