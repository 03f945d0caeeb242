// Who this invented firm is, as it is entered in the operator's registry.
import type { DemoFirm } from '@siegel/bot';

export const firm: DemoFirm = {
  slug: 'kaufhaus-linden',
  legalName: 'Kaufhaus Linden GmbH & Co. KG',
  displayName: 'Kaufhaus Linden',
  country: 'DE',
  registerEntry: 'Amtsgericht Berlin HRA 000303 (erfunden)',
  domain: 'kaufhaus-linden.example',
  level: 'entity-proven',
  number: '+493023125300',
};
