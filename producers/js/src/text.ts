/**
 * Lengths and distances of texts, equal to those of keeprate.producers.text: tests hold both to the same vectors.
 *
 * All count UTF-16 code units and take CRLF for LF. Nothing is trimmed.
 */

/** Pairs of code units beyond which two texts are not compared: it is half a second's work, on a thread that draws a page. */
export const MAX_PAIRS = 2 ** 28;

/** The text with CRLF as LF, otherwise as it is. What is no text counts as it is written: nothing is thrown into an app. */
export const normalise = (text: string): string => `${text}`.replace(/\r\n/g, "\n");

/** UTF-16 code units of the normalised text. */
export const length = (text: string): number => normalise(text).length;

/** Lines of a text: its line feeds plus one. The empty text has none. */
export const lineCount = (text: string): number => (text ? text.split("\n").length : 0);

/** Two texts without what they have in common at both ends. */
export const apart = (a: string, b: string): string[] => backwards(...backwards(a, b));

/** Two texts without what they begin with in common, turned around. */
function backwards(...both: string[]): [string, string] {
  const [a, b] = both as [string, string];
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return both.map((text) => text.slice(at).split("").reverse().join("")) as [string, string];
}

/** Least number of code units to insert, delete or replace to turn one text into the other; null beyond MAX_PAIRS. */
export function levenshtein(original: string, current: string): number | null {
  const [a, b] = apart(normalise(original), normalise(current)) as [string, string];
  if (a.length * b.length > MAX_PAIRS) return null;
  const row = Uint32Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 0; i < a.length; i++) {
    let diagonal = i;
    let left = (row[0] = i + 1);
    for (let j = 0; j < b.length; ) {
      const kept = diagonal + +(a[i] !== b[j]);
      diagonal = row[++j]!;
      row[j] = left = Math.min(kept, diagonal + 1, left + 1);
    }
  }
  return row[b.length]!;
}
