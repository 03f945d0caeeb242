// The `siegel` command: finds the command asked for, runs it, and turns what went wrong into a
// sentence and an exit code.
import { type Command, sentenceOf, type Terminal, UsageError } from './command.ts';

/** Loaded when asked for, so that help needs no database driver. */
const commands: Readonly<Record<string, { summary: string; load: () => Promise<Command> }>> = {
  town: {
    summary: 'run everything on this machine, with four demo firms',
    load: async () => (await import('./commands/town.ts')).town,
  },
  'demo-person': {
    summary: 'be a person in this terminal',
    load: async () => (await import('./commands/demo-person.ts')).demoPerson,
  },
  relay: {
    summary: "run the operator's server",
    load: async () => (await import('./commands/relay.ts')).relay,
  },
  gateway: {
    summary: "run a firm's own server, or enrol it",
    load: async () => (await import('./commands/gateway.ts')).gateway,
  },
  admin: {
    summary: "do the operator's work: firms, codes, templates",
    load: async () => (await import('./commands/admin.ts')).admin,
  },
};

const overview = (): string[] => [
  'Usage: siegel <command>',
  '',
  ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`),
  '',
  'siegel <command> --help says more.',
];

const isHelp = (text: string | undefined): boolean =>
  text === '--help' || text === '-h' || text === 'help';

/** 0 done, 1 it did not work, 2 it was asked wrongly. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || isHelp(name)) {
    for (const line of overview()) terminal.out(line);
    return name === undefined ? 2 : 0;
  }
  const known = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (known === undefined) {
    terminal.error(`siegel has no command ${JSON.stringify(name)}.`);
    for (const line of overview()) terminal.error(line);
    return 2;
  }
  try {
    const command = await known.load();
    if (rest.some((one) => one === '--help' || one === '-h')) {
      terminal.out(command.help);
      return 0;
    }
    return await command.run(rest, terminal);
  } catch (error) {
    terminal.error(`siegel ${name}: ${sentenceOf(error)}`);
    if (!(error instanceof UsageError)) return 1;
    terminal.error(`siegel ${name} --help says how.`);
    return 2;
  }
}

/** The entry of bin/siegel.mjs. */
export async function main(args: readonly string[]): Promise<void> {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => ending.abort());
  }
  // A reader that went away, as `head` does, is no failure.
  process.stdout.on('error', () => {});
  process.exitCode = await run(args, {
    out: (line) => process.stdout.write(`${line}\n`),
    error: (line) => process.stderr.write(`${line}\n`),
    input: process.stdin,
    environment: process.env,
    signal: ending.signal,
  });
  // Timers of a library must not keep a finished command alive.
  process.exit();
}
