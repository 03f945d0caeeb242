// Enrolment of a business: the operator binds a legal entity to a one-time code; the key is made by whoever redeems it (design §1).

import * as z from 'zod/mini';
import { AccountId, base64Url, DeviceId, NumericId, PhoneNumber } from '../ids.ts';
import { Token } from './accounts.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { PublicKey, SealLevel, Statement } from './identity.ts';
import { rateLimited } from './refusals.ts';

/** `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX` in base32: 120 random bits. */
export const EnrolmentCode = z
  .string()
  .check(z.regex(/^[A-Z2-7]{4}(-[A-Z2-7]{4}){5}$/, 'six groups of four letters'));

export const BusinessNumber = z.object({
  phoneNumberId: NumericId,
  number: PhoneNumber,
  displayName: z.string(),
  wabaId: NumericId,
});

export const BusinessProfile = z.object({
  accountId: AccountId,
  legalName: z.string(),
  country: z.string(),
  numbers: z.array(BusinessNumber),
});
export type BusinessProfile = z.infer<typeof BusinessProfile>;

export const openEnrolment = defineEndpoint({
  name: 'openEnrolment',
  method: 'POST',
  path: '/v1/enrolments/open',
  caller: 'anyone',
  summary: 'Read what a code enrols, so that keys can be made for it. Uses nothing up.',
  request: z.strictObject({ code: EnrolmentCode }),
  outcomes: {
    opened: outcome(200, z.object({ business: BusinessProfile, deviceId: DeviceId })),
    'code-over': outcome(410, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['E1', 'E2'],
});

export const completeEnrolment = defineEndpoint({
  name: 'completeEnrolment',
  method: 'POST',
  path: '/v1/enrolments/complete',
  caller: 'anyone',
  summary:
    'Publish business key and first device list; the code is used up. Certificates name this key.',
  request: z.strictObject({
    code: EnrolmentCode,
    accountKey: PublicKey,
    deviceList: Statement,
    keysHostedBy: z.string().check(z.maxLength(200)),
  }),
  outcomes: {
    enrolled: outcome(
      200,
      z.object({ deviceToken: Token, business: BusinessProfile, certificates: z.array(Statement) }),
    ),
    'code-over': outcome(410, z.object({})),
    'list-refused': outcome(422, z.object({ reason: z.string() })),
    'rate-limited': rateLimited,
  },
  rules: ['E1', 'E2', 'E3', 'D1'],
});

export const getBusiness = defineEndpoint({
  name: 'getBusiness',
  method: 'GET',
  path: '/v1/business',
  caller: 'device',
  summary: 'The calling business: numbers, WABAs, certificates.',
  request: z.strictObject({}),
  outcomes: {
    business: outcome(
      200,
      z.object({ business: BusinessProfile, certificates: z.array(Statement) }),
    ),
    forbidden: outcome(403, z.object({})),
  },
  rules: ['E3'],
});

/** Operator side, used by `siegel admin`. */
export const registerBusiness = defineEndpoint({
  name: 'registerBusiness',
  method: 'POST',
  path: '/v1/admin/businesses',
  caller: 'operator',
  summary: 'Enter a legal entity with its numbers; answers a one-time enrolment code.',
  request: z.strictObject({
    legalName: z.string().check(z.minLength(1), z.maxLength(200)),
    country: z.string().check(z.regex(/^[A-Z]{2}$/)),
    registerEntry: z.optional(z.string().check(z.maxLength(200))),
    domain: z.optional(z.string().check(z.maxLength(253))),
    evidence: z.string().check(z.maxLength(64)),
    level: SealLevel,
    numbers: z
      .array(
        z.strictObject({
          number: PhoneNumber,
          displayName: z.string().check(z.minLength(1), z.maxLength(75)),
        }),
      )
      .check(z.minLength(1), z.maxLength(20)),
  }),
  outcomes: {
    registered: outcome(200, z.object({ business: BusinessProfile, enrolmentCode: EnrolmentCode })),
    'number-taken': outcome(409, z.object({ number: PhoneNumber })),
  },
  rules: ['E1'],
});

export const issueEnrolmentCode = defineEndpoint({
  name: 'issueEnrolmentCode',
  method: 'POST',
  path: '/v1/admin/businesses/:accountId/enrolment-code',
  caller: 'operator',
  summary: 'A fresh code for an entity that is not enrolled yet; older codes end.',
  request: z.strictObject({ accountId: AccountId }),
  outcomes: {
    issued: outcome(200, z.object({ enrolmentCode: EnrolmentCode })),
    'already-enrolled': outcome(409, z.object({})),
    'not-found': outcome(404, z.object({})),
  },
  rules: ['E1'],
});

export const listPendingTemplates = defineEndpoint({
  name: 'listPendingTemplates',
  method: 'GET',
  path: '/v1/admin/templates',
  caller: 'operator',
  summary: 'Templates that wait for a decision.',
  request: z.strictObject({}),
  outcomes: {
    templates: outcome(
      200,
      z.object({
        templates: z.array(
          z.object({
            templateId: NumericId,
            version: z.int(),
            name: z.string(),
            language: z.string(),
            category: z.string(),
            body: z.string(),
            business: z.string(),
          }),
        ),
      }),
    ),
  },
  rules: ['T3'],
});

export const decideTemplate = defineEndpoint({
  name: 'decideTemplate',
  method: 'POST',
  path: '/v1/admin/templates/:templateId/decision',
  caller: 'operator',
  summary: 'Approve, reject, pause, resume or disable a template version, with a reason.',
  request: z.strictObject({
    templateId: NumericId,
    decision: z.enum(['approve', 'reject', 'pause', 'resume', 'disable']),
    reason: z.optional(z.string().check(z.maxLength(200))),
  }),
  outcomes: {
    decided: outcome(200, z.object({ status: z.string() })),
    'not-possible': outcome(409, z.object({ status: z.string() })),
    'not-found': outcome(404, z.object({})),
  },
  rules: ['T3'],
});

/** An operator's or gateway's random secret, as it is written in files: 32 octets. */
export const OperatorToken = base64Url(32, 32);
