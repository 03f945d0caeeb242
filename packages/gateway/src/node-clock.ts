// The machine's own time, chance and timers: handed in at the entry points, and nowhere else.

import { randomBytes } from 'node:crypto';
import type { Clock } from './gateway-context.ts';

export const nodeClock: Clock = {
  now: () => Date.now(),
  random: (count) => randomBytes(count),
  schedule(run, milliseconds) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};
