// Binds an endpoint of the contract to its rule. A rule is a plain function: caller and parsed request in, named outcome out.

import type { AccountId, DeviceId } from '@siegel/protocol/ids';
import type { AnswerOf, Endpoint, RequestOf } from '@siegel/protocol/relay';

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

export type Rule<E extends Endpoint> = (
  caller: CallerOf<E>,
  request: RequestOf<E>,
) => Promise<AnswerOf<E>>;

/** An endpoint with its rule, its types forgotten; `serve` parses before it calls. */
export type Route = {
  readonly endpoint: Endpoint;
  readonly run: (caller: Caller, request: unknown) => Promise<{ outcome: string }>;
};

export const route = <E extends Endpoint>(endpoint: E, rule: Rule<E>): Route => ({
  endpoint,
  run: (caller, request) => rule(caller as CallerOf<E>, request as RequestOf<E>),
});
