// Key packages inside a conversation: to found its next generation, to add own devices, or accounts to a group (rule K4).

import type { DeviceId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { AnswerOf, claimKeyPackages as endpoint, RequestOf } from '@siegel/protocol/relay';
import type { DeviceCaller } from '../http/route.ts';
import { type ClaimPorts, claimPackages } from './claim-packages.ts';
import type { OpenPorts } from './open-conversation.ts';
import {
  type Accounts,
  hasBlocked,
  isMember,
  readAccounts,
  readConversations,
  type StoredConversation,
} from './read-conversations.ts';

type Request = RequestOf<typeof endpoint>;
type Answer = AnswerOf<typeof endpoint>;
type Purpose<Kind extends Request['purpose']['kind']> = Extract<Request['purpose'], { kind: Kind }>;
type Context = { conversation: StoredConversation; caller: DeviceCaller; request: Request };

export async function claimKeyPackages(
  ports: OpenPorts,
  caller: DeviceCaller,
  request: Request,
): Promise<Answer> {
  const [conversation] = await readConversations(ports.database, [request.conversationId]);
  if (conversation === undefined || !isMember(conversation, caller.accountId)) {
    return { outcome: 'not-member' };
  }
  const context = { conversation, caller, request };
  switch (request.purpose.kind) {
    case 'next-generation':
      return forNextGeneration(ports, context, request.purpose);
    case 'add-accounts':
      return forAccounts(ports, context, request.purpose);
    default:
      return forOwnDevices(ports, context);
  }
}

const factsOf = (
  ports: ClaimPorts,
  { caller }: Context,
  accountIds: Parameters<typeof readAccounts>[1],
): Promise<Accounts> =>
  readAccounts(ports.database, accountIds, { other: caller.accountId, now: ports.now() });

async function forNextGeneration(
  ports: OpenPorts,
  context: Context,
  purpose: Purpose<'next-generation'>,
): Promise<Answer> {
  const { conversation, caller } = context;
  const next = conversation.founded ? conversation.generation + 1 : conversation.generation;
  if (purpose.generation !== next) {
    return {
      outcome: 'epoch-conflict',
      generation: conversation.generation,
      epoch: conversation.epoch,
    };
  }
  const ids = conversation.members.map(({ accountId }) => accountId);
  const facts = await factsOf(ports, context, ids);
  // Only towards a business does a block show (S5); a first generation obeys the rules of opening in any case.
  const shows = caller.account === 'business' || !conversation.founded;
  const others = ids.filter((id) => id !== caller.accountId);
  if (shows && others.some((id) => facts.get(id)?.blocksOther)) return { outcome: 'undeliverable' };
  if (conversation.kind !== 'group' && others.some((id) => !facts.get(id)?.reachable.length)) {
    return { outcome: 'undeliverable' };
  }
  return claimPackages(ports, caller, { accounts: ids, skipDevices: [caller.deviceId], facts });
}

async function forAccounts(
  ports: OpenPorts,
  context: Context,
  purpose: Purpose<'add-accounts'>,
): Promise<Answer> {
  const { conversation, caller } = context;
  const own = conversation.members.find(({ accountId }) => accountId === caller.accountId);
  const wanted = [...new Set(purpose.accounts)];
  const room = limits.membersPerGroup - conversation.members.length;
  if (conversation.kind !== 'group' || own?.role !== 'admin' || wanted.length > room) {
    return { outcome: 'undeliverable' };
  }
  const facts = await factsOf(ports, context, wanted);
  const blockedByCaller = await hasBlocked(ports.database, caller.accountId, wanted);
  const addable = wanted.every((id) => {
    const known = facts.get(id);
    return (
      known?.kind === 'person' &&
      known.reachable.length > 0 &&
      !known.blocksOther &&
      !isMember(conversation, id)
    );
  });
  if (!addable || blockedByCaller) return { outcome: 'undeliverable' };
  return claimPackages(ports, caller, { accounts: wanted, skipDevices: [], facts });
}

/** Own devices that are not in the roster yet. */
async function forOwnDevices(ports: OpenPorts, context: Context): Promise<Answer> {
  const { conversation, caller } = context;
  const facts = await factsOf(ports, context, [caller.accountId]);
  const present: DeviceId[] = conversation.leaves
    .filter(({ accountId }) => accountId === caller.accountId)
    .map(({ deviceId }) => deviceId);
  return claimPackages(ports, caller, {
    accounts: [caller.accountId],
    skipDevices: [...present, caller.deviceId],
    facts,
  });
}
