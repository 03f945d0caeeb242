// What came of an item of the mailbox.

import type { ParkedRecord } from '../engine-records.ts';

/** `done`: the draft holds all there is to say. Otherwise the item is kept, and why. */
export type Taken = 'done' | ParkedRecord['state'];
