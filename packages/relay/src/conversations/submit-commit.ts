// A commit by compare-and-set on (generation, epoch): rules C5 to C7, G1 and G2. Commit, Welcome, GroupInfo and roster are
// stored together, under the lock that messages of the conversation are accepted under.

import type { Queryable } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';
import { type AccountId, bucketOf, type ConversationId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { AnswerOf, submitCommit as endpoint } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { DeviceCaller } from '../http/route.ts';
import { spendQuota } from '../quotas.ts';
import { checkRoster, type RosterCheck } from './check-roster.ts';
import { noteConversation } from './note-conversation.ts';
import {
  type Accounts,
  isMember,
  readAccounts,
  readConversations,
  type StoredConversation,
} from './read-conversations.ts';
import { revokeLeavesIn } from './revoke-leaves.ts';
import { type CommitRequest, storeCommit } from './store-commit.ts';

type Answer = AnswerOf<typeof endpoint>;

export type CommitPorts = BasePorts & {
  /** This conversation has something new in its log, and it is durable. */
  readonly committed: (conversationIds: readonly ConversationId[]) => void;
};

/** Commits an hour by one account in one conversation; control is free, so it is bounded. */
export const commitsPerHour = 600;

export async function submitCommit(
  ports: CommitPorts,
  caller: DeviceCaller,
  request: CommitRequest,
): Promise<Answer> {
  const { conversationId } = request;
  const [before] = await readConversations(ports.database, [conversationId]);
  if (before === undefined) return { outcome: 'not-member' };
  const involved = accountsOf(before, caller, request);
  const accounts = await factsOf(ports, caller, involved);
  const one = { caller, request, accounts, acceptedAt: ports.now() };
  // Before anything is founded, so that no crash leaves a conversation that a new device of a member cannot find.
  const noted = isAllowed(before, one);
  if (noted) await noteFor(ports, before, request);
  const answer = await ports.database.transaction((transaction) => decide(transaction, one));
  if (answer.outcome === 'accepted') {
    if (!noted) await noteFor(ports, before, request);
    await revokeLate(ports, caller, { conversationId, accounts, involved });
    ports.committed([conversationId]);
  }
  return answer;
}

/** As far as can be told without the lock: nobody is noted under what is refused anyway. */
const isAllowed = (conversation: StoredConversation, one: Case): boolean =>
  isMember(conversation, one.caller.accountId) &&
  fits(conversation, one.request) &&
  check(conversation, one).allowed;

/** A founding is noted for every member, any other commit for the accounts it adds. */
function noteFor(
  { database }: CommitPorts,
  conversation: StoredConversation,
  { form, added, conversationId }: CommitRequest,
): Promise<void> {
  const named = added.map(({ accountId }) => accountId);
  const noted =
    form === 'founding'
      ? conversation.members.map(({ accountId }) => accountId)
      : named.filter((id) => !isMember(conversation, id));
  return noteConversation(database, noted, conversationId);
}

/** Whose devices must be looked up: those named, the committer's, and every member's for a founding. */
function accountsOf(
  conversation: StoredConversation,
  caller: DeviceCaller,
  request: CommitRequest,
): AccountId[] {
  const named = [...request.added, ...request.removed].map(({ accountId }) => accountId);
  const members =
    request.form === 'founding' ? conversation.members.map(({ accountId }) => accountId) : [];
  return [...new Set([caller.accountId, ...named, ...members])];
}

const factsOf = (ports: CommitPorts, caller: DeviceCaller, accountIds: readonly AccountId[]) =>
  readAccounts(ports.database, accountIds, { other: caller.accountId, now: ports.now() });

type Case = {
  readonly caller: DeviceCaller;
  readonly request: CommitRequest;
  readonly accounts: Accounts;
  readonly acceptedAt: number;
};

const lockStatement = `
  SELECT next_sequence, oldest_open_epoch FROM conversations
  WHERE bucket = $1 AND conversation_id = $2 FOR UPDATE`;
const knownStatement = `
  SELECT sequence, epoch_after, accepted_at FROM log
  WHERE bucket = $1 AND conversation_id = $2 AND sender_account = $3 AND client_id = $4`;

async function findKnown(
  queries: Queryable,
  { caller, request }: Case,
): Promise<Answer | undefined> {
  const { rows } = await queries.queryNamed<{
    sequence: number;
    epoch_after: number | null;
    accepted_at: number;
  }>('find-known-commit', knownStatement, [
    bucketOf(request.conversationId),
    request.conversationId,
    caller.accountId,
    request.clientId,
  ]);
  const [known] = rows;
  if (known === undefined) return undefined;
  if (known.epoch_after === null) {
    throw new SiegelError('request-invalid', 'This client id belongs to a message.');
  }
  const { sequence, epoch_after: epoch, accepted_at: acceptedAt } = known;
  return { outcome: 'accepted', sequence, epoch, acceptedAt };
}

/** Inside the transaction, in the order of the spec: known already, member, epoch, roster, rate. */
async function decide(queries: Queryable, one: Case): Promise<Answer> {
  const { caller, request } = one;
  const { conversationId } = request;
  const { rows } = await queries.queryNamed<{ next_sequence: number; oldest_open_epoch: number }>(
    'lock-conversation',
    lockStatement,
    [bucketOf(conversationId), conversationId],
  );
  const [locked] = rows;
  if (locked === undefined) return { outcome: 'not-member' };
  const known = await findKnown(queries, one);
  if (known !== undefined) return known;
  const [conversation] = await readConversations(queries, [conversationId]);
  if (conversation === undefined || !isMember(conversation, caller.accountId)) {
    return { outcome: 'not-member' };
  }
  if (!fits(conversation, request)) {
    const { generation, epoch } = conversation;
    return { outcome: 'epoch-conflict', generation, epoch };
  }
  const checked = check(conversation, one);
  if (!checked.allowed) return { outcome: 'roster-refused', reason: checked.reason };
  const limited = await spendCommit(queries, one, conversation);
  if (limited !== undefined) return limited;
  return storeCommit(queries, {
    conversation,
    committer: committerOf(caller),
    request,
    roster: checked.roster,
    sequence: locked.next_sequence,
    oldestOpenEpoch: locked.oldest_open_epoch,
    acceptedAt: one.acceptedAt,
  });
}

const committerOf = ({ accountId, deviceId }: DeviceCaller) => ({ accountId, deviceId });

function check(conversation: StoredConversation, one: Case): RosterCheck {
  const { form, added, removed, welcome = '' } = one.request;
  const committer = committerOf(one.caller);
  const change = { form, added, removed, committer, hasWelcome: welcome !== '' };
  return checkRoster(conversation, change, one.accounts);
}

/** The compare of the compare-and-set (C5); a founding commit begins the next generation, or the first. */
function fits(conversation: StoredConversation, request: CommitRequest): boolean {
  if (request.form === 'founding') {
    const next = conversation.founded ? conversation.generation + 1 : conversation.generation;
    return request.generation === next && request.epoch === 0;
  }
  const { founded, generation, epoch } = conversation;
  return founded && request.generation === generation && request.epoch === epoch;
}

async function spendCommit(
  queries: Queryable,
  { caller, request, acceptedAt }: Case,
  conversation: StoredConversation,
): Promise<Answer | undefined> {
  const { conversationId } = conversation;
  const spending = { owner: conversationId, amount: 1, now: acceptedAt };
  const commits = await spendQuota(queries, {
    ...spending,
    quota: `commits/${caller.accountId}`,
    max: commitsPerHour,
    windowSeconds: 3600,
  });
  if (!commits.spent) {
    return { outcome: 'rate-limited', retryAfterSeconds: commits.retryAfterSeconds };
  }
  if (request.form !== 'founding' || !conversation.founded) return undefined;
  const day = { ...spending, windowSeconds: 86_400 };
  // Its own share first, so that no member uses up the day of all others.
  const own = await spendQuota(queries, {
    ...day,
    quota: `generations/${caller.accountId}`,
    max: limits.generationsPerDayByOne,
  });
  const all = own.spent
    ? await spendQuota(queries, { ...day, quota: 'generations', max: limits.generationsPerDay })
    : own;
  if (all.spent) return undefined;
  return { outcome: 'rate-limited', retryAfterSeconds: all.retryAfterSeconds };
}

/** A device may have been revoked between looking it up and storing its leaf: then nobody marked the leaf. */
async function revokeLate(
  ports: CommitPorts,
  caller: DeviceCaller,
  commit: { conversationId: ConversationId; accounts: Accounts; involved: readonly AccountId[] },
): Promise<void> {
  const now = await factsOf(ports, caller, commit.involved);
  for (const [accountId, facts] of commit.accounts) {
    const deviceIds = facts.devices.filter((id) => !now.get(accountId)?.devices.includes(id));
    if (deviceIds.length === 0) continue;
    await revokeLeavesIn(ports.database, [commit.conversationId], { accountId, deviceIds });
  }
}
