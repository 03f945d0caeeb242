// The last gate before a roster is believed: no device twice, and the caller's own policy says yes.

import type { Authorize, Refused, SharedRefusal } from '../engine.ts';
import type { RosterDelta } from '../roster.ts';
import { hasDuplicateDevice } from './members.ts';

export async function refusalOf(
  delta: RosterDelta,
  authorize: Authorize,
): Promise<Refused<SharedRefusal> | undefined> {
  if (hasDuplicateDevice(delta.members)) return refused('duplicate-device');
  const decision = await authorize(delta);
  if (decision.outcome === 'allowed') return undefined;
  return { outcome: 'refused', reason: 'not-authorized', policy: decision.policy };
}

export const refused = <Reason extends string>(reason: Reason): Refused<Reason> => ({
  outcome: 'refused',
  reason,
});
