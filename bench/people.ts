// Accounts with devices for benches of the engine: keys, certificates and signed lists, everybody
// known to everybody.

import { randomUUID } from 'node:crypto';
import {
  type AccountKey,
  type Authorize,
  createAccountKey,
  createSigningKey,
  type DeviceIdentity,
  decideCommit,
  type KnownAccount,
  signLeafCertificate,
} from '@siegel/crypto';
import { AccountId, ClientId, ConversationId, DeviceId } from '@siegel/protocol/ids';
import { type DeviceAddress, DeviceList, type EnvelopeHeader } from '@siegel/protocol/relay';

export type Party = DeviceAddress & {
  readonly identity: DeviceIdentity;
  readonly known: KnownAccount;
};

const base64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** An account with one device. */
export async function createParty(now: number): Promise<Party> {
  const accountId = AccountId.parse(randomUUID());
  const accountKey: AccountKey = await createAccountKey();
  const leafKey = await createSigningKey();
  const deviceId = DeviceId.parse(1);
  const seconds = Math.floor(now / 1000);
  const key = base64Url(accountKey.publicKey);
  const leaf = base64Url(leafKey.publicKey);
  const certificate = await signLeafCertificate(
    { v: 1, sub: accountId, key, dev: deviceId, leaf, iat: seconds, exp: seconds + 90 * 86_400 },
    accountKey,
  );
  const deviceList = DeviceList.parse({
    v: 1,
    sub: accountId,
    key,
    version: 1,
    next: 2,
    devices: [{ id: deviceId, leaf, role: 'main', added: seconds }],
    iat: seconds,
  });
  return {
    accountId,
    deviceId,
    identity: { certificate, leafKey },
    known: { accountId, accountKey: key, deviceList, role: 'member' },
  };
}

/** The policy of a conversation between a business and a person. */
export const authorizeAmong =
  (...parties: readonly Party[]): Authorize =>
  (delta) =>
    decideCommit(delta, { kind: 'business', accounts: parties.map(({ known }) => known) });

export const newConversationId = (): ConversationId => ConversationId.parse(randomUUID());

export const newClientId = (): ClientId => ClientId.parse(randomUUID());

export const messageHeader = (groupContext: {
  conversationId: ConversationId;
  generation: number;
}): Omit<EnvelopeHeader, 'commitment'> => ({
  ...groupContext,
  class: 'message',
  kind: 'free-form',
  clientId: newClientId(),
});
