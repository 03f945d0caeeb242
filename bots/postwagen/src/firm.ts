// Who this invented firm is, as it is entered in the operator's registry.
import type { DemoFirm } from '@siegel/bot';

export const firm: DemoFirm = {
  slug: 'postwagen',
  legalName: 'Postwagen AG',
  displayName: 'Postwagen',
  country: 'DE',
  registerEntry: 'Amtsgericht Köln HRB 000202 (erfunden)',
  domain: 'postwagen.example',
  level: 'badge',
  number: '+492214710200',
};
