// Binds an endpoint of the contract to its rule. A rule is a plain function: caller and parsed request in, named outcome out.

import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import type { Endpoint, RequestOf } from '@siegel/protocol/relay';
import type * as z from 'zod/mini';

/** Whoever called, already authenticated. `address` is the peer's network address, for rate limits only. */
export type Caller =
  | { readonly kind: 'anyone'; readonly address: string }
  | {
      readonly kind: 'device';
      readonly address: string;
      readonly accountId: AccountId;
      readonly deviceId: DeviceId;
      readonly account: 'person' | 'business';
    }
  | { readonly kind: 'operator'; readonly address: string };

export type DeviceCaller = Extract<Caller, { kind: 'device' }>;

type CallerOf<E extends Endpoint> = Extract<Caller, { kind: E['caller'] }>;

/** An empty body is inferred as `Record<string, never>`, which would forbid `outcome` beside it. */
type Beside<Body> = string extends keyof Body ? object : Body;

/** What a rule may answer: `AnswerOf` of the contract, in the form in which it can also be written. */
export type Answer<E extends Endpoint> = {
  [Name in keyof E['outcomes'] & string]: { outcome: Name } & Beside<
    z.infer<E['outcomes'][Name]['body']>
  >;
}[keyof E['outcomes'] & string];

export type Rule<E extends Endpoint> = (
  caller: CallerOf<E>,
  request: RequestOf<E>,
) => Promise<Answer<E>>;

/** An endpoint with its rule, its types forgotten; `serve` parses before it calls. */
export type Route = {
  readonly endpoint: Endpoint;
  readonly run: (caller: Caller, request: unknown) => Promise<{ outcome: string }>;
};

export const route = <E extends Endpoint>(endpoint: E, rule: Rule<E>): Route => ({
  endpoint,
  run: (caller, request) => rule(caller as CallerOf<E>, request as RequestOf<E>),
});
