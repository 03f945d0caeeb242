// Which device list of an account is believed, also when its key goes and comes back.

import { AccountId, DeviceId } from '@siegel/protocol/ids';
import type { DeviceList } from '@siegel/protocol/relay';
import { expect, it } from 'vitest';
import { engineLimits } from '../engine-limits.ts';
import { pinList } from './contacts.ts';

const sub = AccountId.parse('00000000-0000-4000-8000-000000000001');
const list = (key: string, version: number): DeviceList => ({
  v: 1,
  sub,
  key,
  version,
  next: DeviceId.parse(100),
  devices: [],
  iat: 0,
});

const pinAll = (lists: readonly DeviceList[]) => {
  let { learnt, contact } = pinList(undefined, lists[0]!, 'person');
  for (const each of lists.slice(1)) ({ learnt, contact } = pinList(contact, each, 'person'));
  return { learnt, contact };
};

it('an older list of the same key is not believed', () => {
  const { learnt, contact } = pinAll([list('A', 3), list('A', 2)]);
  expect([learnt, contact.deviceList.version]).toEqual(['known', 3]);
});

it('a key that comes back brings no older list of its own with it', () => {
  const { learnt, contact } = pinAll([list('A', 3), list('B', 1), list('A', 2)]);
  expect([learnt, contact.accountKey]).toEqual(['known', 'B']);
  const back = pinAll([list('A', 3), list('B', 1), list('A', 3), list('B', 0)]);
  expect([back.learnt, back.contact.accountKey]).toEqual(['known', 'A']);
  const again = pinAll([list('A', 3), list('B', 1), list('A', 4)]);
  expect([again.learnt, again.contact.deviceList.version]).toEqual(['key-changed', 4]);
});

it('the keys remembered have a limit', () => {
  const keys = Array.from({ length: engineLimits.formerKeysMax + 9 }, (_, n) => list(`K${n}`, 1));
  expect(pinAll(keys).contact.formerKeys).toHaveLength(engineLimits.formerKeysMax);
});
