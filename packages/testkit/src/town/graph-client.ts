// The few Cloud API calls the supervisor makes to a firm's gateway: templates, as any integrator
// would.
import { SiegelError } from '@siegel/protocol/errors';

export type GraphAccess = { readonly cloudApi: string; readonly accessToken: string };

type Fields = Readonly<Record<string, unknown>>;

const requestTimeoutMs = 15_000;
const pagesMax = 20;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});
const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

async function ask(access: GraphAccess, path: string, body?: unknown): Promise<Fields> {
  const response = await fetch(`${access.cloudApi}/v25.0${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${access.accessToken}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    redirect: 'error',
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  const answer = fieldsOf(await response.json().catch(() => ({})));
  if (response.ok) return answer;
  const { code, error_subcode: subcode, message } = fieldsOf(answer['error']);
  throw new SiegelError(
    'internal',
    `The gateway answered ${response.status} to ${path.replace(/\d{5,}/g, '…')}: ` +
      `${String(code)}/${String(subcode)} ${textOf(message)}`,
  );
}

export type ListedTemplate = {
  readonly id: string;
  readonly name: string;
  readonly language: string;
  readonly status: string;
};

export async function listTemplates(
  access: GraphAccess,
  wabaId: string,
): Promise<ListedTemplate[]> {
  const found: ListedTemplate[] = [];
  let after = '';
  for (let page = 0; page < pagesMax; page += 1) {
    const cursor = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
    const answer = await ask(access, `/${wabaId}/message_templates?limit=100${cursor}`);
    for (const one of listOf(answer['data'])) {
      found.push({
        id: String(one['id']),
        name: textOf(one['name']),
        language: textOf(one['language']),
        status: textOf(one['status']),
      });
    }
    const paging = fieldsOf(answer['paging']);
    after = textOf(fieldsOf(paging['cursors'])['after']);
    if (paging['next'] === undefined || after === '') break;
  }
  return found;
}

/** Answers the id and status of the new template. */
export async function createTemplate(
  access: GraphAccess,
  wabaId: string,
  template: { readonly name: string; readonly language: string },
): Promise<ListedTemplate> {
  const answer = await ask(access, `/${wabaId}/message_templates`, template);
  return {
    id: String(answer['id']),
    name: template.name,
    language: template.language,
    status: textOf(answer['status']),
  };
}
