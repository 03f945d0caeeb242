// What real clients send where one type was meant: numbers as strings, strings as numbers, null for "not there".

import * as z from 'zod/mini';

/** A string, or a number written without quotes. NUL is refused: no database text can hold it. */
export const looseString = (max: number, min = 1) =>
  z.pipe(
    z.union([z.string(), z.pipe(z.number(), z.transform(String))]),
    z.string().check(
      z.minLength(min),
      z.maxLength(max),
      z.refine((text) => !text.includes('\u0000'), { error: 'it holds a NUL character' }),
    ),
  );

/** A number, or a string that is one. */
export const looseNumber = (min: number, max: number) =>
  z.pipe(
    z.union([
      z.number(),
      z.pipe(z.string().check(z.regex(/^-?\d{1,20}(\.\d{1,20})?$/)), z.transform(Number)),
    ]),
    z.number().check(z.minimum(min), z.maximum(max)),
  );

export const looseInt = (min: number, max: number) =>
  z.pipe(looseNumber(min, max), z.int().check(z.minimum(min), z.maximum(max)));

export const looseBoolean = z.union([
  z.boolean(),
  z.pipe(
    z.enum(['true', 'false']),
    z.transform((text) => text === 'true'),
  ),
]);

/** Absent, undefined and null are all "not there" (Chatwoot sends `context: null`). */
export const absent = <Schema extends z.ZodMiniType>(schema: Schema) =>
  z.pipe(
    z.optional(z.nullable(schema)),
    z.transform((value) => value ?? undefined),
  );

/** A word of a fixed set in any case. */
export const anyCase = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.pipe(
    z.pipe(
      z.string().check(z.maxLength(64)),
      z.transform((word) => word.toLowerCase()),
    ),
    z.enum(words),
  );
