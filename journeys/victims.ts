// The processes a story kills: each goes without a warning and is waited for until it serves again.
import type { PersonProcess, Town } from '@siegel/testkit';
import { Client } from 'pg';

export type Victim = {
  readonly name: string;
  /** SIGKILL; resolves when the signal was sent */
  kill(): Promise<void>;
  /** Resolves when it serves again. */
  back(): Promise<void>;
};

const backMsMax = 90_000;
const lookMs = 50;

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < backMsMax; waitedMs += lookMs) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  throw new Error(`${what} did not come back within ${backMsMax} ms`);
}

const pidOf = (town: Town, name: string): number | undefined =>
  town.processes().find((one) => one.name === name)?.pid;

export function townVictim(town: Town, name: string): Victim {
  let before: number | undefined;
  return {
    name,
    async kill() {
      before = pidOf(town, name);
      town.kill(name);
    },
    back: () =>
      until(name, async () => {
        const now = pidOf(town, name);
        if (now === undefined || now === before) return false;
        return town.ready(name).then(
          () => true,
          // It met a database that was not back yet; the supervisor tries again.
          () => false,
        );
      }),
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/** The postmaster: its backends notice by themselves, the launcher starts it again. */
export function postgresVictim(town: Town, name: string, url: string): Victim {
  let before: number | undefined;
  return {
    name,
    async kill() {
      before = pidOf(town, name);
      if (before === undefined) throw new Error(`${name} does not run`);
      process.kill(before, 'SIGKILL');
    },
    back: () => until(name, async () => pidOf(town, name) !== before && (await answers(url))),
  };
}

/** Nobody watches over a person's device: it is opened again by hand. */
export function personVictim(one: PersonProcess): Victim {
  return {
    name: `person ${one.number}`,
    kill: () => one.kill(),
    back: () => one.start(),
  };
}
