// What the bench and its process full of people say to each other over IPC, and the clock they
// share.

import type { PhoneNumber } from '@siegel/protocol/ids';

export type PeopleConfig = {
  readonly url: string;
  readonly smsInbox: string;
  readonly count: number;
  readonly secondsMax: number;
};

export type PeopleReport =
  | { readonly report: 'open'; readonly numbers: readonly PhoneNumber[] }
  /** the relay has taken the hello */
  | { readonly report: 'greeted'; readonly number: PhoneNumber }
  | { readonly report: 'opened'; readonly text: string; readonly at: number }
  | { readonly report: 'trouble'; readonly words: string };

/** Milliseconds since 1970, finer than a clock's: the same for all processes of a machine. */
export const preciseNow = (): number => performance.timeOrigin + performance.now();
