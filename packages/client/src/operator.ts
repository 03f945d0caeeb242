// Whose word counts for numbers, business certificates and template approvals: the operator's keys, pinned when first seen.
// A key that comes or goes is told, and believed only when somebody says so.

import {
  type IssuerTrust,
  type StatementRefusal,
  verifyBusinessCertificate,
  verifyNumberStatement,
} from '@siegel/crypto';
import type { AccountId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import {
  type BusinessCertificate,
  getOperator,
  type NumberStatement,
  PublicKey,
} from '@siegel/protocol/relay';
import * as z from 'zod/mini';
import type { DeviceContext } from './device-context.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { Store, StoreWrite } from './store.ts';

export const PinnedOperator = z.object({
  v: z.literal(1),
  issuer: z.string(),
  /** base64url */
  keys: z.array(PublicKey),
  pinnedAt: z.int(),
});
export type PinnedOperator = z.infer<typeof PinnedOperator>;

/** What the relay says now; `clockAheadMs` is how far this device's clock is ahead of the relay's. */
export type OfferedOperator = {
  readonly issuer: string;
  readonly keys: readonly string[];
  readonly clockAheadMs: number;
};

export type OperatorPinning =
  | {
      readonly outcome: 'pinned' | 'known';
      readonly operator: PinnedOperator;
      readonly offered: OfferedOperator;
    }
  /** the pinned keys go on counting; `acceptOperator` is a person's decision */
  | {
      readonly outcome: 'changed';
      readonly operator: PinnedOperator;
      readonly offered: OfferedOperator;
    }
  /** not the keys this program was delivered with: nothing was pinned */
  | { readonly outcome: 'not-expected'; readonly offered: OfferedOperator };

const operatorKey = 'operator';

export async function readOperator(store: Store): Promise<PinnedOperator | undefined> {
  const bytes = await store.get('meta', operatorKey);
  return bytes === undefined ? undefined : decodeRecord(PinnedOperator, bytes, 'operator');
}

/** To be called at registration and at each start. `expectedKeys` are those a distribution of the app carries. */
export async function pinOperator(
  context: Pick<DeviceContext, 'connection' | 'store' | 'environment'>,
  expectedKeys?: readonly string[],
): Promise<OperatorPinning> {
  const asked = context.environment.now();
  const answer = await context.connection.call(getOperator, {});
  const middle = (asked + context.environment.now()) / 2;
  const offered: OfferedOperator = {
    issuer: answer.issuer,
    keys: answer.keys.map(({ publicKey }) => publicKey),
    clockAheadMs: Math.round(middle - answer.now),
  };
  const pinned = await readOperator(context.store);
  if (pinned !== undefined) {
    const same = pinned.issuer === offered.issuer && sameSet(pinned.keys, offered.keys);
    return { outcome: same ? 'known' : 'changed', operator: pinned, offered };
  }
  if (offered.keys.length === 0 || (expectedKeys && !sameSet(expectedKeys, offered.keys))) {
    return { outcome: 'not-expected', offered };
  }
  return { outcome: 'pinned', operator: await acceptOperator(context, offered), offered };
}

/** Pins what was offered, whatever was pinned before. Only after a person, or the gateway's owner, has said yes. */
export async function acceptOperator(
  context: Pick<DeviceContext, 'store' | 'environment'>,
  offered: OfferedOperator,
): Promise<PinnedOperator> {
  const operator: PinnedOperator = {
    v: 1,
    issuer: offered.issuer,
    keys: [...offered.keys],
    pinnedAt: context.environment.now(),
  };
  await context.store.commit([operatorWrite(operator)]);
  return operator;
}

const operatorWrite = (operator: PinnedOperator): StoreWrite => ({
  collection: 'meta',
  key: operatorKey,
  value: encodeRecord(PinnedOperator, operator),
});

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  new Set(a).size === new Set(b).size && a.every((each) => b.includes(each));

export type OperatorRefusal =
  | StatementRefusal
  | 'wrong-issuer'
  | 'wrong-account'
  | 'wrong-account-key'
  | 'wrong-number';

export type Checked<Statement> =
  | { readonly outcome: 'valid'; readonly statement: Statement }
  | { readonly outcome: 'refused'; readonly reason: OperatorRefusal };

/** What a statement must be about to be believed: the account and the key that are pinned for it. */
export type About = { readonly accountId: AccountId; readonly accountKey: string };

const refused = (reason: OperatorRefusal) => ({ outcome: 'refused', reason }) as const;

const trustIn = (operator: PinnedOperator, nowSeconds: number): IssuerTrust => ({
  issuerKeys: operator.keys,
  now: nowSeconds,
});

export async function checkNumberStatement(
  operator: PinnedOperator,
  jws: string,
  expected: About & { readonly number?: PhoneNumber; readonly nowSeconds: number },
): Promise<Checked<NumberStatement>> {
  const verified = await verifyNumberStatement(jws, trustIn(operator, expected.nowSeconds));
  if (verified.outcome !== 'valid') return refused(verified.outcome);
  const { statement } = verified;
  if (statement.iss !== operator.issuer) return refused('wrong-issuer');
  if (statement.sub !== expected.accountId) return refused('wrong-account');
  if (statement.key !== expected.accountKey) return refused('wrong-account-key');
  if (expected.number !== undefined && statement.number !== expected.number) {
    return refused('wrong-number');
  }
  return { outcome: 'valid', statement };
}

/** `cnf` must be the key that the conversation itself shows (RFC 7800 §3): the certificate alone proves nothing. */
export async function checkBusinessCertificate(
  operator: PinnedOperator,
  jws: string,
  expected: About & { readonly phoneNumberId?: NumericId; readonly nowSeconds: number },
): Promise<Checked<BusinessCertificate>> {
  const verified = await verifyBusinessCertificate(jws, trustIn(operator, expected.nowSeconds));
  if (verified.outcome !== 'valid') return refused(verified.outcome);
  const { statement } = verified;
  if (statement.iss !== operator.issuer) return refused('wrong-issuer');
  if (statement.sub !== expected.accountId) return refused('wrong-account');
  if (statement.cnf.jwk.x !== expected.accountKey) return refused('wrong-account-key');
  if (expected.phoneNumberId !== undefined && statement.phoneNumberId !== expected.phoneNumberId) {
    return refused('wrong-number');
  }
  return { outcome: 'valid', statement };
}

/** The pinned operator, or the one pinned now, at the beginning of an account's life. */
export async function operatorOf(
  context: Pick<DeviceContext, 'connection' | 'store' | 'environment'>,
  expectedKeys?: readonly string[],
): Promise<PinnedOperator | undefined> {
  const known = await readOperator(context.store);
  if (known !== undefined) return known;
  const pinning = await pinOperator(context, expectedKeys);
  return pinning.outcome === 'not-expected' ? undefined : pinning.operator;
}
