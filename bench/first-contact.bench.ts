// A firm writes to people it never wrote to before, with the SDK against a real relay process:
// look-up, key packages claimed, group founded, Welcome, first template message, until the relay
// has taken all of it.

import type { StatusUpdate } from '@siegel/client';
import { watchCpu } from './cpu-time.ts';
import { type Firm, openFirm } from './firm.ts';
import { cpuSecondsSince } from './measure.ts';
import { profiled } from './profile.ts';
import { type Bench, percentile, runBench } from './record.ts';
import { type RelayProcess, startRelayProcess } from './relay-process.ts';
import { type Registered, registerMany } from './strangers.ts';

const aloneCount = 20;
const runs = 3;
const perRun = 60;
const inFlight = 16;
const registrationSecondsMax = 40;

type Contacts = {
  readonly relay: RelayProcess;
  /** Resolves when the relay has taken the first message. */
  readonly contact: (person: Registered) => Promise<void>;
};

async function createContacts(bench: Bench, relay: RelayProcess): Promise<Contacts> {
  const waiting = new Map<string, (update: StatusUpdate) => void>();
  const reports: unknown[] = [];
  const firm: Firm = await openFirm(relay, {
    status: (update) => waiting.get(update.clientId)?.(update),
    report: (error) => reports.push(error),
  });
  bench.cleanUp(() => firm.account.close());
  let count = 0;
  const contact = (person: Registered): Promise<void> =>
    new Promise((resolve, reject) => {
      count += 1;
      const clientId = `00000000-0000-4000-8000-${String(count).padStart(12, '0')}` as never;
      waiting.set(clientId, ({ status, failure }) => {
        if (status === 'pending') return;
        waiting.delete(clientId);
        if (status === 'failed') reject(new Error(`first contact: ${failure}; ${reports.join()}`));
        else resolve();
      });
      firm.account.send({ ...firm.templateTo(person.number), clientId }).catch(reject);
    });
  return { relay, contact };
}

async function measureAlone(bench: Bench, { contact }: Contacts, people: Registered[]) {
  const took: number[] = [];
  for (const person of people) {
    const began = performance.now();
    await contact(person);
    took.push(performance.now() - began);
  }
  const record = (metric: string, share: number) =>
    bench.measured({ metric, unit: 'ms', values: [percentile(took, share)] });
  record('first contact one at a time p50', 0.5);
  record('first contact one at a time p99', 0.99);
}

async function runOnce({ relay, contact }: Contacts, people: readonly Registered[]) {
  const { relay: relayPids, postgres } = relay.pids();
  const [relayCpu, postgresCpu] = [watchCpu(relayPids), watchCpu(postgres)];
  const ownCpu = process.cpuUsage();
  const began = performance.now();
  const waiting = [...people];
  const contactSome = async () => {
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) await contact(one);
  };
  await Promise.all(Array.from({ length: inFlight }, contactSome));
  const each = 1000 / people.length;
  return {
    perSecond: people.length / ((performance.now() - began) / 1000),
    firmMs: cpuSecondsSince(ownCpu) * each,
    relayMs: relayCpu() * each,
    postgresMs: postgresCpu() * each,
  };
}

await runBench('first-contact', async (bench) => {
  const relay = await startRelayProcess(bench);
  const contacts = await createContacts(bench, relay);
  const began = performance.now();
  const people = await registerMany(relay, {
    count: aloneCount + (runs + 1) * perRun,
    secondsMax: registrationSecondsMax,
  });
  const seconds = (performance.now() - began) / 1000;
  const unit = 'persons/s';
  bench.measured({
    metric: 'registered with the SDK, 4 at once',
    unit,
    values: [people.length / seconds],
  });
  await measureAlone(bench, contacts, people.splice(0, aloneCount));
  const groupSize = Math.floor(people.length / (runs + 1));
  const groups = Array.from({ length: runs + 1 }, () => people.splice(0, groupSize));
  // The first one warms up.
  await runOnce(contacts, groups.shift()!);
  const results: Awaited<ReturnType<typeof runOnce>>[] = [];
  const work = async () => {
    for (const group of groups) results.push(await runOnce(contacts, group));
  };
  await (bench.profiling ? profiled('firm', work) : work());
  const record = (metric: string, unit: string, name: keyof (typeof results)[number]) =>
    bench.measured({ metric, unit, values: results.map((result) => result[name]) });
  record(`first contact, ${inFlight} in flight`, 'persons/s', 'perSecond');
  record('CPU of the firm’s SDK', 'ms/person', 'firmMs');
  record('CPU of the relay', 'ms/person', 'relayMs');
  record('CPU of PostgreSQL', 'ms/person', 'postgresMs');
});
