// Certificates of the account's devices end after ninety days. The device with the account key renews its own, and sends the
// others theirs through the conversation they share; each carries its new one into its groups with the next commit.

import { verifyLeafCertificate } from '@siegel/crypto';
import type { Body } from '@siegel/protocol/content';
import type { DeviceId } from '@siegel/protocol/ids';
import type { DeliveredMessage } from '@siegel/protocol/relay';
import { conversationRecords } from './account-views.ts';
import { type Draft, openDraft, storeDraft } from './conversations/draft.ts';
import { nowInSeconds } from './device-context.ts';
import { certify } from './device-keys.ts';
import { renewOwnCertificate } from './device-list.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import { type Identity, identityWrite } from './identity.ts';
import { addControl } from './outbox.ts';

const settingOf = (deviceId: DeviceId): string => `leaf-certificate/${deviceId}`;

const isEnding = (context: EngineContext, expiresAt: number): boolean =>
  expiresAt * 1000 - context.environment.now() <= engineLimits.certificateRenewalMs;

/** For the device that holds the account key; the others wait for it. */
export async function renewCertificates(context: EngineContext): Promise<void> {
  const { identity } = context;
  if (identity.accountSigningKey === undefined) return;
  const own = await verifyLeafCertificate(identity.certificate);
  if (own.outcome !== 'valid' || isEnding(context, own.statement.exp)) {
    const renewed = await renewOwnCertificate(context, identity);
    if (renewed !== undefined) context.renewed(renewed);
  }
  for await (const record of conversationRecords(context)) {
    if (record.kind === 'own' && record.joined) await certifyOthers(context, record.conversationId);
  }
}

function certifyOthers(
  context: EngineContext,
  conversationId: Draft['conversationId'],
): Promise<void> {
  return context.lanes.enter(conversationId, async () => {
    const { identity } = context;
    const draft = await openDraft(context, conversationId);
    const generation = draft.record?.generation ?? 0;
    const session = await context.sessions.load(conversationId, generation);
    const accountKey = identity.accountSigningKey;
    if (session === undefined || accountKey === undefined) return;
    for (const member of context.engine.sessionInfo(session).members) {
      const { accountId, deviceId, leafKey: leaf, expiresAt } = member;
      if (deviceId === identity.deviceId || !isEnding(context, expiresAt)) continue;
      const nowSeconds = nowInSeconds(context);
      const value = await certify({ accountId, deviceId, leaf, accountKey, nowSeconds });
      const sync = { kind: 'setting' as const, name: settingOf(deviceId), value };
      addControl(context, draft, { type: 'sync', sync });
    }
    await storeDraft(context, draft);
  });
}

/** Takes a renewed certificate for this very device; answers whether it was one. */
export async function takeCertificate(
  context: EngineContext,
  draft: Draft,
  {
    item,
    body,
  }: { readonly item: DeliveredMessage; readonly body: Extract<Body, { type: 'sync' }> },
): Promise<boolean> {
  const { identity } = context;
  const { sync } = body;
  if (sync.kind !== 'setting' || !sync.name.startsWith('leaf-certificate/')) return false;
  if (item.sender.accountId !== identity.accountId || sync.name !== settingOf(identity.deviceId)) {
    return true;
  }
  const expectedKey = identity.accountKey;
  const [known, offered] = await Promise.all([
    verifyLeafCertificate(identity.certificate, { expectedKey }),
    verifyLeafCertificate(sync.value, { expectedKey }),
  ]);
  if (known.outcome !== 'valid' || offered.outcome !== 'valid') return true;
  const { sub, dev, leaf, exp } = offered.statement;
  const isMine =
    sub === identity.accountId && dev === identity.deviceId && leaf === known.statement.leaf;
  if (!isMine || exp <= known.statement.exp) return true;
  const renewed: Identity = { ...identity, certificate: sync.value };
  draft.step.writes.push(identityWrite(renewed));
  draft.step.then.push(() => context.renewed(renewed));
  return true;
}
