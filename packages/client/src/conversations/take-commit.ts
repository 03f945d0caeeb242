// Somebody's commit that the relay took. It is adopted if the policy allows it and tree and roster agree; a commit that must
// be refused ends this generation for us, and we found the next one.

import type { AdoptRefusal, RosterDelta } from '@siegel/crypto';
import { fromBase64Url } from '@siegel/protocol/content';
import { SiegelError } from '@siegel/protocol/errors';
import type { DeliveredCommit } from '@siegel/protocol/relay';
import type { EngineContext } from '../engine-context.ts';
import { engineLimits } from '../engine-limits.ts';
import type { Need } from '../self-repair.ts';
import { askRelay, createAuthorizer } from './contacts.ts';
import { change, type Draft, tellNotice } from './draft.ts';
import { sameRoster } from './join-externally.ts';
import { adoptPending, readPending, tellRosterChange } from './pending-commit.ts';
import type { Taken } from './taken.ts';

export async function takeCommit(
  context: EngineContext,
  draft: Draft,
  item: DeliveredCommit,
): Promise<Taken> {
  const { record } = draft;
  const { conversationId } = item;
  const { accountId, deviceId } = context.identity;
  if (item.sender.accountId === accountId && item.sender.deviceId === deviceId) {
    const pending = await readPending(context, conversationId);
    if (pending?.clientId === item.clientId) adoptPending(context, draft, pending);
    return 'done';
  }
  if (record === undefined || record.left || item.generation < record.generation) return 'done';
  if (item.generation > record.generation || !record.joined) {
    // A generation without a Welcome for this device: it enters by itself.
    need(context, draft, { need: 'join', patienceMs: engineLimits.winnerMs });
    return 'done';
  }
  const session = await context.sessions.load(conversationId, record.generation);
  if (session === undefined) {
    need(context, draft, { need: 'join', patienceMs: 0 });
    return 'done';
  }
  const { authorize, rethrow } = createAuthorizer(context, draft);
  const adopted = await context.engine.adoptCommit(session, {
    commit: fromBase64Url(item.mls),
    header: {
      conversationId,
      generation: item.generation,
      class: 'control',
      kind: 'commit',
      clientId: item.clientId,
    },
    epoch: item.epoch,
    sender: item.sender,
    authorize,
  });
  rethrow();
  if (adopted.outcome === 'refused') {
    return takeRefusal(context, draft, adopted.reason);
  }
  const { delta, selfRemoved } = adopted;
  const { generation } = item;
  draft.step.sessions.push({ conversationId, generation, session: adopted.session });
  if (selfRemoved) {
    change(draft, { joined: false, left: true });
    tellNotice(context, draft, { notice: 'left' });
    return 'done';
  }
  if (strikesForeignDevice(context, delta)) {
    // The list that strikes it is learnt now: an older one handed out later would let the device in again.
    await askRelay(context, draft);
  }
  tellRosterChange(context, draft, delta);
  if (!sameRoster(delta.added, item.added) || !sameRoster(delta.removed, item.removed)) {
    tellNotice(context, draft, { notice: 'roster-mismatch' });
    need(context, draft, { need: 'found', patienceMs: 0 });
  }
  draft.step.then.push(() => {
    context.repairs.encourage(conversationId);
    context.wake(conversationId);
  });
  return 'done';
}

/** A device of another account went and did not come back in the same commit. */
const strikesForeignDevice = (context: EngineContext, { added, removed }: RosterDelta): boolean =>
  removed.some(
    (leaf) =>
      leaf.accountId !== context.identity.accountId &&
      !added.some((each) => each.accountId === leaf.accountId && each.deviceId === leaf.deviceId),
  );

function need(
  context: EngineContext,
  draft: Draft,
  { need: wanted, patienceMs }: { readonly need: Need; readonly patienceMs: number },
): void {
  const { conversationId } = draft;
  const notBefore = context.environment.now() + patienceMs;
  draft.step.then.push(() => {
    context.repairs.require(conversationId, wanted, notBefore);
    context.wake(conversationId);
  });
}

function takeRefusal(context: EngineContext, draft: Draft, reason: AdoptRefusal): Taken {
  switch (reason) {
    case 'epoch-past':
    case 'own-commit':
    case 'removed':
      return 'done';
    case 'epoch-ahead':
      // A commit in between never came: what is ahead can only be entered from outside.
      need(context, draft, { need: 'join', patienceMs: 0 });
      return 'done';
    case 'malformed':
    case 'wrong-conversation':
    case 'header-mismatch':
    case 'sender-mismatch':
    case 'proposal-refused':
    case 'unopenable':
    case 'duplicate-device':
    case 'certificate-invalid':
    case 'not-authorized':
      context.report(new SiegelError('open-refused', `commit: ${reason}`));
      need(context, draft, { need: 'found', patienceMs: 0 });
      return 'done';
  }
}
