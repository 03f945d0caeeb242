// A business as the contract shows it.

import { NumericId, PhoneNumber } from '@siegel/protocol/ids';
import type { BusinessProfile } from '@siegel/protocol/relay';
import type { BusinessNumberRow, BusinessRow } from './business-store.ts';

export const profileOf = (
  business: BusinessRow,
  numbers: readonly BusinessNumberRow[],
): BusinessProfile => ({
  accountId: business.account_id,
  legalName: business.legal_name,
  country: business.country,
  numbers: numbers.map((row) => ({
    phoneNumberId: NumericId.parse(String(row.phone_number_id)),
    number: PhoneNumber.parse(row.number),
    displayName: row.display_name,
    wabaId: NumericId.parse(String(row.waba_id)),
  })),
});
