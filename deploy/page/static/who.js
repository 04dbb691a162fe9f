// Who is logged in, where anybody has to be, and the way out.

import { get } from "./api.js";
import { byId, h } from "./dom.js";

/** Shows the name in the header; nothing where the page asks nobody who they are. Without an answer it stays away. */
export async function drawWho() {
  const { name, roles } = await get("me", []).catch(() => ({}));
  if (!name) return;
  const held = Object.entries(roles).map(([app, role]) => `${role} of ${app === "*" ? "every app" : app}`).join(", ");
  const out = h("button", { type: "button", class: "apply", text: "Log out", onclick: leave });
  byId("who").replaceChildren(h("span", { title: held, text: name }), out);
  byId("who").hidden = false;
}

/** A proxy that knows people by itself lets them in again: then its own way out is the one to take. */
async function leave() {
  await fetch("api/logout", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).catch(() => null);
  location.assign("login?said=out");
}
