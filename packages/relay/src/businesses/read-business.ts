// A business looks at itself: numbers, WABA, certificates.

import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId } from '@siegel/protocol/ids';
import type { getBusiness } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';
import { toText } from '../octets.ts';
import { profileOf } from './business-profile.ts';
import { readBusiness, readEnrolmentState, readNumbers } from './business-store.ts';
import { type CertificatePorts, currentCertificates } from './issue-certificates.ts';

export const readOwnBusiness =
  (ports: BasePorts & CertificatePorts): Rule<typeof getBusiness> =>
  async ({ account, accountId }) => {
    if (account !== 'business') return { outcome: 'forbidden' };
    const { business, numbers, accountKey } = await readAll(ports, accountId);
    const certified = { business, numbers, accountKey };
    const certificates = await currentCertificates(ports, ports.database, certified);
    return { outcome: 'business', business: profileOf(business, numbers), certificates };
  };

async function readAll({ database }: BasePorts, accountId: AccountId) {
  const business = await readBusiness(database, accountId);
  const state = await readEnrolmentState(database, accountId);
  const numbers = await readNumbers(database, accountId);
  if (business === undefined || !state?.account_key) throw new SiegelError('unauthenticated');
  return { business, numbers, accountKey: toText(state.account_key) };
}
