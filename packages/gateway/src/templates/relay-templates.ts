// The firm's templates as the relay has them, with a short memory: tools read the list often, and every template message
// needs one entry.

import {
  believeTemplate,
  type DeviceContext,
  type Identity,
  submitOwnTemplate,
} from '@siegel/client';
import { SiegelError } from '@siegel/protocol/errors';
import type { NumericId } from '@siegel/protocol/ids';
import { listTemplates, TemplateObject, type TemplateRecord } from '@siegel/protocol/relay';
import type { TemplateSubmission, Templates } from '../gateway-context.ts';
import type { TemplateRefusal } from '../inbound/failure-to-refusal.ts';
import type { TemplateEntry } from './template-entry.ts';

const freshMs = 30_000;
/** What is missing or not approved may have changed a moment ago. */
const askAgainMs = 1000;
const pagesMax = 100;

export type RelayTemplates = Templates & {
  /** from memory alone */
  refusalOf(templateId: string): TemplateRefusal | undefined;
};

type Listed = { readonly at: number; readonly entries: readonly TemplateEntry[] };

/** Own words, shown back to whoever wrote them; what is sent is believed only after its signatures were checked. */
function entryOf(record: TemplateRecord): TemplateEntry | undefined {
  const payload = record.signed.split('.')[1] ?? '';
  const object = TemplateObject.safeParse(
    JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')),
  );
  if (!object.success) return undefined;
  return {
    templateId: record.templateId,
    hash: new Uint8Array(Buffer.from(record.hash, 'base64url')),
    object: object.data,
    status: record.status,
    ...(record.reason === undefined ? {} : { reason: record.reason }),
  };
}

async function fetchAll(device: DeviceContext, wabaId: NumericId): Promise<TemplateEntry[]> {
  const entries: TemplateEntry[] = [];
  let after: NumericId | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const answer = await device.connection.call(listTemplates, {
      wabaId,
      limit: 100,
      ...(after === undefined ? {} : { after }),
    });
    if (answer.outcome !== 'page') break;
    for (const record of answer.templates) {
      const entry = entryOf(record);
      if (entry !== undefined) entries.push(entry);
      after = record.templateId;
    }
    if (!answer.more) break;
  }
  return entries;
}

function refusalOf(entry: TemplateEntry | undefined): TemplateRefusal | undefined {
  switch (entry?.status) {
    case 'paused':
      return 'paused';
    case 'disabled':
      return 'disabled';
    default:
      return undefined;
  }
}

async function submit(
  device: DeviceContext,
  identity: Identity,
  template: TemplateObject,
): Promise<TemplateSubmission> {
  const answer = await submitOwnTemplate(device, identity, template);
  switch (answer.outcome) {
    case 'submitted': {
      const entry = entryOf(answer.template);
      if (entry === undefined) throw new SiegelError('relay-refused', 'submitTemplate');
      return { outcome: 'submitted', entry };
    }
    case 'template-invalid':
      return { outcome: 'template-invalid', detail: answer.detail };
    case 'quota-reached':
    case 'rate-limited':
      return { outcome: 'quota-reached', retryAfterSeconds: answer.retryAfterSeconds };
    default:
      return { outcome: 'forbidden' };
  }
}

export function createRelayTemplates(options: {
  device: DeviceContext;
  identity: Identity;
  operatorKeys: readonly string[];
  wabaIds: readonly NumericId[];
  now: () => number;
}): RelayTemplates {
  const { device, identity, operatorKeys, wabaIds, now } = options;
  const known = new Map<NumericId, Listed>();

  async function listed(wabaId: NumericId, maxAgeMs: number): Promise<readonly TemplateEntry[]> {
    const kept = known.get(wabaId);
    if (kept !== undefined && now() - kept.at < maxAgeMs) return kept.entries;
    try {
      const entries = await fetchAll(device, wabaId);
      known.set(wabaId, { at: now(), entries });
      return entries;
    } catch (error) {
      // While the relay is away messages are still taken, so what was known a while ago has to do.
      const away = error instanceof SiegelError && error.code === 'relay-unreachable';
      if (away && kept !== undefined) return kept.entries;
      throw error;
    }
  }

  async function believed(entry: TemplateEntry): Promise<TemplateEntry> {
    const answer = await believeTemplate(device, {
      templateId: entry.templateId,
      hash: Buffer.from(entry.hash).toString('base64url'),
      category: entry.object.category,
      business: identity,
      operatorKeys,
    });
    // What the person's device would refuse is not sent.
    return answer.outcome === 'template' ? entry : { ...entry, status: 'rejected' };
  }

  return {
    async find(wabaId, name, language) {
      const named = (entries: readonly TemplateEntry[]) =>
        entries.find(({ object }) => object.name === name && object.language === language);
      const kept = named(await listed(wabaId, freshMs));
      const entry = kept?.status === 'approved' ? kept : named(await listed(wabaId, askAgainMs));
      return entry?.status === 'approved' ? believed(entry) : entry;
    },
    async byId(templateId) {
      for (const wabaId of wabaIds) {
        const entries = await listed(wabaId, askAgainMs);
        const entry = entries.find((one) => one.templateId === templateId);
        if (entry !== undefined) return entry;
      }
      return undefined;
    },
    list: (wabaId) => listed(wabaId, askAgainMs),
    async submit(template) {
      const answer = await submit(device, identity, template);
      known.delete(template.wabaId);
      return answer;
    },
    refusalOf(templateId) {
      const entries = [...known.values()].flatMap((one) => one.entries);
      return refusalOf(entries.find((one) => one.templateId === templateId));
    },
  };
}
