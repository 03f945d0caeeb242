// Whom a conversation is opened with: kind, members, owner's bucket and the key that makes it the only one (rule C1).
// Who does not exist gets a stand-in that has nothing, so that the work that follows is the same (C3).

import { SiegelError } from '@siegel/protocol/errors';
import {
  AccountId,
  bucketCount,
  bucketOf,
  type NumericId,
  uuidInBucket,
} from '@siegel/protocol/ids';
import type { ConversationKind, OpenWith } from '@siegel/protocol/relay';
import type { HotPathPorts } from '../hot-path.ts';
import type { DeviceCaller } from '../http/route.ts';
import type { Member } from './read-conversations.ts';

export type Opening = {
  readonly kind: ConversationKind;
  readonly bucket: number;
  /** Null for a group: each opening is another one. */
  readonly key: string | null;
  readonly members: readonly Member[];
  /** The members it is opened with; each must exist, be of its kind, have a device and no block in between. */
  readonly others: readonly AccountId[];
  readonly person: AccountId | null;
  readonly business: AccountId | null;
  readonly phoneNumberId: NumericId | null;
  /** Set when a business writes first or again: the rules of its messages apply. */
  readonly byBusiness?: { readonly template: Extract<OpenWith, { kind: 'person' }>['template'] };
};

export type PlanPorts = Pick<HotPathPorts, 'random' | 'accountOfNumber' | 'businessOfNumber'>;

const nobodyElse = { person: null, business: null, phoneNumberId: null } as const;

const randomBucket = (ports: PlanPorts): number => {
  const [high = 0, low = 0] = ports.random(2);
  return ((high << 8) | low) % bucketCount;
};

/** An account that is nobody's. */
const standIn = (ports: PlanPorts): AccountId =>
  AccountId.parse(uuidInBucket(randomBucket(ports), ports.random(16)));

const person = (accountId: AccountId, role: Member['role'] = 'member'): Member => ({
  accountId,
  kind: 'person',
  role,
});

function planOwn(caller: DeviceCaller): Opening {
  const { accountId, account: kind } = caller;
  return {
    ...nobodyElse,
    kind: 'own',
    bucket: bucketOf(accountId),
    key: `own:${accountId}`,
    members: [{ accountId, kind, role: 'admin' }],
    others: [],
  };
}

function planDirect(ports: PlanPorts, caller: DeviceCaller, wanted: AccountId): Opening {
  const isPair = caller.account === 'person' && wanted !== caller.accountId;
  const other = isPair ? wanted : standIn(ports);
  const isLower = caller.accountId < other;
  const [lower, higher] = isLower ? [caller.accountId, other] : [other, caller.accountId];
  return {
    ...nobodyElse,
    kind: 'direct',
    bucket: bucketOf(lower),
    key: `direct:${lower}:${higher}`,
    members: [person(lower), person(higher)],
    others: [other],
  };
}

function planGroup(ports: PlanPorts, caller: DeviceCaller, wanted: readonly AccountId[]): Opening {
  const asked = [...new Set(wanted)].filter((id) => id !== caller.accountId);
  const others = caller.account === 'person' ? asked : [standIn(ports)];
  return {
    ...nobodyElse,
    kind: 'group',
    bucket: randomBucket(ports),
    key: null,
    members: [person(caller.accountId, 'admin'), ...others.map((id) => person(id))],
    others,
  };
}

type BusinessChat = { person: AccountId; business: AccountId; phoneNumberId: NumericId };

const businessChat = (chat: BusinessChat, others: readonly AccountId[]): Opening => ({
  ...chat,
  kind: 'business',
  bucket: bucketOf(chat.person),
  key: `business:${chat.person}:${chat.phoneNumberId}`,
  members: [person(chat.person), { accountId: chat.business, kind: 'business', role: 'member' }],
  others,
});

async function planToBusiness(
  ports: PlanPorts,
  caller: DeviceCaller,
  phoneNumberId: NumericId,
): Promise<Opening> {
  const found = await ports.businessOfNumber(phoneNumberId);
  const business = caller.account === 'person' && found ? found : standIn(ports);
  return businessChat({ person: caller.accountId, business, phoneNumberId }, [business]);
}

async function planToPerson(
  ports: PlanPorts,
  caller: DeviceCaller,
  wanted: Extract<OpenWith, { kind: 'person' }>,
): Promise<Opening> {
  if (caller.account !== 'business') {
    throw new SiegelError('forbidden', 'Only a business writes from a business number.');
  }
  if ((await ports.businessOfNumber(wanted.from)) !== caller.accountId) {
    throw new SiegelError('forbidden', 'This number is not the caller’s.');
  }
  const { to } = wanted;
  const found = 'number' in to ? await ports.accountOfNumber(to.number) : to.accountId;
  const other = found ?? standIn(ports);
  const chat = { person: other, business: caller.accountId, phoneNumberId: wanted.from };
  return { ...businessChat(chat, [other]), byBusiness: { template: wanted.template } };
}

/** Throws `forbidden` when a business names a number that is not its own. */
export async function planOpening(
  ports: PlanPorts,
  caller: DeviceCaller,
  wanted: OpenWith,
): Promise<Opening> {
  switch (wanted.kind) {
    case 'own':
      return planOwn(caller);
    case 'direct':
      return planDirect(ports, caller, wanted.accountId);
    case 'group':
      return planGroup(ports, caller, wanted.accounts);
    case 'business':
      return planToBusiness(ports, caller, wanted.phoneNumberId);
    default:
      return planToPerson(ports, caller, wanted);
  }
}
