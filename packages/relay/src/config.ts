// Everything the relay can be told from outside, read once and checked; nothing else reads the environment.
// A value that cannot be used ends the start with a sentence that names it.

import { join } from 'node:path';
import { SiegelError } from '@siegel/protocol/errors';
import { OperatorToken } from '@siegel/protocol/relay';
import * as z from 'zod/mini';

/** A field that may be left out; zod's own name for it begins with an underscore. */
const preset = z['_default'];

const Port = z.int().check(z.minimum(0), z.maximum(65_535));
const path = z.string().check(z.minLength(1));
const origin = z
  .string()
  .check(z.regex(/^https?:\/\/[^/\s]+$/, 'an origin such as https://a.example'));

/** A folder of built web files. Without a port it is served at `/` of the relay's own port. */
const WebApp = z.strictObject({
  name: z.string().check(z.regex(/^[a-z]+$/)),
  folder: path,
  port: z.optional(Port),
});
export type WebApp = z.infer<typeof WebApp>;

export const RelayConfig = z.strictObject({
  host: preset(z.string(), '127.0.0.1'),
  /** 0 takes any free one */
  port: preset(Port, 4400),
  /** a proxy in front ends TLS and sets X-Forwarded-For */
  behindProxy: preset(z.boolean(), false),
  tls: z.optional(z.strictObject({ certificateFile: path, keyFile: path })),
  /** the address people's devices use, when it is not the one listened on */
  publicUrl: z.optional(origin),
  /** without it a connection must be handed in */
  databaseUrl: z.optional(z.string()),
  keysFile: path,
  blobFolder: path,
  operatorToken: OperatorToken,
  /** stands as `iss` in all the operator signs, and in the SMS */
  issuer: preset(z.string().check(z.minLength(1), z.maxLength(60)), 'Siegel'),
  /** one machine, fictional numbers: SMS stay in memory and can be read from loopback */
  town: preset(z.boolean(), false),
  webApps: preset(z.array(WebApp).check(z.maxLength(8)), []),
  /** further origins whose pages may call the relay */
  webOrigins: preset(z.array(origin).check(z.maxLength(32)), []),
  sms: z.optional(z.strictObject({ url: z.string(), token: z.optional(z.string()) })),
  smsPerDay: preset(z.int().check(z.minimum(0)), 2000),
  connectionsMax: preset(z.int().check(z.minimum(1)), 20_000),
  socketsPerAddress: preset(z.int().check(z.minimum(1)), 64),
  /** all request rates times this: 1, and 100 in a town, where everybody comes from one address */
  rateFactor: z.optional(z.number().check(z.gt(0))),
  stopSeconds: preset(z.number().check(z.minimum(0)), 10),
  logLevel: preset(z.enum(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
});
export type RelayConfig = z.infer<typeof RelayConfig>;
/** What a caller writes down; the rest has defaults. */
export type RelayOptions = z.input<typeof RelayConfig>;

export const isLoopback = (address: string): boolean =>
  address === 'localhost' ||
  address === '::1' ||
  /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address);

/** Throws `configuration-invalid` with a sentence. */
export function checkConfig(options: RelayOptions): RelayConfig {
  const parsed = RelayConfig.safeParse(options);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refused(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not usable'}.`);
  }
  const config = parsed.data;
  if (!isLoopback(config.host) && config.tls === undefined && !config.behindProxy) {
    throw refused(
      `${config.host} is a public address: give a certificate, or set SIEGEL_BEHIND_PROXY=1 ` +
        'when a proxy in front ends TLS.',
    );
  }
  if (config.town && !isLoopback(config.host)) {
    throw refused('A town answers its SMS to anyone who asks; it runs on loopback only.');
  }
  return config;
}

/** The environment as `siegel relay` reads it. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): RelayConfig {
  const get = (name: string) => environment[name]?.trim() || undefined;
  const flag = (name: string) => ['1', 'true', 'yes'].includes(get(name)?.toLowerCase() ?? '');
  const whole = (name: string) => {
    const text = get(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,9}$/.test(text)) throw refused(`${name} must be a whole number.`);
    return Number(text);
  };
  const home = get('SIEGEL_HOME') ?? '.siegel';
  const certificateFile = get('SIEGEL_TLS_CERTIFICATE');
  const keyFile = get('SIEGEL_TLS_KEY');
  const smsUrl = get('SIEGEL_SMS_URL');
  const operatorToken = get('SIEGEL_OPERATOR_TOKEN');
  if (operatorToken === undefined) {
    throw refused('SIEGEL_OPERATOR_TOKEN is missing: 32 random octets in base64url.');
  }
  return checkConfig(
    given({
      host: get('SIEGEL_HOST'),
      port: whole('SIEGEL_PORT'),
      behindProxy: flag('SIEGEL_BEHIND_PROXY'),
      tls: certificateFile && keyFile ? { certificateFile, keyFile } : undefined,
      publicUrl: get('SIEGEL_PUBLIC_URL'),
      databaseUrl: get('DATABASE_URL'),
      keysFile: get('SIEGEL_KEYS_FILE') ?? join(home, 'relay', 'keys.json'),
      blobFolder: get('SIEGEL_BLOB_FOLDER') ?? join(home, 'relay', 'blobs'),
      operatorToken,
      issuer: get('SIEGEL_ISSUER'),
      town: flag('SIEGEL_TOWN'),
      webApps: readWebApps(get, whole('SIEGEL_PORT') ?? 4400),
      webOrigins: get('SIEGEL_WEB_ORIGINS')
        ?.split(',')
        .map((one) => one.trim()),
      sms:
        smsUrl === undefined ? undefined : given({ url: smsUrl, token: get('SIEGEL_SMS_TOKEN') }),
      smsPerDay: whole('SIEGEL_SMS_PER_DAY'),
      logLevel: get('SIEGEL_LOG_LEVEL') as RelayOptions['logLevel'],
    }),
  );
}

/** Messenger on the relay's own port, business app and console on the two after it (design §9). */
function readWebApps(get: (name: string) => string | undefined, port: number): WebApp[] {
  const messenger = get('SIEGEL_MESSENGER_FOLDER');
  const after = (steps: number) => (port === 0 ? 0 : port + steps);
  const apps: WebApp[] = messenger ? [{ name: 'messenger', folder: messenger }] : [];
  for (const [index, name] of ['business', 'console'].entries()) {
    const folder = get(`SIEGEL_${name.toUpperCase()}_FOLDER`);
    if (folder) apps.push({ name, folder, port: after(index + 1) });
  }
  return apps;
}

/** Drops what is undefined, so that defaults apply. */
const given = <Values extends object>(values: Values) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Values]: Exclude<Values[Name], undefined>;
  };

const refused = (sentence: string) => new SiegelError('configuration-invalid', sentence);
