// `town.json`: what scripts and benches read to find and use the town (design §9). Its shape is public and stable.
import type { DemoFirm } from '@siegel/bot';
import type { TownOptions } from './town-options.ts';
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
    smsInbox: `${relay}/sms-inbox`,
    operator: known.state.operator,
    businesses: known.firms.map((firm, index) => {
      const state = known.state.firms[firm.slug]!;
      const gateway = urlOf(options, ports.gateways[index]!);
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
