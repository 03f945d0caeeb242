// A device the operator would like an account to have: a row in the relay's own tables with a token of the operator's making, and
// keys that the account key never signed, or signed once and has struck off since.
import { createHash, randomBytes } from 'node:crypto';
import { connectToRelay, nodeEnvironment } from '@siegel/client/node';
import {
  type AccountKey,
  createAccountKey,
  createSigningKey,
  type DeviceIdentity,
  type Engine,
  type Opened,
  type Session,
  signDeviceList,
  signLeafCertificate,
} from '@siegel/crypto';
import {
  type AccountId,
  bucketOf,
  ClientId,
  type ConversationId,
  DeviceId,
} from '@siegel/protocol/ids';
import {
  type DeliveredMessage,
  type DeviceList,
  getConversation,
  type RosterLeaf,
  submitCommit,
} from '@siegel/protocol/relay';
import { headerOf, type OperatorHands } from './operator-hands.ts';

const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const seconds = (): number => Math.floor(nodeEnvironment.now() / 1000);
const day = 24 * 60 * 60;

export type Ghost = {
  readonly deviceId: DeviceId;
  readonly identity: DeviceIdentity;
  readonly accountKey: AccountKey;
  /** a list that names this device, signed by the operator's key in the account key's place */
  readonly signedList: string;
};

/** Keys and papers for a device of this account, all consistent, all under a key the operator made itself. */
export async function forgeDevice(list: DeviceList): Promise<Ghost> {
  const accountKey = await createAccountKey();
  const leafKey = await createSigningKey();
  const deviceId = DeviceId.parse(7);
  const key = toText(accountKey.publicKey);
  const leaf = toText(leafKey.publicKey);
  const iat = seconds();
  const paper = { v: 1 as const, sub: list.sub, key, iat };
  const certificate = await signLeafCertificate(
    { ...paper, dev: deviceId, leaf, exp: iat + 30 * day },
    accountKey,
  );
  const devices = [...list.devices, { id: deviceId, leaf, role: 'linked' as const, added: iat }];
  const next = DeviceId.parse(8);
  const forged = { ...paper, version: list.version + 1, next, devices };
  const signedList = await signDeviceList(forged, accountKey);
  return { deviceId, identity: { certificate, leafKey }, accountKey, signedList };
}

/** Gives a device a row and a token, as if the relay had let it in; answers the token. */
export async function letIn(
  hands: OperatorHands,
  device: { accountId: AccountId; deviceId: DeviceId; leaf: Uint8Array },
): Promise<string> {
  const { accountId, deviceId, leaf } = device;
  const bucket = bucketOf(accountId);
  // The bucket stands in a token's first ten bits (docs/decisions/0003).
  const token = randomBytes(32);
  token[0] = bucket >> 2;
  token[1] = ((bucket & 3) << 6) | (token[1]! & 0x3f);
  const hash = createHash('sha256').update(token).digest();
  await hands.query(
    `INSERT INTO devices (bucket, account_id, device_id, leaf_key, role, token_hash, created_at)
     VALUES ($1, $2, $3, $4, 'linked', $5, $6)
     ON CONFLICT (bucket, account_id, device_id) DO UPDATE
     SET token_hash = $5, revoked_at = NULL, leaves_ended = false`,
    [bucket, accountId, deviceId, Buffer.from(leaf), hash, nodeEnvironment.now()],
  );
  return toText(token);
}

const leavesOf = (members: readonly RosterLeaf[]): RosterLeaf[] =>
  members.map(({ leafIndex, accountId, deviceId }) => ({ leafIndex, accountId, deviceId }));

/** Enters by external commit through the relay's own door; the ghost asks no policy. */
export async function enter(
  engine: Engine,
  place: { readonly url: string; readonly token: string; readonly conversationId: ConversationId },
  identity: DeviceIdentity,
): Promise<{ readonly outcome: string; readonly session: Session; readonly epoch: number }> {
  const { url, token, conversationId } = place;
  const relay = connectToRelay({ url, token });
  try {
    const view = await relay.call(getConversation, { conversationId });
    if (view.outcome !== 'conversation') throw new Error(view.outcome);
    const { generation } = view.state;
    const joined = await engine.joinByExternalCommit({
      groupContext: { conversationId, generation },
      groupInfo: Buffer.from(view.groupInfo!, 'base64url'),
      identity,
      clientId: ClientId.parse(crypto.randomUUID()),
      authorize: () => ({ outcome: 'allowed' }),
      now: nodeEnvironment.now(),
    });
    if (joined.outcome !== 'joined') throw new Error(joined.reason);
    const answer = await relay.call(submitCommit, {
      conversationId,
      clientId: joined.header.clientId,
      generation,
      epoch: joined.epoch,
      form: 'external',
      commit: toText(joined.commit),
      groupInfo: toText(joined.groupInfo),
      added: leavesOf(joined.delta.added),
      removed: leavesOf(joined.delta.removed),
    });
    const epoch = joined.epoch + 1;
    return { outcome: answer.outcome, session: joined.session, epoch };
  } finally {
    await relay.close();
  }
}

/** What such a session makes of ciphertexts, however they came to it. */
export async function openAll(
  engine: Engine,
  session: Session,
  items: readonly DeliveredMessage[],
): Promise<Opened['outcome'][]> {
  const outcomes: Opened['outcome'][] = [];
  for (const item of items) {
    const opened = await engine.open(session, {
      mls: Buffer.from(item.mls, 'base64url'),
      header: headerOf(item),
      epoch: item.epoch,
      sender: item.sender,
      now: nodeEnvironment.now(),
    });
    outcomes.push(opened.outcome);
  }
  return outcomes;
}
