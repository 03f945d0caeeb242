// What the gateway makes once for itself and keeps: app id, app secret, and the secret behind user ids and links.

import type { Queryable } from '@siegel/database';

export type Settings = {
  readonly appId: string;
  readonly appSecret: string;
  readonly secret: Uint8Array;
};

/** The value of that name; made and kept on first use. Two starters agree, because the first one's stays. */
async function kept(database: Queryable, name: string, make: () => Uint8Array): Promise<Buffer> {
  await database.query(
    'INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING',
    [name, Buffer.from(make())],
  );
  const { rows } = await database.query<{ value: Buffer }>(
    'SELECT value FROM settings WHERE name = $1',
    [name],
  );
  return rows[0]!.value;
}

export async function readSettings(
  database: Queryable,
  random: (count: number) => Uint8Array,
): Promise<Settings> {
  const digits = () => String(100_000_000_000_000 + Buffer.from(random(5)).readUIntBE(0, 5));
  const appId = await kept(database, 'app-id', () => Buffer.from(digits()));
  const appSecret = await kept(database, 'app-secret', () =>
    Buffer.from(Buffer.from(random(16)).toString('hex')),
  );
  const secret = await kept(database, 'gateway-secret', () => random(32));
  return {
    appId: appId.toString('utf8'),
    appSecret: appSecret.toString('utf8'),
    secret: new Uint8Array(secret),
  };
}
