// The operator's side: entering a legal entity with its numbers, and fresh enrolment codes for it (E1).

import type { Queryable } from '@siegel/database';
import { AccountId, bucketCount, type PhoneNumber, uuidInBucket } from '@siegel/protocol/ids';
import { limits } from '@siegel/protocol/limits';
import type { issueEnrolmentCode, RequestOf, registerBusiness } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { hashSecret } from '../device-token.ts';
import type { Events } from '../events.ts';
import type { Rule } from '../http/route.ts';
import { randomBelow, randomNumericId, toBase32 } from '../octets.ts';
import { profileOf } from './business-profile.ts';
import {
  insertBusiness,
  insertNumber,
  readBusiness,
  readEnrolmentState,
  readNumbers,
  replaceEnrolmentCode,
} from './business-store.ts';

export type RegisterPorts = BasePorts & { readonly events: Events };

type Request = RequestOf<typeof registerBusiness>;

const codeOctets = 15;

class NumberTaken extends Error {
  readonly number: PhoneNumber;
  constructor(number: PhoneNumber) {
    super('number taken');
    this.number = number;
  }
}

export const enterBusiness =
  (ports: RegisterPorts): Rule<typeof registerBusiness> =>
  async (_caller, request) => {
    const { random } = ports;
    const uuid = uuidInBucket(randomBelow(random, bucketCount), random(16));
    const accountId = AccountId.parse(uuid);
    try {
      const registered = await ports.database.transaction(async (transaction) => {
        await storeEntity(ports, transaction, { accountId, request });
        const enrolmentCode = await issueCode(ports, transaction, accountId);
        const business = await readBusiness(transaction, accountId);
        const numbers = await readNumbers(transaction, accountId);
        if (business === undefined) throw new Error('the business was not stored');
        return { business: profileOf(business, numbers), enrolmentCode };
      });
      ports.events.businessRegistered(request.numbers.length);
      return { outcome: 'registered', ...registered };
    } catch (taken) {
      if (taken instanceof NumberTaken) return { outcome: 'number-taken', number: taken.number };
      throw taken;
    }
  };

type Entity = { readonly accountId: AccountId; readonly request: Request };

async function storeEntity(
  { now, random }: RegisterPorts,
  transaction: Queryable,
  { accountId, request }: Entity,
): Promise<void> {
  const wabaId = randomNumericId(random);
  await insertBusiness(transaction, {
    account_id: accountId,
    waba_id: wabaId,
    legal_name: request.legalName,
    country: request.country,
    register_entry: request.registerEntry ?? null,
    domain: request.domain ?? null,
    evidence: request.evidence,
    level: request.level,
    created_at: now(),
  });
  for (const { number, displayName } of request.numbers) {
    const isFree = await insertNumber(transaction, accountId, {
      number,
      phone_number_id: randomNumericId(random),
      waba_id: wabaId,
      display_name: displayName,
      proven_at: now(),
    });
    if (!isFree) throw new NumberTaken(number);
  }
}

async function issueCode(
  { now, random }: RegisterPorts,
  transaction: Queryable,
  accountId: AccountId,
): Promise<string> {
  const letters = toBase32(random(codeOctets));
  const code = (letters.match(/.{4}/g) ?? []).join('-');
  const expiresAt = now() + limits.enrolmentDays * 86_400_000;
  await replaceEnrolmentCode(transaction, { codeHash: hashSecret(code), accountId, expiresAt });
  return code;
}

/** An entity counts as enrolled once a device of it has called: an answer lost on the way does not lock it out. */
export const renewEnrolmentCode =
  (ports: RegisterPorts): Rule<typeof issueEnrolmentCode> =>
  async (_caller, { accountId }) => {
    const state = await readEnrolmentState(ports.database, accountId);
    if (state === undefined) return { outcome: 'not-found' };
    if (state.account_key !== null && state.used) return { outcome: 'already-enrolled' };
    const enrolmentCode = await ports.database.transaction((transaction) =>
      issueCode(ports, transaction, accountId),
    );
    return { outcome: 'issued', enrolmentCode };
  };
