// How each child of the town is run: its program, its environment, and the configuration it is
// handed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RelayOptions } from '@siegel/relay';
import type { GatewayChildConfig } from '../children/gateway-child.ts';
import type { ChildPlan } from './child.ts';
import type { TownDatabases } from './clusters.ts';
import { programOf, repository } from './program.ts';
import { gatewayHost, gatewayUrlOf } from './town-file.ts';
import type { TownOptions } from './town-options.ts';
import type { TownPorts } from './town-ports.ts';
import type { FirmState, TownHome } from './town-state.ts';

type Common = {
  readonly options: TownOptions;
  readonly home: TownHome;
  readonly ports: TownPorts;
};

const pages = (app: string): string => join(repository, 'apps', app, 'public');

function privateFolder(home: TownHome, ...parts: readonly string[]): string {
  const folder = home.path(...parts);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

export function relayPlan(
  plan: Common & { readonly operatorToken: string; readonly databases: Promise<TownDatabases> },
): Omit<ChildPlan, 'log'> {
  const { options, home, ports } = plan;
  const folder = privateFolder(home, 'relay');
  return {
    name: 'relay',
    command: programOf('packages/testkit', 'children/relay-child'),
    async config(): Promise<RelayOptions> {
      const { relayUrl } = await plan.databases;
      return {
        host: options.host,
        port: ports.relay,
        behindProxy: options.behindProxy,
        ...(options.tls === undefined ? {} : { tls: options.tls }),
        ...(options.sms === undefined ? {} : { sms: options.sms }),
        databaseUrl: relayUrl,
        keysFile: join(folder, 'keys.json'),
        blobFolder: join(folder, 'blobs'),
        operatorToken: plan.operatorToken,
        town: options.sms === undefined,
        webApps: [
          { name: 'messenger', folder: pages('messenger') },
          { name: 'business', folder: pages('business'), port: ports.business },
          { name: 'console', folder: pages('console'), port: ports.console },
        ],
        stopSeconds: 2,
        logLevel: options.logLevel ?? 'info',
      };
    },
  };
}

export type GatewayKnown = {
  readonly databaseUrl: string;
  readonly firm: FirmState;
  readonly relayUrl: string;
  /** to enrol with, when the firm is not enrolled yet */
  readonly code: string | undefined;
};

type FirmCommon = Common & {
  readonly index: number;
  readonly slug: string;
  readonly displayName: string;
  readonly legalName: string;
};

const botUrl = (ports: TownPorts, index: number): string =>
  `http://127.0.0.1:${ports.bots[index]!}/webhook`;

export function gatewayPlan(
  plan: FirmCommon & { readonly config: () => Promise<GatewayKnown> },
): Omit<ChildPlan, 'log'> {
  const { options, ports, index, slug } = plan;
  const port = ports.gateways[index]!;
  return {
    name: `gateway-${slug}`,
    command: programOf('packages/testkit', 'children/gateway-child'),
    async config(): Promise<GatewayChildConfig> {
      const { databaseUrl, firm, code, relayUrl } = await plan.config();
      return {
        ...(code === undefined ? {} : { enrolmentCode: code }),
        gateway: {
          host: gatewayHost(options),
          port,
          publicUrl: gatewayUrlOf(options, port),
          databaseUrl,
          relayUrl,
          appId: firm.appId,
          appSecret: firm.appSecret,
          appName: plan.displayName,
          tokens: [{ token: firm.accessToken, label: 'town' }],
          ...(options.bots === false
            ? {}
            : { webhook: { url: botUrl(ports, index), verifyToken: firm.verifyToken } }),
          // Bots and tests listen on this machine.
          allowedAddresses: ['loopback'],
          portalFolder: pages('portal'),
          keysHostedBy: plan.legalName,
          logLevel: options.logLevel ?? 'info',
        },
      };
    },
  };
}

export function botPlan(plan: FirmCommon & { readonly state: FirmState }): Omit<ChildPlan, 'log'> {
  const { options, ports, index, slug, state: firm } = plan;
  return {
    name: `bot-${slug}`,
    command: programOf(`bots/${slug}`, 'main'),
    environment: {
      SIEGEL_BOT_CLOUD_API: gatewayUrlOf(options, ports.gateways[index]!),
      SIEGEL_BOT_ACCESS_TOKEN: firm.accessToken,
      SIEGEL_BOT_PHONE_NUMBER_ID: firm.phoneNumberId ?? '',
      SIEGEL_BOT_APP_SECRET: firm.appSecret,
      SIEGEL_BOT_VERIFY_TOKEN: firm.verifyToken,
      SIEGEL_BOT_PORT: String(ports.bots[index]),
    },
  };
}
