// Who this invented firm is, as it is entered in the operator's registry.
import type { DemoFirm } from '@siegel/bot';

export const firm: DemoFirm = {
  slug: 'bank-am-markt',
  legalName: 'Bank am Markt eG',
  displayName: 'Bank am Markt',
  country: 'DE',
  registerEntry: 'Amtsgericht Frankfurt am Main GnR 000404 (erfunden)',
  domain: 'bank-am-markt.example',
  level: 'badge',
  number: '+496990009400',
};
