// From a number to the suggestions behind it: the list of the same selection, with what the number counts.

import { addressOf, readAddress } from "./selection.js";

/** The address of a list: asked is what the list is of, besides the selection, by the names of its parameters. */
export function behind(asked) {
  const query = new URLSearchParams(addressOf(readAddress()));
  for (const [name, value] of Object.entries(asked)) query.set(name, value);
  return `suggestions?${query}`;
}
