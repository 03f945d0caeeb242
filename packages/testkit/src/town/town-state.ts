// What the town remembers between starts: the operator's secrets and, for each firm, how far its
// enrolment went. Only its owner may read it.
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SiegelError } from '@siegel/protocol/errors';
import * as z from 'zod/mini';
import { readJson, writePrivateJson } from './private-file.ts';

const FirmState = z.object({
  /** unknown until the firm is registered */
  accountId: z.optional(z.string()),
  wabaId: z.optional(z.string()),
  phoneNumberId: z.optional(z.string()),
  enrolled: z.boolean(),
  appId: z.string(),
  appSecret: z.string(),
  accessToken: z.string(),
  verifyToken: z.string(),
});
export type FirmState = z.infer<typeof FirmState>;

const TownState = z.object({
  v: z.literal(1),
  operatorToken: z.string(),
  operator: z.object({ login: z.string(), password: z.string(), totpSecret: z.string() }),
  firms: z.record(z.string(), FirmState),
});
export type TownState = z.infer<typeof TownState>;

export type TownHome = {
  readonly folder: string;
  readonly townFile: string;
  readonly lockFile: string;
  readonly childrenFile: string;
  readonly logs: string;
  path(...parts: readonly string[]): string;
  readState(): TownState | undefined;
  writeState(state: TownState): void;
};

export function openHome(folder: string): TownHome {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const path = (...parts: readonly string[]) => join(folder, ...parts);
  const stateFile = path('state.json');
  return {
    folder,
    townFile: path('town.json'),
    lockFile: path('town.lock'),
    childrenFile: path('children.json'),
    logs: path('logs'),
    path,
    readState() {
      const value = readJson(stateFile);
      if (value === undefined) return undefined;
      const parsed = TownState.safeParse(value);
      if (parsed.success) return parsed.data;
      throw new SiegelError('state-corrupt', `${stateFile} is not a town's state.`);
    },
    writeState: (state) => writePrivateJson(stateFile, state),
  };
}

export type Random = (bytes: number) => Buffer;

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 §6 without padding, as authenticator apps take it. */
function toBase32(bytes: Uint8Array): string {
  let bits = '';
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  return (bits.match(/.{5}/g) ?? []).map((five) => base32[Number.parseInt(five, 2)]).join('');
}

const digits = (random: Random, count: number): string =>
  `1${Array.from(random(count - 1), (byte) => byte % 10).join('')}`;

export function newTownState(random: Random): TownState {
  return {
    v: 1,
    operatorToken: random(32).toString('base64url'),
    operator: {
      login: 'operator',
      password: random(18).toString('base64url'),
      // 20 octets: the length RFC 4226 §4 recommends.
      totpSecret: toBase32(random(20)),
    },
    firms: {},
  };
}

/** The Cloud API's names for a firm's credentials; Graph-style ids are decimal. */
export function newFirmState(random: Random): FirmState {
  return {
    enrolled: false,
    appId: digits(random, 15),
    appSecret: random(16).toString('hex'),
    accessToken: random(32).toString('base64url'),
    verifyToken: random(18).toString('base64url'),
  };
}
