// Key packages, by which others add this device while it is away: filled at low water, renewed before they end.
// The private half is stored before the public half is published, so no Welcome can come for a key we do not have.

import { unsafeReadLeafCertificate } from '@siegel/crypto';
import { octets, toBase64Url } from '@siegel/protocol/content';
import { limits } from '@siegel/protocol/limits';
import { getAccount, uploadKeyPackages } from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { type DeviceContext, secondsPerDay } from './device-context.ts';
import type { Identity } from './identity.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store, StoreWrite } from './store.ts';

const KeyPackageRecord = z.object({
  v: z.literal(1),
  privateBytes: octets(64 * 1024, 1),
  lastResort: z.boolean(),
  madeAt: z.int(),
  /** milliseconds since 1970 */
  expiresAt: z.int(),
  /** the public half until the relay has it */
  unpublished: z.optional(octets(limits.keyPackageBytesMax, 1)),
});
type KeyPackageRecord = z.infer<typeof KeyPackageRecord>;

const dayMs = secondsPerDay * 1000;

/** How many the relay holds after a fill: a busy business is asked for several while it is being refilled. */
const target = { person: 50, business: limits.keyPackagesPerDevice } as const;

/** A reader's pages of the store; more private halves than this are never kept. */
const recordsMax = 4 * limits.keyPackagesPerDevice;

export type KeyPackagesKept =
  | { readonly outcome: 'kept'; readonly uploaded: number; readonly left: number }
  /** the certificate ends too soon: renew it first (device-list.ts) */
  | { readonly outcome: 'certificate-ending' }
  | { readonly outcome: 'refused'; readonly reason: string }
  | { readonly outcome: 'rate-limited'; readonly retryAfterSeconds: number };

/**
 * Brings the relay's supply up to its target when it is low, renews the last-resort package, publishes what a crash left
 * unpublished, and forgets private halves for which no Welcome can come any more. To be called at start, daily, and on
 * `key-packages-low`. `left` is what the relay just said, when it did.
 */
export async function keepKeyPackages(
  context: DeviceContext,
  identity: Identity,
  left?: number,
): Promise<KeyPackagesKept> {
  const have = left ?? (await context.connection.call(getAccount, {})).keyPackagesLeft;
  const records = await readRecords(context.store);
  const now = context.environment.now();
  const lifetimeDays = lifetimeOf(identity, now);
  if (lifetimeDays < 1) return { outcome: 'certificate-ending' };
  const waiting = records.filter(({ record }) => record.unpublished !== undefined);
  const oneTimeWaiting = waiting.filter(({ record }) => !record.lastResort).length;
  const low = have + oneTimeWaiting < limits.keyPackagesLowWater;
  const missing = low ? Math.max(0, target[identity.kind] - have - oneTimeWaiting) : 0;
  const needsLastResort = !records.some(
    ({ record }) => record.lastResort && record.expiresAt - now > (lifetimeDays * dayMs) / 3,
  );
  const fresh = await make(context, identity, {
    oneTime: missing,
    lastResort: needsLastResort,
    lifetimeDays,
  });
  const forgotten = records.filter(
    ({ record }) => record.expiresAt + limits.mailboxRetentionDays * dayMs < now,
  );
  await context.store.commit([...fresh.map(recordWrite), ...forgotten.map(forget)]);
  return publish(context, [...waiting, ...fresh], have);
}

type Kept = { readonly key: string; readonly record: KeyPackageRecord };

async function readRecords(store: Store): Promise<Kept[]> {
  const entries = await store.list('key-package', { prefix: '', limit: recordsMax });
  return entries.map(({ key, value }) => ({
    key,
    record: decodeRecord(KeyPackageRecord, value, 'key package'),
  }));
}

/** A key package must not outlive the certificate inside it: its leaf could join but not send. */
function lifetimeOf(identity: Identity, now: number): number {
  const certificate = unsafeReadLeafCertificate(identity.certificate);
  const days = ((certificate?.exp ?? 0) * 1000 - now) / dayMs;
  return Math.min(limits.keyPackageLifetimeDays, Math.floor(days));
}

async function make(
  context: DeviceContext,
  identity: Identity,
  wanted: { readonly oneTime: number; readonly lastResort: boolean; readonly lifetimeDays: number },
): Promise<Kept[]> {
  const now = context.environment.now();
  const made: Kept[] = [];
  const count = wanted.oneTime + (wanted.lastResort ? 1 : 0);
  for (let index = 0; index < count; index += 1) {
    const lastResort = index === wanted.oneTime;
    const { publicBytes, privateBytes, reference } = await context.engine.newKeyPackage({
      identity: { certificate: identity.certificate, leafKey: identity.leafKey },
      now,
      lifetimeDays: wanted.lifetimeDays,
      lastResort,
    });
    const expiresAt = now + wanted.lifetimeDays * dayMs;
    made.push({
      key: toBase64Url(reference),
      record: {
        v: 1,
        privateBytes,
        lastResort,
        madeAt: now,
        expiresAt,
        unpublished: publicBytes,
      },
    });
  }
  return made;
}

async function publish(
  context: DeviceContext,
  waiting: readonly Kept[],
  have: number,
): Promise<KeyPackagesKept> {
  let left = have;
  let uploaded = 0;
  const lastResort = newest(waiting.filter(({ record }) => record.lastResort));
  const oneTime = waiting.filter(({ record }) => !record.lastResort);
  for (let at = 0; at === 0 || at < oneTime.length; at += limits.keyPackagesPerUpload) {
    const page = oneTime.slice(at, at + limits.keyPackagesPerUpload);
    const withLastResort = at === 0 ? lastResort : undefined;
    if (page.length === 0 && withLastResort === undefined) break;
    const answer = await context.connection.call(uploadKeyPackages, {
      keyPackages: page.map(publicHalf),
      ...(withLastResort === undefined ? {} : { lastResort: publicHalf(withLastResort) }),
    });
    switch (answer.outcome) {
      case 'rate-limited':
        return answer;
      case 'key-package-refused':
        // They will not become better: a refused page is made anew at the next call.
        await context.store.commit(
          [...page, ...(withLastResort ? [withLastResort] : [])].map(forget),
        );
        return { outcome: 'refused', reason: answer.reason };
      case 'stored': {
        const published =
          at === 0 ? [...page, ...waiting.filter((kept) => kept.record.lastResort)] : page;
        await context.store.commit(published.map(publishedWrite));
        left = answer.left;
        uploaded += page.length;
      }
    }
  }
  return { outcome: 'kept', uploaded, left };
}

const newest = (kept: readonly Kept[]): Kept | undefined =>
  kept.reduce<Kept | undefined>(
    (best, each) => (best === undefined || each.record.madeAt > best.record.madeAt ? each : best),
    undefined,
  );

const publicHalf = ({ record }: Kept): string => toBase64Url(record.unpublished!);

const recordWrite = ({ key, record }: Kept): StoreWrite => ({
  collection: 'key-package',
  key,
  value: encodeRecord(KeyPackageRecord, record),
});

const publishedWrite = ({ key, record }: Kept): StoreWrite => {
  const { unpublished: _, ...published } = record;
  return recordWrite({ key, record: published });
};

const forget = ({ key }: { readonly key: string }): StoreWrite => ({
  collection: 'key-package',
  key,
  value: undefined,
});

/** The private half for one of the references that a Welcome names. */
export type OwnKeyPackage = {
  readonly reference: Uint8Array;
  readonly privateBytes: Uint8Array;
  /**
   * To be committed together with the joined session: a one-time private half is then gone (RFC 9420 §16.8). Empty for the
   * last-resort one, which others may still use; `renewLastResort` follows it.
   */
  readonly used: readonly StoreWrite[];
  readonly lastResort: boolean;
};

export async function findKeyPackage(
  store: Store,
  references: readonly Uint8Array[],
): Promise<OwnKeyPackage | undefined> {
  for (const reference of references.slice(0, limits.leavesPerConversation)) {
    const key = toBase64Url(reference);
    const bytes = await store.get('key-package', key);
    if (bytes === undefined) continue;
    const record = decodeRecord(KeyPackageRecord, bytes, 'key package');
    return {
      reference,
      privateBytes: record.privateBytes,
      lastResort: record.lastResort,
      used: record.lastResort ? [] : [forget({ key })],
    };
  }
  return undefined;
}

/** After the last-resort package was used: a new one, so that the next joiner does not share its keys. */
export async function renewLastResort(
  context: DeviceContext,
  identity: Identity,
): Promise<KeyPackagesKept> {
  const lifetimeDays = lifetimeOf(identity, context.environment.now());
  if (lifetimeDays < 1) return { outcome: 'certificate-ending' };
  const fresh = await make(context, identity, { oneTime: 0, lastResort: true, lifetimeDays });
  await context.store.commit(fresh.map(recordWrite));
  return publish(context, fresh, 0);
}

/** For tests and diagnosis: how many private halves are kept. */
export const countKeyPackages = async (store: Store): Promise<number> =>
  (await store.list('key-package', { prefix: '', limit: recordsMax })).length;
