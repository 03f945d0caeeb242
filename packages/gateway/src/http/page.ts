// Lists in pages, as Graph has them: cursors, and links that work without any header because they carry their own token.

import type { GatewayContext } from '../gateway-context.ts';
import type { Access } from '../tokens.ts';
import { type Answer, refuse } from './answer.ts';
import { pagingToken, queryText } from './authorise.ts';

export type PageRequest = {
  /** without version and query */
  readonly path: string;
  /** as asked, `/v25.0` or empty */
  readonly version: string;
  readonly query: unknown;
  readonly fields: string | undefined;
};

const sizeDefault = 25;
const sizeMax = 100;

const cursor = (at: number): string => Buffer.from(`at:${at}`).toString('base64url');

function position(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const at = /^at:(\d{1,9})$/.exec(Buffer.from(text, 'base64url').toString('utf8'))?.[1];
  return at === undefined ? Number.NaN : Number(at);
}

function linkTo(
  context: GatewayContext,
  access: Access,
  asked: PageRequest,
  to: Record<string, string>,
): string {
  const kept = Object.entries(asked.query as Record<string, unknown>).filter(
    ([name, value]) =>
      typeof value === 'string' && !['access_token', 'after', 'before'].includes(name),
  ) as [string, string][];
  const query = new URLSearchParams([
    ...kept,
    ...Object.entries(to),
    ['access_token', pagingToken(context, asked.path, access)],
  ]);
  return `${context.publicUrl()}${asked.version}${asked.path}?${query.toString()}`;
}

export function page(
  context: GatewayContext,
  access: Access,
  asked: PageRequest,
  nodes: readonly unknown[],
): Answer {
  const limitText = queryText(asked.query, 'limit');
  const limit = limitText === undefined ? sizeDefault : Number(limitText);
  if (!Number.isInteger(limit) || limit < 1) return refuse(100, 'limit must be a positive number.');
  const size = Math.min(limit, sizeMax);
  const after = position(queryText(asked.query, 'after'));
  const before = position(queryText(asked.query, 'before'));
  if (Number.isNaN(after) || Number.isNaN(before)) return refuse(100, 'The cursor is not valid.');
  const end = before === undefined ? undefined : Math.min(before, nodes.length);
  const start = end === undefined ? Math.min(after ?? 0, nodes.length) : Math.max(0, end - size);
  const data = nodes.slice(start, end ?? start + size);
  if (data.length === 0) return { body: { data } };
  const stop = start + data.length;
  const link = (to: Record<string, string>) => linkTo(context, access, asked, to);
  return {
    body: {
      data,
      paging: {
        cursors: { before: cursor(start), after: cursor(stop) },
        ...(stop < nodes.length ? { next: link({ after: cursor(stop) }) } : {}),
        ...(start > 0 ? { previous: link({ before: cursor(start) }) } : {}),
      },
    },
  };
}
