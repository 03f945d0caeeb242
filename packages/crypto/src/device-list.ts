// The list of all devices of an account, signed by its account key: who may be a leaf, and who no
// longer.

import { DeviceList, statementTypes } from '@siegel/protocol/relay';
import type { AccountKey } from './signing-key.ts';
import { type StatementKind, signStatement, type Verified, verifySelfSigned } from './statement.ts';

const deviceList: StatementKind<DeviceList> = {
  type: statementTypes.deviceList,
  schema: DeviceList,
};

export const signDeviceList = (list: DeviceList, accountKey: AccountKey): Promise<string> =>
  signStatement(deviceList, list, accountKey);

/**
 * `minimumVersion` is the newest version already seen: an older list would bring a removed device
 * back.
 */
export async function verifyDeviceList(
  jws: string,
  options: { readonly expectedKey?: string; readonly minimumVersion?: number } = {},
): Promise<Verified<DeviceList>> {
  const { expectedKey, minimumVersion } = options;
  const verified = await verifySelfSigned(deviceList, jws, expectedKey);
  if (verified.outcome !== 'valid') return verified;
  const list = verified.statement;
  if (!isConsistent(list)) return { outcome: 'malformed' };
  if (minimumVersion !== undefined && list.version < minimumVersion) {
    return { outcome: 'version-too-old' };
  }
  return verified;
}

/** No id twice, none that is still to be given, no leaf key twice. */
function isConsistent(list: DeviceList): boolean {
  const ids = new Set(list.devices.map((device) => device.id));
  const leaves = new Set(list.devices.map((device) => device.leaf));
  return (
    ids.size === list.devices.length &&
    leaves.size === list.devices.length &&
    list.devices.every((device) => device.id < list.next)
  );
}
