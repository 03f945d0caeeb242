// Registration of a person: number, code, PIN, then the device's own keys (design §10). The answer never tells whether a number is known.

import * as z from 'zod/mini';
import { AccountId, base64Url, DeviceId, PhoneNumber } from '../ids.ts';
import { limits } from '../limits.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { PublicKey, Statement } from './identity.ts';
import { rateLimited } from './refusals.ts';

const RegistrationId = base64Url(16, 16);
/** A bearer secret of 32 octets; the relay keeps only its hash. */
export const Token = base64Url(32, 32);
export const Pin = z
  .string()
  .check(z.regex(/^[0-9]+$/), z.minLength(limits.pinDigitsMin), z.maxLength(limits.pinDigitsMax));

export const requestCode = defineEndpoint({
  name: 'requestCode',
  method: 'POST',
  path: '/v1/registrations',
  caller: 'anyone',
  summary: 'Send a six-digit code to a number. Known and unknown numbers get the same answer.',
  request: z.strictObject({ number: PhoneNumber, language: z.optional(z.enum(['de', 'en'])) }),
  outcomes: {
    'code-sent': outcome(
      200,
      z.object({ registrationId: RegistrationId, expiresInSeconds: z.int() }),
    ),
    'rate-limited': rateLimited,
  },
  rules: ['A1', 'A2', 'A3'],
});

export const verifyCode = defineEndpoint({
  name: 'verifyCode',
  method: 'POST',
  path: '/v1/registrations/:registrationId/code',
  caller: 'anyone',
  summary:
    'Prove the number with the code. Names the account id that the device keys are then made for.',
  request: z.strictObject({
    registrationId: RegistrationId,
    code: z.string().check(z.regex(/^[0-9]{6}$/, 'six digits')),
  }),
  outcomes: {
    verified: outcome(
      200,
      z.object({
        registrationToken: Token,
        accountId: AccountId,
        /** an account with this number exists and asks for its PIN */
        pinRequired: z.boolean(),
        /** the id that the first device gets; higher than any before */
        deviceId: DeviceId,
        operatorKeyId: z.string(),
      }),
    ),
    'wrong-code': outcome(422, z.object({ triesLeft: z.int() })),
    'registration-over': outcome(410, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['A2', 'A4'],
});

export const createAccount = defineEndpoint({
  name: 'createAccount',
  method: 'POST',
  path: '/v1/accounts',
  caller: 'anyone',
  summary:
    'Publish account key and first device list; get the device token. A number seen before needs its PIN.',
  request: z.strictObject({
    registrationToken: Token,
    accountKey: PublicKey,
    deviceList: Statement,
    pin: z.optional(Pin),
    newPin: z.optional(Pin),
  }),
  outcomes: {
    created: outcome(200, z.object({ deviceToken: Token, numberStatement: Statement })),
    'pin-wrong': outcome(422, z.object({ retryAfterSeconds: z.int() })),
    'registration-over': outcome(410, z.object({})),
    'list-refused': outcome(422, z.object({ reason: z.string() })),
    'rate-limited': rateLimited,
  },
  rules: ['A4', 'A5', 'A6', 'D1'],
});

export const setPin = defineEndpoint({
  name: 'setPin',
  method: 'PUT',
  path: '/v1/account/pin',
  caller: 'device',
  summary: 'Set or change the PIN that protects the number against a SIM swap.',
  request: z.strictObject({ pin: Pin }),
  outcomes: { set: outcome(200, z.object({})), 'rate-limited': rateLimited },
  rules: ['A5'],
});

/** The caller's own account, as the relay knows it. */
export const getAccount = defineEndpoint({
  name: 'getAccount',
  method: 'GET',
  path: '/v1/account',
  caller: 'device',
  summary: 'Own account: id, kind, device and device list.',
  request: z.strictObject({}),
  outcomes: {
    account: outcome(
      200,
      z.object({
        accountId: AccountId,
        deviceId: DeviceId,
        kind: z.enum(['person', 'business']),
        deviceList: Statement,
        keyPackagesLeft: z.int(),
        numberStatement: z.optional(Statement),
      }),
    ),
  },
  rules: ['D2'],
});
