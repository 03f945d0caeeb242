// The branches of this invented bank. Fixed, so that answers can be relied on.
import type { Worded } from '@siegel/bot';

export type Branch = { readonly name: string; readonly address: string; readonly hours: Worded };

export const branches: readonly Branch[] = [
  {
    name: 'Marktplatz',
    address: 'Am Markt 1, Frankfurt',
    hours: { de: 'Mo–Fr 9–16 Uhr, Do bis 18 Uhr', en: 'Mon–Fri 9 am–4 pm, Thu until 6 pm' },
  },
  {
    name: 'Bahnhof',
    address: 'Bahnhofstraße 20, Frankfurt',
    hours: { de: 'Mo–Fr 8–14 Uhr', en: 'Mon–Fri 8 am–2 pm' },
  },
];
