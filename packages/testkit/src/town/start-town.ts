// Starts the whole product on one machine and keeps it running: databases, relay, one gateway and
// one bot per firm, each a process of its own.
import { rmSync } from 'node:fs';
import { SiegelError } from '@siegel/protocol/errors';
import { Child, type ChildEvent, type ChildPlan } from './child.ts';
import { childLog } from './child-log.ts';
import { endOrphans, writeChildren } from './children-file.ts';
import { startDatabases, type TownDatabases } from './clusters.ts';
import { demoFirms, type TownFirm } from './demo-firms.ts';
import { connectOperator, type Operator } from './operator.ts';
import { botPlan, gatewayPlan, relayPlan } from './plans.ts';
import { codeFor, registerFirm, settleTemplates } from './prepare-firm.ts';
import { writePrivateJson } from './private-file.ts';
import { takeProcessLock } from './process-lock.ts';
import { gatewayHost, gatewayUrlOf, type TownFile, townFile, urlOf } from './town-file.ts';
import { checkTownOptions, type TownOptions } from './town-options.ts';
import { planPorts, type TownPorts } from './town-ports.ts';
import {
  type FirmState,
  newFirmState,
  newTownState,
  openHome,
  type Random,
  type TownHome,
  type TownState,
} from './town-state.ts';

export type TownEvent =
  | ChildEvent
  | { readonly child: string; readonly event: 'restarted' | 'database-died' }
  | { readonly event: 'orphans-ended'; readonly count: number }
  | { readonly event: 'step'; readonly step: string };

export type TownWorld = {
  readonly random: Random;
  readonly onEvent?: (event: TownEvent) => void;
  /** gives the start up; what runs by then is ended */
  readonly signal?: AbortSignal;
  /**
   * Answers the address at which gateways reach the relay: a tap or a bad line may stand between.
   */
  readonly lineToRelay?: (relay: string) => Promise<string>;
};

/** Addresses for looking into the town's databases; each role owns what it sees. */
export type TownDatabaseUrls = {
  readonly relay: string;
  /** by slug of the firm */
  readonly gateway: (slug: string) => string;
};

export interface Town {
  readonly file: TownFile;
  readonly home: string;
  /** everything that runs, databases too */
  processes(): readonly { readonly name: string; readonly pid: number }[];
  databases(): TownDatabaseUrls;
  /**
   * SIGKILL, without a warning; the supervisor starts it again. Names: `relay`, `gateway-<firm>`,
   * `bot-<firm>`.
   */
  kill(name: string): void;
  /** Ends a child in order and leaves it so until `start`. */
  halt(name: string): Promise<void>;
  start(name: string): Promise<void>;
  /** Resolves when the child serves, after a kill too. */
  ready(name: string): Promise<void>;
  /** Ends everything within about ten seconds. Idempotent. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const logTrimMs = 60_000;
const botGraceMs = 1_500;
const serverGraceMs = 3_000;

/** What has been started so far, so that it can be ended from wherever the start stands. */
class Running {
  readonly children = new Map<string, Child>();
  readonly #home: TownHome;
  readonly #tell: (event: TownEvent) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #trims: (() => void)[] = [];
  databases: Promise<TownDatabases> | undefined;
  known: TownDatabases | undefined;
  operator: Operator | undefined;
  #stopped = false;

  constructor(home: TownHome, tell: (event: TownEvent) => void) {
    this.#home = home;
    this.#tell = tell;
    this.#timer = setInterval(() => {
      for (const trim of this.#trims) trim();
    }, logTrimMs);
    this.#timer.unref();
  }

  add(plan: Omit<ChildPlan, 'log'>): Child {
    // A start that was given up must not leave a child behind.
    if (this.#stopped) throw new SiegelError('shutting-down');
    const log = childLog(this.#home.logs, plan.name);
    log.trim();
    this.#trims.push(log.trim);
    const child = new Child(
      { ...plan, log },
      { onEvent: this.#tell, onIdentity: () => this.#writeDown() },
    );
    this.children.set(plan.name, child);
    return child;
  }

  #writeDown(): void {
    const living = [...this.children.values()].flatMap(({ identity }) => identity ?? []);
    writeChildren(this.#home.childrenFile, living);
  }

  child(name: string): Child {
    const child = this.children.get(name);
    if (child === undefined)
      throw new SiegelError('not-found', `There is no ${name} in this town.`);
    return child;
  }

  processes() {
    const children = [...this.children.values()].flatMap(({ name, identity }) =>
      identity === undefined ? [] : [{ name, pid: identity.pid }],
    );
    return [...children, ...(this.known?.pids() ?? [])];
  }

  databaseUrls(): TownDatabaseUrls {
    if (this.known === undefined) throw new SiegelError('not-found', 'There is no database yet.');
    return { relay: this.known.relayUrl, gateway: this.known.gatewayUrl };
  }

  /** Those who ask end before those who answer: bots, gateways, relay, databases. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    rmSync(this.#home.townFile, { force: true });
    await this.operator?.close();
    for (const [kind, graceMs] of [
      ['bot-', botGraceMs],
      ['gateway-', serverGraceMs],
      ['relay', serverGraceMs],
    ] as const) {
      const some = [...this.children.values()].filter(({ name }) => name.startsWith(kind));
      await Promise.all(some.map((child) => child.stop(graceMs)));
    }
    const databases = await this.databases?.catch(() => undefined);
    await databases?.stop();
    rmSync(this.#home.childrenFile, { force: true });
  }
}

type Plan = {
  readonly options: TownOptions;
  readonly home: TownHome;
  readonly ports: TownPorts;
  readonly firms: readonly TownFirm[];
  readonly world: TownWorld;
  readonly running: Running;
};

/** Firms of this start, with their secrets made and written down. */
function openState(home: TownHome, firms: readonly TownFirm[], random: Random): TownState {
  const state = home.readState() ?? newTownState(random);
  for (const { firm } of firms) state.firms[firm.slug] ??= newFirmState(random);
  home.writeState(state);
  return state;
}

function chooseFirms(slugs: readonly string[] | undefined): readonly TownFirm[] {
  if (slugs === undefined) return demoFirms;
  return slugs.map((slug) => {
    const found = demoFirms.find(({ firm }) => firm.slug === slug);
    if (found === undefined) throw new SiegelError('not-found', `There is no firm ${slug}.`);
    return found;
  });
}

async function registerAll(
  plan: Plan,
  state: TownState,
  known: { readonly operator: Operator; readonly databases: Promise<TownDatabases> },
): Promise<void> {
  const { relayUrl } = await known.databases;
  for (const one of plan.firms) {
    const { slug } = one.firm;
    const before = state.firms[slug]!;
    const after = await registerFirm(known.operator, one, {
      state: before,
      relayDatabaseUrl: relayUrl,
    });
    if (after === before) continue;
    state.firms[slug] = after;
    // At once: a registration that is not written down cannot be asked for again.
    plan.home.writeState(state);
  }
}

/** One firm from enrolment to its bot answering. */
async function serveFirm(
  plan: Plan,
  state: TownState,
  { index, operator }: { readonly index: number; readonly operator: Operator },
): Promise<void> {
  const { firm, templates } = plan.firms[index]!;
  await plan.running.child(`gateway-${firm.slug}`).ready();
  const known: FirmState = state.firms[firm.slug]!;
  if (!known.enrolled) {
    state.firms[firm.slug] = { ...known, enrolled: true };
    plan.home.writeState(state);
  }
  const access = {
    cloudApi: gatewayUrlOf(plan.options, plan.ports.gateways[index]!),
    accessToken: known.accessToken,
  };
  const wabaId = known.wabaId!;
  await settleTemplates(operator, access, { wabaId, templates });
}

async function startAll(plan: Plan): Promise<TownFile> {
  const { options, home, ports, firms, world, running } = plan;
  const tell = world.onEvent ?? (() => {});
  const state = openState(home, firms, world.random);
  const slugs = firms.map(({ firm }) => firm.slug);
  running.databases = startDatabases(options, slugs, {
    onEvent: (name, { kind }) => {
      if (kind === 'restarted') tell({ child: name, event: 'restarted' });
      else tell({ child: name, event: 'database-died' });
    },
  });
  // Everything that waits for it fails with it; alone it must not end the process.
  running.databases.catch(() => {});
  const databases = running.databases.then((one) => (running.known = one));
  const { operatorToken } = state;
  const relay = running.add(relayPlan({ options, home, ports, operatorToken, databases }));
  const relayUrl = urlOf(options, ports.relay);
  const operator = connectOperator(relayUrl, operatorToken);
  running.operator = operator;
  tell({ event: 'step', step: 'relay' });
  const relayReady = relay.start();
  const registered = relayReady.then(() => registerAll(plan, state, { operator, databases }));
  registered.catch(() => {});
  const line = world.lineToRelay?.(relayUrl) ?? Promise.resolve(relayUrl);
  line.catch(() => {});
  const starting = firms.flatMap(({ firm }, index) => {
    const common = { options, home, ports, index, ...firm };
    const gateway = running.add(
      gatewayPlan({
        ...common,
        config: async () => {
          const [{ gatewayUrl }] = await Promise.all([databases, registered]);
          const now = state.firms[firm.slug]!;
          const code = await codeFor(operator, now);
          return { databaseUrl: gatewayUrl(firm.slug), firm: now, code, relayUrl: await line };
        },
      }),
    );
    const bot =
      options.bots === false
        ? []
        : [
            registered.then(() =>
              running.add(botPlan({ ...common, state: state.firms[firm.slug]! })).start(),
            ),
          ];
    return [gateway.start(), ...bot];
  });
  await Promise.all([relayReady, registered, ...starting]);
  tell({ event: 'step', step: 'firms' });
  await Promise.all(firms.map((_, index) => serveFirm(plan, state, { index, operator })));
  const file = townFile(options, ports, { state, firms: firms.map(({ firm }) => firm) });
  writePrivateJson(home.townFile, file);
  return file;
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const give = () => reject(new SiegelError('shutting-down'));
    if (signal?.aborted === true) give();
    else signal?.addEventListener('abort', give, { once: true });
  });
}

/**
 * @throws SiegelError `configuration-invalid`, or `state-conflict` while another town runs in the
 * same home
 */
export async function startTown(given: TownOptions, world: TownWorld): Promise<Town> {
  const options = checkTownOptions(given);
  const tell = world.onEvent ?? (() => {});
  const home = openHome(options.home);
  const lock = takeProcessLock(home.lockFile);
  const running = new Running(home, tell);
  const stop = async () => {
    await running.stop();
    lock.release();
  };
  try {
    rmSync(home.townFile, { force: true });
    const orphans = await endOrphans(home.childrenFile);
    if (orphans > 0) tell({ event: 'orphans-ended', count: orphans });
    const firms = chooseFirms(options.firms);
    const ports = await planPorts({
      port: options.port,
      host: options.host,
      gatewayHost: gatewayHost(options),
      firms: firms.length,
    });
    const started = startAll({ options, home, ports, firms, world, running });
    const file = await Promise.race([started, aborted(world.signal)]);
    return createTown(file, { running, home, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

function createTown(
  file: TownFile,
  parts: { readonly running: Running; readonly home: TownHome; readonly stop: () => Promise<void> },
): Town {
  const { running, home } = parts;
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= parts.stop());
  return {
    file,
    home: home.folder,
    processes: () => running.processes(),
    databases: () => running.databaseUrls(),
    kill: (name) => running.child(name).kill(),
    halt: (name) => running.child(name).stop(),
    async start(name) {
      await running.child(name).restart();
    },
    async ready(name) {
      await running.child(name).ready();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
