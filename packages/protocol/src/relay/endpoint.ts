// What an endpoint of the relay is: a plain value that server, client and OpenAPI are all derived from.
// Requests refuse unknown fields; answers and frames from newer peers ignore them (said here once).

import type * as z from 'zod/mini';

/** Who may call: `anyone` (rate-limited by address), a `device` by its token, or the `operator`. */
export type Caller = 'anyone' | 'device' | 'operator';

/** One named answer with its HTTP status and the fields that come beside `outcome`. */
export type Outcome<Body extends z.ZodMiniObject = z.ZodMiniObject> = {
  readonly status: number;
  readonly body: Body;
};

export type Endpoint<
  Request extends z.ZodMiniObject = z.ZodMiniObject,
  Outcomes extends Record<string, Outcome> = Record<string, Outcome>,
  By extends Caller = Caller,
> = {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `:name` segments are taken from the request's field of that name. */
  readonly path: string;
  readonly caller: By;
  readonly summary: string;
  /** Path, query (GET, DELETE) and JSON body (POST, PUT) together. */
  readonly request: Request;
  readonly outcomes: Outcomes;
  /** The numbered rules of docs/spec/relay.md that it obeys. */
  readonly rules: readonly string[];
};

/** zod gives an object without fields as `Record<string, never>`, which nothing else can be intersected with. */
type FieldsOf<Schema extends z.ZodMiniObject> = string extends keyof z.infer<Schema>
  ? unknown
  : z.infer<Schema>;

export type RequestOf<E extends Endpoint> = z.infer<E['request']>;

/** The union of answers: `{ outcome: 'accepted', … } | { outcome: 'stale-epoch', … }`. */
export type AnswerOf<E extends Endpoint> = {
  [Name in keyof E['outcomes'] & string]: { outcome: Name } & FieldsOf<E['outcomes'][Name]['body']>;
}[keyof E['outcomes'] & string];

/** Keeps the exact types of an endpoint while checking its shape. */
export const defineEndpoint = <
  const Request extends z.ZodMiniObject,
  const Outcomes extends Record<string, Outcome>,
  const By extends Caller,
>(
  endpoint: Endpoint<Request, Outcomes, By>,
): Endpoint<Request, Outcomes, By> => endpoint;

export const outcome = <Body extends z.ZodMiniObject>(
  status: number,
  body: Body,
): Outcome<Body> => ({
  status,
  body,
});
