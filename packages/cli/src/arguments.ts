// Reads a command's arguments; a mistake becomes a sentence instead of a stack.
import { parseArgs } from 'node:util';
import { usage } from './command.ts';

export type Arguments = {
  readonly positionals: readonly string[];
  /** undefined when it was not given */
  readonly option: (name: string) => string | undefined;
  /** @throws UsageError when it was not given */
  readonly required: (name: string) => string;
};

/** All options take a value. @throws UsageError for unknown ones and missing values */
export function readArguments(args: readonly string[], options: readonly string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      strict: true,
      options: Object.fromEntries(options.map((name) => [name, { type: 'string' as const }])),
    });
    const option = (name: string) => {
      const value = values[name];
      return typeof value === 'string' ? value : undefined;
    };
    return {
      positionals,
      option,
      required(name) {
        const value = option(name);
        if (value === undefined) throw usage(`--${name} is missing.`);
        return value;
      },
    };
  } catch (error) {
    throw error instanceof TypeError ? usage(error.message.split('\n')[0]!) : error;
  }
}
