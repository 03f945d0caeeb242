// What a route gives back: a body, or a refusal that serve.ts puts into the error envelope.

import type { CloudApiRefusal } from '@siegel/protocol/cloud-api';

export type Answer = { readonly body: unknown } | { readonly refusal: CloudApiRefusal };

export const success: Answer = { body: { success: true } };

export const refuse = (
  code: CloudApiRefusal['code'],
  details: string,
): { readonly refusal: CloudApiRefusal } => ({ refusal: { code, details } });

/** `fields=id,name,other{a,b}`: what a client wants of a node. `id` always comes along. */
export function selectFields(
  node: Readonly<Record<string, unknown>>,
  fields: string | undefined,
): Record<string, unknown> {
  if (fields === undefined || fields === '' || fields.length > 2000) return { ...node };
  const names = new Set(
    fields
      .replace(/[({][^)}]*[)}]/g, '')
      .split(',')
      .map((name) => name.trim()),
  );
  return Object.fromEntries(
    Object.entries(node).filter(([name]) => name === 'id' || names.has(name)),
  );
}
