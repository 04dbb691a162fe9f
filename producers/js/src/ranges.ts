/** A range of text that is followed through the edits around it and in it. Pure. */

import { fourGramSimilarity } from "./survival.ts";

/** From `offset` on, `length` code units gave way to `text`. */
export interface Edit {
  offset: number;
  length: number;
  text: string;
}

/** An edit that took something of a range away, with what it took: whoever takes it back has the range again. */
interface Taken {
  offset: number;
  made: string;
  removed: string;
  /** The range as it was before. */
  start: number;
  end: number;
}

/** Where a text is. clipped: an edit reached over its boundary. taken: what may come back by an undo. */
export interface Range {
  start: number;
  end: number;
  clipped: boolean;
  taken: Taken[];
}

const RADIUS = 1_500;
const LIKE_ENOUGH = 0.5;
const MAX_TAKEN = 50;

/** The range of a text that was just put somewhere. */
export const rangeAt = (start: number, length: number): Range => ({ start, end: start + length, clipped: false, taken: [] });

/** The document after an edit. */
export const edited = (document: string, { offset, length, text }: Edit): string =>
  document.slice(0, offset) + text + document.slice(offset + length);

/** The edit from one document to the next, where the editor does not say: all between what both begin and end with. */
export function editBetween(before: string, after: string): Edit {
  return trimmed({ offset: 0, length: before.length, text: after }, before);
}

/** The same edit without what it replaces by itself: a formatter may replace a whole file to change a line. */
function trimmed({ offset, length, text }: Edit, document: string): Edit {
  const removed = document.slice(offset, offset + length);
  const most = Math.min(length, text.length);
  let begin = 0;
  while (begin < most && removed[begin] === text[begin]) begin++;
  let end = 0;
  while (end < most - begin && removed[length - 1 - end] === text[text.length - 1 - end]) end++;
  return { offset: offset + begin, length: length - begin - end, text: text.slice(begin, text.length - end) };
}

/** The range after an edit of the document, which is given as it was before. */
export function moved(range: Range, edit: Edit, document: string): Range {
  const before = trimmed(edit, document);
  const { offset, length, text } = before;
  const last = range.taken.at(-1);
  const isBack = last && offset === last.offset && length === last.made.length && text === last.removed;
  if (isBack) return { ...range, start: last.start, end: last.end, taken: range.taken.slice(0, -1) };
  const by = text.length - length;
  const end = offset + length;
  const taken = range.taken.map((each) => (end <= Math.min(each.offset, each.start) ? shifted(each, by) : each));
  if (end <= range.start) return { ...range, start: range.start + by, end: range.end + by, taken };
  // What is typed at the end is the user's own, and no modification.
  if (offset >= range.end) return { ...range, taken };
  const removed = document.slice(offset, end);
  const undo = [...taken, { offset, made: text, removed, start: range.start, end: range.end }].slice(-MAX_TAKEN);
  if (offset >= range.start && end <= range.end) {
    const isGone = range.end + by === range.start;
    return { ...range, end: range.end + by, taken: isGone ? undo : taken };
  }
  return { ...clip(range, before, document), taken: undo };
}

const shifted = (taken: Taken, by: number): Taken => ({
  ...taken,
  offset: taken.offset + by,
  start: taken.start + by,
  end: taken.end + by,
});

function clip(range: Range, edit: Edit, document: string): Range {
  const { offset, length, text } = edit;
  const by = text.length - length;
  if (offset > range.start) return { ...range, end: offset, clipped: true };
  if (offset + length < range.end) return { ...range, start: offset + text.length, end: range.end + by, clipped: true };
  const found = findAgain(document.slice(range.start, range.end), edited(document, edit), offset);
  return found ? { ...range, ...found } : { ...range, start: offset, end: offset, clipped: false };
}

/**
 * Where a text is in a document that changed unseen: the nearest place where it stands as it was, or the most similar
 * one by four-grams within 1,500 characters of where it was; null where none is similar.
 */
export function findAgain(text: string, document: string, near: number): { start: number; end: number } | null {
  if (!text) return null;
  const after = document.indexOf(text, near);
  const before = document.lastIndexOf(text, near);
  const exact = [after, before].filter((at) => at >= 0).sort((a, b) => Math.abs(a - near) - Math.abs(b - near))[0];
  if (exact !== undefined) return { start: exact, end: exact + text.length };
  let best: { start: number; end: number } | null = null;
  let most = LIKE_ENOUGH;
  const look = (start: number, end: number): void => {
    const similarity = fourGramSimilarity(text, document.slice(start, end));
    if (similarity > most) [best, most] = [{ start, end }, similarity];
  };
  const isWithin = (at: number): boolean => /^\w\w$/.test(document.slice(at - 1, at + 1));
  const isSpace = (char: string): boolean => !char.trim();
  for (let start = Math.max(0, near - RADIUS); start < Math.min(document.length, near + RADIUS); start++) {
    // Texts begin and end where words do, and not with the space around them.
    if (isWithin(start) || isSpace(document[start]!) !== isSpace(text[0]!)) continue;
    look(start, Math.min(document.length, start + text.length));
  }
  if (!best) return null;
  const { start } = best as { start: number };
  const half = text.length >> 1;
  for (let end = start + half; end <= Math.min(document.length, start + text.length + half); end++) {
    if (!isWithin(end) && isSpace(document[end - 1]!) === isSpace(text.at(-1)!)) look(start, end);
  }
  return best;
}
