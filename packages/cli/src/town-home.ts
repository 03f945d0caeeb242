// Finds the town this command is run beside: its addresses in town.json, the operator's token in
// state.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Terminal } from './command.ts';

type Fields = Readonly<Record<string, unknown>>;

function readFields(path: string): Fields {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

export type FoundTown = {
  readonly home: string;
  readonly relay?: string;
  readonly smsInbox?: string;
  readonly operatorToken?: string;
};

/** Everything is undefined where no town is running. */
export function findTown(terminal: Terminal, home: string | undefined): FoundTown {
  const folder = home ?? (terminal.environment['SIEGEL_HOME']?.trim() || '.siegel');
  const town = readFields(join(folder, 'town.json'));
  const relay = textOf(town['relay']);
  const smsInbox = textOf(town['smsInbox']);
  const operatorToken = textOf(readFields(join(folder, 'state.json'))['operatorToken']);
  return {
    home: folder,
    ...(relay === undefined ? {} : { relay }),
    ...(smsInbox === undefined ? {} : { smsInbox }),
    ...(operatorToken === undefined ? {} : { operatorToken }),
  };
}
