// A login by a token. What comes of it, a cookie, is for the server alone; nothing is kept here.

const byId = (id) => document.getElementById(id);

byId("by-token").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ token: byId("token").value.trim() });
  const answer = await fetch("api/login", { method: "POST", headers: { "content-type": "application/json" }, body }).catch(() => null);
  if (answer?.ok) return location.assign(`.${document.body.dataset.next}`);
  const said = await answer?.json().catch(() => null);
  byId("said").textContent = said?.error?.message ?? "The page's own server does not answer. Is `keeprate page` still running?";
});
