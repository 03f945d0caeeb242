// A relay's hot path on a database of its own, with accounts made by hand, a clock that stands still and opaque random
// octets in the place of MLS: the relay never looks inside.

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Database, DatabaseOptions } from '@siegel/database';
import { type TestDatabase, testDatabase } from '@siegel/database/testing';
import {
  type AccountId,
  bucketCount,
  bucketOf,
  type ClientId,
  type ConversationId,
  type DeviceId,
  type NumericId,
  uuidInBucket,
} from '@siegel/protocol/ids';
import type {
  AnswerOf,
  DeliveredItem,
  Endpoint,
  OpenWith,
  openConversation,
  RequestOf,
  RosterLeaf,
  submitCommit,
  submitMessage,
} from '@siegel/protocol/relay';
import * as contract from '@siegel/protocol/relay';
import { createHotPath, type HotPath } from '../src/create-hot-path.ts';
import type { HotPathPorts } from '../src/hot-path.ts';
import type { DeviceCaller } from '../src/http/route.ts';
import type { Wakeups } from '../src/mailbox/wakeups.ts';

export const migrations = fileURLToPath(new URL('../migrations', import.meta.url));

export const bytes = (count = 32): string => randomBytes(count).toString('base64url');
export const clientId = (): ClientId => randomUUID() as ClientId;

export type Device = DeviceCaller;

export type TestAccount = {
  readonly accountId: AccountId;
  readonly kind: 'person' | 'business';
  readonly devices: readonly Device[];
  readonly number: string;
  /** of a business */
  readonly phoneNumberId: NumericId;
};

export const leafOf = (device: Device, leafIndex: number): RosterLeaf => ({
  leafIndex,
  accountId: device.accountId,
  deviceId: device.deviceId,
});

export type World = Awaited<ReturnType<typeof createWorld>>;

let counter = 1000;

/** `started` is a Thursday noon; tests move it on by hand. */
const started = Date.UTC(2026, 0, 1, 12);

export type WorldOptions = {
  readonly wakeups?: Wakeups;
  readonly connection?: DatabaseOptions;
  /** An own database otherwise. */
  readonly test?: TestDatabase;
  /** What the hot path gets in the place of the database. */
  readonly watch?: (database: Database) => Database;
  /** Where all ids lie; anywhere unless given. */
  readonly bucket?: number;
};

export async function createWorld(options: WorldOptions = {}) {
  const test =
    options.test ??
    (await testDatabase({
      migrations,
      ...(options.connection ? { connection: options.connection } : {}),
    }));
  const watched = options.watch?.(test.database) ?? test.database;
  const clock = { now: started };
  const attached: { owner: AccountId; blobIds: readonly string[] }[] = [];
  const failures: unknown[] = [];
  const random = randomIn(options.bucket);
  const ports = {
    ...portsFor(test.database, { clock, attached, failures }),
    database: watched,
    random,
  };
  const create = (more: { wakeups?: Wakeups } = {}): HotPath => createHotPath(ports, more);
  const hotPath = create(options.wakeups ? { wakeups: options.wakeups } : {});
  const newAccountId = () => {
    const bucket = options.bucket ?? randomBytes(2).readUInt16BE() % bucketCount;
    return uuidInBucket(bucket, randomBytes(16)) as AccountId;
  };
  const accounts = accountMaker(test.database, { clock, newAccountId });
  return {
    test,
    database: test.database,
    clock,
    ports,
    attached,
    failures,
    hotPath,
    /** A second relay process on the same database. */
    create,
    ...accounts,
    ...callers(hotPath, test.database, failures),
    close: async () => {
      await hotPath.close();
      await test.drop();
    },
  };
}

/** The relay draws two octets when it needs a bucket. */
const randomIn = (bucket: number | undefined) => (count: number) =>
  bucket !== undefined && count === 2
    ? Uint8Array.of(bucket >> 8, bucket & 0xff)
    : randomBytes(count);

const tokens = new Map<string, Device>();
export const tokenOf = (device: Device): string => {
  const token = bytes();
  tokens.set(token, device);
  return token;
};

function portsFor(
  database: Database,
  seen: {
    clock: { now: number };
    attached: { owner: AccountId; blobIds: readonly string[] }[];
    failures: unknown[];
  },
): HotPathPorts {
  const findOne = async <Row extends object>(text: string, parameter: unknown) =>
    (await database.query<Row>(text, [parameter])).rows[0];
  return {
    database,
    now: () => seen.clock.now,
    random: randomBytes,
    events: {
      backgroundFailed: (_work: string, failure: unknown) => seen.failures.push(failure),
    } as unknown as HotPathPorts['events'],
    metrics: {} as HotPathPorts['metrics'],
    tagKey: { keyId: 'test', key: new Uint8Array(32).fill(7) },
    authenticate: async (token) => tokens.get(token),
    templateState: async (templateId) => {
      const row = await findOne<{ business_id: AccountId; status: string; category: string }>(
        'SELECT business_id, status, category FROM templates WHERE template_id = $1',
        templateId,
      );
      if (row === undefined) return undefined;
      const { business_id: business, status, category } = row;
      return { business, status, category } as never;
    },
    accountOfNumber: async (number) =>
      (
        await findOne<{ account_id: AccountId }>(
          'SELECT account_id FROM numbers WHERE number = $1',
          number,
        )
      )?.account_id,
    businessOfNumber: async (phoneNumberId) =>
      (
        await findOne<{ account_id: AccountId }>(
          'SELECT account_id FROM numbers WHERE phone_number_id = $1',
          phoneNumberId,
        )
      )?.account_id,
    attachBlobs: async (owner, blobIds) => {
      seen.attached.push({ owner, blobIds });
    },
  };
}

export async function addKeyPackages(
  database: Database,
  device: Device,
  packages: { oneTime: number; lastResort?: boolean; expiresAt: number },
): Promise<void> {
  const add = async (lastResort: boolean) => {
    const keyPackage = randomBytes(64);
    await database.query('INSERT INTO key_packages VALUES ($1, $2, $3, $4, $5, $6, $7)', [
      bucketOf(device.accountId),
      device.accountId,
      device.deviceId,
      createHash('sha256').update(keyPackage).digest(),
      keyPackage,
      lastResort,
      packages.expiresAt,
    ]);
  };
  for (let made = 0; made < packages.oneTime; made += 1) await add(false);
  if (packages.lastResort ?? true) await add(true);
}

function accountMaker(
  database: Database,
  { clock, newAccountId }: { clock: { now: number }; newAccountId: () => AccountId },
) {
  async function addDevice(account: Pick<TestAccount, 'accountId' | 'kind'>, deviceId: number) {
    const { accountId, kind } = account;
    const device: Device = {
      kind: 'device',
      address: '127.0.0.1',
      accountId,
      deviceId: deviceId as DeviceId,
      account: kind,
    };
    await database.query(
      `INSERT INTO devices (bucket, account_id, device_id, leaf_key, role, token_hash, created_at)
       VALUES ($1, $2, $3, $4, 'main', $5, $6)`,
      [bucketOf(accountId), accountId, deviceId, randomBytes(32), randomBytes(32), clock.now],
    );
    await addKeyPackages(database, device, { oneTime: 2, expiresAt: clock.now + 90 * 86_400_000 });
    return device;
  }

  async function add(kind: TestAccount['kind'], deviceCount = 1): Promise<TestAccount> {
    const accountId = newAccountId();
    counter += 1;
    const number = `+4930${counter}${Math.floor(process.hrtime()[1] / 1000)}`.slice(0, 15);
    const phoneNumberId = String(counter) as NumericId;
    await database.query(
      `INSERT INTO accounts (bucket, account_id, kind, device_list, device_list_version, created_at)
       VALUES ($1, $2, $3, $4, 1, $5)`,
      [bucketOf(accountId), accountId, kind, `list.of.${accountId}`, clock.now],
    );
    await database.query(
      `INSERT INTO numbers (number, account_id, phone_number_id, proven_at)
       VALUES ($1, $2, $3, $4)`,
      [number, accountId, kind === 'business' ? phoneNumberId : null, clock.now],
    );
    const devices: Device[] = [];
    for (let id = 1; id <= deviceCount; id += 1) {
      devices.push(await addDevice({ accountId, kind }, id));
    }
    return { accountId, kind, devices, number, phoneNumberId };
  }

  async function addTemplate(
    business: TestAccount,
    template: { category?: string; status?: string } = {},
  ): Promise<NumericId> {
    counter += 1;
    const { category = 'utility', status = 'approved' } = template;
    await database.query(
      `INSERT INTO templates (template_id, business_id, waba_id, name, language, category, status,
         created_at) VALUES ($1, $2, 1, $3, 'en', $4, $5, $6)`,
      [counter, business.accountId, `template_${counter}`, category, status, clock.now],
    );
    return String(counter) as NumericId;
  }

  /** As the block feature does: in the bucket of either side. */
  async function block(blocker: TestAccount, blocked: TestAccount): Promise<void> {
    for (const bucket of new Set([bucketOf(blocker.accountId), bucketOf(blocked.accountId)])) {
      await database.query('INSERT INTO blocks VALUES ($1, $2, $3, $4)', [
        bucket,
        blocker.accountId,
        blocked.accountId,
        clock.now,
      ]);
    }
  }

  /** As the devices feature does before it asks for `revokeLeaves`. */
  async function revoke(device: Device): Promise<void> {
    await database.query(
      `UPDATE devices SET revoked_at = $4 WHERE bucket = $1 AND account_id = $2 AND device_id = $3`,
      [bucketOf(device.accountId), device.accountId, device.deviceId, clock.now],
    );
  }

  return {
    addPerson: (deviceCount?: number) => add('person', deviceCount),
    addBusiness: (deviceCount?: number) => add('business', deviceCount),
    addDevice,
    addTemplate,
    block,
    revoke,
  };
}

type Founded = {
  readonly conversationId: ConversationId;
  readonly leaves: readonly RosterLeaf[];
};

function callers(hotPath: HotPath, database: Database, failures: readonly unknown[]) {
  async function call<E extends Endpoint>(
    endpoint: E,
    caller: Device,
    request: RequestOf<E>,
  ): Promise<AnswerOf<E>> {
    const found = hotPath.routes.find((route) => route.endpoint.name === endpoint.name);
    const answer = await found!.run(caller, request);
    const outcome = endpoint.outcomes[answer.outcome];
    if (outcome === undefined) throw new Error(`no outcome ${answer.outcome}`);
    // Every answer of every test fits the contract.
    outcome.body.parse(answer);
    return answer as AnswerOf<E>;
  }

  const open = (caller: Device, openWith: OpenWith): Promise<AnswerOf<typeof openConversation>> =>
    call(contract.openConversation, caller, { with: openWith });

  const commit = (
    caller: Device,
    conversationId: ConversationId,
    request: Partial<RequestOf<typeof submitCommit>>,
  ): Promise<AnswerOf<typeof submitCommit>> =>
    call(contract.submitCommit, caller, {
      conversationId,
      clientId: clientId(),
      generation: 0,
      epoch: 0,
      form: 'founding',
      commit: bytes(200),
      welcome: bytes(200),
      groupInfo: bytes(200),
      added: [],
      removed: [],
      ...request,
    });

  const send = (
    caller: Device,
    conversationId: ConversationId,
    request: Partial<RequestOf<typeof submitMessage>> = {},
  ): Promise<AnswerOf<typeof submitMessage>> =>
    call(contract.submitMessage, caller, {
      conversationId,
      generation: 0,
      epoch: 1,
      class: 'message',
      kind: 'free-form',
      clientId: clientId(),
      commitment: bytes(32),
      mls: bytes(500),
      ...request,
    });

  /** Opens and founds: leaf 0 is the caller, the others follow in the order of the claimed packages. */
  async function found(caller: Device, openWith: OpenWith): Promise<Founded> {
    const opened = await open(caller, openWith);
    if (opened.outcome !== 'to-found') throw new Error(`cannot found: ${opened.outcome}`);
    const { conversationId, generation } = opened.state;
    const added = opened.members.flatMap(({ accountId, keyPackages }) =>
      keyPackages.map(({ deviceId }: { deviceId: DeviceId }) => ({ accountId, deviceId })),
    );
    const leaves = added.map((device, index) => ({ leafIndex: index + 1, ...device }));
    const founded = await commit(caller, conversationId, { generation, added: leaves });
    if (founded.outcome !== 'accepted') throw new Error(JSON.stringify(founded));
    return { conversationId, leaves: [leafOf(caller, 0), ...leaves] };
  }

  /** What lies in the mailbox of a device, in order. */
  async function mailbox(device: Device): Promise<DeliveredItem[]> {
    await hotPath.copier.settled();
    if (failures.length > 0) throw failures[0];
    const { rows } = await database.query<{ position: number; sequence: number; item: string }>(
      `SELECT position, sequence, item FROM mailbox_items
       WHERE bucket = $1 AND account_id = $2 AND device_id = $3 ORDER BY position`,
      [bucketOf(device.accountId), device.accountId, device.deviceId],
    );
    return rows.map(({ position, sequence, item }) => ({
      ...(JSON.parse(item) as DeliveredItem),
      position,
      sequence,
    }));
  }

  /** Key packages a device still has. */
  async function packagesLeft(device: Device, lastResort = false): Promise<number> {
    const { rows } = await database.query<{ left: number }>(
      `SELECT count(*) AS left FROM key_packages
       WHERE bucket = $1 AND account_id = $2 AND device_id = $3 AND last_resort = $4`,
      [bucketOf(device.accountId), device.accountId, device.deviceId, lastResort],
    );
    return rows[0]!.left;
  }

  return { call, open, commit, send, found, mailbox, packagesLeft };
}
