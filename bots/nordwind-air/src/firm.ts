// Who this invented firm is, as it is entered in the operator's registry.
import type { DemoFirm } from '@siegel/bot';

export const firm: DemoFirm = {
  slug: 'nordwind-air',
  legalName: 'Nordwind Air GmbH',
  displayName: 'Nordwind Air',
  country: 'DE',
  registerEntry: 'Amtsgericht Hamburg HRB 000101 (erfunden)',
  domain: 'nordwind-air.example',
  level: 'badge',
  number: '+494066969100',
};
