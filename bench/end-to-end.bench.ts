// The whole road with real processes: POST to a gateway's Cloud API, sealed there, accepted and
// delivered by the relay, opened on the person's device. How many a second, how long one takes, and
// whether anything is lost or doubled.

import { startChild } from './child-process.ts';
import { watchCpu } from './cpu-time.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { startGatewayProcess, templateName } from './gateway-process.ts';
import { type PeopleReport, preciseNow } from './people-protocol.ts';
import { type Bench, percentile, runBench } from './record.ts';
import { type RelayProcess, startRelayProcess } from './relay-process.ts';

const peopleCount = 24;
const registrationSecondsMax = 25;
const runs = 3;
/** Together with the template and the single ones below the pair rate's burst of 45. */
const perPersonAndRun = 9;
const aloneMessages = 60;
const aloneSecondsMax = 10;
const inFlight = 64;
/** What comes later than this is late; it is lost when it has not come by the end either. */
const lateSeconds = 15;
const settleSecondsMax = 12;
/** How long a second copy may still come after everything has. */
const settleMs = 1500;
/** No further repetition is begun with less time left. */
const secondsPerRunMax = 30;

type Town = {
  readonly relay: RelayProcess;
  readonly gateway: GatewayProcess;
  readonly peoplePid: number;
  readonly numbers: readonly string[];
  /** Resolves with the time at which the text was opened, or with infinity when it is late. */
  readonly opened: (text: string) => Promise<number>;
  /** texts in the order in which they were opened, all people together */
  readonly seen: readonly string[];
  readonly troubles: readonly string[];
};

async function openTown(bench: Bench): Promise<Town> {
  const relay = await startRelayProcess(bench);
  const seen: string[] = [];
  const troubles: string[] = [];
  const waiting = new Map<string, (at: number) => void>();
  const greeted = new Set<string>();
  let numbers: readonly string[] | undefined;
  const people = await startChild({
    name: 'people',
    program: 'bench/people-child.ts',
    config: {
      url: relay.url,
      smsInbox: relay.smsInbox,
      count: peopleCount,
      secondsMax: registrationSecondsMax,
    },
    profile: bench.profiling,
    onMessage: (message) => {
      // Only our own child has the other end.
      const report = message as PeopleReport;
      if (report.report === 'open') numbers = report.numbers;
      if (report.report === 'greeted') greeted.add(report.number);
      if (report.report === 'trouble') troubles.push(report.words);
      if (report.report !== 'opened') return;
      seen.push(report.text);
      waiting.get(report.text)?.(report.at);
      waiting.delete(report.text);
    },
  });
  bench.cleanUp(people.stop);
  const gateway = await startGatewayProcess(bench, relay);
  await until('people are registered', () => numbers !== undefined, bench.secondsLeft() - 40);
  for (const number of numbers!) {
    const template = { name: templateName, language: { code: 'de' } };
    await gateway.post({ to: number, type: 'template', template });
  }
  await until('everybody said hello', () => greeted.size === numbers!.length, 25);
  const opened = (text: string) =>
    new Promise<number>((resolve) => {
      const timer = setTimeout(() => resolve(Infinity), lateSeconds * 1000);
      waiting.set(text, (at) => {
        clearTimeout(timer);
        resolve(at);
      });
    });
  return { relay, gateway, peoplePid: people.pid, numbers: numbers!, opened, seen, troubles };
}

async function until(what: string, holds: () => boolean, secondsMax: number): Promise<void> {
  const end = performance.now() + secondsMax * 1000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

type Sent = { readonly text: string; readonly to: string };

/** From the moment of asking to the moment of opening, in milliseconds. */
async function deliver({ gateway, opened }: Town, { text, to }: Sent): Promise<number> {
  const asked = preciseNow();
  const arrival = opened(text);
  const posted = gateway.post({ to, type: 'text', text: { body: text } });
  const [at] = await Promise.all([arrival, posted]);
  return at - asked;
}

async function measureAlone(bench: Bench, town: Town, sent: Sent[]): Promise<void> {
  const took: number[] = [];
  const end = performance.now() + aloneSecondsMax * 1000;
  for (let count = 0; count < aloneMessages && performance.now() < end; count += 1) {
    const to = town.numbers[count % town.numbers.length]!;
    const message = { text: `alone ${to} ${count}`, to };
    sent.push(message);
    took.push(await deliver(town, message));
  }
  const record = (metric: string, share: number) =>
    bench.measured({ metric, unit: 'ms', values: [percentile(took, share)] });
  record('POST to opened, one at a time p50', 0.5);
  record('POST to opened, one at a time p99', 0.99);
}

type Run = {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuMs: Readonly<Record<string, number>>;
};

async function runOnce(town: Town, messages: readonly Sent[]): Promise<Run> {
  const { relay, postgres: relayPostgres } = town.relay.pids();
  const { gateway, postgres: gatewayPostgres } = town.gateway.pids();
  const cpu = {
    gateway: watchCpu(gateway),
    'PostgreSQL of the gateway': watchCpu(gatewayPostgres),
    relay: watchCpu(relay),
    'PostgreSQL of the relay': watchCpu(relayPostgres),
    'the people’s devices': watchCpu([town.peoplePid]),
  };
  const took: number[] = [];
  const waiting = messages.toReversed();
  const began = performance.now();
  const sendSome = async () => {
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
      took.push(await deliver(town, one));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, sendSome));
  const seconds = (performance.now() - began) / 1000;
  const each = 1000 / messages.length;
  return {
    perSecond: messages.length / seconds,
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
    cpuMs: Object.fromEntries(Object.entries(cpu).map(([name, spent]) => [name, spent() * each])),
  };
}

async function measureMany(bench: Bench, town: Town, sent: Sent[]): Promise<void> {
  const all: Run[] = [];
  const countTransactions = async () => [
    await town.gateway.transactions(),
    await town.relay.transactions(),
  ];
  const [gatewayBefore, relayBefore] = await countTransactions();
  const sentBefore = sent.length;
  for (
    let run = 0;
    run <= runs && (run === 0 || bench.secondsLeft() > secondsPerRunMax);
    run += 1
  ) {
    const messages = Array.from({ length: perPersonAndRun }, (_, turn) =>
      town.numbers.map((to) => ({ text: `run ${run} ${to} ${turn}`, to })),
    ).flat();
    sent.push(...messages);
    const one = await runOnce(town, messages);
    // The first one warms up, and counts only where there is no time for another.
    if (run === 1) all.length = 0;
    all.push(one);
  }
  const [gatewayAfter, relayAfter] = await countTransactions();
  const each = 1 / (sent.length - sentBefore);
  for (const [of, count] of [
    ['gateway', gatewayAfter! - gatewayBefore!],
    ['relay', relayAfter! - relayBefore!],
  ] as const) {
    const metric = `database transactions of the ${of}`;
    bench.measured({ metric, unit: 'per message', values: [count * each] });
  }
  const record = (metric: string, unit: string, value: (run: Run) => number) =>
    bench.measured({ metric, unit, values: all.map(value) });
  const many = `${inFlight} in flight over ${town.numbers.length} people`;
  record(`${many}: opened`, 'messages/s', ({ perSecond }) => perSecond);
  record(`${many}: POST to opened p50`, 'ms', ({ p50 }) => p50);
  record(`${many}: POST to opened p99`, 'ms', ({ p99 }) => p99);
  for (const name of Object.keys(all[0]!.cpuMs)) {
    record(`CPU of ${name}`, 'ms/message', ({ cpuMs }) => cpuMs[name]!);
  }
}

/** Every text is opened exactly once, or the bench fails. */
async function countFaults(bench: Bench, town: Town, sent: readonly Sent[]): Promise<void> {
  const isThere = () => new Set(town.seen).size === sent.length;
  await until('everything came', isThere, settleSecondsMax).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const times = new Map<string, number>();
  for (const text of town.seen) times.set(text, (times.get(text) ?? 0) + 1);
  const lost = sent.filter(({ text }) => !times.has(text));
  const doubled = [...times.values()].filter((count) => count > 1).length;
  const unit = `of ${sent.length} messages`;
  bench.measured({ metric: 'lost', unit, values: [lost.length] });
  bench.measured({ metric: 'doubled', unit, values: [doubled] });
  if (lost.length === 0 && doubled === 0) return;
  const statuses = await town.gateway.statuses();
  throw new Error(
    `${lost.length} lost, ${doubled} doubled; the gateway's log: ${statuses.join(', ')}; ` +
      `people's troubles: ${[...new Set(town.troubles)].join(', ') || 'none'}; ` +
      `lost: ${lost
        .map(({ text }) => text)
        .slice(0, 5)
        .join(', ')}`,
  );
}

await runBench('end-to-end', async (bench) => {
  const town = await openTown(bench);
  const sent: Sent[] = [];
  await measureAlone(bench, town, sent);
  await measureMany(bench, town, sent);
  await countFaults(bench, town, sent);
});
