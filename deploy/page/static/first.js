// The first question, asked while the rest of the page is still being loaded: this and what it imports is little.

import { get } from "./api.js";
import { parametersOf, readAddress } from "./selection.js";

/** The answer to what the document and the address ask. Whoever awaits it is told of a failure; until then, it is nobody's. */
export const first = get(document.documentElement.dataset.asks, parametersOf(readAddress()));
first.catch(() => {});
