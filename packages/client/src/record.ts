// How one value becomes octets in the store and back: deterministic CBOR checked by a schema on both ways.

import { SiegelError } from '@siegel/protocol/errors';
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import type * as z from 'zod/mini';

const options = { ...rfc8949EncodeOptions, ignoreUndefinedProperties: true };

/** A value that breaks its own schema is the caller's bug, and throws before it is stored. */
export const encodeRecord = <Schema extends z.ZodMiniType>(
  schema: Schema,
  value: z.infer<Schema>,
): Uint8Array => encode(schema.parse(value), options);

/** @throws SiegelError `state-corrupt` */
export function decodeRecord<Schema extends z.ZodMiniType>(
  schema: Schema,
  bytes: Uint8Array,
  what: string,
): z.infer<Schema> {
  try {
    return schema.parse(decode(bytes));
  } catch (error) {
    throw new SiegelError('state-corrupt', what, { cause: error });
  }
}
