/** Identities that a client allocates: UUIDv7, ascending within a page, so that of two events of one moment the later wins. */

const MAX_AHEAD_MS = 10_000;

let last = 0;

/** A new UUIDv7 (RFC 9562). Of several in a millisecond each takes the next one, also while a clock was set back a little. */
export function uuid7(): string {
  const now = Date.now();
  last = now > last || last - now > MAX_AHEAD_MS ? now : last + 1;
  const time = last.toString(16).padStart(12, "0").replace(/.{8}/, "$&-");
  const random = (): string => (crypto.getRandomValues(new Uint8Array(1))[0]! & 15).toString(16);
  return `${time}-7xxx-8xxx-xxxxxxxxxxxx`.replace(/x/g, random);
}
