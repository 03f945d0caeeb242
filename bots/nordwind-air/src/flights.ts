// The flights this invented airline knows about. Fixed, so that answers can be relied on.
import type { Worded } from '@siegel/bot';

export type Flight = {
  readonly from: Worded;
  readonly to: Worded;
  readonly departs: string;
  readonly gate: string;
  readonly state: 'on-time' | 'delayed' | 'boarding' | 'cancelled';
  /** new departure of a delayed flight, or of the one that replaces a cancelled flight */
  readonly newDeparture?: string;
};

const same = (name: string): Worded => ({ de: name, en: name });
const vienna: Worded = { de: 'Wien', en: 'Vienna' };
const lisbon: Worded = { de: 'Lissabon', en: 'Lisbon' };
const zurich: Worded = { de: 'Zürich', en: 'Zurich' };
const copenhagen: Worded = { de: 'Kopenhagen', en: 'Copenhagen' };

export const flights: Readonly<Record<string, Flight>> = {
  NW101: { from: same('Hamburg'), to: vienna, departs: '08:15', gate: 'A12', state: 'on-time' },
  NW204: {
    from: same('Hamburg'),
    to: lisbon,
    departs: '14:25',
    gate: 'B7',
    state: 'delayed',
    newDeparture: '15:10',
  },
  NW318: { from: same('Berlin'), to: zurich, departs: '11:40', gate: 'C3', state: 'boarding' },
  NW422: {
    from: same('Bremen'),
    to: copenhagen,
    departs: '17:05',
    gate: 'A2',
    state: 'cancelled',
    newDeparture: '19:30',
  },
  NW555: { from: vienna, to: same('Hamburg'), departs: '20:50', gate: 'F21', state: 'on-time' },
};
