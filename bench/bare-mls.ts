// ts-mls alone, with our provider and its own settings, no engine around it: shows what
// certificates, franking, padding and header binding add to the price of a message.

import type { CryptoProvider } from '@siegel/crypto';
import {
  type ClientState,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeMlsMessage,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackage,
  joinGroup,
  processPrivateMessage,
} from 'ts-mls';

export type BarePair = {
  readonly seal: (content: Uint8Array) => Promise<Uint8Array>;
  readonly open: (message: Uint8Array) => Promise<void>;
};

/** A group of two members; messages go one way. */
export async function createBarePair({ suite }: CryptoProvider): Promise<BarePair> {
  const newKeyPackage = () =>
    generateKeyPackage(
      { credentialType: 'basic', identity: suite.rng.randomBytes(16) },
      defaultCapabilities(),
      defaultLifetime,
      [],
      suite,
    );
  const own = await newKeyPackage();
  const other = await newKeyPackage();
  const empty = await createGroup(
    suite.rng.randomBytes(16),
    own.publicPackage,
    own.privatePackage,
    [],
    suite,
  );
  const add = { proposalType: 'add' as const, add: { keyPackage: other.publicPackage } };
  const { newState, welcome } = await createCommit(
    { state: empty, cipherSuite: suite },
    { extraProposals: [add], ratchetTreeExtension: true },
  );
  if (welcome === undefined) throw new Error('no welcome');
  let sender: ClientState = newState;
  let reader: ClientState = await joinGroup(
    welcome,
    other.publicPackage,
    other.privatePackage,
    emptyPskIndex,
    suite,
  );
  return {
    async seal(content) {
      const { newState: next, privateMessage } = await createApplicationMessage(
        sender,
        content,
        suite,
      );
      sender = next;
      return encodeMlsMessage({
        version: 'mls10',
        wireformat: 'mls_private_message',
        privateMessage,
      });
    },
    async open(bytes) {
      const message = decodeMlsMessage(bytes, 0)?.[0];
      if (message?.wireformat !== 'mls_private_message') throw new Error('no private message');
      const opened = await processPrivateMessage(
        reader,
        message.privateMessage,
        emptyPskIndex,
        suite,
      );
      reader = opened.newState;
    },
  };
}
