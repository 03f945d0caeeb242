// A little relay in memory that speaks the contract over real HTTP and can be made to lie, lose answers or refuse. The real
// relay is tested in account-life.test.ts; this one shows what a device does when the relay is not to be trusted.

import { randomBytes, randomUUID } from 'node:crypto';
import {
  createSigningKey,
  type SigningKey,
  signBusinessCertificate,
  signNumberStatement,
  verifyDeviceList,
} from '@siegel/crypto';
import { toBase64Url } from '@siegel/protocol/content';
import { AccountId, DeviceId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import {
  type BusinessCertificate,
  type BusinessProfile,
  type DeviceList,
  type Endpoint,
  relayEndpoints,
} from '@siegel/protocol/relay';
import { type Answer, type ContractServer, json, startContractServer } from './contract-server.ts';

type Fields = Record<string, unknown>;
type Reply = { outcome: string } & Fields;
type Caller = { readonly accountId: string; readonly deviceId: number } | undefined;
export type Rule = (request: Fields, caller: Caller) => Reply | Promise<Reply>;

export const issuer = 'Little Operator';
export const rightCode = '123456';
export const enrolmentCode = 'ABCD-EFGH-IJKL-MNOP-QRST-UVW2';

type LittleAccount = {
  readonly accountId: AccountId;
  key: string;
  signed: string;
  list: DeviceList;
  number: string;
  kind: 'person' | 'business';
};

export type LittleRelay = {
  readonly url: string;
  readonly server: ContractServer;
  readonly operatorKey: SigningKey;
  /** Replace one to make the relay behave otherwise; what it was is handed in. */
  change(endpoint: string, rule: (honest: Rule) => Rule): void;
  /** The next so many answers of this endpoint are lost after the relay did its part. */
  loseAnswers(endpoint: string, count: number): void;
  readonly calls: string[];
  readonly accounts: Map<string, LittleAccount>;
  readonly keyPackages: Map<string, { oneTime: Set<string>; lastResort?: string }>;
  readonly blobs: Map<string, { secret: string; bytes: number; content?: Buffer }>;
  readonly business: BusinessProfile;
  now: number;
  close(): Promise<void>;
};

const token = () => toBase64Url(randomBytes(32));

export async function startLittleRelay(now: number): Promise<LittleRelay> {
  const server = await startContractServer();
  const operatorKey = await createSigningKey();
  const lost = new Map<string, number>();
  const rules = new Map<string, Rule>();
  const tokens = new Map<string, { accountId: string; deviceId: number }>();
  const businessId = AccountId.parse(randomUUID());
  const relay: LittleRelay = {
    url: server.url,
    server,
    operatorKey,
    change: (name, rule) => {
      rules.set(name, rule(rules.get(name)!));
    },
    loseAnswers: (name, count) => {
      lost.set(name, count);
    },
    calls: [],
    accounts: new Map(),
    keyPackages: new Map(),
    blobs: new Map(),
    business: {
      accountId: businessId,
      legalName: 'Bäckerei Morgen GmbH',
      country: 'DE',
      numbers: [
        {
          phoneNumberId: NumericId.parse('1001'),
          number: PhoneNumber.parse('+4930100100'),
          displayName: 'Bäckerei Morgen',
          wabaId: NumericId.parse('2001'),
        },
      ],
    },
    now,
    close: () => server.close(),
  };
  const world: World = { relay, rules, tokens };
  addAccountRules(world);
  addLinkRules(world);
  addBusinessRules(world);
  server.answers = [respond(world, lost)];
  return relay;
}

type World = {
  readonly relay: LittleRelay;
  readonly rules: Map<string, Rule>;
  readonly tokens: Map<string, { accountId: string; deviceId: number }>;
};

const respond =
  ({ relay, rules, tokens }: World, lost: Map<string, number>): Answer =>
  (seen, response, request) => {
    void (async () => {
      const url = new URL(seen.url, 'http://x');
      if (url.pathname.startsWith('/v1/blobs/')) {
        answerBlob(relay, seen, response, url.pathname.slice('/v1/blobs/'.length));
        return;
      }
      const found = match(seen.method, url.pathname);
      if (found === undefined) throw new Error(`no endpoint: ${seen.method} ${seen.url}`);
      const { endpoint, params } = found;
      relay.calls.push(endpoint.name);
      const body = seen.body.length > 0 ? (JSON.parse(String(seen.body)) as Fields) : {};
      const fields = { ...Object.fromEntries(url.searchParams), ...body, ...params };
      const caller = tokens.get(String(seen.headers.authorization ?? '').replace('Bearer ', ''));
      if (endpoint.caller === 'device' && caller === undefined) {
        json(401, { error: { code: 'unauthenticated' } })(seen, response, request);
        return;
      }
      const rule = rules.get(endpoint.name);
      if (rule === undefined) throw new Error(`no rule: ${endpoint.name}`);
      const reply = await rule(fields, caller);
      const toLose = lost.get(endpoint.name) ?? 0;
      if (toLose > 0) {
        lost.set(endpoint.name, toLose - 1);
        response.destroy();
        return;
      }
      json(endpoint.outcomes[reply.outcome]!.status, reply)(seen, response, request);
    })().catch((error: unknown) => {
      json(500, { error: { code: 'internal', message: String(error) } })(seen, response, request);
    });
  };

function match(method: string, path: string) {
  for (const endpoint of relayEndpoints as readonly Endpoint[]) {
    if (endpoint.method !== method) continue;
    const names = [...endpoint.path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
    const pattern = new RegExp(`^${endpoint.path.replaceAll(/:\w+/g, '([^/]+)')}$`);
    const values = pattern.exec(path);
    if (values === null) continue;
    const params = Object.fromEntries(
      names.map((name, index) => [name, decodeURIComponent(values[index + 1]!)]),
    );
    return { endpoint, params };
  }
  return undefined;
}

function answerBlob(
  relay: LittleRelay,
  seen: Parameters<Answer>[0],
  response: Parameters<Answer>[1],
  blobId: string,
): void {
  const blob = relay.blobs.get(blobId);
  if (seen.method === 'PUT' && blob !== undefined) {
    const fits = seen.body.length === blob.bytes && blob.content === undefined;
    if (fits) blob.content = seen.body;
    response.writeHead(fits ? 204 : 409).end();
    return;
  }
  const content = blob?.content;
  if (content === undefined || seen.headers['x-siegel-blob-secret'] !== blob?.secret) {
    response.writeHead(404).end();
    return;
  }
  const range = /^bytes=(\d+)-(\d+)$/.exec(String(seen.headers.range ?? ''));
  if (range === null) {
    response.writeHead(200).end(content);
    return;
  }
  const [from, to] = [Number(range[1]), Number(range[2])];
  response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${content.length}` });
  response.end(content.subarray(from, to + 1));
}

async function readList(signed: unknown, key?: unknown): Promise<DeviceList | undefined> {
  const options = key === undefined ? {} : { expectedKey: String(key) };
  const verified = await verifyDeviceList(String(signed), options);
  return verified.outcome === 'valid' ? verified.statement : undefined;
}

function addAccountRules({ relay, rules, tokens }: World): void {
  const registrations = new Map<string, { number: string; accountId: string; deviceId: number }>();
  rules.set('getOperator', () => ({
    outcome: 'operator',
    issuer,
    keys: [{ keyId: 'k1', publicKey: toBase64Url(relay.operatorKey.publicKey) }],
    now: relay.now,
  }));
  rules.set('requestCode', ({ number }) => {
    const registrationId = toBase64Url(randomBytes(16));
    registrations.set(registrationId, { number: String(number), accountId: '', deviceId: 1 });
    return { outcome: 'code-sent', registrationId, expiresInSeconds: 600 };
  });
  rules.set('verifyCode', ({ registrationId, code }) => {
    const registration = registrations.get(String(registrationId));
    if (registration === undefined) return { outcome: 'registration-over' };
    if (code !== rightCode) return { outcome: 'wrong-code', triesLeft: 4 };
    const known = [...relay.accounts.values()].find((each) => each.number === registration.number);
    registration.accountId = known?.accountId ?? randomUUID();
    registration.deviceId = known?.list.next ?? 1;
    const registrationToken = token();
    registrations.delete(String(registrationId));
    registrations.set(registrationToken, registration);
    const { accountId, deviceId } = registration;
    const pinRequired = known !== undefined;
    const operatorKeyId = 'k1';
    return {
      outcome: 'verified',
      registrationToken,
      accountId,
      deviceId,
      pinRequired,
      operatorKeyId,
    };
  });
  rules.set('createAccount', async ({ registrationToken, accountKey, deviceList, pin }) => {
    const registration = registrations.get(String(registrationToken));
    if (registration === undefined) return { outcome: 'registration-over' };
    const known = relay.accounts.get(registration.accountId);
    if (known !== undefined && pin !== '271828') {
      return { outcome: 'pin-wrong', retryAfterSeconds: 0 };
    }
    const list = await readList(deviceList, accountKey);
    const version = known?.key === accountKey ? (known?.list.version ?? 0) + 1 : 1;
    if (list?.version !== version) return { outcome: 'list-refused', reason: 'version' };
    registrations.delete(String(registrationToken));
    const accountId = AccountId.parse(registration.accountId);
    const { number } = registration;
    relay.accounts.set(accountId, {
      accountId,
      key: String(accountKey),
      signed: String(deviceList),
      list,
      number,
      kind: 'person',
    });
    const deviceToken = token();
    tokens.set(deviceToken, { accountId, deviceId: registration.deviceId });
    const seconds = Math.floor(relay.now / 1000);
    const numberStatement = await signNumberStatement(
      {
        v: 1,
        iss: issuer,
        sub: accountId,
        key: String(accountKey),
        number: PhoneNumber.parse(number),
        iat: seconds,
        exp: seconds + 86_400 * 90,
      },
      relay.operatorKey,
    );
    return { outcome: 'created', deviceToken, numberStatement };
  });
  rules.set('getAccount', (_request, caller) => {
    const account = relay.accounts.get(caller!.accountId)!;
    const { oneTime } = supplyOf(relay, caller);
    const { accountId, kind, signed } = account;
    const { deviceId } = caller!;
    const keyPackagesLeft = oneTime.size;
    return { outcome: 'account', accountId, deviceId, kind, deviceList: signed, keyPackagesLeft };
  });
  rules.set('uploadKeyPackages', ({ keyPackages, lastResort }, caller) => {
    const supply = supplyOf(relay, caller);
    for (const each of keyPackages as string[]) supply.oneTime.add(each);
    if (lastResort !== undefined) supply.lastResort = String(lastResort);
    return { outcome: 'stored', left: supply.oneTime.size };
  });
  rules.set('createBlob', ({ bytes }) => {
    const blobId = toBase64Url(randomBytes(16));
    const secret = toBase64Url(randomBytes(16));
    relay.blobs.set(blobId, { secret, bytes: Number(bytes) });
    return { outcome: 'created', blobId, secret, expiresAt: relay.now + 1000 };
  });
}

const supplyOf = (relay: LittleRelay, caller: Caller) => {
  const key = `${caller!.accountId}/${caller!.deviceId}`;
  const known = relay.keyPackages.get(key) ?? { oneTime: new Set<string>() };
  relay.keyPackages.set(key, known);
  return known as { oneTime: Set<string>; lastResort?: string };
};

function addLinkRules({ relay, rules, tokens }: World): void {
  type Link = {
    accountId: string;
    leafKey?: unknown;
    proof?: unknown;
    joinToken?: string;
  } & Fields;
  const links = new Map<string, Link>();
  rules.set('getDeviceList', ({ accountId }) => {
    const account = relay.accounts.get(String(accountId));
    return account ? { outcome: 'list', deviceList: account.signed } : { outcome: 'unknown' };
  });
  rules.set('updateDeviceList', async ({ deviceList }, caller) => {
    const account = relay.accounts.get(caller!.accountId)!;
    if (account.signed === deviceList) return { outcome: 'updated', version: account.list.version };
    const list = await readList(deviceList, account.key);
    if (list === undefined) return { outcome: 'list-refused', reason: 'signature' };
    if (list.version !== account.list.version + 1) {
      return { outcome: 'version-conflict', version: account.list.version };
    }
    account.list = list;
    account.signed = String(deviceList);
    return { outcome: 'updated', version: list.version };
  });
  rules.set('openLink', ({ linkId }, caller) => {
    if (links.has(String(linkId))) return { outcome: 'taken' };
    links.set(String(linkId), { accountId: caller!.accountId });
    return { outcome: 'opened', expiresInSeconds: 600 };
  });
  rules.set('joinLink', ({ linkId, leafKey, proof }) => {
    const link = links.get(String(linkId));
    if (link === undefined || link.joinToken !== undefined) return { outcome: 'link-over' };
    Object.assign(link, { leafKey, proof, joinToken: token() });
    return { outcome: 'joined', joinToken: link.joinToken };
  });
  rules.set('readLink', ({ linkId }) => {
    const link = links.get(String(linkId));
    if (link === undefined) return { outcome: 'link-over' };
    const { leafKey, proof } = link;
    return leafKey === undefined ? { outcome: 'waiting' } : { outcome: 'joined', leafKey, proof };
  });
  rules.set('completeLink', ({ linkId, deviceId, certificate, proof }) => {
    const link = links.get(String(linkId));
    if (link === undefined) return { outcome: 'link-over' };
    Object.assign(link, { complete: { deviceId, certificate, proof } });
    return { outcome: 'completed' };
  });
  rules.set('finishLink', ({ linkId, joinToken }) => {
    const link = links.get(String(linkId));
    if (link === undefined || link.joinToken !== joinToken) return { outcome: 'link-over' };
    const complete = link['complete'] as Fields | undefined;
    if (complete === undefined) return { outcome: 'waiting' };
    const deviceToken = token();
    const { accountId } = link;
    tokens.set(deviceToken, { accountId, deviceId: Number(complete['deviceId']) });
    const deviceList = relay.accounts.get(accountId)!.signed;
    return { outcome: 'linked', accountId, deviceToken, deviceList, ...complete };
  });
}

function addBusinessRules({ relay, rules, tokens }: World): void {
  let used: string | undefined;
  rules.set('openEnrolment', ({ code }) =>
    code === enrolmentCode && used === undefined
      ? { outcome: 'opened', business: relay.business, deviceId: 1 }
      : { outcome: 'code-over' },
  );
  rules.set('completeEnrolment', async ({ code, accountKey, deviceList, keysHostedBy }) => {
    // The same redeemer may ask again: his answer may have been lost.
    if (code !== enrolmentCode || (used !== undefined && used !== accountKey)) {
      return { outcome: 'code-over' };
    }
    const list = await readList(deviceList, accountKey);
    if (list === undefined) return { outcome: 'list-refused', reason: 'signature' };
    used = String(accountKey);
    const { accountId, legalName, country, numbers } = relay.business;
    relay.accounts.set(accountId, {
      accountId,
      key: used,
      signed: String(deviceList),
      list,
      number: '',
      kind: 'business',
    });
    const deviceToken = token();
    tokens.set(deviceToken, { accountId, deviceId: 1 });
    const certificates = await Promise.all(
      numbers.map((number) =>
        signBusinessCertificate(
          certificateOf(relay, {
            legalName,
            displayName: number.displayName,
            number: number.number,
            country,
            phoneNumberId: number.phoneNumberId,
            cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: String(accountKey) } },
            keysHostedBy: String(keysHostedBy),
          }),
          relay.operatorKey,
        ),
      ),
    );
    return { outcome: 'enrolled', deviceToken, business: relay.business, certificates };
  });
}

export function certificateOf(
  relay: LittleRelay,
  fields: Partial<BusinessCertificate> & Pick<BusinessCertificate, 'cnf'>,
): BusinessCertificate {
  const seconds = Math.floor(relay.now / 1000);
  const [number] = relay.business.numbers;
  return {
    v: 1,
    iss: issuer,
    sub: relay.business.accountId,
    legalName: relay.business.legalName,
    displayName: number!.displayName,
    number: number!.number,
    phoneNumberId: number!.phoneNumberId,
    country: 'DE',
    evidence: 'register-extract',
    level: 'badge',
    keysHostedBy: '',
    iat: seconds,
    exp: seconds + 86_400 * 365,
    ...fields,
  };
}

export const deviceIdOf = (id: number): DeviceId => DeviceId.parse(id);
