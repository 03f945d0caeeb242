// Everything that can be set from outside, read once. What is missing is made by the gateway itself (settings.ts).

import { SiegelError } from '@siegel/protocol/errors';

export type GatewayConfig = {
  readonly databaseUrl: string;
  readonly relayUrl: string;
  /** loopback unless somebody decided otherwise */
  readonly host: string;
  /** 0: any free one */
  readonly port: number;
  /** where clients reach this gateway, when that is not host and port */
  readonly publicUrl?: string;
  /** made and kept by the gateway when left out */
  readonly appId?: string;
  readonly appSecret?: string;
  readonly appName: string;
  /** JSON file of access tokens to be entered at start */
  readonly tokensFile?: string;
  /** tokens to be entered at start, as in that file */
  readonly tokens?: unknown;
  /** the app's webhook address */
  readonly webhook?: { readonly url: string; readonly verifyToken: string };
  /** `loopback` or CIDR ranges that webhooks and media links may reach beside public addresses */
  readonly allowedAddresses: readonly string[];
  /** who runs this machine; the firm's certificate says it to every person (design §2) */
  readonly keysHostedBy: string;
  /** the operator's public keys, base64url, when they are known beforehand */
  readonly operatorKeys?: readonly string[];
  readonly logLevel: string;
  /** the portal's files, served at `/` */
  readonly portalFolder?: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

const invalid = (detail: string) => new SiegelError('configuration-invalid', detail);

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined || value === '') throw invalid(`${name} is not set`);
  return value;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw invalid('SIEGEL_GATEWAY_PORT is no port');
  return port;
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

function listed(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

function webhookOf(environment: Environment): { webhook?: { url: string; verifyToken: string } } {
  const url = environment['SIEGEL_GATEWAY_WEBHOOK_URL'];
  if (url === undefined || url === '') return {};
  return { webhook: { url, verifyToken: required(environment, 'SIEGEL_GATEWAY_VERIFY_TOKEN') } };
}

/** @throws SiegelError `configuration-invalid`, naming the variable and never its value */
export function readConfig(environment: Environment): GatewayConfig {
  const host = environment['SIEGEL_GATEWAY_HOST'] ?? environment['SIEGEL_HOST'] ?? '127.0.0.1';
  if (!isLoopback(host) && environment['SIEGEL_BEHIND_PROXY'] !== '1') {
    throw invalid('a public address needs TLS in front of it: set SIEGEL_BEHIND_PROXY=1');
  }
  const optional = (name: string, variable: string): Record<string, string> => {
    const value = environment[variable];
    return value === undefined || value === '' ? {} : { [name]: value };
  };
  const operatorKeys = listed(environment['SIEGEL_OPERATOR_KEYS']);
  return {
    databaseUrl: required(environment, 'SIEGEL_GATEWAY_DATABASE_URL'),
    relayUrl: required(environment, 'SIEGEL_RELAY_URL'),
    host,
    port: portOf(environment['SIEGEL_GATEWAY_PORT'] ?? '4500'),
    appName: environment['SIEGEL_GATEWAY_APP_NAME'] ?? 'Siegel',
    allowedAddresses: listed(environment['SIEGEL_GATEWAY_ALLOWED_ADDRESSES']),
    keysHostedBy: environment['SIEGEL_GATEWAY_KEYS_HOSTED_BY'] ?? 'the business itself',
    logLevel: environment['SIEGEL_LOG_LEVEL'] ?? 'info',
    ...(operatorKeys.length === 0 ? {} : { operatorKeys }),
    ...optional('publicUrl', 'SIEGEL_GATEWAY_PUBLIC_URL'),
    ...optional('portalFolder', 'SIEGEL_GATEWAY_PORTAL_FOLDER'),
    ...optional('appId', 'SIEGEL_GATEWAY_APP_ID'),
    ...optional('appSecret', 'SIEGEL_GATEWAY_APP_SECRET'),
    ...optional('tokensFile', 'SIEGEL_GATEWAY_TOKENS_FILE'),
    ...webhookOf(environment),
  };
}
