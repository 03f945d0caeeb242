// What a town can be told, read from the environment once and checked before anything starts
// (design §9).
import { resolve } from 'node:path';
import { SiegelError } from '@siegel/protocol/errors';

export type TownOptions = {
  /** the data folder; everything the town keeps is below it */
  readonly home: string;
  /** messenger and relay; +1, +2 the other pages, +100 … the gateways; 0 takes free ones */
  readonly port: number;
  readonly host: string;
  readonly behindProxy: boolean;
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  /** an SMS service for a town that others can reach; without one, codes stay on this machine */
  readonly sms?: { readonly url: string; readonly token?: string };
  readonly databaseUrl?: string;
  readonly gatewayDatabaseUrl?: string;
  /** demo firms by slug; all of them unless given */
  readonly firms?: readonly string[];
  /** the firms' bots; on unless false */
  readonly bots?: boolean;
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
};

const refused = (sentence: string): SiegelError =>
  new SiegelError('configuration-invalid', sentence);

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);

/** The highest port the plan asks for is 4400 + 100 and one for each firm. */
const portMax = 65_535 - 200;

function portOf(text: string | undefined): number {
  if (text === undefined) return 4400;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= portMax) return port;
  throw refused(`SIEGEL_PORT must be a whole number from 0 to ${portMax}.`);
}

/** @throws SiegelError `configuration-invalid` with a sentence that says what to set */
export function checkTownOptions(options: TownOptions): TownOptions {
  const isOpen = !isLoopback(options.host);
  if (isOpen && options.tls === undefined && !options.behindProxy) {
    throw refused(
      `${options.host} can be reached from outside: set SIEGEL_TLS_CERTIFICATE and SIEGEL_TLS_KEY, ` +
        'or SIEGEL_BEHIND_PROXY=1 when a proxy in front ends TLS.',
    );
  }
  if (isOpen && options.sms === undefined) {
    throw refused(
      `${options.host} can be reached from outside, where the town's SMS inbox is not served: ` +
        'set SIEGEL_SMS_URL to a service that sends codes.',
    );
  }
  return { ...options, home: resolve(options.home) };
}

export function readTownOptions(
  environment: Readonly<Record<string, string | undefined>>,
): TownOptions {
  const get = (name: string) => environment[name]?.trim() || undefined;
  const certificateFile = get('SIEGEL_TLS_CERTIFICATE');
  const keyFile = get('SIEGEL_TLS_KEY');
  const smsUrl = get('SIEGEL_SMS_URL');
  const smsToken = get('SIEGEL_SMS_TOKEN');
  const databaseUrl = get('DATABASE_URL');
  const gatewayDatabaseUrl = get('SIEGEL_GATEWAY_DATABASE_URL');
  if (databaseUrl !== undefined && databaseUrl === gatewayDatabaseUrl) {
    throw refused('DATABASE_URL and SIEGEL_GATEWAY_DATABASE_URL must not be the same.');
  }
  return checkTownOptions({
    home: get('SIEGEL_HOME') ?? '.siegel',
    port: portOf(get('SIEGEL_PORT')),
    host: get('SIEGEL_HOST') ?? '127.0.0.1',
    behindProxy: ['1', 'true', 'yes'].includes(get('SIEGEL_BEHIND_PROXY')?.toLowerCase() ?? ''),
    ...(certificateFile && keyFile ? { tls: { certificateFile, keyFile } } : {}),
    ...(smsUrl ? { sms: { url: smsUrl, ...(smsToken ? { token: smsToken } : {}) } } : {}),
    ...(databaseUrl ? { databaseUrl } : {}),
    ...(gatewayDatabaseUrl ? { gatewayDatabaseUrl } : {}),
  });
}
