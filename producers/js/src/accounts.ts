/** What became of every event, in numbers that add up. */

/** Numbers by name. */
export type Counts = Record<string, number>;

/** What has been settled. refusals: by kind, as "error_type field" of the collector's answers. */
export interface Accounts {
  delivered: number;
  dropped: Counts;
  refusals: Counts;
}

/** Nothing yet. */
export const accounts = (): Accounts => ({ delivered: 0, dropped: {}, refusals: {} });

/** The sum of two accounts, number by number. */
export function sum<T extends object>(a: T, b: Partial<T>): T {
  const total = { ...a } as Record<string, any>;
  for (const [name, value] of Object.entries<any>(b)) {
    total[name] = value instanceof Object ? sum(total[name] ?? {}, value) : (total[name] ?? 0) + value;
  }
  return total as T;
}
