// Linking, seen from the device that holds the account key: it shows a code, checks who joined, signs and hands over.

import { fromBase64Url, octets } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import { DeviceId } from '@siegel/protocol/ids';
import {
  completeLink,
  LinkId,
  openLink,
  PublicKey,
  readLink,
  Statement,
} from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { type DeviceContext, nowInSeconds } from './device-context.ts';
import { certify } from './device-keys.ts';
import { addDevice, fetchOwnList, type ListPublished, resumeDeviceList } from './device-list.ts';
import { DeviceRole, type Identity, readUnfinished, unfinishedWrite } from './identity.ts';
import {
  completeProof,
  joinProof,
  type LinkCode,
  newLinkCode,
  sameProof,
  writeLinkCode,
} from './link-code.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store } from './store.ts';

const OpenedLink = z.object({
  v: z.literal(1),
  linkId: LinkId,
  secret: octets(15, 15),
  role: DeviceRole,
  expiresAt: z.int(),
  /** signed, perhaps published, not handed over yet */
  device: z.optional(z.object({ deviceId: DeviceId, leaf: PublicKey, certificate: Statement })),
});
type OpenedLink = z.infer<typeof OpenedLink>;

const write = (link: OpenedLink | undefined) =>
  unfinishedWrite('link-opened', link === undefined ? undefined : encodeRecord(OpenedLink, link));

async function readOpened(store: Store): Promise<OpenedLink | undefined> {
  const bytes = await readUnfinished(store, 'link-opened');
  return bytes === undefined ? undefined : decodeRecord(OpenedLink, bytes, 'linking');
}

export type LinkOpened =
  | { readonly outcome: 'opened'; readonly code: string; readonly expiresAt: number }
  | { readonly outcome: 'not-main' }
  | { readonly outcome: 'rate-limited'; readonly retryAfterSeconds: number };

const codeTries = 3;

/** One at a time: an earlier code of this device is forgotten, and nobody who joined by it is added. */
export async function openDeviceLink(
  context: DeviceContext,
  identity: Identity,
  role: DeviceRole = identity.kind === 'person' ? 'linked' : 'gateway',
): Promise<LinkOpened> {
  if (identity.accountSigningKey === undefined) return { outcome: 'not-main' };
  for (let tries = 0; tries < codeTries; tries += 1) {
    const code = newLinkCode(context.provider);
    const answer = await context.connection.call(openLink, { linkId: code.linkId });
    if (answer.outcome === 'rate-limited') return answer;
    if (answer.outcome === 'taken') continue;
    const expiresAt = context.environment.now() + answer.expiresInSeconds * 1000;
    await context.store.commit([write({ v: 1, ...code, role, expiresAt })]);
    return { outcome: 'opened', code: writeLinkCode(code), expiresAt };
  }
  throw new SiegelError('relay-refused', 'every linking code is taken');
}

export type LinkProgress =
  | { readonly outcome: 'waiting' }
  | { readonly outcome: 'linked'; readonly deviceId: DeviceId }
  | { readonly outcome: 'link-over' }
  /** somebody joined who has not seen the code; nothing was signed */
  | { readonly outcome: 'proof-wrong' }
  | Exclude<ListPublished, { outcome: 'published' }>;

/** Looks once, and does what is due. To be called every few seconds while the code is shown, and once at each start. */
export async function continueDeviceLink(
  context: DeviceContext,
  identity: Identity,
): Promise<LinkProgress> {
  const link = await readOpened(context.store);
  if (link === undefined) return { outcome: 'link-over' };
  if (identity.accountSigningKey === undefined) return { outcome: 'not-main' };
  if (link.device !== undefined) return handOver(context, identity, link);
  const answer = await context.connection.call(readLink, { linkId: link.linkId });
  switch (answer.outcome) {
    case 'waiting':
    case 'rate-limited':
      return answer;
    case 'link-over':
      await context.store.commit([write(undefined)]);
      return answer;
    case 'joined': {
      const expected = await joinProof(context.provider, link, fromBase64Url(answer.leafKey));
      if (!sameProof(expected, answer.proof)) {
        await context.store.commit([write(undefined)]);
        return { outcome: 'proof-wrong' };
      }
      return handOver(
        context,
        identity,
        await certified(context, identity, { link, leaf: answer.leafKey }),
      );
    }
    default:
      return answer satisfies never;
  }
}

/** The id is chosen once and stored: after a crash the same device is published again, never a second one. */
async function certified(
  context: DeviceContext,
  identity: Identity,
  { link, leaf }: { readonly link: OpenedLink; readonly leaf: string },
): Promise<OpenedLink> {
  await resumeDeviceList(context, identity);
  const { next } = await fetchOwnList(context, identity);
  const certificate = await certify({
    accountId: identity.accountId,
    deviceId: next,
    leaf,
    accountKey: identity.accountSigningKey!,
    nowSeconds: nowInSeconds(context),
  });
  const certifiedLink = { ...link, device: { deviceId: next, leaf, certificate } };
  await context.store.commit([write(certifiedLink)]);
  return certifiedLink;
}

/** Publishes the list first: the relay takes the certificate only of a device on it (L3). */
async function handOver(
  context: DeviceContext,
  identity: Identity,
  link: OpenedLink,
): Promise<LinkProgress> {
  const { deviceId, leaf, certificate } = link.device!;
  const listed = await addDevice(context, identity, { id: deviceId, leaf, role: link.role });
  if (listed.outcome !== 'published') return listed;
  const proof = await completeProof(context.provider, link satisfies LinkCode, {
    accountId: identity.accountId,
    deviceId,
    certificate,
  });
  const { linkId } = link;
  const request = { linkId, deviceId, certificate, proof };
  const answer = await context.connection.call(completeLink, request);
  if (answer.outcome === 'not-on-list') throw new SiegelError('relay-refused', 'linking');
  await context.store.commit([write(undefined)]);
  return answer.outcome === 'completed'
    ? { outcome: 'linked', deviceId }
    : { outcome: 'link-over' };
}

/** The code is shown no longer: whoever joins by it now is not added. */
export const cancelDeviceLink = (store: Store): Promise<void> => store.commit([write(undefined)]);
