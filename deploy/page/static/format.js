// Numbers, times and intervals as text. Every number on the page goes through here, so that its unit is never left out.

const NONE = "–";
const THIN = "\u202f";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dateAndYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** 12,345; from 100,000 on 123.5K. */
export function count(value) {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) < 100_000 ? whole.format(value) : short.format(value);
}

/** A share as a percentage: one decimal, two below one percent, where one would hide the difference. */
export function percent(value) {
  return value === null || value === undefined ? NONE : `${digits(value)}${THIN}%`;
}

function digits(share, places = placesOf(share)) {
  return (share * 100).toFixed(places);
}

function placesOf(share) {
  return share !== 0 && Math.abs(share) < 0.00995 ? 2 : 1;
}

/** "38.9–43.5 %". */
export function interval(rate) {
  if (rate.low === null) return NONE;
  const places = placesOf(rate.high);
  return `${digits(rate.low, places)}–${digits(rate.high, places)}${THIN}%`;
}

/** A difference of two shares, in percentage points, always signed. */
export function points(value) {
  if (value === null || value === undefined) return NONE;
  const text = digits(Math.abs(value));
  const sign = value < 0 ? "−" : Number(text) === 0 ? "±" : "+";
  return `${sign}${text}${THIN}pp`;
}

/** A length of time in its natural unit: 340 ms, 3.2 s, 12 min, 5 h, 3 d. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 1) return `${Math.round(seconds * 1000)}${THIN}ms`;
  if (seconds < 10) return `${trim(seconds.toFixed(1))}${THIN}s`;
  if (seconds < 120) return `${Math.round(seconds)}${THIN}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}${THIN}min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}${THIN}h`;
  return `${whole.format(Math.round(seconds / 86_400))}${THIN}d`;
}

/** A horizon or a bucket: exact, never rounded. 30 s, 2 min, 1 h, 7 d. */
export function horizon(seconds) {
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${THIN}${unit}`;
  }
  return `${seconds}${THIN}s`;
}

/** 15 Nov; with the year when it is not this one. */
export function day(at_ms) {
  const at = new Date(at_ms);
  return (at.getFullYear() === new Date().getFullYear() ? date : dateAndYear).format(at);
}

/** 15 Nov 12:53, as alerts and the terminal write it, in the zone that the foot of the page names. */
export const time = (at_ms) => `${day(at_ms)} ${minutes.format(new Date(at_ms))}`;

/** A text in which alerts name moments as `15 Nov 12:53 UTC`, with these in the reader's zone. They are before near_ms. */
export function inZone(text, near_ms) {
  return text.replace(/(\d{1,2} [A-Z][a-z]{2}) (\d\d:\d\d) UTC/g, (said, date_, clock_) => {
    const [this_, last] = [0, 1].map((before) => Date.parse(`${date_} ${new Date(near_ms).getUTCFullYear() - before} ${clock_} UTC`));
    const at_ms = this_ > near_ms + 86_400_000 ? last : this_;
    return Number.isNaN(at_ms) ? said : time(at_ms);
  });
}

export const iso = (at_ms) => new Date(at_ms).toISOString();

const trim = (text) => text.replace(/\.0$/, "");

/** A group's name; the empty one is what events sent without the dimension fall under. */
export const named = (name) => (name === "" ? "(not set)" : name);

export const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;
