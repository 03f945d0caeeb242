// Templates: immutable public objects, signed by the firm, approved by the operator, rendered on the person's device (design §4).

import { canonicalize } from 'json-canonicalize';
import * as z from 'zod/mini';
import { AccountId, base64Url, NumericId } from '../ids.ts';
import { limits } from '../limits.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { TemplateCategory } from './envelope.ts';
import { NumericDate, Version } from './identity.ts';
import { rateLimited } from './refusals.ts';

/** `{{1}}` or `{{name}}` in a text, with its type and a bound on its length. */
export const TemplateParameter = z.strictObject({
  name: z.string().check(z.regex(/^([1-9][0-9]?|[a-z][a-z0-9_]{0,59})$/)),
  type: z.enum(['text', 'currency', 'date-time']),
  charsMax: z.int().check(z.minimum(1), z.maximum(limits.templateParameterCharsMax)),
  /** an example that reviewers see; never a real person's data */
  example: z.string().check(z.maxLength(limits.templateParameterCharsMax)),
});
export type TemplateParameter = z.infer<typeof TemplateParameter>;

const parameters = z.array(TemplateParameter).check(z.maxLength(30));

export const TemplateButton = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('quick-reply'),
    text: z.string().check(z.minLength(1), z.maxLength(25)),
  }),
  z.strictObject({
    type: z.literal('url'),
    text: z.string().check(z.minLength(1), z.maxLength(25)),
    url: z.string().check(z.maxLength(2000), z.regex(/^https:\/\//)),
    parameter: z.optional(TemplateParameter),
  }),
  z.strictObject({
    type: z.literal('phone-number'),
    text: z.string().check(z.minLength(1), z.maxLength(25)),
    number: z.string().check(z.maxLength(20)),
  }),
  z.strictObject({ type: z.literal('copy-code'), example: z.string().check(z.maxLength(15)) }),
]);
export type TemplateButton = z.infer<typeof TemplateButton>;

export const TemplateComponents = z.strictObject({
  header: z.optional(
    z.discriminatedUnion('type', [
      z.strictObject({
        type: z.literal('text'),
        text: z.string().check(z.minLength(1), z.maxLength(60)),
        parameters,
      }),
      z.strictObject({ type: z.literal('image') }),
      z.strictObject({ type: z.literal('video') }),
      z.strictObject({ type: z.literal('document') }),
      z.strictObject({ type: z.literal('location') }),
    ]),
  ),
  body: z.strictObject({ text: z.string().check(z.minLength(1), z.maxLength(1024)), parameters }),
  footer: z.optional(z.strictObject({ text: z.string().check(z.minLength(1), z.maxLength(60)) })),
  buttons: z.array(TemplateButton).check(z.maxLength(10)),
});
export type TemplateComponents = z.infer<typeof TemplateComponents>;

/** The signed object. Its RFC 8785 form is what is hashed, signed and fetched, for ever. */
export const TemplateObject = z.strictObject({
  v: z.literal(1),
  business: AccountId,
  wabaId: NumericId,
  name: z.string().check(z.regex(/^[a-z0-9_]{1,512}$/)),
  language: z.string().check(z.regex(/^[a-z]{2,3}(_[A-Z]{2})?$/)),
  category: TemplateCategory,
  parameterFormat: z.enum(['positional', 'named']),
  components: TemplateComponents,
});
export type TemplateObject = z.infer<typeof TemplateObject>;

/** RFC 8785 canonical form of a template. Its UTF-8 octets are what is hashed and signed. */
export const canonicalTemplate = (template: TemplateObject): string => canonicalize(template);

export const TemplateStatus = z.enum([
  'pending',
  'approved',
  'rejected',
  'paused',
  'disabled',
  'deleted',
]);
export type TemplateStatus = z.infer<typeof TemplateStatus>;

/** SHA-256 over the canonical octets. */
export const TemplateHash = base64Url(32, 32);

/** The operator's word about one version; a device asks for it before it renders. */
export const TemplateApproval = z.object({
  v: z.literal(1),
  iss: z.string(),
  template: NumericId,
  version: Version,
  hash: TemplateHash,
  category: TemplateCategory,
  iat: NumericDate,
});
export type TemplateApproval = z.infer<typeof TemplateApproval>;

/** A signed template is a compact JWS whose payload is the canonical form. */
export const SignedTemplate = z
  .string()
  .check(z.maxLength(limits.templateBytesMax * 2), z.regex(/^[\w-]+\.[\w-]+\.[\w-]+$/));

export const TemplateRecord = z.object({
  templateId: NumericId,
  version: Version,
  hash: TemplateHash,
  status: TemplateStatus,
  /** why it was rejected, paused or disabled: Cloud API reason words */
  reason: z.optional(z.string()),
  signed: SignedTemplate,
  approval: z.optional(z.string()),
});
export type TemplateRecord = z.infer<typeof TemplateRecord>;

export const submitTemplate = defineEndpoint({
  name: 'submitTemplate',
  method: 'POST',
  path: '/v1/templates',
  caller: 'device',
  summary:
    'Submit a template signed by the business key; automatic rules answer at once, a person decides.',
  request: z.strictObject({ signed: SignedTemplate }),
  outcomes: {
    submitted: outcome(200, z.object({ template: TemplateRecord })),
    'template-invalid': outcome(422, z.object({ reason: z.string(), detail: z.string() })),
    'quota-reached': outcome(429, z.object({ retryAfterSeconds: z.int() })),
    forbidden: outcome(403, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['T1', 'T2', 'T3'],
});

export const getTemplate = defineEndpoint({
  name: 'getTemplate',
  method: 'GET',
  path: '/v1/templates/:templateId',
  caller: 'device',
  summary: 'One template version by hash, old ones too; without a hash the newest.',
  request: z.strictObject({ templateId: NumericId, hash: z.optional(TemplateHash) }),
  outcomes: {
    template: outcome(200, z.object({ template: TemplateRecord })),
    'not-found': outcome(404, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['T4'],
});

export const listTemplates = defineEndpoint({
  name: 'listTemplates',
  method: 'GET',
  path: '/v1/templates',
  caller: 'device',
  summary: 'The newest version of each template of the calling business.',
  request: z.strictObject({
    wabaId: z.optional(NumericId),
    after: z.optional(NumericId),
    limit: z.optional(
      z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limits.pageSizeMax)),
    ),
  }),
  outcomes: {
    page: outcome(200, z.object({ templates: z.array(TemplateRecord), more: z.boolean() })),
    forbidden: outcome(403, z.object({})),
  },
  rules: ['T4'],
});
