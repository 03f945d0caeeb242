// Who this device is: account, device, keys, certificate and token. Written once by registration, linking or enrolment.

import type { SigningKey } from '@siegel/crypto';
import { octets } from '@siegel/protocol/content';
import { AccountId, DeviceId, PhoneNumber } from '@siegel/protocol/ids';
import { BusinessProfile, PublicKey, Statement, Token } from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store, StoreWrite } from './store.ts';

/** As `SigningKey` of @siegel/crypto; secret, never logged. */
export const StoredKey = z.object({ publicKey: octets(32, 32), seed: octets(32, 32) });

export const DeviceRole = z.enum(['main', 'linked', 'gateway', 'app']);
export type DeviceRole = z.infer<typeof DeviceRole>;

export const Identity = z.object({
  v: z.literal(1),
  accountId: AccountId,
  deviceId: DeviceId,
  kind: z.enum(['person', 'business']),
  role: DeviceRole,
  /** public account key, base64url */
  accountKey: PublicKey,
  /** the private account key; only where it was made, or restored from a backup */
  accountSigningKey: z.optional(StoredKey),
  leafKey: StoredKey,
  certificate: Statement,
  deviceToken: Token,
  /** of a person: the own number and the operator's word for it */
  number: z.optional(PhoneNumber),
  numberStatement: z.optional(Statement),
  /** of a business, as far as this device was told */
  business: z.optional(BusinessProfile),
  businessCertificates: z.optional(z.array(Statement)),
  keysHostedBy: z.optional(z.string()),
});
export type Identity = z.infer<typeof Identity> & {
  readonly leafKey: SigningKey;
};

const identityKey = 'identity';

export async function readIdentity(store: Store): Promise<Identity | undefined> {
  const bytes = await store.get('meta', identityKey);
  return bytes === undefined ? undefined : decodeRecord(Identity, bytes, 'identity');
}

export const identityWrite = (identity: Identity): StoreWrite => ({
  collection: 'meta',
  key: identityKey,
  value: encodeRecord(Identity, identity),
});

/** What is half done and must survive a crash: one record for each kind of work. */
export type UnfinishedWork = 'registration' | 'enrolment' | 'link-joining' | 'link-opened';

export const unfinishedWrite = (
  work: UnfinishedWork,
  value: Uint8Array | undefined,
): StoreWrite => ({
  collection: 'meta',
  key: `unfinished/${work}`,
  value,
});

export const readUnfinished = (
  store: Store,
  work: UnfinishedWork,
): Promise<Uint8Array | undefined> => store.get('meta', `unfinished/${work}`);
