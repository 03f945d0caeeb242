// The orders this invented shop knows about. Fixed, so that answers can be relied on.
import type { Worded } from '@siegel/bot';

export const orders: Readonly<Record<string, Worded>> = {
  'L-1001': {
    de: 'ist gepackt und geht heute mit Postwagen auf den Weg (Sendung PW4711)',
    en: 'is packed and leaves today with Postwagen (parcel PW4711)',
  },
  'L-1002': {
    de: 'wird gerade zusammengestellt; wir versenden sie morgen',
    en: 'is being put together; we send it tomorrow',
  },
  'L-1003': {
    de: 'liegt zur Abholung im Erdgeschoss bereit',
    en: 'is ready for collection on the ground floor',
  },
  'L-1004': {
    de: 'ist zurück bei uns; den Betrag erhalten Sie binnen drei Tagen',
    en: 'has come back to us; you get your money within three days',
  },
};
