// Linking a further device by a code shown on the first (L1–L3). The relay carries leaf key and certificate between the
// two; both check them by a MAC under a secret that never comes here.

import { timingSafeEqual } from 'node:crypto';
import { verifyLeafCertificate } from '@siegel/crypto/verify';
import { bucketOf } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type {
  completeLink,
  finishLink,
  joinLink,
  openLink,
  readLink,
} from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { hashSecret, tokenInBucket } from '../device-token.ts';
import type { DeviceCaller, Rule } from '../http/route.ts';
import { toBytes, toText } from '../octets.ts';
import { giveToken, readAccount, readDevices } from './device-store.ts';
import { insertLink, joinOnce, type LinkRow, readLiveLink, writeCompletion } from './link-store.ts';

const lifetimeSeconds = limits.linkMinutes * 60;

export const beginLink =
  ({ database, now }: BasePorts): Rule<typeof openLink> =>
  async ({ accountId, deviceId }, { linkId }) => {
    const expiresAt = now() + lifetimeSeconds * 1000;
    const isOpen = await database.transaction((transaction) =>
      insertLink(transaction, { linkId, accountId, openedBy: deviceId, expiresAt, now: now() }),
    );
    return isOpen ? { outcome: 'opened', expiresInSeconds: lifetimeSeconds } : { outcome: 'taken' };
  };

export const offerLeafKey =
  ({ database, now, random }: BasePorts): Rule<typeof joinLink> =>
  async (_caller, { linkId, leafKey, proof }) => {
    const token = Buffer.from(random(32));
    const joined = await joinOnce(database, {
      linkId,
      leafKey: toBytes(leafKey),
      proof: toBytes(proof),
      tokenHash: hashSecret(token),
      now: now(),
    });
    return joined ? { outcome: 'joined', joinToken: toText(token) } : { outcome: 'link-over' };
  };

/** A link of another account does not exist for the caller. */
async function ownLink(
  { database, now }: BasePorts,
  caller: DeviceCaller,
  linkId: string,
): Promise<LinkRow | undefined> {
  const link = await readLiveLink(database, linkId, now());
  return link?.account_id === caller.accountId ? link : undefined;
}

export const showJoined =
  (ports: BasePorts): Rule<typeof readLink> =>
  async (caller, { linkId }) => {
    const link = await ownLink(ports, caller, linkId);
    if (link === undefined) return { outcome: 'link-over' };
    if (link.leaf_key === null || link.join_proof === null) return { outcome: 'waiting' };
    return { outcome: 'joined', leafKey: toText(link.leaf_key), proof: toText(link.join_proof) };
  };

export const handCertificate =
  (ports: BasePorts): Rule<typeof completeLink> =>
  async (caller, { linkId, deviceId, certificate, proof }) => {
    const { database, now } = ports;
    const link = await ownLink(ports, caller, linkId);
    if (link === undefined || link.leaf_key === null) return { outcome: 'link-over' };
    const { leaf_key: leafKey } = link;
    const account = await readAccount(database, caller.accountId);
    const listed = await readDevices(database, caller.accountId);
    const isListed = listed.some(
      (row) => row.device_id === deviceId && row.leaf_key.equals(leafKey),
    );
    const verified = await verifyLeafCertificate(certificate, {
      expectedKey: toText(account?.account_key ?? Buffer.alloc(0)),
      now: Math.floor(now() / 1000),
    });
    const isOfLeaf =
      verified.outcome === 'valid' &&
      verified.statement.sub === caller.accountId &&
      verified.statement.dev === deviceId &&
      verified.statement.leaf === toText(leafKey);
    if (!isListed || !isOfLeaf) return { outcome: 'not-on-list' };
    await writeCompletion(database, { linkId, deviceId, certificate, proof: toBytes(proof) });
    return { outcome: 'completed' };
  };

export const fetchLinked =
  ({ database, now, random }: BasePorts): Rule<typeof finishLink> =>
  async (_caller, { linkId, joinToken }) => {
    const link = await readLiveLink(database, linkId, now());
    const { leaf_key: leafKey, join_token_hash: tokenHash } = link ?? {};
    if (link === undefined || !leafKey || !tokenHash) return { outcome: 'link-over' };
    if (!timingSafeEqual(tokenHash, hashSecret(toBytes(joinToken)))) {
      return { outcome: 'link-over' };
    }
    const { account_id: accountId, device_id: deviceId, certificate, complete_proof: proof } = link;
    if (deviceId === null || certificate === null || proof === null) return { outcome: 'waiting' };
    const deviceToken = tokenInBucket(bucketOf(accountId), random(32));
    const device = { accountId, deviceId, leafKey, tokenHash: hashSecret(toBytes(deviceToken)) };
    // L3: unless the list names this leaf key no more, or the device was already used.
    if (!(await giveToken(database, device))) return { outcome: 'link-over' };
    const account = await readAccount(database, accountId);
    return {
      outcome: 'linked',
      ...{ accountId, deviceId, certificate, deviceToken },
      deviceList: account?.device_list ?? '',
      proof: toText(proof),
    };
  };
