// Reads what came from outside without believing its shape: a missing or foreign value becomes an
// empty one.

export type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** More than this in one list is not read: the Cloud API promises at most a thousand updates. */
const itemsMax = 1000;

export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});

export const listOf = (value: unknown): Fields[] =>
  Array.isArray(value) ? value.slice(0, itemsMax).map(fieldsOf) : [];

/** Undefined for everything but a text with something in it. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** Undefined for what is not JSON. */
export function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
