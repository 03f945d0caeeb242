// People and businesses for the tests of the engine, and a group that carries envelopes between
// their devices as a relay would.

import { AccountId, ClientId, ConversationId, DeviceId } from '@siegel/protocol/ids';
import type { DeviceList, EnvelopeHeader } from '@siegel/protocol/relay';
import { expect } from 'vitest';
import { assert, fromUtf8, toBase64Url, utf8 } from '../src/bytes.ts';
import {
  type AccountKey,
  type Authorize,
  type CommitContext,
  type CryptoProvider,
  createAccountKey,
  createEngine,
  createSigningKey,
  type DeviceIdentity,
  decideCommit,
  type Engine,
  type GroupContext,
  type KnownAccount,
  type Member,
  type NewKeyPackage,
  type Opened,
  type PendingCommit,
  type Sealed,
  type Session,
  signLeafCertificate,
} from '../src/index.ts';

/** ts-mls holds key packages against the machine's clock, so the tests' clock starts there. */
export const now = Date.now();
export const seconds = Math.floor(now / 1000);
export const daySeconds = 86_400;

let count = 0;
const nextUuid = (): string => {
  count += 1;
  return `00000000-0000-4000-8000-${count.toString(16).padStart(12, '0')}`;
};
export const newAccountId = () => AccountId.parse(nextUuid());
export const newConversationId = () => ConversationId.parse(nextUuid());
export const newClientId = () => ClientId.parse(nextUuid());
export const deviceId = (id: number) => DeviceId.parse(id);

export type Device = {
  readonly engine: Engine;
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  readonly identity: DeviceIdentity;
};

export type Account = {
  readonly accountId: AccountId;
  readonly key: AccountKey;
  readonly devices: readonly Device[];
};

type Holder = Pick<Account, 'accountId' | 'key'>;

export async function newDevice(
  engine: Engine,
  account: Holder,
  { id, expiresAt = seconds + 90 * daySeconds }: { id: number; expiresAt?: number },
): Promise<Device> {
  const leafKey = await createSigningKey();
  const certificate = await signLeafCertificate(
    {
      v: 1,
      sub: account.accountId,
      key: toBase64Url(account.key.publicKey),
      dev: deviceId(id),
      leaf: toBase64Url(leafKey.publicKey),
      iat: seconds,
      exp: expiresAt,
    },
    account.key,
  );
  const { accountId } = account;
  return { engine, accountId, deviceId: deviceId(id), identity: { certificate, leafKey } };
}

export async function newAccount(provider: CryptoProvider, deviceCount = 1): Promise<Account> {
  const engine = createEngine(provider);
  const holder = { accountId: newAccountId(), key: await createAccountKey() };
  const devices: Device[] = [];
  for (let id = 1; id <= deviceCount; id += 1) {
    devices.push(await newDevice(engine, holder, { id }));
  }
  return { ...holder, devices };
}

/** The account's n-th device, counted from 1 as its id is. */
export function device(account: Account, n = 1): Device {
  const found = account.devices[n - 1];
  assert(found !== undefined, `device ${n}`);
  return found;
}

export const deviceListOf = (
  { accountId, key }: Holder,
  devices: readonly Device[],
  version = 1,
): DeviceList => ({
  v: 1,
  sub: accountId,
  key: toBase64Url(key.publicKey),
  version,
  next: deviceId(1000),
  devices: devices.map(({ deviceId: id, identity }) => ({
    id,
    leaf: toBase64Url(identity.leafKey.publicKey),
    role: 'linked',
    added: seconds,
  })),
  iat: seconds,
});

export const knownAccount = (
  account: Account,
  changes: Partial<KnownAccount> = {},
): KnownAccount => ({
  accountId: account.accountId,
  accountKey: toBase64Url(account.key.publicKey),
  deviceList: deviceListOf(account, account.devices),
  role: 'member',
  ...changes,
});

export const contextOf = (
  accounts: readonly Account[],
  kind: CommitContext['kind'] = 'business',
): CommitContext => ({ kind, accounts: accounts.map((account) => knownAccount(account)) });

export const authorizeBy =
  (context: CommitContext): Authorize =>
  (delta) =>
    decideCommit(delta, context);

export const allowAll: Authorize = () => ({ outcome: 'allowed' });

export const keyPackageOf = (
  { engine, identity }: Device,
  options: { lifetimeDays?: number; lastResort?: boolean; now?: number } = {},
): Promise<NewKeyPackage> =>
  engine.newKeyPackage({ identity, now, lifetimeDays: 60, lastResort: false, ...options });

export const newGroupContext = (): GroupContext => ({
  conversationId: newConversationId(),
  generation: 0,
});

export const messageHeader = (
  groupContext: GroupContext,
  changes: Partial<EnvelopeHeader> = {},
): EnvelopeHeader => ({
  ...groupContext,
  class: 'message',
  kind: 'free-form',
  clientId: newClientId(),
  ...changes,
});

/** Narrows an outcome; a test that meets another one fails with it. */
export function expectOutcome<Value extends { outcome: string }, Name extends Value['outcome']>(
  value: Value,
  name: Name,
): Extract<Value, { outcome: Name }> {
  const isNamed = (it: Value): it is Extract<Value, { outcome: Name }> => it.outcome === name;
  if (!isNamed(value)) throw new Error(`expected ${name}, got ${JSON.stringify(value)}`);
  return value;
}

/** A device with its place in a group. `session` moves on as the test does. */
export type Seat = Device & { session: Session };

export type Envelope = {
  readonly mls: Uint8Array;
  readonly header: EnvelopeHeader;
  readonly epoch: number;
  readonly sender: Device;
};

export type Group = {
  readonly groupContext: GroupContext;
  context: CommitContext;
  groupInfo: Uint8Array;
  readonly seats: Seat[];
};

/** The first device founds the group with all others. */
export async function foundGroup(
  devices: readonly Device[],
  context: CommitContext,
): Promise<Group> {
  const [founder, ...others] = devices;
  assert(founder !== undefined, 'a founder');
  const groupContext = newGroupContext();
  const authorize = authorizeBy(context);
  const packages = await Promise.all(others.map((other) => keyPackageOf(other)));
  const keyPackages = packages.map(({ publicBytes }) => publicBytes);
  const { engine, identity } = founder;
  const founding = { groupContext, identity, keyPackages, authorize, now };
  const founded = expectOutcome(await engine.foundGroup(founding), 'founded');
  const seats: Seat[] = [{ ...founder, session: founded.session }];
  for (const [index, other] of others.entries()) {
    seats.push(await sitDown(other, { groupContext, context }, founded.welcome, packages[index]));
  }
  return { groupContext, context, groupInfo: founded.groupInfo, seats };
}

export async function sitDown(
  newcomer: Device,
  { groupContext, context }: Pick<Group, 'groupContext' | 'context'>,
  welcome: Uint8Array | undefined,
  keyPackage: NewKeyPackage | undefined,
): Promise<Seat> {
  assert(welcome !== undefined && keyPackage !== undefined, 'a Welcome');
  const joined = await newcomer.engine.joinByWelcome({
    groupContext,
    welcome,
    keyPackage: keyPackage.privateBytes,
    authorize: authorizeBy(context),
  });
  return { ...newcomer, session: expectOutcome(joined, 'joined').session };
}

export const seatOf = (group: Group, wanted: Device): Seat => {
  const found = group.seats.find(
    ({ accountId, deviceId: id }) => accountId === wanted.accountId && id === wanted.deviceId,
  );
  assert(found !== undefined, 'a seat');
  return found;
};

/** Seals without moving the sender's session on: for tests that look at what comes out. */
export const trySeal = (
  group: Group,
  seat: Seat,
  words: string,
  changes: Partial<EnvelopeHeader> = {},
): Promise<Sealed> =>
  seat.engine.seal(seat.session, {
    header: messageHeader(group.groupContext, changes),
    content: utf8(words),
    now,
  });

export async function seal(
  group: Group,
  seat: Seat,
  words: string,
  changes: Partial<EnvelopeHeader> = {},
): Promise<Envelope> {
  const sealed = expectOutcome(await trySeal(group, seat, words, changes), 'sealed');
  seat.session = sealed.session;
  const { mls, header, epoch } = sealed;
  return { mls, header, epoch, sender: seat };
}

export const tryOpen = (seat: Seat, envelope: Envelope): Promise<Opened> =>
  seat.engine.open(seat.session, { ...envelope, now });

export async function open(seat: Seat, envelope: Envelope): Promise<string> {
  const opened = expectOutcome(await tryOpen(seat, envelope), 'opened');
  seat.session = opened.session;
  expect(opened.sender.accountId).toBe(envelope.sender.accountId);
  expect(opened.sender.deviceId).toBe(envelope.sender.deviceId);
  return fromUtf8(opened.content);
}

export type Changes = {
  readonly add?: readonly Uint8Array[];
  readonly remove?: readonly number[];
  readonly certificate?: string;
};

export const tryCommit = (group: Group, seat: Seat, changes: Changes = {}) =>
  seat.engine.commitChanges(seat.session, {
    ...changes,
    clientId: newClientId(),
    authorize: authorizeBy(group.context),
    now,
  });

export const tryAdopt = (
  group: Group,
  seat: Seat,
  pending: Pick<PendingCommit, 'commit' | 'header' | 'epoch'>,
  committer: Device,
) =>
  seat.engine.adoptCommit(seat.session, {
    commit: pending.commit,
    header: pending.header,
    epoch: pending.epoch,
    sender: committer,
    authorize: authorizeBy(group.context),
  });

/**
 * The relay took the commit: its author and everybody else move on; removed devices leave the
 * table.
 */
export async function settle(group: Group, author: Seat, pending: PendingCommit): Promise<void> {
  for (const seat of group.seats.filter((other) => other !== author)) {
    const adopted = expectOutcome(await tryAdopt(group, seat, pending, author), 'adopted');
    expect(adopted.delta.members).toEqual(pending.delta.members);
    seat.session = adopted.session;
    if (adopted.selfRemoved) group.seats.splice(group.seats.indexOf(seat), 1);
  }
  author.session = pending.session;
  group.groupInfo = pending.groupInfo;
}

export async function commit(group: Group, seat: Seat, changes: Changes = {}) {
  const pending = expectOutcome(await tryCommit(group, seat, changes), 'committed');
  await settle(group, seat, pending);
  return pending;
}

/** Adds a device by Welcome; `author` is somebody who may. */
export async function add(group: Group, author: Seat, newcomer: Device): Promise<Seat> {
  const keyPackage = await keyPackageOf(newcomer);
  const { welcome } = await commit(group, author, { add: [keyPackage.publicBytes] });
  const seat = await sitDown(newcomer, group, welcome, keyPackage);
  group.seats.push(seat);
  return seat;
}

export const tryJoin = (group: Group, newcomer: Device, replaces?: DeviceId) =>
  newcomer.engine.joinByExternalCommit({
    groupContext: group.groupContext,
    groupInfo: group.groupInfo,
    identity: newcomer.identity,
    clientId: newClientId(),
    ...(replaces === undefined ? {} : { replaces }),
    authorize: authorizeBy(group.context),
    now,
  });

/** A device enters by itself with an external commit. */
export async function join(group: Group, newcomer: Device, replaces?: DeviceId): Promise<Seat> {
  const joined = expectOutcome(await tryJoin(group, newcomer, replaces), 'joined');
  const seat: Seat = { ...newcomer, session: joined.session };
  const isReplaced = ({ accountId, deviceId: id }: Device) =>
    accountId === newcomer.accountId && id === newcomer.deviceId;
  const before = group.seats.findIndex(isReplaced);
  if (before >= 0) group.seats.splice(before, 1);
  await settle(group, seat, joined);
  group.seats.push(seat);
  return seat;
}

export const infoOf = (seat: Seat) => seat.engine.sessionInfo(seat.session);

export const memberOf = (seat: Seat, wanted: Device): Member => {
  const found = infoOf(seat).members.find(
    ({ accountId, deviceId: id }) => accountId === wanted.accountId && id === wanted.deviceId,
  );
  assert(found !== undefined, 'a member');
  return found;
};

/** Every device reads every other, and all name the same members in the same epoch. */
export async function expectAgreement(group: Group): Promise<void> {
  const [first] = group.seats;
  assert(first !== undefined, 'somebody at the table');
  for (const author of group.seats) {
    expect(infoOf(author).members).toEqual(infoOf(first).members);
    expect(infoOf(author).epoch).toBe(infoOf(first).epoch);
    const words = `device ${author.deviceId} in epoch ${infoOf(author).epoch}`;
    const envelope = await seal(group, author, words);
    for (const reader of group.seats) {
      if (reader !== author) expect(await open(reader, envelope)).toBe(words);
    }
  }
}
