// What a command of `siegel` is: a name, words for its help, and something to run with the terminal
// it runs in.
import { SiegelError } from '@siegel/protocol/errors';

export type Terminal = {
  readonly out: (line: string) => void;
  readonly error: (line: string) => void;
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
};

export type Command = {
  readonly name: string;
  readonly summary: string;
  /** the whole help page */
  readonly help: string;
  /** Answers the exit code. */
  readonly run: (args: readonly string[], terminal: Terminal) => Promise<number>;
};

/** The call itself was wrong: the sentence is shown, and where help is. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const usage = (sentence: string): UsageError => new UsageError(sentence);

/** Resolves when somebody asks the command to end. */
export const asked = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** One sentence for a person; never a stack, which could quote what was being handled. */
export function sentenceOf(error: unknown): string {
  if (error instanceof SiegelError || error instanceof UsageError) return error.message;
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return 'The port is taken by another program.';
  }
  return error instanceof Error ? `${error.name}: ${error.message}` : 'Something went wrong.';
}
