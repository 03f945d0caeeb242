// Redeeming an enrolment code (E1–E3): read what it enrols, then publish the business key and first device list.
// A used, an ended and an unknown code are answered alike.

import type { Queryable } from '@siegel/database';
import { type AccountId, bucketOf, type DeviceId } from '@siegel/protocol/ids';
import type { completeEnrolment, openEnrolment, RequestOf } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { hashSecret, tokenInBucket } from '../device-token.ts';
import type { Events } from '../events.ts';
import type { Answer, Rule } from '../http/route.ts';
import { toBytes } from '../octets.ts';
import { profileOf } from './business-profile.ts';
import {
  readBusiness,
  readEnrolment,
  readEnrolmentState,
  readNumbers,
  useEnrolment,
  writeHost,
} from './business-store.ts';
import { type CertificatePorts, issueCertificates } from './issue-certificates.ts';

type FirstListPublished =
  | { readonly outcome: 'published'; readonly keyReplaced: boolean }
  | { readonly outcome: 'list-refused'; readonly reason: string }
  | { readonly outcome: 'version-conflict'; readonly version: number };

export type EnrolmentPorts = BasePorts &
  CertificatePorts & {
    readonly events: Events;
    readonly publishFirstList: (
      transaction: Queryable,
      publication: {
        readonly accountId: AccountId;
        readonly accountKey: string;
        readonly signed: string;
        readonly first: { readonly deviceId: DeviceId; readonly tokenHash: Buffer };
        readonly now: number;
      },
    ) => Promise<FirstListPublished>;
    readonly endRevokedDevices: (accountId: AccountId) => Promise<void>;
  };

type Request = RequestOf<typeof completeEnrolment>;
type Completed = Answer<typeof completeEnrolment>;

const over = { outcome: 'code-over' } as const;

async function readEnrolled(queries: Queryable, code: string, now: number) {
  const accountId = await readEnrolment(queries, hashSecret(code), now);
  if (accountId === undefined) return undefined;
  const business = await readBusiness(queries, accountId);
  const state = await readEnrolmentState(queries, accountId);
  const numbers = await readNumbers(queries, accountId);
  return business && state && { accountId, business, state, numbers };
}

export const showEnrolment =
  ({ database, now }: EnrolmentPorts): Rule<typeof openEnrolment> =>
  async (_caller, { code }) => {
    const found = await readEnrolled(database, code, now());
    if (found === undefined) return over;
    const { business, numbers, state } = found;
    const deviceId = state.next_device_id;
    return { outcome: 'opened', business: profileOf(business, numbers), deviceId };
  };

/** Rolls the transaction back and is the answer at the same time. */
class Refused extends Error {
  readonly answer: Completed;
  constructor(answer: Completed) {
    super('enrolment refused');
    this.answer = answer;
  }
}

export const redeemEnrolment =
  (ports: EnrolmentPorts): Rule<typeof completeEnrolment> =>
  async (_caller, request) => {
    const found = await readEnrolled(ports.database, request.code, ports.now());
    if (found === undefined) return over;
    const { accountId } = found;
    const deviceToken = tokenInBucket(bucketOf(accountId), ports.random(32));
    try {
      const enrolled = await ports.database.transaction((transaction) =>
        store(ports, transaction, { request, accountId, deviceToken }),
      );
      await ports.endRevokedDevices(accountId);
      ports.events.businessEnrolled();
      return enrolled;
    } catch (refused) {
      if (refused instanceof Refused) return refused.answer;
      throw refused;
    }
  };

type Storing = {
  readonly request: Request;
  readonly accountId: AccountId;
  readonly deviceToken: string;
};

async function store(
  ports: EnrolmentPorts,
  transaction: Queryable,
  { request, accountId, deviceToken }: Storing,
): Promise<Completed> {
  const { accountKey, deviceList: signed, keysHostedBy } = request;
  const now = ports.now();
  if (!(await useEnrolment(transaction, hashSecret(request.code), now))) throw new Refused(over);
  await writeHost(transaction, accountId, keysHostedBy);
  const business = await readBusiness(transaction, accountId);
  const state = await readEnrolmentState(transaction, accountId);
  if (business === undefined || state === undefined) throw new Refused(over);
  const published = await ports.publishFirstList(transaction, {
    ...{ accountId, accountKey, signed, now },
    first: { deviceId: state.next_device_id, tokenHash: hashSecret(toBytes(deviceToken)) },
  });
  if (published.outcome !== 'published') {
    const reason = 'reason' in published ? published.reason : 'The version is not the next one.';
    throw new Refused({ outcome: 'list-refused', reason });
  }
  const numbers = await readNumbers(transaction, accountId);
  const certified = { business, numbers, accountKey };
  const certificates = await issueCertificates(ports, transaction, certified);
  const profile = profileOf(business, numbers);
  return { outcome: 'enrolled', deviceToken, business: profile, certificates };
}
