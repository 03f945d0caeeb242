// A list of the living children on disk: what a killed supervisor leaves behind, its successor
// finds here and ends.
import { readJson, writePrivateJson } from './private-file.ts';
import { endProcess, isAlive, type ProcessIdentity } from './process-identity.ts';

const graceMs = 4_000;

const isIdentity = (value: unknown): value is ProcessIdentity =>
  typeof value === 'object' &&
  value !== null &&
  'pid' in value &&
  typeof value.pid === 'number' &&
  'started' in value &&
  typeof value.started === 'string';

export const writeChildren = (path: string, children: readonly ProcessIdentity[]): void =>
  writePrivateJson(path, children);

/**
 * Answers how many were still alive. Databases are not in the list: their launcher takes them over.
 */
export async function endOrphans(path: string): Promise<number> {
  let listed: unknown;
  try {
    listed = readJson(path);
  } catch {
    // Cannot be read: then nothing in it can be trusted either.
    return 0;
  }
  const orphans = (Array.isArray(listed) ? listed : []).filter(isIdentity).filter(isAlive);
  await Promise.all(orphans.map((one) => endProcess(one, graceMs)));
  return orphans.length;
}
