// Checks of the official MLS test vectors (format: mlswg/mls-implementations), one function per
// file of vectors, for suite 1.

import {
  decodeMlsMessage,
  emptyPskIndex,
  type GroupContext,
  joinGroup,
  type MLSMessage,
  makePskIndex,
  processMessage,
  type RatchetTree,
} from 'ts-mls';
import { encodeCommit } from 'ts-mls/commit.js';
import { refhash } from 'ts-mls/crypto/hash.js';
import { decryptWithLabel, encryptWithLabel } from 'ts-mls/crypto/hpke.js';
import { deriveSecret, deriveTreeSecret, expandWithLabel } from 'ts-mls/crypto/kdf.js';
import { signWithLabel, verifyWithLabel } from 'ts-mls/crypto/signature.js';
import { encodeGroupContext } from 'ts-mls/groupContext.js';
import { verifyGroupInfoConfirmationTag, verifyGroupInfoSignature } from 'ts-mls/groupInfo.js';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { initializeEpoch, mlsExporter } from 'ts-mls/keySchedule.js';
import { unprotectPrivateMessage } from 'ts-mls/messageProtection.js';
import { unprotectPublicMessage } from 'ts-mls/messageProtectionPublic.js';
import { encodeProposal } from 'ts-mls/proposal.js';
import { decodeRatchetTree } from 'ts-mls/ratchetTree.js';
import { createSecretTree, ratchetToGeneration } from 'ts-mls/secretTree.js';
import { decodeReuseGuard, expandSenderDataKey, expandSenderDataNonce } from 'ts-mls/sender.js';
import { decryptGroupInfo, decryptGroupSecrets } from 'ts-mls/welcome.js';
import { expect } from 'vitest';
import { assert } from '../src/bytes.ts';
import type { CryptoProvider } from '../src/index.ts';
import { clientConfig } from '../src/mls/group-config.ts';
import { isSoundTree } from '../src/mls/validate-tree.ts';

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json };
type Suite = CryptoProvider['suite'];
export type VectorCheck = (vector: JsonObject, suite: Suite) => Promise<void>;

const unhex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (octet) => octet.toString(16).padStart(2, '0')).join('');

function text(vector: JsonObject, name: string): string {
  const value = vector[name];
  assert(typeof value === 'string', `${name} is text`);
  return value;
}

const hex = (vector: JsonObject, name: string): Uint8Array => unhex(text(vector, name));

function count(vector: JsonObject, name: string): number {
  const value = vector[name];
  assert(typeof value === 'number', `${name} is a number`);
  return value;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function part(vector: JsonObject, name: string): JsonObject {
  const value = vector[name];
  assert(isObject(value), `${name} is an object`);
  return value;
}

function list(vector: JsonObject, name: string): readonly Json[] {
  const value = vector[name];
  assert(Array.isArray(value), `${name} is a list`);
  return value;
}

/** Older files of the working group write keys with a length octet before them. */
const key = (vector: JsonObject, name: string): Uint8Array => hex(vector, name).slice(-32);

const same = (actual: Uint8Array, vector: JsonObject, name: string): void =>
  expect(toHex(actual), name).toBe(text(vector, name));

export const cryptoBasics: VectorCheck = async (vector, suite) => {
  const secret = part(vector, 'derive_secret');
  const { kdf } = suite;
  same(await deriveSecret(hex(secret, 'secret'), text(secret, 'label'), kdf), secret, 'out');
  const tree = part(vector, 'derive_tree_secret');
  const [generation, treeBytes] = [count(tree, 'generation'), count(tree, 'length')];
  const label = text(tree, 'label');
  const derived = deriveTreeSecret(hex(tree, 'secret'), label, generation, treeBytes, kdf);
  same(await derived, tree, 'out');
  const expand = part(vector, 'expand_with_label');
  const context = hex(expand, 'context');
  const bytes = count(expand, 'length');
  const expandLabel = text(expand, 'label');
  const expanded = expandWithLabel(hex(expand, 'secret'), expandLabel, context, bytes, kdf);
  same(await expanded, expand, 'out');
  const reference = part(vector, 'ref_hash');
  const refLabel = text(reference, 'label');
  same(await refhash(refLabel, hex(reference, 'value'), suite.hash), reference, 'out');
  await checkSigning(part(vector, 'sign_with_label'), suite);
  await checkEncryption(part(vector, 'encrypt_with_label'), suite);
};

async function checkSigning(sign: JsonObject, { signature }: Suite): Promise<void> {
  const [label, content, publicKey] = [text(sign, 'label'), hex(sign, 'content'), key(sign, 'pub')];
  const given = hex(sign, 'signature');
  expect(await verifyWithLabel(publicKey, label, content, given, signature)).toBe(true);
  same(await signWithLabel(key(sign, 'priv'), label, content, signature), sign, 'signature');
}

async function checkEncryption(encrypt: JsonObject, { hpke }: Suite): Promise<void> {
  const [label, context] = [text(encrypt, 'label'), hex(encrypt, 'context')];
  const privateKey = await hpke.importPrivateKey(key(encrypt, 'priv'));
  const publicKey = await hpke.importPublicKey(key(encrypt, 'pub'));
  const open = (kemOutput: Uint8Array, ciphertext: Uint8Array) =>
    decryptWithLabel(privateKey, label, context, kemOutput, ciphertext, hpke);
  same(await open(hex(encrypt, 'kem_output'), hex(encrypt, 'ciphertext')), encrypt, 'plaintext');
  const plaintext = hex(encrypt, 'plaintext');
  const { ct, enc } = await encryptWithLabel(publicKey, label, context, plaintext, hpke);
  same(await open(enc, ct), encrypt, 'plaintext');
}

export const secretTree: VectorCheck = async (vector, suite) => {
  const data = part(vector, 'sender_data');
  const [senderSecret, sample] = [hex(data, 'sender_data_secret'), hex(data, 'ciphertext')];
  same(await expandSenderDataKey(suite, senderSecret, sample), data, 'key');
  same(await expandSenderDataNonce(suite, senderSecret, sample), data, 'nonce');
  const leaves = list(vector, 'leaves').map((leaf) => (Array.isArray(leaf) ? leaf : [leaf]));
  const tree = await createSecretTree(leaves.length, hex(vector, 'encryption_secret'), suite.kdf);
  const noGuard = decodeReuseGuard(new Uint8Array(4), 0);
  assert(noGuard !== undefined, 'a guard of zeros');
  for (const [leafIndex, generations] of leaves.entries()) {
    for (const one of generations) {
      assert(isObject(one), 'a generation');
      const sender = { leafIndex, generation: count(one, 'generation'), reuseGuard: noGuard[0] };
      const config = clientConfig.keyRetentionConfig;
      const application = await ratchetToGeneration(tree, sender, 'application', config, suite);
      same(application.key, one, 'application_key');
      same(application.nonce, one, 'application_nonce');
      const handshake = await ratchetToGeneration(tree, sender, 'commit', config, suite);
      same(handshake.key, one, 'handshake_key');
      same(handshake.nonce, one, 'handshake_nonce');
    }
  }
};

export const messageProtection: VectorCheck = async (vector, suite) => {
  const context: GroupContext = {
    version: 'mls10',
    cipherSuite: suite.name,
    groupId: hex(vector, 'group_id'),
    epoch: BigInt(count(vector, 'epoch')),
    treeHash: hex(vector, 'tree_hash'),
    confirmedTranscriptHash: hex(vector, 'confirmed_transcript_hash'),
    extensions: [],
  };
  const tree = await createSecretTree(2, hex(vector, 'encryption_secret'), suite.kdf);
  const publicKey = hex(vector, 'signature_pub');
  const openPrivate = async (name: string) => {
    const message = parse(vector, name);
    assert(message.wireformat === 'mls_private_message', name);
    const opened = await unprotectPrivateMessage(
      hex(vector, 'sender_data_secret'),
      message.privateMessage,
      tree,
      [],
      context,
      clientConfig.keyRetentionConfig,
      suite,
      publicKey,
    );
    return opened.content.content;
  };
  const openPublic = async (name: string) => {
    const message = parse(vector, name);
    assert(message.wireformat === 'mls_public_message', name);
    const secret = hex(vector, 'membership_key');
    const { publicMessage } = message;
    return (await unprotectPublicMessage(secret, context, [], publicMessage, suite, publicKey))
      .content;
  };
  for (const content of [await openPrivate('proposal_priv'), await openPublic('proposal_pub')]) {
    assert(content.contentType === 'proposal', 'a proposal');
    same(encodeProposal(content.proposal), vector, 'proposal');
  }
  for (const content of [await openPrivate('commit_priv'), await openPublic('commit_pub')]) {
    assert(content.contentType === 'commit', 'a commit');
    same(encodeCommit(content.commit), vector, 'commit');
  }
  const application = await openPrivate('application_priv');
  assert(application.contentType === 'application', 'an application message');
  same(application.applicationData, vector, 'application');
};

function parse(vector: JsonObject, name: string): MLSMessage {
  const decoded = decodeMlsMessage(hex(vector, name), 0);
  assert(decoded !== undefined, name);
  return decoded[0];
}

export const keySchedule: VectorCheck = async (vector, suite) => {
  let initSecret = hex(vector, 'initial_init_secret');
  for (const [index, epoch] of list(vector, 'epochs').entries()) {
    assert(isObject(epoch), 'an epoch');
    const context: GroupContext = {
      version: 'mls10',
      cipherSuite: suite.name,
      groupId: hex(vector, 'group_id'),
      epoch: BigInt(index),
      treeHash: hex(epoch, 'tree_hash'),
      confirmedTranscriptHash: hex(epoch, 'confirmed_transcript_hash'),
      extensions: [],
    };
    same(encodeGroupContext(context), epoch, 'group_context');
    const psk = hex(epoch, 'psk_secret');
    const commitSecret = hex(epoch, 'commit_secret');
    const secrets = await initializeEpoch(initSecret, commitSecret, context, psk, suite.kdf);
    const schedule = secrets.keySchedule;
    same(secrets.joinerSecret, epoch, 'joiner_secret');
    same(secrets.welcomeSecret, epoch, 'welcome_secret');
    same(secrets.encryptionSecret, epoch, 'encryption_secret');
    same(schedule.initSecret, epoch, 'init_secret');
    same(schedule.senderDataSecret, epoch, 'sender_data_secret');
    same(schedule.exporterSecret, epoch, 'exporter_secret');
    same(schedule.externalSecret, epoch, 'external_secret');
    same(schedule.confirmationKey, epoch, 'confirmation_key');
    same(schedule.membershipKey, epoch, 'membership_key');
    same(schedule.resumptionPsk, epoch, 'resumption_psk');
    same(schedule.epochAuthenticator, epoch, 'epoch_authenticator');
    const pair = await suite.hpke.deriveKeyPair(schedule.externalSecret);
    same(await suite.hpke.exportPublicKey(pair.publicKey), epoch, 'external_pub');
    const exporter = part(epoch, 'exporter');
    const exported = mlsExporter(
      schedule.exporterSecret,
      text(exporter, 'label'),
      hex(exporter, 'context'),
      count(exporter, 'length'),
      suite,
    );
    same(await exported, exporter, 'secret');
    ({ initSecret } = schedule);
  }
};

export const welcome: VectorCheck = async (vector, suite) => {
  const [message, package_] = [parse(vector, 'welcome'), parse(vector, 'key_package')];
  assert(message.wireformat === 'mls_welcome', 'a Welcome');
  assert(package_.wireformat === 'mls_key_package', 'a key package');
  const reference = await makeKeyPackageRef(package_.keyPackage, suite.hash);
  const initKey = await suite.hpke.importPrivateKey(hex(vector, 'init_priv'));
  const secrets = await decryptGroupSecrets(initKey, reference, message.welcome, suite.hpke);
  assert(secrets !== undefined, 'group secrets');
  const noPsk = new Uint8Array(suite.kdf.size);
  const info = await decryptGroupInfo(message.welcome, secrets.joinerSecret, noPsk, suite);
  assert(info !== undefined, 'a GroupInfo');
  const { joinerSecret } = secrets;
  expect(await verifyGroupInfoConfirmationTag(info, joinerSecret, noPsk, suite)).toBe(true);
  const signer = hex(vector, 'signer_pub');
  expect(await verifyGroupInfoSignature(info, signer, suite.signature)).toBe(true);
};

/** Against our own tree check, which replaces the one of ts-mls. */
export const treeValidation: VectorCheck = async (vector, suite) => {
  const decoded = decodeRatchetTree(hex(vector, 'tree'), 0);
  assert(decoded !== undefined, 'a tree');
  const tree: RatchetTree = decoded[0];
  const hashes = list(vector, 'tree_hashes');
  const root = (tree.length - 1) / 2;
  const treeHash = hashes[root];
  assert(typeof treeHash === 'string', 'a tree hash');
  expect(await isSoundTree(tree, unhex(treeHash), suite)).toBe(true);
  expect(await isSoundTree(tree, new Uint8Array(32), suite)).toBe(false);
};

/**
 * Follows a group as a passive member. Joins through ts-mls: these leaves have no certificates of
 * ours.
 */
export const passiveClient: VectorCheck = async (vector, suite) => {
  const [message, package_] = [parse(vector, 'welcome'), parse(vector, 'key_package')];
  assert(message.wireformat === 'mls_welcome', 'a Welcome');
  assert(package_.wireformat === 'mls_key_package', 'a key package');
  const config = { ...clientConfig, authService: { validateCredential: async () => true } };
  const psks: Record<string, Uint8Array> = {};
  for (const psk of list(vector, 'external_psks')) {
    assert(isObject(psk), 'a pre-shared key');
    psks[btoa(String.fromCharCode(...hex(psk, 'psk_id')))] = hex(psk, 'psk');
  }
  const given = vector['ratchet_tree'];
  let state = await joinGroup(
    message.welcome,
    package_.keyPackage,
    {
      initPrivateKey: hex(vector, 'init_priv'),
      hpkePrivateKey: hex(vector, 'encryption_priv'),
      signaturePrivateKey: hex(vector, 'signature_priv'),
    },
    makePskIndex(undefined, psks),
    suite,
    typeof given === 'string' ? decodeRatchetTree(unhex(given), 0)?.[0] : undefined,
    undefined,
    config,
  );
  same(state.keySchedule.epochAuthenticator, vector, 'initial_epoch_authenticator');
  for (const epoch of list(vector, 'epochs')) {
    assert(isObject(epoch), 'an epoch');
    const steps = [...list(epoch, 'proposals'), text(epoch, 'commit')];
    for (const step of steps) {
      const next = parse({ step }, 'step');
      assert(
        next.wireformat === 'mls_private_message' || next.wireformat === 'mls_public_message',
        'a handshake message',
      );
      const index = Object.keys(psks).length > 0 ? makePskIndex(state, psks) : emptyPskIndex;
      const result = await processMessage(next, state, index, () => 'accept', suite);
      state = result.newState;
    }
    same(state.keySchedule.epochAuthenticator, epoch, 'epoch_authenticator');
  }
};

/** By the name of the file that holds them. */
export const checks: Readonly<Record<string, VectorCheck>> = {
  'crypto-basics': cryptoBasics,
  'key-schedule': keySchedule,
  'message-protection': messageProtection,
  'passive-client-handling-commit': passiveClient,
  'passive-client-random': passiveClient,
  'passive-client-welcome': passiveClient,
  'secret-tree': secretTree,
  'tree-validation': treeValidation,
  welcome,
};
