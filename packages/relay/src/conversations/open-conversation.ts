// Finds or begins a conversation (rules C1 to C3, K4). Everything that could refuse comes before the first claim.

import { type ConversationId, uuidInBucket } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { AnswerOf, openConversation as endpoint, RequestOf } from '@siegel/protocol/relay';
import type { HotPathPorts } from '../hot-path.ts';
import type { DeviceCaller } from '../http/route.ts';
import { spendQuota } from '../quotas.ts';
import { type ClaimPorts, claimPackages } from './claim-packages.ts';
import { type Opening, planOpening } from './plan-opening.ts';
import {
  type Accounts,
  hasBlocked,
  readAccounts,
  readConversations,
  type StoredConversation,
  stateOf,
} from './read-conversations.ts';

type Answer = AnswerOf<typeof endpoint>;

export type OpenPorts = HotPathPorts & ClaimPorts;

const findStatement =
  'SELECT conversation_id FROM conversation_keys WHERE bucket = $1 AND key = $2';
const openStatement = `
  SELECT open_conversation($1::int, $2::text, $3::uuid, $4::text, $5::uuid, $6::uuid, $7::bigint,
    $8::uuid[], $9::text[], $10::text[], $11::bigint) AS conversation_id`;

export async function openConversation(
  ports: OpenPorts,
  caller: DeviceCaller,
  request: RequestOf<typeof endpoint>,
): Promise<Answer> {
  const opening = await planOpening(ports, caller, request.with);
  const known = await findConversation(ports, opening);
  const accounts = await readAccounts(
    ports.database,
    opening.members.map(({ accountId }) => accountId),
    { other: caller.accountId, now: ports.now() },
  );
  const refused =
    (await spendOpening(ports, caller, known)) ??
    // What depends on the firm alone comes first: without a template it learns nothing of a number (C3).
    (await refuseBusiness(ports, opening, known)) ??
    (await refuseTarget(ports, caller, { opening, known, accounts }));
  if (refused !== undefined) return refused;
  if (known?.founded) return { outcome: 'exists', state: stateOf(known, accounts) };
  return begin(ports, caller, { opening, accounts });
}

async function findConversation(
  ports: OpenPorts,
  opening: Opening,
): Promise<StoredConversation | undefined> {
  if (opening.key === null) return undefined;
  const { rows } = await ports.database.queryNamed<{ conversation_id: ConversationId }>(
    'find-conversation',
    findStatement,
    [opening.bucket, opening.key],
  );
  const found = rows.map(({ conversation_id }) => conversation_id);
  return (await readConversations(ports.database, found))[0];
}

/** Undefined when allowed. What exists already costs nothing; a refused attempt does: it told something. */
async function spendOpening(
  ports: OpenPorts,
  caller: DeviceCaller,
  known: StoredConversation | undefined,
): Promise<Answer | undefined> {
  if (known?.founded) return undefined;
  const spent = await spendQuota(ports.database, {
    owner: caller.accountId,
    quota: 'conversations',
    amount: 1,
    max: limits.conversationsPerDay[caller.account],
    windowSeconds: 86_400,
    now: ports.now(),
  });
  if (spent.spent) return undefined;
  return { outcome: 'quota-reached', retryAfterSeconds: spent.retryAfterSeconds };
}

/** Unknown, of the wrong kind, device-less and blocked, by either side, are one answer (C3, X2). */
async function refuseTarget(
  ports: OpenPorts,
  caller: DeviceCaller,
  target: { opening: Opening; known: StoredConversation | undefined; accounts: Accounts },
): Promise<Answer | undefined> {
  const { opening, known, accounts } = target;
  const blockedByCaller = await hasBlocked(ports.database, caller.accountId, opening.others);
  // Between persons, and towards a firm, a block must not show in a conversation that is there already.
  if (known?.founded && opening.byBusiness === undefined) return undefined;
  const kindOf = (id: string) => opening.members.find((member) => member.accountId === id)?.kind;
  const reachable = opening.others.every((id) => {
    const facts = accounts.get(id);
    if (facts === undefined || facts.kind !== kindOf(id)) return false;
    return facts.reachable.length > 0 && !facts.blocksOther;
  });
  return reachable && !blockedByCaller ? undefined : { outcome: 'undeliverable' };
}

/** A business needs an open window or a template that may be sent (S6, S7). */
async function refuseBusiness(
  ports: OpenPorts,
  opening: Opening,
  known: StoredConversation | undefined,
): Promise<Answer | undefined> {
  if (opening.byBusiness === undefined) return undefined;
  const { template } = opening.byBusiness;
  if (template === undefined) {
    return (known?.windowUntil ?? 0) > ports.now() ? undefined : { outcome: 'window-closed' };
  }
  const state = await ports.templateState(template.id);
  if (state === undefined || state.business !== opening.business) return refuse('unknown');
  if (state.status === 'deleted') return refuse('unknown');
  if (state.status === 'paused' || state.status === 'disabled') return refuse(state.status);
  if (state.status !== 'approved') return refuse('not-approved');
  return state.category === template.category ? undefined : refuse('wrong-category');
}

const refuse = (reason: string): Answer => ({ outcome: 'template-refused', reason });

/** From here on rows are written and packages claimed. */
async function begin(
  ports: OpenPorts,
  caller: DeviceCaller,
  { opening, accounts }: { opening: Opening; accounts: Accounts },
): Promise<Answer> {
  const { members } = opening;
  const ids = members.map(({ accountId }) => accountId);
  const { rows } = await ports.database.queryNamed<{ conversation_id: ConversationId }>(
    'open-conversation',
    openStatement,
    [
      opening.bucket,
      opening.key,
      uuidInBucket(opening.bucket, ports.random(16)),
      opening.kind,
      opening.person,
      opening.business,
      opening.phoneNumberId,
      ids,
      members.map(({ kind }) => kind),
      members.map(({ role }) => role),
      ports.now(),
    ],
  );
  const { conversation_id: conversationId } = rows[0]!;
  const [conversation] = await readConversations(ports.database, [conversationId]);
  const state = stateOf(conversation!, accounts);
  // Somebody else was quicker.
  if (state.founded) return { outcome: 'exists', state };
  const claimed = await claimPackages(ports, caller, {
    accounts: ids,
    skipDevices: [caller.deviceId],
    facts: accounts,
  });
  return claimed.outcome === 'claimed'
    ? { outcome: 'to-found', state, members: claimed.members }
    : claimed;
}
