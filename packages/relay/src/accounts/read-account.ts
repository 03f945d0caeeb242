// What a device may know of its own account (D2).

import { SiegelError } from '@siegel/protocol/errors';
import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import type { getAccount } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import type { Rule } from '../http/route.ts';
import { toText } from '../octets.ts';
import { numberOfPerson, readFacts } from './account-store.ts';
import type { StateNumber } from './number-statement.ts';

export type ReadAccountPorts = BasePorts & {
  readonly stateNumber: StateNumber;
  readonly keyPackagesLeft: (device: {
    accountId: AccountId;
    deviceId: DeviceId;
  }) => Promise<number>;
};

export const readOwnAccount =
  (ports: ReadAccountPorts): Rule<typeof getAccount> =>
  async (caller) => {
    const { accountId, deviceId, account: kind } = caller;
    const facts = await readFacts(ports.database, accountId);
    // A token lives only beside a list; without one it was ended between authentication and here.
    if (!facts?.device_list || !facts.account_key) throw new SiegelError('unauthenticated');
    const number = kind === 'person' ? await numberOfPerson(ports.database, accountId) : undefined;
    const accountKey = toText(facts.account_key);
    return {
      outcome: 'account',
      ...{ accountId, deviceId, kind },
      deviceList: facts.device_list,
      keyPackagesLeft: await ports.keyPackagesLeft({ accountId, deviceId }),
      ...(number === undefined
        ? {}
        : {
            numberStatement: await ports.stateNumber({
              ...{ accountId, accountKey, number },
              now: ports.now(),
            }),
          }),
    };
  };
