// Linking, seen from the new device: it types the code, offers its leaf key and checks what it is handed.
// The account key it learns here is pinned for good: the code, not the relay, vouches for it.

import { createSigningKey, verifyDeviceList, verifyLeafCertificate } from '@siegel/crypto';
import { octets, toBase64Url } from '@siegel/protocol/content';
import { type AnswerOf, finishLink, joinLink, LinkId, Token } from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import { type DeviceContext, nowInSeconds } from './device-context.ts';
import { ownDeviceListWrite } from './device-list.ts';
import {
  type Identity,
  identityWrite,
  readUnfinished,
  StoredKey,
  unfinishedWrite,
} from './identity.ts';
import type { KeyPackagesKept } from './key-packages.ts';
import { completeProof, joinProof, readLinkCode, sameProof } from './link-code.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { firstKeyPackages } from './registration.ts';
import type { Store } from './store.ts';

const JoiningLink = z.object({
  v: z.literal(1),
  linkId: LinkId,
  secret: octets(15, 15),
  leafKey: StoredKey,
  /** once the relay took the leaf key */
  joinToken: z.optional(Token),
});
type JoiningLink = z.infer<typeof JoiningLink>;

const write = (link: JoiningLink | undefined) =>
  unfinishedWrite('link-joining', link === undefined ? undefined : encodeRecord(JoiningLink, link));

async function readJoining(store: Store): Promise<JoiningLink | undefined> {
  const bytes = await readUnfinished(store, 'link-joining');
  return bytes === undefined ? undefined : decodeRecord(JoiningLink, bytes, 'linking');
}

export type LinkJoined =
  | { readonly outcome: 'joined' }
  | { readonly outcome: 'code-malformed' }
  | Exclude<AnswerOf<typeof joinLink>, { outcome: 'joined' }>;

/** A link is joined once: when this answer is lost, the main device has to show another code. */
export async function joinDeviceLink(context: DeviceContext, typed: string): Promise<LinkJoined> {
  const code = readLinkCode(typed);
  if (code === undefined) return { outcome: 'code-malformed' };
  const leafKey = await createSigningKey();
  const link: JoiningLink = { v: 1, ...code, leafKey };
  await context.store.commit([write(link)]);
  const answer = await context.connection.call(joinLink, {
    linkId: code.linkId,
    leafKey: toBase64Url(leafKey.publicKey),
    proof: await joinProof(context.provider, code, leafKey.publicKey),
  });
  if (answer.outcome !== 'joined') {
    await context.store.commit([write(undefined)]);
    return answer;
  }
  await context.store.commit([write({ ...link, joinToken: answer.joinToken })]);
  return { outcome: 'joined' };
}

export type JoinProgress =
  | { readonly outcome: 'waiting' }
  | {
      readonly outcome: 'linked';
      readonly identity: Identity;
      readonly keyPackages: KeyPackagesKept | undefined;
    }
  | { readonly outcome: 'link-over' }
  /** what was handed over was not made by the device that showed the code; nothing of it is kept */
  | { readonly outcome: 'proof-wrong' }
  | { readonly outcome: 'rate-limited'; readonly retryAfterSeconds: number };

/** Looks once. To be called every few seconds until it is no longer `waiting`. */
export async function continueJoining(context: DeviceContext): Promise<JoinProgress> {
  const link = await readJoining(context.store);
  if (link?.joinToken === undefined) return { outcome: 'link-over' };
  const { linkId, joinToken } = link;
  const answer = await context.connection.call(finishLink, { linkId, joinToken });
  if (answer.outcome === 'waiting' || answer.outcome === 'rate-limited') return answer;
  const taken =
    answer.outcome === 'linked' ? await checkHandedOver(context, link, answer) : undefined;
  if (taken === undefined) {
    await context.store.commit([write(undefined)]);
    return { outcome: answer.outcome === 'linked' ? 'proof-wrong' : 'link-over' };
  }
  const { identity, listWrite } = taken;
  await context.store.commit([identityWrite(identity), listWrite, write(undefined)]);
  const keyPackages = await firstKeyPackages(context, identity);
  return { outcome: 'linked', identity, keyPackages };
}

type Linked = Extract<AnswerOf<typeof finishLink>, { outcome: 'linked' }>;

/** Proof first: without it nothing that came is worth a look. */
async function checkHandedOver(context: DeviceContext, link: JoiningLink, linked: Linked) {
  const { accountId, deviceId, certificate, deviceToken } = linked;
  const expected = await completeProof(context.provider, link, {
    accountId,
    deviceId,
    certificate,
  });
  if (!sameProof(expected, linked.proof)) return undefined;
  const verified = await verifyLeafCertificate(certificate, { now: nowInSeconds(context) });
  if (verified.outcome !== 'valid') return undefined;
  const { key, sub, dev, leaf } = verified.statement;
  const ownLeaf = toBase64Url(link.leafKey.publicKey);
  if (sub !== accountId || dev !== deviceId || leaf !== ownLeaf) return undefined;
  const list = await verifyDeviceList(linked.deviceList, { expectedKey: key });
  if (list.outcome !== 'valid' || list.statement.sub !== accountId) return undefined;
  const self = list.statement.devices.find((device) => device.id === deviceId);
  if (self?.leaf !== ownLeaf) return undefined;
  const identity: Identity = {
    v: 1,
    accountId,
    deviceId,
    kind: self.role === 'gateway' || self.role === 'app' ? 'business' : 'person',
    role: self.role,
    accountKey: key,
    leafKey: link.leafKey,
    certificate,
    deviceToken,
  };
  return { identity, listWrite: ownDeviceListWrite(linked.deviceList, list.statement) };
}
