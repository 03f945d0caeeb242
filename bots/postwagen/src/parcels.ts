// The parcels this invented service knows about. Fixed, so that answers can be relied on.
import type { Worded } from '@siegel/bot';

export type Parcel = { readonly state: Worded; readonly next: Worded };

export const parcels: Readonly<Record<string, Parcel>> = {
  PW4711: {
    state: { de: 'ist im Zustellwagen', en: 'is on the delivery van' },
    next: {
      de: 'Zustellung heute zwischen 14 und 16 Uhr.',
      en: 'Delivery today between 2 and 4 pm.',
    },
  },
  PW1200: {
    state: { de: 'liegt im Paketzentrum Köln', en: 'is at the Cologne depot' },
    next: { de: 'Voraussichtlich morgen bei Ihnen.', en: 'Expected with you tomorrow.' },
  },
  PW3030: {
    state: { de: 'wartet im Paketladen Lindenstraße 8', en: 'waits at the shop, Lindenstraße 8' },
    next: {
      de: 'Abholung bis Samstag, 18 Uhr, mit Ausweis.',
      en: 'Collect it until Saturday, 6 pm, with your ID.',
    },
  },
  PW9001: {
    state: { de: 'wurde zugestellt', en: 'has been delivered' },
    next: { de: 'Abgegeben an der Haustür.', en: 'Left at the front door.' },
  },
};
