// A template as a client sends it: positional or named values, a media or location header, values for buttons.

import * as z from 'zod/mini';
import { absent, anyCase, looseInt, looseString } from './loose.ts';
import { LocationObject, MediaObject } from './send-parts.ts';

/** `a–z 0–9 _`; positional templates leave it out. */
const parameterName = absent(z.string().check(z.maxLength(60)));
const text = z.pipe(
  z.union([z.string(), z.pipe(z.number(), z.transform(String))]),
  z.string().check(z.maxLength(32_768)),
);

export const TemplateParameterObject = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text, parameter_name: parameterName }),
  z.object({
    type: z.literal('currency'),
    parameter_name: parameterName,
    currency: z.object({
      fallback_value: looseString(1024),
      code: z.string().check(z.regex(/^[A-Z]{3}$/)),
      amount_1000: looseInt(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    }),
  }),
  z.object({
    type: z.literal('date_time'),
    parameter_name: parameterName,
    date_time: z.object({
      fallback_value: looseString(1024),
      /** seconds since 1970; in older requests as `{ timestamp }` */
      timestamp: absent(looseInt(0, 2 ** 48)),
    }),
  }),
  z.object({ type: z.literal('image'), image: MediaObject }),
  z.object({ type: z.literal('video'), video: MediaObject }),
  z.object({ type: z.literal('document'), document: MediaObject }),
  z.object({ type: z.literal('location'), location: LocationObject }),
  z.object({ type: z.literal('payload'), payload: looseString(256, 0) }),
  z.object({ type: z.literal('coupon_code'), coupon_code: looseString(15) }),
]);
export type TemplateParameterObject = z.infer<typeof TemplateParameterObject>;

/** Some clients write `type` in capitals, inside parameters too. */
const parameters = z.pipe(
  absent(
    z
      .array(
        z.pipe(
          z.looseObject({ type: z.string().check(z.maxLength(64)) }),
          z.transform((value): unknown => ({ ...value, type: value.type.toLowerCase() })),
        ),
      )
      .check(z.maxLength(30)),
  ),
  z.pipe(
    z.transform((values: unknown[] | undefined): unknown => values ?? []),
    z.array(TemplateParameterObject),
  ),
);

export const TemplateComponentObject = z.object({
  type: anyCase([
    'header',
    'body',
    'footer',
    'button',
    'carousel',
    'limited_time_offer',
    'order_details',
    'order_status',
  ]),
  sub_type: absent(
    anyCase([
      'quick_reply',
      'url',
      'copy_code',
      'phone_number',
      'flow',
      'catalog',
      'mpm',
      'spm',
      'voice_call',
      'otp',
      'order_details',
    ]),
  ),
  index: absent(looseInt(0, 9)),
  parameters,
});
export type TemplateComponentObject = z.infer<typeof TemplateComponentObject>;

export const SendTemplateObject = z.object({
  name: z.string().check(z.minLength(1), z.maxLength(512)),
  language: z.object({ code: z.string().check(z.minLength(2), z.maxLength(16)) }),
  components: z.pipe(
    absent(z.array(TemplateComponentObject).check(z.maxLength(20))),
    z.transform((components) => components ?? []),
  ),
});
export type SendTemplateObject = z.infer<typeof SendTemplateObject>;
