// What an insider with ts-mls in hand could send: commits and messages our own engine would never
// make.

import { type EnvelopeHeader, encodeHeader } from '@siegel/protocol/relay';
import {
  type ClientState,
  createCommit,
  encodeMlsMessage,
  joinGroupExternal,
  type Proposal,
} from 'ts-mls';
import { assert, toBase64Url } from '../src/bytes.ts';
import type { CryptoProvider } from '../src/index.ts';
import { clientConfig } from '../src/mls/group-config.ts';
import { generateKeyPackage } from '../src/mls/new-key-package.ts';
import { fromSession } from '../src/mls/session.ts';
import { parseMessage, writeMessage } from '../src/mls/wire.ts';
import * as town from './town.ts';

export function stateOf(seat: town.Seat): ClientState {
  const { state } = fromSession(seat.session);
  assert(state !== undefined, 'an active session');
  return state;
}

export const commitHeader = (group: town.Group): EnvelopeHeader => ({
  ...group.groupContext,
  class: 'control',
  kind: 'commit',
  clientId: town.newClientId(),
});

export type ForgedCommit = {
  readonly commit: Uint8Array;
  readonly header: EnvelopeHeader;
  readonly epoch: number;
  readonly next: ClientState;
};

type Forgery = {
  readonly provider: CryptoProvider;
  readonly proposals?: readonly Proposal[];
  readonly asPublicMessage?: boolean;
  /** lies about the state the commit is made from */
  readonly state?: ClientState;
};

/** A member's commit with any proposals, our policy not asked. */
export async function forgeCommit(
  group: town.Group,
  seat: town.Seat,
  { provider, proposals = [], asPublicMessage = false, state = stateOf(seat) }: Forgery,
): Promise<ForgedCommit> {
  const header = commitHeader(group);
  // An insider validates nothing of its own making.
  const careless = {
    ...state,
    clientConfig: { ...clientConfig, authService: { validateCredential: async () => true } },
  };
  const { commit, newState } = await createCommit(
    { state: careless, cipherSuite: provider.suite },
    {
      extraProposals: [...proposals],
      ratchetTreeExtension: true,
      wireAsPublicMessage: asPublicMessage,
      authenticatedData: encodeHeader(header),
    },
  );
  return {
    commit: encodeMlsMessage(commit),
    header,
    epoch: Number(state.groupContext.epoch),
    next: newState,
  };
}

/** An external commit that removes whatever leaf it likes. */
export async function forgeExternalCommit(
  group: town.Group,
  newcomer: town.Device,
  { provider, removes }: { readonly provider: CryptoProvider; readonly removes?: number },
): Promise<ForgedCommit> {
  const header = commitHeader(group);
  const message = parseMessage(group.groupInfo);
  assert(message?.wireformat === 'mls_group_info', 'a GroupInfo');
  const { groupInfo } = message;
  const options = { now: town.now, lifetimeDays: 1 };
  const pair = await generateKeyPackage(provider, newcomer.identity, options);
  const target = removes === undefined ? undefined : town.infoOf(firstSeat(group)).members;
  const leafKey = target?.find(({ leafIndex }) => leafIndex === removes)?.leafKey;
  const config = {
    ...clientConfig,
    keyPackageEqualityConfig: {
      ...clientConfig.keyPackageEqualityConfig,
      compareKeyPackageToLeafNode: (_: unknown, leaf: { signaturePublicKey: Uint8Array }) =>
        toBase64Url(leaf.signaturePublicKey) === leafKey,
    },
  };
  const joined = await joinGroupExternal(
    groupInfo,
    pair.publicPackage,
    pair.privatePackage,
    removes !== undefined,
    provider.suite,
    undefined,
    config,
    encodeHeader(header),
  );
  const commit = writeMessage({
    wireformat: 'mls_public_message',
    publicMessage: joined.publicMessage,
  });
  const epoch = Number(groupInfo.groupContext.epoch);
  return { commit, header, epoch, next: joined.newState };
}

function firstSeat(group: town.Group): town.Seat {
  const [first] = group.seats;
  assert(first !== undefined, 'somebody at the table');
  return first;
}
