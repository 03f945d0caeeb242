// Story (d): relay, gateway, a person's device and both PostgreSQL servers are killed in the middle of 500 messages. Nothing that
// was answered 200 is lost; nothing is shown, metered or told twice; order holds.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { StoredMessage } from '@siegel/client';
import { type PersonProcess, personProcess, seededRandom } from '@siegel/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AirlineTown, airlineTown } from './airline-town.ts';
import { type FirmSender, firmSender } from './firm-sender.ts';
import { messageOf, statusOf } from './read-webhook.ts';
import { labelOf, passengerPerson, processPerson, type StormPerson } from './storm-people.ts';
import { type TownBooks, townBooks } from './town-books.ts';
import { personVictim, postgresVictim, townVictim, type Victim } from './victims.ts';

const seed = Number(process.env['SIEGEL_SEED'] ?? randomInt(2 ** 31));
const random = seededRandom(seed);
const below = (limit: number): number => Math.floor(random() * limit);

const slug = 'nordwind-air';
/** The pair rate lets a firm write 45 to one person at once, and some of what is answered with an error is taken all the same. */
const peopleCount = 13;
const processCount = 2;
const lanesPerPerson = 2;
const perLane = 20;
const total = peopleCount * lanesPerPerson * perLane;
const killsOfEach = 2;
const answersPerPerson = 3;
const bounded = { timeoutMs: 120_000 };

let scene: AirlineTown;
let sender: FirmSender;
let books: TownBooks;
let people: StormPerson[];
let processes: PersonProcess[];
/** conversation of each person's number */
const chats = new Map<string, string>();
/** per person, what its device had stored before it said so */
const answered = new Map<string, string[]>();
const kept = new Map<string, readonly StoredMessage[]>();
/** what was on record as acknowledged, and how many webhooks had come by then */
const recorded: { readonly ids: ReadonlySet<string>; readonly seen: number }[] = [];
/** what the firm's endpoint answers, in order of coming; 200 afterwards */
const answersPlanned: (number | 'reset')[] = [];
let firstStormWebhook = 0;

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

beforeAll(async () => {
  console.info(`SIEGEL_SEED=${seed}`);
  scene = await airlineTown();
  sender = firmSender(scene.firm);
  books = townBooks(scene.town, slug);
  const { relay, smsInbox } = scene.town.file;
  const open = (number: string) =>
    personProcess({ relay, smsInbox, number, folder: join(scene.town.home, `person${number}`) });
  processes = await Promise.all(
    Array.from({ length: processCount }, () => open(scene.freeNumber())),
  );
  people = processes.map(processPerson);
  while (people.length < peopleCount) people.push(passengerPerson(await scene.newcomer()));
});
afterAll(async () => {
  await Promise.all((processes ?? []).map((one) => one.stop()));
  await scene?.[Symbol.asyncDispose]();
});

test('the firm reaches everybody, and everybody answers: all windows are open', async () => {
  await Promise.all(
    people.map(async (one, index) => {
      // A label that ends so is a template.
      const { status } = await sender.post(one.number, `hello ${index}.0`);
      expect(status).toBe(200);
      const hello = await one.waitFor((message) => labelOf(message) !== '', bounded);
      chats.set(one.number, hello.conversationId);
      const text = `window ${index}`;
      await one.answer(hello.conversationId, text);
      answered.set(one.number, [text]);
      await scene.sink.waitFor((record) => messageOf(record)?.text?.body === text, bounded);
    }),
  );
});

async function say(one: StormPerson): Promise<void> {
  for (let index = 1; index <= answersPerPerson; index += 1) {
    const seen = index * 10;
    await one.waitFor(() => one.received.length >= seen, bounded);
    const text = `answer ${one.number} ${index}`;
    try {
      await one.answer(chats.get(one.number)!, text);
      answered.get(one.number)!.push(text);
    } catch {
      // Killed while it wrote: it may or may not have been kept.
    }
  }
}

const shownCount = (): number => people.reduce((sum, { received }) => sum + received.length, 0);

/** Resolves when so much of the storm has been accepted and shown. */
async function progressOf(wanted: number): Promise<void> {
  const deadline = performance.now() + bounded.timeoutMs;
  while (sender.accepted() + shownCount() < wanted) {
    if (performance.now() > deadline) throw new Error('The storm stands still.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function killAtRandom(victims: readonly Victim[]): Promise<string[]> {
  const start = sender.accepted() + shownCount();
  const kills = shuffled(Array.from({ length: killsOfEach }, () => victims).flat());
  const moments = kills.map(() => start + below(2 * total * 0.9)).toSorted((a, b) => a - b);
  const back = new Map<string, Promise<void>>();
  const told: string[] = [];
  for (const [index, victim] of kills.entries()) {
    await progressOf(moments[index]!);
    await back.get(victim.name);
    if (/^gateway|^postgres-gateways/.test(victim.name)) {
      await back.get('postgres-gateways');
      await recordAcknowledged();
    }
    told.push(`${victim.name} at ${sender.accepted()} accepted, ${shownCount()} shown`);
    await victim.kill();
    const serves = victim.back();
    // Awaited before it is killed again, or at the end.
    serves.catch(() => {});
    back.set(victim.name, serves);
  }
  await Promise.all(back.values());
  return told;
}

async function recordAcknowledged(): Promise<void> {
  const ids = new Set(await books.acknowledged());
  recorded.push({ ids, seen: scene.sink.received.length });
}

test(`${total} messages, and each of five is killed ${killsOfEach} times meanwhile`, async () => {
  const { town, sink } = scene;
  const began = performance.now();
  firstStormWebhook = sink.received.length;
  const troubles = [500, 503, 404, 'reset'] as const;
  for (let index = 0; index < total; index += 1) {
    answersPlanned.push(random() < 0.03 ? troubles[below(troubles.length)]! : 200);
  }
  sink.answerNext(...answersPlanned);
  const victims = [
    townVictim(town, 'relay'),
    townVictim(town, `gateway-${slug}`),
    postgresVictim(town, 'postgres-relay', town.databases().relay),
    postgresVictim(town, 'postgres-gateways', town.databases().gateway(slug)),
    personVictim(processes[0]!),
  ];
  const storm = Promise.all(
    people.flatMap((one, index) =>
      Array.from({ length: lanesPerPerson }, (_, lane) =>
        sender.lane({ to: one.number, name: `p${index}.${lane}`, count: perLane }),
      ),
    ),
  );
  const [kills] = await Promise.all([killAtRandom(victims), storm, ...people.map(say)]);
  console.info(kills.join('\n'));
  const counts: Record<number, number> = {};
  for (const { status } of sender.posted) counts[status] = (counts[status] ?? 0) + 1;
  console.info(`answers ${JSON.stringify(counts)}; ${Math.round(performance.now() - began)} ms`);
  expect(kills).toHaveLength(5 * killsOfEach);
  expect(sender.accepted()).toBe(total + peopleCount);
}, 240_000);

const over = new Set(['delivered', 'read', 'failed']);

test('everything comes to rest', async () => {
  const began = performance.now();
  const open = async () => {
    const [sent, events] = await Promise.all([books.sent(), books.events()]);
    return {
      messages: sent.filter(({ status }) => !over.has(status)).length,
      webhooks: events.filter(({ state }) => state === 'waiting').length,
    };
  };
  await expect
    .poll(open, { timeout: bounded.timeoutMs, interval: 250 })
    .toEqual({ messages: 0, webhooks: 0 });
  for (const one of people) {
    await one.settled();
    kept.set(one.number, await one.kept(chats.get(one.number)!));
  }
  console.info(`at rest after ${Math.round(performance.now() - began)} ms`);
}, 150_000);

const shownTo = (one: StormPerson): readonly StoredMessage[] =>
  kept.get(one.number)!.filter(({ own }) => !own);

test('every message answered 200 is shown once, and none twice', () => {
  for (const one of people) {
    const shown = shownTo(one).map(labelOf);
    expect(new Set(shown).size, one.number).toBe(shown.length);
    const posted = sender.posted.filter(({ to }) => to === one.number);
    const accepted = posted.filter(({ status }) => status === 200).map(({ label }) => label);
    expect(accepted.filter((label) => !shown.includes(label))).toEqual([]);
    const labels = new Set(posted.map(({ label }) => label));
    expect(shown.filter((label) => !labels.has(label))).toEqual([]);
  }
  // An app in the killed process could not tell; those that lived were told of each exactly once.
  for (const one of people.slice(processCount)) {
    expect(one.received.map(labelOf)).toEqual(shownTo(one).map(labelOf));
  }
});

test('what was answered before the next was posted is shown before it', () => {
  let pairs = 0;
  for (const one of people) {
    const place = new Map(shownTo(one).map((message, index) => [labelOf(message), index]));
    const mine = sender.posted.filter(({ to, status }) => to === one.number && status === 200);
    for (const first of mine) {
      for (const second of mine.filter(({ asked }) => asked > first.answered)) {
        pairs += 1;
        expect(place.get(first.label)! < place.get(second.label)!, second.label).toBe(true);
      }
    }
  }
  expect(pairs).toBeGreaterThan(total * lanesPerPerson);
});

test('the relay has metered each accepted message once, and nothing else', async () => {
  const [meter, metered, sent] = await Promise.all([books.meter(), books.metered(), books.sent()]);
  const clientIds = meter.map(({ clientId }) => clientId);
  expect(new Set(clientIds).size).toBe(meter.length);
  expect(metered).toBe(meter.length);
  const shown = people.flatMap((one) => shownTo(one).map(({ clientId }) => clientId));
  expect(new Set(clientIds)).toEqual(new Set(shown));
  expect(meter.every(({ delivered }) => delivered)).toBe(true);
  const templates = people.flatMap((one) =>
    shownTo(one).filter(({ content }) => content.body.type === 'template'),
  );
  const utility = meter.filter(({ category }) => category === 'utility');
  expect(utility).toHaveLength(templates.length);
  const byWamid = new Map(sent.map((row) => [row.wamid, row]));
  for (const { wamid, status } of sender.posted) {
    if (status !== 200) continue;
    const row = byWamid.get(wamid!);
    expect(row).toMatchObject({ status: 'delivered', failure: null });
    expect(clientIds).toContain(row?.clientId);
  }
  console.info(`${meter.length} metered, ${sent.length} taken by the gateway`);
});

/** What a webhook tells of: a message and its status, or a person's message. */
function newsOf(record: Parameters<typeof statusOf>[0]): string {
  const status = statusOf(record);
  return status === undefined ? messageOf(record)!.id : `${status.id} ${status.status}`;
}

const deliveryOf = ({ headers }: { headers: Record<string, unknown> }): string =>
  String(headers['x-siegel-delivery']);

test('a webhook repeats only where no 2xx was on record, with the same id and the same bytes', async () => {
  const { received } = scene.sink;
  const deliveries = new Map<string, { bytes: Buffer; news: string; times: number }>();
  const idOfNews = new Map<string, string>();
  for (const record of received) {
    expect(record.signed).toBe(true);
    const id = deliveryOf(record);
    const news = newsOf(record);
    const first = deliveries.get(id) ?? { bytes: record.bytes, news, times: 0 };
    expect(record.bytes.equals(first.bytes), news).toBe(true);
    deliveries.set(id, { ...first, times: first.times + 1 });
    expect(idOfNews.get(news) ?? id, news).toBe(id);
    idOfNews.set(news, id);
  }
  for (const { ids, seen } of recorded) {
    expect(
      received
        .slice(seen)
        .map(deliveryOf)
        .filter((id) => ids.has(id)),
    ).toEqual([]);
  }
  const events = await books.events();
  expect(events.map(({ eventId }) => eventId).toSorted()).toEqual(
    [...deliveries.keys()].toSorted(),
  );
  // Each refusal of ours is one more attempt; what else repeats was under way when gateway or database was killed.
  const refusals = new Map<string, number>();
  for (const [index, record] of received.slice(firstStormWebhook).entries()) {
    const refused = (answersPlanned[index] ?? 200) === 200 ? 0 : 1;
    const id = deliveryOf(record);
    refusals.set(id, (refusals.get(id) ?? 0) + refused);
  }
  let unrecorded = 0;
  for (const { eventId, state, attempts } of events) {
    expect(state).toBe('delivered');
    const { times } = deliveries.get(eventId)!;
    expect(attempts).toBeLessThanOrEqual(times);
    const extra = times - 1 - (refusals.get(eventId) ?? 0);
    expect(extra).toBeGreaterThanOrEqual(0);
    expect(extra).toBeLessThanOrEqual(recorded.length);
    unrecorded += extra;
  }
  const refused = answersPlanned.filter((answer) => answer !== 200).length;
  expect(received.length - events.length - refused).toBeLessThanOrEqual(unrecorded);
  expect(unrecorded).toBeLessThanOrEqual(recorded.length * peopleCount);
  console.info(`${received.length} webhooks, ${events.length} events, ${unrecorded} not recorded`);
});

test('every message was told as delivered, in order, and what people wrote came once, in order', () => {
  const told = scene.sink.received.map(newsOf);
  const first = [...new Set(told)];
  const place = new Map(first.map((news, index) => [news, index]));
  for (const { wamid, status } of sender.posted) {
    if (status !== 200) continue;
    const [sent, delivered] = ['sent', 'delivered'].map((name) => place.get(`${wamid} ${name}`));
    expect(delivered, wamid).toBeDefined();
    if (sent !== undefined) expect(sent).toBeLessThan(delivered!);
  }
  const texts = scene.sink.received.flatMap((record) => messageOf(record)?.text?.body ?? []);
  for (const [number, mine] of answered) {
    const came = [...new Set(texts)].filter((text) => mine.includes(text));
    expect(came, number).toEqual(mine);
  }
});
