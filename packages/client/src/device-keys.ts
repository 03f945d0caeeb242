// The first keys of an account: account key, leaf key, certificate and the first device list, all signed here.

import {
  createAccountKey,
  createSigningKey,
  type SigningKey,
  signDeviceList,
  signLeafCertificate,
} from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import { DeviceId as DeviceIdSchema } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import { PublicKey, Statement } from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { secondsPerDay } from './device-context.ts';
import { type DeviceRole, StoredKey } from './identity.ts';

export const FirstDevice = z.object({
  accountKey: PublicKey,
  accountSigningKey: StoredKey,
  leafKey: StoredKey,
  certificate: Statement,
  deviceList: Statement,
});
export type FirstDevice = z.infer<typeof FirstDevice>;

export async function makeFirstDevice(request: {
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  readonly role: DeviceRole;
  readonly nowSeconds: number;
  /** an account key that is to be kept, and the newest list version it signed */
  readonly kept?: { readonly accountKey: SigningKey; readonly listVersion: number };
}): Promise<FirstDevice> {
  const { accountId, deviceId, role, nowSeconds } = request;
  const accountSigningKey = request.kept?.accountKey ?? (await createAccountKey());
  const leafKey = await createSigningKey();
  const accountKey = toBase64Url(accountSigningKey.publicKey);
  const leaf = toBase64Url(leafKey.publicKey);
  const certificate = await certify({
    accountId,
    deviceId,
    leaf,
    accountKey: accountSigningKey,
    nowSeconds,
  });
  const deviceList = await signDeviceList(
    {
      v: 1,
      sub: accountId,
      key: accountKey,
      version: (request.kept?.listVersion ?? 0) + 1,
      next: DeviceIdSchema.parse(deviceId + 1),
      devices: [{ id: deviceId, leaf, role, added: nowSeconds }],
      iat: nowSeconds,
    },
    accountSigningKey,
  );
  return { accountKey, accountSigningKey, leafKey, certificate, deviceList };
}

/** The account key's word for one leaf key. */
export const certify = (request: {
  readonly accountId: AccountId;
  readonly deviceId: DeviceId;
  /** public leaf key, base64url */
  readonly leaf: string;
  readonly accountKey: SigningKey;
  readonly nowSeconds: number;
}): Promise<string> =>
  signLeafCertificate(
    {
      v: 1,
      sub: request.accountId,
      key: toBase64Url(request.accountKey.publicKey),
      dev: request.deviceId,
      leaf: request.leaf,
      iat: request.nowSeconds,
      exp: request.nowSeconds + limits.leafCertificateLifetimeDays * secondsPerDay,
    },
    request.accountKey,
  );
