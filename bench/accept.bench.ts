// The relay's accept path on embedded PostgreSQL, every answer after the disk: one at a time and 64
// in flight, to one and to three devices, then with the copy into mailboxes and with delivery. Half
// of the messages come from the firm.

import { randomBytes } from 'node:crypto';
import { makeRelayTag } from '@siegel/crypto/verify';
import type { Database } from '@siegel/database';
import { type TestDatabase, testDatabase } from '@siegel/database/testing';
import {
  createMailboxCopier,
  type MailboxCopier,
} from '../packages/relay/src/mailbox/copy-to-mailboxes.ts';
import { createMailboxStore } from '../packages/relay/src/mailbox/mailbox-store.ts';
import { createWakeups } from '../packages/relay/src/mailbox/wakeups.ts';
import { createAcceptor } from '../packages/relay/src/messages/accept-messages.ts';
import { submitMessage } from '../packages/relay/src/messages/submit-message.ts';
import { type Chat, firstDevice, insertChats } from './chats.ts';
import { watchCpu } from './cpu-time.ts';
import { cpuSecondsSince } from './measure.ts';
import { newClientId } from './people.ts';
import { type PostgresProfile, profilePostgres } from './postgres-profile.ts';
import { profiled } from './profile.ts';
import { type Bench, percentile, runBench } from './record.ts';

type Scenario = {
  readonly name: string;
  readonly inFlight: number;
  readonly batchMax: number;
  readonly copy: boolean;
  readonly deliver?: boolean;
  readonly chats: readonly Chat[];
};

type Outcome = {
  readonly acceptedPerSecond: number;
  /** until everything accepted was copied, and delivered where asked for */
  readonly settledPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU time per accepted message */
  readonly nodeMicroseconds: number;
  readonly postgresMicroseconds: number;
};

const runs = 3;
const secondsPerRun = 1.5;
/** As many as keep the firm below the pair rate's burst for the whole bench. */
const chatCount = 6000;
const migrations = new URL('../packages/relay/migrations', import.meta.url).pathname;

/**
 * What stands behind the endpoint: acceptor, copier and, where asked for, devices that read and
 * acknowledge.
 */
function createRoad(database: Database, scenario: Scenario) {
  const now = Date.now;
  const wakeups = createWakeups();
  const failures: unknown[] = [];
  const failed = (failure: unknown) => failures.push(failure);
  const copier: MailboxCopier = createMailboxCopier({
    database,
    now,
    wakeups,
    failed,
    isAbsent: () => false,
  });
  const store = createMailboxStore({ database, now });
  const reading = new Set<Promise<void>>();
  if (scenario.deliver === true) {
    wakeups.subscribe((wakeup) => {
      if (wakeup.kind !== 'items') return;
      const read = async () => {
        const items = await store.read({ device: wakeup, after: 0, items: 128 });
        const position = items.at(-1)?.position;
        if (position !== undefined) await store.acknowledge({ device: wakeup, position });
      };
      const work: Promise<void> = read()
        .catch(failed)
        .then(() => void reading.delete(work));
      reading.add(work);
    });
  }
  const accepted = scenario.copy ? copier.touch : () => {};
  const acceptor = createAcceptor({ database, batchMax: scenario.batchMax, accepted });
  const key = { keyId: 'bench', key: new Uint8Array(32) };
  const ports = {
    acceptor,
    now,
    tag: (tagged: Parameters<typeof makeRelayTag>[0]) => makeRelayTag(tagged, key),
    attachBlobs: () => Promise.resolve(),
    controlRate: { take: () => ({ taken: true as const }) },
  };
  const settle = async () => {
    await copier.settled();
    while (reading.size > 0) await Promise.all(reading);
    if (failures.length > 0) throw failures[0];
  };
  const close = async () => {
    await acceptor.close();
    await copier.close();
    await store.close();
  };
  return { ports, settle, close };
}

async function runOnce(test: TestDatabase, scenario: Scenario): Promise<Outcome> {
  const { ports, settle, close } = createRoad(test.database, scenario);
  const mls = randomBytes(512).toString('base64url');
  const commitment = randomBytes(32).toString('base64url');
  const took: number[] = [];
  let turn = Math.floor(randomBytes(2).readUInt16LE() * (scenario.chats.length / 65_536));
  const postgresCpu = watchCpu(await backendsOf(test.database));
  const nodeCpu = process.cpuUsage();
  const began = performance.now();
  const until = began + secondsPerRun * 1000;
  const caller = async () => {
    while (performance.now() < until) {
      turn += 1;
      const chat = scenario.chats[turn % scenario.chats.length]!;
      const fromFirm = Math.floor(turn / scenario.chats.length) % 2 === turn % 2;
      const asked = performance.now();
      const sender = {
        kind: 'device',
        address: '127.0.0.1',
        accountId: fromFirm ? chat.firm : chat.person,
        deviceId: firstDevice,
        account: fromFirm ? 'business' : 'person',
      } as const;
      const answer = await submitMessage(ports, sender, {
        conversationId: chat.conversationId,
        generation: 0,
        epoch: 1,
        mls,
        commitment,
        class: 'message',
        kind: 'free-form',
        clientId: newClientId(),
      });
      if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
      took.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: scenario.inFlight }, caller));
  const acceptSeconds = (performance.now() - began) / 1000;
  await settle();
  const allSeconds = (performance.now() - began) / 1000;
  const perMessage = 1e6 / took.length;
  const outcome = {
    acceptedPerSecond: took.length / acceptSeconds,
    settledPerSecond: took.length / allSeconds,
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
    nodeMicroseconds: cpuSecondsSince(nodeCpu) * perMessage,
    postgresMicroseconds: postgresCpu() * perMessage,
  };
  await close();
  return outcome;
}

/**
 * The processes of the server that work for us; it runs beside us, so their numbers are ours too.
 */
async function backendsOf(database: Database): Promise<number[]> {
  const { rows } = await database.query<{ pid: number }>(
    'SELECT pid FROM pg_stat_activity WHERE datname = current_database() OR datname IS NULL',
  );
  return rows.map(({ pid }) => pid);
}

type Place = {
  readonly bench: Bench;
  readonly test: TestDatabase;
  readonly profile: PostgresProfile | undefined;
};

async function measure({ bench, test, profile }: Place, scenario: Scenario): Promise<void> {
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let run = 0; run < runs; run += 1) outcomes.push(await runOnce(test, scenario));
  };
  await (bench.profiling ? profiled(scenario.name, work) : work());
  await profile?.print();
  const record = (what: string, unit: string, values: readonly number[]) =>
    bench.measured({ metric: `${scenario.name}: ${what}`, unit, values });
  const all = (name: keyof Outcome) => outcomes.map((outcome) => outcome[name]);
  record('accepted', 'messages/s', all('acceptedPerSecond'));
  if (scenario.copy) {
    const what = scenario.deliver === true ? 'acknowledged' : 'in all mailboxes';
    record(what, 'messages/s', all('settledPerSecond'));
  }
  record('answer p50', 'ms', all('p50'));
  record('answer p99', 'ms', all('p99'));
  record('CPU of the relay', 'µs/message', all('nodeMicroseconds'));
  record('CPU of PostgreSQL', 'µs/message', all('postgresMicroseconds'));
}

await runBench('accept', async (bench) => {
  const test = await testDatabase({ migrations });
  bench.cleanUp(() => test.drop());
  const profile = bench.profiling ? await profilePostgres(test) : undefined;
  bench.cleanUp(async () => profile?.close());
  const now = Date.now();
  const one = await insertChats(test.database, { count: chatCount, devices: 1, now });
  const three = await insertChats(test.database, { count: chatCount, devices: 3, now });
  const single = { inFlight: 1, batchMax: 1, copy: false };
  const batched = { inFlight: 64, batchMax: 64, copy: false };
  await runOnce(test, { name: 'warm-up', ...batched, copy: true, deliver: true, chats: one });
  await profile?.print();
  const scenarios: Scenario[] = [
    { name: 'one at a time, 1 device', ...single, chats: one },
    { name: 'one at a time, 3 devices', ...single, chats: three },
    { name: '64 in flight, 1 device', ...batched, chats: one },
    { name: '64 in flight, 3 devices', ...batched, chats: three },
    { name: '64 in flight, copied, 1 device', ...batched, copy: true, chats: one },
    { name: '64 in flight, copied, 3 devices', ...batched, copy: true, chats: three },
    { name: '64 in flight, delivered', ...batched, copy: true, deliver: true, chats: one },
  ];
  for (const scenario of scenarios) await measure({ bench, test, profile }, scenario);
});
