// From a target to its conversation. What was resolved once is remembered; a number is asked for again after a day, since
// it may have gone to somebody else.

import { ConversationId } from '@siegel/protocol/ids';
import type { OpenWith } from '@siegel/protocol/relay';
import type { Target } from '../account-api.ts';
import { type EngineContext, put, type Step } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import { type ConversationRecord, type OutboxRecord, ResolvedTarget } from '../engine-records.ts';
import { decodeRecord, encodeRecord } from '../record.ts';

/** A conversation id, or `to:…` for a target whose conversation is found when it is first written to. */
export type TargetKey = string;

export function targetKey(to: Target): TargetKey {
  if ('conversationId' in to) return to.conversationId;
  if ('business' in to) return `to:business/${to.business}`;
  if ('direct' in to) return `to:direct/${to.direct}`;
  return 'number' in to.person
    ? `to:number/${to.from}/${to.person.number}`
    : `to:person/${to.from}/${to.person.accountId}`;
}

export const isTargetKey = (key: string): boolean => key.startsWith('to:');

export async function knownConversation(
  context: EngineContext,
  to: Target,
): Promise<ConversationId | undefined> {
  if ('conversationId' in to) return to.conversationId;
  const bytes = await context.store.get('meta', targetKey(to));
  if (bytes === undefined) return undefined;
  const { conversationId, at } = decodeRecord(ResolvedTarget, bytes, 'target');
  const isByNumber = 'person' in to && 'number' in to.person;
  const isOld = context.environment.now() - at > engineLimits.numberKnownMs;
  return isByNumber && isOld ? undefined : conversationId;
}

export function rememberTarget(
  context: EngineContext,
  step: Step,
  { key, conversationId }: { readonly key: TargetKey; readonly conversationId: ConversationId },
): void {
  const resolved: ResolvedTarget = { v: 1, conversationId, at: context.environment.now() };
  put(step, 'meta', key, encodeRecord(ResolvedTarget, resolved));
}

/** The targets that lead to a conversation which came to be from the other side. */
export function targetsOf(
  context: EngineContext,
  { kind, phoneNumberId, members }: ConversationRecord,
): TargetKey[] {
  const other = members.find(({ accountId }) => accountId !== context.identity.accountId);
  if (other === undefined) return [];
  if (kind === 'direct') return [targetKey({ direct: other.accountId })];
  if (kind !== 'business' || phoneNumberId === undefined) return [];
  return context.identity.kind === 'business'
    ? [targetKey({ from: phoneNumberId, person: { accountId: other.accountId } })]
    : [targetKey({ business: phoneNumberId })];
}

/** How the relay is asked for a target. The template of the waiting message goes with it: opening obeys the rules of sending. */
export function openWith({ to, template }: OutboxRecord): OpenWith {
  if ('business' in to) return { kind: 'business', phoneNumberId: to.business };
  if ('direct' in to) return { kind: 'direct', accountId: to.direct };
  if ('from' in to) {
    const person =
      'number' in to.person ? { number: to.person.number } : { accountId: to.person.accountId };
    return {
      kind: 'person',
      from: to.from,
      to: person,
      ...(template === undefined ? {} : { template }),
    };
  }
  throw new Error('Assertion failed: a conversation needs no opening');
}
