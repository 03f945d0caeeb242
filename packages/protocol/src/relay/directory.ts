// Who stands behind a number, and whose word the operator's statements are.

import * as z from 'zod/mini';
import { AccountId, NumericId, PhoneNumber } from '../ids.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { PublicKey, Statement } from './identity.ts';
import { rateLimited } from './refusals.ts';

export const lookUpNumber = defineEndpoint({
  name: 'lookUpNumber',
  method: 'POST',
  path: '/v1/look-ups',
  caller: 'device',
  summary:
    'Exact look-up of one number. Businesses never get this for a person: they open a conversation instead.',
  request: z.strictObject({ number: PhoneNumber }),
  outcomes: {
    person: outcome(
      200,
      z.object({ accountId: AccountId, deviceList: Statement, numberStatement: Statement }),
    ),
    business: outcome(
      200,
      z.object({
        accountId: AccountId,
        phoneNumberId: NumericId,
        deviceList: Statement,
        certificate: z.optional(Statement),
      }),
    ),
    'not-found': outcome(404, z.object({})),
    forbidden: outcome(403, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['N1', 'N2'],
});

export const getBusinessCertificate = defineEndpoint({
  name: 'getBusinessCertificate',
  method: 'GET',
  path: '/v1/numbers/:phoneNumberId/certificate',
  caller: 'device',
  summary: 'The operator’s certificate for a business number.',
  request: z.strictObject({ phoneNumberId: NumericId }),
  outcomes: {
    certificate: outcome(200, z.object({ certificate: Statement })),
    'not-found': outcome(404, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['N3'],
});

export const getOperator = defineEndpoint({
  name: 'getOperator',
  method: 'GET',
  path: '/v1/operator',
  caller: 'anyone',
  summary: 'The operator’s public keys. A client pins them; a change is never silent.',
  request: z.strictObject({}),
  outcomes: {
    operator: outcome(
      200,
      z.object({
        issuer: z.string(),
        keys: z.array(z.object({ keyId: z.string(), publicKey: PublicKey })),
        /** milliseconds since 1970 at the relay, so that a device can tell a wrong clock from an expired statement */
        now: z.int(),
      }),
    ),
  },
  rules: ['N4'],
});
