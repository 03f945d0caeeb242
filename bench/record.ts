// What every bench has in common: it says what machine it runs on, prints one calm table, writes
// results/<name>.json in the form design §9 promises, undoes what it started, and stops by itself.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** One line of the table and of the file. */
export type Result = {
  /** `siegel`, or whom it stands beside */
  readonly subject: string;
  readonly metric: string;
  /** the median of the runs */
  readonly value: number;
  readonly unit: string;
  /**
   * repetitions of this run of the bench; 0 is a figure taken from a document, never measured here
   */
  readonly runs: number;
  readonly min: number;
  readonly max: number;
  readonly note?: string;
};

export type Measured = Pick<Result, 'metric' | 'unit' | 'note'> & {
  readonly subject?: string;
  readonly values: readonly number[];
};

export type Quoted = Pick<Result, 'subject' | 'metric' | 'unit' | 'note'> & {
  readonly range: readonly [number, number];
};

export type Bench = {
  /** `--profile`: figures are distorted, so nothing is written */
  readonly profiling: boolean;
  /** Seconds that are left before the bench ends itself. */
  readonly secondsLeft: () => number;
  readonly measured: (measured: Measured) => void;
  /** A figure to stand beside ours, from a document. */
  readonly quoted: (quoted: Quoted) => void;
  /** Undone in reverse order, whatever happens. */
  readonly cleanUp: (undo: () => Promise<unknown> | void) => void;
};

const results = fileURLToPath(new URL('results/', import.meta.url));
const secondsMax = 90;
const cleanUpSecondsMax = 15;

export async function runBench(name: string, work: (bench: Bench) => Promise<void>): Promise<void> {
  const started = performance.now();
  const machine = describeMachine();
  const lines: Result[] = [];
  const undoes: (() => Promise<unknown> | void)[] = [];
  const profiling = process.argv.includes('--profile');
  const bench: Bench = {
    profiling,
    secondsLeft: () => secondsMax - (performance.now() - started) / 1000,
    measured: (measured) => lines.push(resultOf(measured)),
    quoted: ({ range, ...quoted }) => {
      const [min, max] = range;
      lines.push({ ...quoted, value: rounded((min + max) / 2), runs: 0, min, max });
    },
    cleanUp: (undo) => undoes.push(undo),
  };
  console.log(`\n${name} · ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`);
  let failure: unknown;
  try {
    await within(secondsMax * 1000, work(bench));
  } catch (error) {
    failure = error ?? new Error('failed');
  }
  await within(cleanUpSecondsMax * 1000, undoAll(undoes)).catch((error: unknown) => {
    failure ??= error;
  });
  printTable(lines);
  if (failure !== undefined) console.error(failure);
  else if (!profiling) writeResults(name, { machine, lines });
  // A bench that left something running must not hang: it says so by its exit code.
  process.exit(failure === undefined ? 0 : 1);
}

async function undoAll(undoes: readonly (() => Promise<unknown> | void)[]): Promise<void> {
  let failure: unknown;
  for (const undo of undoes.toReversed()) {
    await Promise.resolve()
      .then(undo)
      .catch((error: unknown) => {
        failure ??= error;
      });
  }
  if (failure !== undefined) throw failure;
}

function within(milliseconds: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const seconds = milliseconds / 1000;
    const end = () => reject(new Error(`not finished within ${seconds} s`));
    const timer = setTimeout(end, milliseconds);
    void work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** No host name, no path: results may be shown to anyone. */
function describeMachine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    /** of the minute before: above zero, others were at work */
    loadBefore: rounded(loadavg()[0] ?? 0),
  };
}

function resultOf({ subject = 'siegel', values, ...rest }: Measured): Result {
  if (values.length === 0) throw new Error(`${rest.metric}: nothing was measured`);
  const sorted = [...values].sort((a, b) => a - b);
  return {
    subject,
    ...rest,
    value: rounded(median(sorted)),
    runs: values.length,
    min: rounded(sorted[0]!),
    max: rounded(sorted.at(-1)!),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle]!;
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
}

/** The value below which this share of the values lies, by the nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** Four significant digits: more would be noise. */
const rounded = (value: number): number => Number(value.toPrecision(4));

function writeResults(
  name: string,
  { machine, lines }: { machine: object; lines: readonly Result[] },
): void {
  mkdirSync(results, { recursive: true });
  const content = { bench: name, at: new Date().toISOString(), machine, results: lines };
  writeFileSync(`${results}${name}.json`, `${JSON.stringify(content, undefined, 2)}\n`);
}

function printTable(lines: readonly Result[]): void {
  // What is measured alike stands together, in the order of its first line.
  const metrics = [...new Set(lines.map(({ metric }) => metric))];
  const ordered = metrics.flatMap((metric) => lines.filter((line) => line.metric === metric));
  const cells = ordered.map(({ subject, metric, value, unit, runs, min, max }) => [
    metric,
    subject,
    shown(value),
    unit,
    runs === 0 ? `${shown(min)} … ${shown(max)}, not measured here` : spread({ runs, min, max }),
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(0, ...cells.map((row) => row[column]!.length)),
  );
  for (const row of cells) {
    const line = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 2 ? cell.padStart(width) : cell.padEnd(width);
    });
    console.log(`  ${line.join('  ')}`.trimEnd());
  }
}

const spread = ({ runs, min, max }: Pick<Result, 'runs' | 'min' | 'max'>): string =>
  runs === 1 ? '' : `${shown(min)} … ${shown(max)} in ${runs} runs`;

const shown = (value: number): string =>
  value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });
