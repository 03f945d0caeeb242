// The GroupInfo a member publishes so that a further device can enter by itself (RFC 9420
// §12.4.3.2).

import { type ClientState, createGroupInfoWithExternalPubAndRatchetTree } from 'ts-mls';
import type { CryptoProvider } from '../provider.ts';
import { writeMessage } from './wire.ts';

export async function publishGroupInfo(
  provider: CryptoProvider,
  state: ClientState,
): Promise<Uint8Array> {
  const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(state, [], provider.suite);
  return writeMessage({ wireformat: 'mls_group_info', groupInfo });
}
