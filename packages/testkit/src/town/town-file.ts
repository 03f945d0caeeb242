// `town.json`: what scripts and benches read to find and use the town (design §9). Its shape is
// public and stable.
import type { DemoFirm } from '@siegel/bot';
import { isLoopback, type TownOptions } from './town-options.ts';
import type { TownPorts } from './town-ports.ts';
import type { TownState } from './town-state.ts';

export type TownBusiness = {
  readonly name: string;
  readonly number: string;
  readonly cloudApi: string;
  readonly portal: string;
  readonly phoneNumberId: string;
  readonly wabaId: string;
  readonly appId: string;
  readonly accessToken: string;
  readonly appSecret: string;
  readonly verifyToken: string;
};

export type TownFile = {
  readonly relay: string;
  readonly messenger: string;
  readonly business: string;
  readonly console: string;
  readonly smsInbox: string;
  readonly operator: {
    readonly login: string;
    readonly password: string;
    readonly totpSecret: string;
  };
  readonly businesses: readonly TownBusiness[];
};

/** How this machine reaches a server of the town. */
export function urlOf(options: TownOptions, port: number): string {
  const everywhere = options.host === '0.0.0.0' || options.host === '::';
  const host = everywhere ? '127.0.0.1' : options.host;
  const scheme = options.tls === undefined ? 'http' : 'https';
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Gateways end no TLS themselves: without a proxy in front they stay on this machine. */
export const gatewayHost = (options: TownOptions): string =>
  options.behindProxy || isLoopback(options.host) ? options.host : '127.0.0.1';

/** How this machine reaches a firm's gateway. */
export const gatewayUrlOf = (options: TownOptions, port: number): string => {
  const { tls: _, ...plain } = options;
  return urlOf({ ...plain, host: gatewayHost(options) }, port);
};

export function townFile(
  options: TownOptions,
  ports: TownPorts,
  known: { readonly state: TownState; readonly firms: readonly DemoFirm[] },
): TownFile {
  const relay = urlOf(options, ports.relay);
  return {
    relay,
    messenger: relay,
    business: urlOf(options, ports.business),
    console: urlOf(options, ports.console),
    // Where an SMS service sends the codes, nobody can read them here.
    smsInbox: options.sms === undefined ? `${relay}/sms-inbox` : '',
    operator: known.state.operator,
    businesses: known.firms.map((firm, index) => {
      const state = known.state.firms[firm.slug]!;
      const gateway = gatewayUrlOf(options, ports.gateways[index]!);
      return {
        name: firm.displayName,
        number: firm.number,
        cloudApi: gateway,
        portal: gateway,
        phoneNumberId: state.phoneNumberId ?? '',
        wabaId: state.wabaId ?? '',
        appId: state.appId,
        accessToken: state.accessToken,
        appSecret: state.appSecret,
        verifyToken: state.verifyToken,
      };
    }),
  };
}
