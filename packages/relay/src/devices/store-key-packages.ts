// Uploading key packages (K1–K3): each is looked at before it is stored, so that nobody claims one that cannot be used.

import { inspectKeyPackage } from '@siegel/crypto/verify';
import { limits } from '@siegel/protocol/limits';
import type { uploadKeyPackages } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { DeviceCaller, Rule } from '../http/route.ts';
import { toBytes, toText } from '../octets.ts';
import { readAccount, readDevices } from './device-store.ts';
import {
  addOneTime,
  countKeyPackages,
  replaceLastResort,
  type StoredKeyPackage,
  trimKeyPackages,
} from './key-package-store.ts';

type Owner = { readonly caller: DeviceCaller; readonly accountKey: string; readonly leaf: string };

export const storeKeyPackages =
  ({ database, now }: BasePorts): Rule<typeof uploadKeyPackages> =>
  async (caller, { keyPackages, lastResort }) => {
    const account = await readAccount(database, caller.accountId);
    const devices = await readDevices(database, caller.accountId);
    const device = devices.find((row) => row.device_id === caller.deviceId);
    const owner = {
      caller,
      accountKey: toText(account?.account_key ?? Buffer.alloc(0)),
      leaf: toText(device?.leaf_key ?? Buffer.alloc(0)),
    };
    const offered = [
      ...keyPackages.map((text) => ({ text, isLastResort: false })),
      ...(lastResort === undefined ? [] : [{ text: lastResort, isLastResort: true }]),
    ];
    const good: (StoredKeyPackage & { readonly isLastResort: boolean })[] = [];
    for (const [index, { text, isLastResort }] of offered.entries()) {
      const looked = await look({ bytes: toBytes(text), owner, isLastResort, now: now() });
      if ('reason' in looked) return { outcome: 'key-package-refused', index, ...looked };
      good.push({ ...looked, isLastResort });
    }
    await database.transaction(async (transaction) => {
      for (const { isLastResort, ...one } of good) {
        await (isLastResort ? replaceLastResort : addOneTime)(transaction, caller, one);
      }
      await trimKeyPackages(transaction, caller, now());
    });
    return { outcome: 'stored', left: await countKeyPackages(database, caller, now()) };
  };

type Look = { bytes: Buffer; owner: Owner; isLastResort: boolean; now: number };

async function look({
  bytes,
  owner,
  isLastResort,
  now,
}: Look): Promise<StoredKeyPackage | { reason: string }> {
  const lifetimeDaysMax = limits.leafCertificateLifetimeDays;
  const inspected = await inspectKeyPackage(bytes, { now, lifetimeDaysMax });
  if (inspected.outcome !== 'valid') return { reason: inspected.outcome };
  const { sub, dev, leaf, key } = inspected.certificate;
  const { accountId, deviceId } = owner.caller;
  const isOwn =
    sub === accountId && dev === deviceId && leaf === owner.leaf && key === owner.accountKey;
  if (!isOwn) return { reason: 'other-device' };
  if (inspected.lastResort !== isLastResort) {
    return { reason: isLastResort ? 'not-last-resort' : 'last-resort' };
  }
  const expiresAt = inspected.notAfter * 1000;
  return { reference: toBytes(inspected.reference), keyPackage: bytes, expiresAt };
}
