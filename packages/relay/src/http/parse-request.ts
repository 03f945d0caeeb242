// From path, query and body to the request of the contract. Strict: an unknown or wrong field is refused with a sentence
// that names the field and never repeats its value (rule H2).

import { SiegelError } from '@siegel/protocol/errors';
import type { Endpoint } from '@siegel/protocol/relay';
import type * as z from 'zod/mini';

export type RawRequest = {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
};

type Fields = Record<string, unknown>;

export function parseRequest(endpoint: Endpoint, raw: RawRequest): unknown {
  const hasBody = endpoint.method === 'POST' || endpoint.method === 'PUT';
  if (hasBody && Object.keys(raw.query ?? {}).length > 0) {
    throw new SiegelError('request-invalid', 'This endpoint takes no query.');
  }
  if (!hasBody && raw.body !== undefined && raw.body !== null) {
    throw new SiegelError('request-invalid', 'This endpoint takes no body.');
  }
  const given = hasBody ? (raw.body ?? {}) : (raw.query ?? {});
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw new SiegelError('request-invalid', 'The body must be a JSON object.');
  }
  const params = (raw.params ?? {}) as Fields;
  for (const [name, value] of Object.entries(params)) {
    if (Object.hasOwn(given, name) && (given as Fields)[name] !== value) {
      throw new SiegelError('request-invalid', `${name} differs from the one in the path.`);
    }
  }
  const parsed = endpoint.request.safeParse({ ...given, ...params });
  if (parsed.success) return parsed.data;
  throw new SiegelError('request-invalid', sentenceOf(parsed.error.issues[0]));
}

type Issue = z.core.$ZodIssue;

function sentenceOf(issue: Issue | undefined): string {
  if (issue === undefined) return '';
  const field = issue.path.length === 0 ? 'The request' : printable(issue.path.join('.'));
  switch (issue.code) {
    case 'unrecognized_keys':
      return `Unknown field: ${printable([...issue.path, issue.keys[0] ?? ''].join('.'))}.`;
    case 'invalid_type':
      return `${field} must be of type ${issue.expected}.`;
    case 'too_big':
      return `${field} is larger than ${String(issue.maximum)}.`;
    case 'too_small':
      return `${field} is smaller than ${String(issue.minimum)}.`;
    case 'invalid_value':
      return `${field} must be one of: ${issue.values.map(String).join(', ')}.`;
    default:
      return issue.message && issue.message !== 'Invalid input'
        ? `${field}: ${issue.message}.`
        : `${field} is not valid.`;
  }
}

/** A field's name comes from the caller: short, and nothing that a terminal would obey. */
const printable = (name: string): string => name.slice(0, 80).replace(/[^\w.-]/g, '?');
