// Names the next bottleneck: a CPU profile of some work, kept in a temporary folder, and the
// functions it spent itself in.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Frame = Profiler.ProfileNode['callFrame'];

const shownFunctions = 10;
const shownPackages = 6;
const samplingMicroseconds = 200;

export async function profiled<Value>(label: string, work: () => Promise<Value>): Promise<Value> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: samplingMicroseconds });
  await session.post('Profiler.start');
  try {
    return await work();
  } finally {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    const name = label.replaceAll(/[^a-z0-9]+/gi, '-');
    const file = join(mkdtempSync(join(tmpdir(), 'siegel-bench-')), `${name}.cpuprofile`);
    writeFileSync(file, JSON.stringify(profile));
    console.log(`\n  ${label}: ${file}`);
    printSelfTimes(profile);
  }
}

export function printSelfTimes(profile: Profiler.Profile): void {
  const { byFunction, byPackage } = selfTimes(profile);
  const packages = byPackage
    .slice(0, shownPackages)
    .map(([name, share]) => `${name} ${(share * 100).toFixed(0)} %`);
  console.log(`    ${packages.join(', ')}`);
  for (const [name, share] of byFunction.slice(0, shownFunctions)) {
    console.log(`    ${(share * 100).toFixed(1).padStart(5)} %  ${name}`);
  }
}

type Shares = [name: string, share: number][];

/**
 * Share of the time each function, and each package, was on top of the stack; waiting is left out.
 */
function selfTimes(profile: Profiler.Profile): { byFunction: Shares; byPackage: Shares } {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])),
  );
  /** The innermost frame of a file: what is native does the work of whoever called it. */
  const caller = (id: number): Frame | undefined => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)!.callFrame;
      if (isOfFile(frame)) return frame;
    }
    return undefined;
  };
  const functions = new Map<string, number>();
  const packages = new Map<string, number>();
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const frame = nodes.get(id)!.callFrame;
    // The second is the profiler's own.
    if (frame.functionName === '(idle)' || isDispatch(frame)) continue;
    const time = profile.timeDeltas?.[index] ?? 0;
    const from = caller(id);
    add(functions, nameOf(frame, from), time);
    add(packages, from === undefined ? nameOf(frame, from) : packageOf(from), time);
  }
  return { byFunction: sharesOf(functions), byPackage: sharesOf(packages) };
}

const isOfFile = ({ url }: Frame): boolean => url.startsWith('file:') || url.startsWith('/');

const isDispatch = ({ functionName, url }: Frame): boolean =>
  functionName === 'dispatch' && url === '';

const add = (times: Map<string, number>, name: string, time: number): void => {
  times.set(name, (times.get(name) ?? 0) + time);
};

function sharesOf(times: ReadonlyMap<string, number>): Shares {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  return [...times]
    .map(([name, time]): [string, number] => [name, time / total])
    .sort(([, a], [, b]) => b - a);
}

function nameOf(frame: Frame, from: Frame | undefined): string {
  const name = frame.functionName || '(anonymous)';
  if (from === undefined) return name;
  const { functionName, url, lineNumber } = from;
  const place = `${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`;
  return from === frame
    ? `${name}  ${place}`
    : `${name} ← ${functionName || '(anonymous)'}  ${place}`;
}

function packageOf({ url }: Frame): string {
  const installed = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (installed !== undefined) return installed;
  const own = /\/packages\/([^/]+)\//.exec(url)?.[1];
  return own === undefined ? 'the bench' : `@siegel/${own}`;
}
