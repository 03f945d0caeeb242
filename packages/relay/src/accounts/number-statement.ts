// The operator's word that an account key answered a code sent to a number. Signed anew whenever it is asked for.

import { type SigningKey, signNumberStatement } from '@siegel/crypto/verify';
import { type AccountId, PhoneNumber } from '@siegel/protocol/ids';

const lifetimeDays = 90;

type NumberFacts = {
  readonly accountId: AccountId;
  /** base64url */
  readonly accountKey: string;
  readonly number: string;
  readonly now: number;
};

export type StateNumber = (facts: NumberFacts) => Promise<string>;

export const createNumberStatements =
  (issuer: string, signingKey: SigningKey): StateNumber =>
  ({ accountId, accountKey, number, now }) => {
    const iat = Math.floor(now / 1000);
    const exp = iat + lifetimeDays * 86_400;
    const parsed = PhoneNumber.parse(number);
    return signNumberStatement(
      { v: 1, iss: issuer, sub: accountId, key: accountKey, number: parsed, iat, exp },
      signingKey,
    );
  };
