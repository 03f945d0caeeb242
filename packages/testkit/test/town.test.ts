// The whole town: what it writes down, that a curl reaches a person and the bot answers, that
// crashes heal, and that data stays.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainText, type ReceivedMessage, renderTemplate } from '@siegel/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  offersOf,
  openJournalStore,
  type Person,
  person,
  startTown,
  type Town,
  type TownEvent,
  type TownFile,
  webhookSink,
} from '../src/index.ts';
import { identify } from '../src/town/process-identity.ts';

const home = mkdtempSync(join(tmpdir(), 'siegel-town-'));
const options = { home, port: 0, host: '127.0.0.1', behindProxy: false };
const events: TownEvent[] = [];
let town: Town;
let alice: Person;

const start = async () => {
  town = await startTown(options, { random: randomBytes, onEvent: (one) => events.push(one) });
};

async function openAlice(): Promise<Person> {
  const { relay, smsInbox } = town.file;
  const store = await openJournalStore(join(home, 'alice'));
  const one = await person({ relay, smsInbox, number: '+4917139200011', store });
  const close = async () => {
    await one.close();
    await store.close();
  };
  return { ...one, close, [Symbol.asyncDispose]: close };
}

beforeAll(start, 180_000);
afterAll(async () => {
  await town?.stop();
  rmSync(home, { recursive: true, force: true });
}, 30_000);

const firmNamed = (name: string) => town.file.businesses.find((one) => one.name === name)!;

const isText = (text: string | RegExp) => (message: ReceivedMessage) => {
  const { body } = message.content;
  return (
    body.type === 'text' && (typeof text === 'string' ? body.text === text : text.test(body.text))
  );
};

async function send(firm: TownFile['businesses'][number], message: object) {
  const response = await fetch(`${firm.cloudApi}/v25.0/${firm.phoneNumberId}/messages`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${firm.accessToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ messaging_product: 'whatsapp', ...message }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const flightUpdate = {
  type: 'template',
  template: {
    name: 'flight_update',
    language: { code: 'de' },
    components: [
      {
        type: 'body',
        parameters: ['NW204', '15:10', 'B7'].map((text) => ({ type: 'text', text })),
      },
    ],
  },
};

test('town.json is what the design promises, and its owner’s alone', () => {
  const path = join(home, 'town.json');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(home).mode & 0o777).toBe(0o700);
  expect(statSync(join(home, 'state.json')).mode & 0o777).toBe(0o600);
  const written = JSON.parse(readFileSync(path, 'utf8')) as TownFile;
  expect(written).toEqual(town.file);
  const keys = ['relay', 'messenger', 'business', 'console', 'smsInbox', 'operator', 'businesses'];
  expect(Object.keys(written)).toEqual(keys);
  expect(Object.keys(written.operator)).toEqual(['login', 'password', 'totpSecret']);
  expect(written.operator.totpSecret).toMatch(/^[A-Z2-7]{32}$/);
  expect(written.businesses.map(({ name }) => name)).toEqual([
    'Nordwind Air',
    'Postwagen',
    'Kaufhaus Linden',
    'Bank am Markt',
  ]);
  for (const business of written.businesses) {
    const named = ['name', 'number', 'cloudApi', 'portal', 'phoneNumberId', 'wabaId'];
    const secret = ['appId', 'accessToken', 'appSecret', 'verifyToken'];
    expect(Object.keys(business)).toEqual([...named, ...secret]);
    for (const value of Object.values(business)) expect(value).not.toBe('');
    for (const id of [business.phoneNumberId, business.wabaId, business.appId]) {
      expect(id).toMatch(/^[1-9]\d{1,15}$/);
    }
  }
  const secrets = written.businesses.flatMap((one) => [one.accessToken, one.appSecret]);
  expect(new Set(secrets).size).toBe(8);
});

test('every page of the town is served under a strict policy', async () => {
  const { messenger, business, console: consoleUrl, businesses } = town.file;
  for (const url of [messenger, business, consoleUrl, businesses[0]!.portal]) {
    const page = await fetch(`${url}/`);
    expect(page.status, url).toBe(200);
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await fetch(`${url}/tokens.css`)).status).toBe(200);
    expect((await fetch(`${url}/en.html`)).status).toBe(200);
  }
});

test('everything runs in a process of its own', () => {
  const names = town.processes().map(({ name }) => name);
  const slugs = ['nordwind-air', 'postwagen', 'kaufhaus-linden', 'bank-am-markt'];
  const servers = ['relay', ...slugs.flatMap((slug) => [`gateway-${slug}`, `bot-${slug}`])];
  const databases = ['postgres-relay', 'postgres-gateways'];
  expect(names.toSorted()).toEqual([...servers, ...databases].toSorted());
  expect(new Set(town.processes().map(({ pid }) => pid)).size).toBe(names.length);
});

test('a template sent with curl’s means reaches a person, and the bot answers what it asks', async () => {
  alice = await openAlice();
  const airline = firmNamed('Nordwind Air');
  const sent = await send(airline, { to: alice.number, ...flightUpdate });
  expect(sent.status).toBe(200);
  const received = await alice.waitFor(({ content }) => content.body.type === 'template');
  const { body } = received.content;
  const rendering = body.type === 'template' ? renderTemplate(received.template!, body) : undefined;
  const text = rendering?.outcome === 'rendered' ? plainText(rendering.rendered.body) : '';
  expect(text.replaceAll(/[\u2068\u2069]/g, '')).toBe(
    'Ihr Flug NW204 startet jetzt um 15:10 Uhr von Gate B7. Ihre Bordkarte gilt weiter.',
  );
  expect(offersOf(received).map(({ title }) => title)).toEqual([
    'Verstanden',
    'Mit Mensch sprechen',
  ]);
  expect(await alice.certificateOf(received)).toMatchObject({
    legalName: 'Nordwind Air GmbH',
    level: 'badge',
  });
  await alice.sendText({ conversationId: received.conversationId }, 'Wie steht es um NW101?');
  const answer = await alice.waitFor(isText(/^NW101 von Hamburg nach Wien ist pünktlich/));
  expect(answer.content.automated).toBe(true);
});

test('a tapped button hands over, the bot keeps quiet until it is called back', async () => {
  const offering = await alice.waitFor(({ content }) => content.body.type === 'template');
  await alice.tap(offering, 'Mit Mensch sprechen');
  const said = await alice.waitFor(isText(/Kundendienst/));
  const to = { conversationId: said.conversationId };
  const before = alice.received.length;
  await alice.waitForStatus(await alice.sendText(to, 'NW204'), 'delivered');
  await alice.sendText(to, 'Assistent');
  await alice.waitFor(({ content }) => content.body.type === 'buttons');
  const since = alice.received.slice(before).map(({ content }) => content.body.type);
  expect(since.filter((type) => type !== 'typing')).toEqual(['buttons']);
});

test('every bot answers in the language it is asked in', async () => {
  const asked = [
    ['Postwagen', 'where is PW4711', /^Your parcel PW4711 is on the delivery van/],
    ['Kaufhaus Linden', 'Was ist mit L-1003?', /^Ihre Bestellung L-1003 liegt zur Abholung/],
    ['Bank am Markt', 'I lost my card', /^Block your card at once/],
  ] as const;
  for (const [name, question, answer] of asked) {
    await alice.sendTextToNumber(firmNamed(name).number, question);
    await alice.waitFor(isText(answer));
  }
});

test('all templates of the firms are approved', async () => {
  for (const firm of town.file.businesses) {
    const response = await fetch(`${firm.cloudApi}/v25.0/${firm.wabaId}/message_templates`, {
      headers: { authorization: `Bearer ${firm.accessToken}` },
    });
    const { data } = (await response.json()) as { data: { status: string }[] };
    expect(data.length).toBeGreaterThanOrEqual(4);
    expect(new Set(data.map(({ status }) => status))).toEqual(new Set(['APPROVED']));
  }
});

test('a firm’s own endpoint can take the place of its bot', async () => {
  const shop = firmNamed('Kaufhaus Linden');
  const { appSecret, verifyToken } = shop;
  await using sink = await webhookSink({ appSecret, verifyToken, now: Date.now });
  const authorization = `Bearer ${shop.accessToken}`;
  const path = `${shop.cloudApi}/v25.0/${shop.wabaId}/subscribed_apps`;
  const subscribed = await fetch(path, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ override_callback_uri: sink.url, verify_token: verifyToken }),
  });
  expect(subscribed.status).toBe(200);
  await alice.sendTextToNumber(shop.number, 'an den Laden selbst');
  const record = await sink.waitFor(({ bytes }) => bytes.includes('an den Laden selbst'));
  expect(record.signed).toBe(true);
  const back = await fetch(path, { method: 'POST', headers: { authorization } });
  expect(back.status).toBe(200);
});

test('killed servers are back by themselves, and nothing said meanwhile is lost', async () => {
  const airline = firmNamed('Nordwind Air');
  for (const name of ['gateway-nordwind-air', 'relay', 'bot-nordwind-air']) {
    const before = town.processes().find((one) => one.name === name)!.pid;
    town.kill(name);
    await alice.sendTextToNumber(airline.number, 'NW555').catch(() => {});
    await expect
      .poll(() => events.some((one) => one.event === 'died' && one.child === name))
      .toBe(true);
    await town.ready(name);
    expect(town.processes().find((one) => one.name === name)!.pid).not.toBe(before);
  }
  await alice.sendTextToNumber(airline.number, 'NW318');
  await alice.waitFor(isText(/^NW318/), { timeoutMs: 60_000 });
}, 120_000);

test('a second town in the same home is refused while the first one runs', async () => {
  await expect(startTown(options, { random: randomBytes })).rejects.toThrow(
    `held by process ${process.pid}`,
  );
  expect(existsSync(join(home, 'town.json'))).toBe(true);
});

test('a stop leaves no process, and a second start keeps every key, id and chat', async () => {
  const before = town.file;
  const pids = town.processes().map(({ pid }) => pid);
  await alice.close();
  const stopping = performance.now();
  await town.stop();
  expect(performance.now() - stopping).toBeLessThan(10_000);
  expect(pids.map((pid) => identify(pid)).filter(Boolean)).toEqual([]);
  expect(existsSync(join(home, 'town.json'))).toBe(false);
  await start();
  const after = town.file;
  const lasting = ({
    name,
    phoneNumberId,
    wabaId,
    appId,
    accessToken,
  }: TownFile['businesses'][0]) => [...[name, phoneNumberId, wabaId, appId, accessToken]];
  expect(after.businesses.map(lasting)).toEqual(before.businesses.map(lasting));
  expect(after.operator).toEqual(before.operator);
  alice = await openAlice();
  const chats = await alice.account.conversations();
  expect(chats.filter(({ kind }) => kind !== 'own')).toHaveLength(4);
  await alice.sendTextToNumber(firmNamed('Nordwind Air').number, 'NW422');
  await alice.waitFor(isText(/^NW422/));
  await alice.close();
}, 120_000);

test('a home that forgot a registration finds its firm again', async () => {
  await town.stop();
  const path = join(home, 'state.json');
  const state = JSON.parse(readFileSync(path, 'utf8')) as {
    firms: Record<string, { accountId?: string; phoneNumberId?: string; enrolled: boolean }>;
  };
  const forgotten = state.firms['postwagen']!;
  const { phoneNumberId } = forgotten;
  delete forgotten.accountId;
  delete forgotten.phoneNumberId;
  forgotten.enrolled = false;
  writeFileSync(path, JSON.stringify(state));
  await start();
  expect(firmNamed('Postwagen').phoneNumberId).toBe(phoneNumberId);
}, 120_000);

test('a start that is given up leaves nothing behind', async () => {
  await town.stop();
  const giveUp = new AbortController();
  const starting = startTown(options, {
    random: randomBytes,
    signal: giveUp.signal,
    onEvent: (event) => {
      if (event.event === 'ready' && event.child === 'relay') giveUp.abort();
    },
  });
  await expect(starting).rejects.toMatchObject({ code: 'shutting-down' });
  expect(existsSync(join(home, 'town.lock'))).toBe(false);
  await start();
}, 120_000);
