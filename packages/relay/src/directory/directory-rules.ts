// Looking up one number (N1, N2), a business's certificate (N3) and the operator's keys (N4).

import type { AccountId } from '@siegel/protocol/ids';
import { NumericId } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { getBusinessCertificate, getOperator, lookUpNumber } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';
import { toText } from '../octets.ts';
import { spendQuota } from '../quotas.ts';
import { certificateOf, holderOf, publishedOf } from './directory-store.ts';

export type DirectoryPorts = BasePorts & {
  readonly issuer: string;
  readonly operatorKeys: readonly { readonly keyId: string; readonly publicKey: string }[];
  readonly stateNumber: (facts: {
    readonly accountId: AccountId;
    readonly accountKey: string;
    readonly number: string;
    readonly now: number;
  }) => Promise<string>;
};

const hourSeconds = 3600;

export const lookUp =
  (ports: DirectoryPorts): Rule<typeof lookUpNumber> =>
  async (caller, { number }) => {
    const { database, now } = ports;
    const quota = await spendQuota(database, {
      owner: caller.accountId,
      quota: 'look-ups',
      amount: 1,
      max: limits.lookUpsPerHour[caller.account],
      windowSeconds: hourSeconds,
      now: now(),
    });
    if (!quota.spent) {
      return { outcome: 'rate-limited', retryAfterSeconds: quota.retryAfterSeconds };
    }
    const holder = await holderOf(database, number);
    const isBusiness = holder !== undefined && holder.phone_number_id !== null;
    // N2: a business is not told whether a number that is no business's is known here.
    if (caller.account === 'business' && !isBusiness) return { outcome: 'forbidden' };
    const { account_id: accountId, phone_number_id: phoneNumberId } = holder ?? {};
    const published = accountId && (await publishedOf(database, accountId));
    if (!accountId || !published?.device_list || !published.account_key) {
      return { outcome: 'not-found' };
    }
    const deviceList = published.device_list;
    if (phoneNumberId === null || phoneNumberId === undefined) {
      const accountKey = toText(published.account_key);
      const facts = { accountId, accountKey, number, now: now() };
      const numberStatement = await ports.stateNumber(facts);
      return { outcome: 'person', accountId, deviceList, numberStatement };
    }
    const certificate = await certificateOf(database, phoneNumberId, now());
    return {
      outcome: 'business',
      ...{ accountId, deviceList },
      phoneNumberId: NumericId.parse(String(phoneNumberId)),
      ...(certificate === undefined ? {} : { certificate }),
    };
  };

export const readCertificate =
  ({ database, now }: DirectoryPorts): Rule<typeof getBusinessCertificate> =>
  async (_caller, { phoneNumberId }) => {
    const certificate = await certificateOf(database, phoneNumberId, now());
    return certificate === undefined
      ? { outcome: 'not-found' }
      : { outcome: 'certificate', certificate };
  };

export const showOperator =
  ({ issuer, operatorKeys, now }: DirectoryPorts): Rule<typeof getOperator> =>
  async () => ({ outcome: 'operator', issuer, keys: [...operatorKeys], now: now() });
