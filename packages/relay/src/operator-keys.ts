// The operator's own secrets: the Ed25519 key that signs numbers, businesses and template approvals, the keys that tag
// delivered envelopes, and the secret under codes. They live in one file of mode 0600 and never in the database.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SigningKey, TagKey } from '@siegel/crypto/verify';
import { SiegelError } from '@siegel/protocol/errors';
import { base64Url } from '@siegel/protocol/ids';
import * as z from 'zod/mini';

const Octets = base64Url(32, 32);

/** New keys are appended; the last one signs or tags, older ones still verify. */
const KeyFile = z.strictObject({
  v: z.literal(1),
  operator: z
    .array(z.strictObject({ keyId: z.string(), publicKey: Octets, seed: Octets }))
    .check(z.minLength(1)),
  tags: z
    .array(z.strictObject({ keyId: z.string().check(z.maxLength(16)), key: Octets }))
    .check(z.minLength(1)),
  codeSecret: Octets,
});
type KeyFile = z.infer<typeof KeyFile>;

export type OperatorKeys = {
  /** Signs. */
  readonly signing: SigningKey;
  readonly signingKeyId: string;
  /** All that a device may still meet. */
  readonly published: readonly { readonly keyId: string; readonly publicKey: string }[];
  readonly tag: TagKey;
  readonly tags: readonly TagKey[];
  /** Under the HMAC of six-digit codes. */
  readonly codeSecret: Uint8Array;
};

/** Loads the keys, or creates them on the first start. Two starters at once end with the same file. */
export async function loadOperatorKeys(
  path: string,
  random: (bytes: number) => Uint8Array,
): Promise<OperatorKeys> {
  const file = (await readKeyFile(path)) ?? (await createKeyFile(path, random));
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'));
  const newest = file.operator.at(-1)!;
  const tags = file.tags.map(({ keyId, key }) => ({ keyId, key: bytes(key) }));
  return {
    signing: { publicKey: bytes(newest.publicKey), seed: bytes(newest.seed) },
    signingKeyId: newest.keyId,
    published: file.operator.map(({ keyId, publicKey }) => ({ keyId, publicKey })),
    tag: tags.at(-1)!,
    tags,
    codeSecret: bytes(file.codeSecret),
  };
}

async function readKeyFile(path: string): Promise<KeyFile | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  if (((await stat(path)).mode & 0o077) !== 0) {
    throw refused('The file of operator keys is open to others; its mode must be 0600.');
  }
  try {
    return KeyFile.parse(JSON.parse(text));
  } catch {
    throw refused('The file of operator keys cannot be read; restore it from a backup.');
  }
}

async function createKeyFile(
  path: string,
  random: (bytes: number) => Uint8Array,
): Promise<KeyFile> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const { x } = privateKey.export({ format: 'jwk' });
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
  const file: KeyFile = {
    v: 1,
    operator: [
      { keyId: 'operator-1', publicKey: x ?? '', seed: text(pkcs8.subarray(pkcs8.length - 32)) },
    ],
    tags: [{ keyId: 'tag-1', key: text(random(32)) }],
    codeSecret: text(random(32)),
  };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeOnce(path, `${JSON.stringify(file, null, 2)}\n`);
  const written = await readKeyFile(path);
  if (written === undefined) throw refused('The file of operator keys cannot be created.');
  return written;
}

/** Whole or not at all, and never over another's file. */
async function writeOnce(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(draft);
  }
}

const refused = (sentence: string) => new SiegelError('configuration-invalid', sentence);
