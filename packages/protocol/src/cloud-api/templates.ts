// `POST /{waba}/message_templates`: a template as a client creates it. Its list item is the same shape with id and status.

import * as z from 'zod/mini';
import { absent, anyCase, looseString } from './loose.ts';

const upper = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.pipe(
    z.pipe(
      z.string().check(z.maxLength(64)),
      z.transform((word) => word.toUpperCase()),
    ),
    z.enum(words),
  );

const examples = z.array(z.string().check(z.maxLength(2000))).check(z.maxLength(30));
const namedExamples = z
  .array(
    z.looseObject({
      param_name: z.string().check(z.maxLength(60)),
      example: looseString(1024, 0),
    }),
  )
  .check(z.maxLength(30));

const Example = absent(
  z.looseObject({
    header_text: absent(examples),
    header_handle: absent(examples),
    header_text_named_params: absent(namedExamples),
    body_text: absent(z.union([z.array(examples).check(z.maxLength(1)), examples])),
    body_text_named_params: absent(namedExamples),
  }),
);

export const TemplateButtonInput = z.looseObject({
  type: upper(['QUICK_REPLY', 'URL', 'PHONE_NUMBER', 'COPY_CODE', 'OTP']),
  text: absent(looseString(25)),
  url: absent(looseString(2000)),
  phone_number: absent(looseString(20)),
  example: absent(z.union([looseString(2000), examples])),
});
export type TemplateButtonInput = z.infer<typeof TemplateButtonInput>;

export const TemplateComponentInput = z.looseObject({
  type: upper(['HEADER', 'BODY', 'FOOTER', 'BUTTONS']),
  format: absent(upper(['TEXT', 'IMAGE', 'VIDEO', 'DOCUMENT', 'LOCATION'])),
  text: absent(looseString(1024)),
  example: Example,
  buttons: absent(z.array(TemplateButtonInput).check(z.maxLength(10))),
  add_security_recommendation: absent(z.boolean()),
  code_expiration_minutes: absent(z.int().check(z.minimum(1), z.maximum(90))),
});
export type TemplateComponentInput = z.infer<typeof TemplateComponentInput>;

export const TemplateCreate = z.looseObject({
  name: z
    .string()
    .check(
      z.minLength(1),
      z.maxLength(512),
      z.regex(/^[a-z0-9_]+$/, 'only a–z, 0–9 and _ are allowed'),
    ),
  language: z.string().check(z.regex(/^[a-z]{2,3}(_[A-Z]{2})?$/, 'such as de or en_US')),
  category: upper(['MARKETING', 'UTILITY', 'AUTHENTICATION']),
  parameter_format: absent(anyCase(['positional', 'named'])),
  components: z.array(TemplateComponentInput).check(z.minLength(1), z.maxLength(10)),
});
export type TemplateCreate = z.infer<typeof TemplateCreate>;

/** One item of `GET /{waba}/message_templates`. */
export const TemplateItem = z.looseObject({
  id: z.string(),
  name: z.string(),
  language: z.string(),
  status: z.string(),
  category: z.string(),
  /** always there: one client raises an error without it */
  parameter_format: z.enum(['POSITIONAL', 'NAMED']),
  components: z.array(z.looseObject({ type: z.string() })),
  rejected_reason: z.optional(z.string()),
});
export type TemplateItem = z.infer<typeof TemplateItem>;
