// A provider of identities for the test: node's oidc-provider with some people, whose passwords it does not ask for.
// node provider.mjs PORT REDIRECT: whoever is asked to log in says who they are in its own form.

import Provider from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const PEOPLE = {
  vera: { email: "vera@example.com", email_verified: true },
  rene: { email: "rene@example.com", email_verified: true },
  adam: { email: "adam@example.com", email_verified: true, groups: ["leads"] },
  eve: { email: "eve@example.com", email_verified: true },
  mallory: { email: "adam@example.com", email_verified: false },
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "keeprate", client_secret: "of the test", redirect_uris: [redirect] }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
  scopes: ["openid", "email", "groups"],
  pkce: { required: () => true },
  cookies: { keys: ["of the test"] },
  findAccount: (_, id) => PEOPLE[id] && { accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) },
});
provider.listen(Number(port), "127.0.0.1");
