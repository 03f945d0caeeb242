// Puts the hot path together: conversations, messages and mailbox know each other only through the ports handed over here.
// `main.ts` gives it the world and gets routes, the hub for sockets, the duties and one `close`.

import { makeRelayTag } from '@siegel/crypto/verify';
import { contactsOf } from './conversations/contacts.ts';
import { conversationRoutes } from './conversations/conversation-routes.ts';
import { endWindows } from './conversations/end-windows.ts';
import { revokeLeaves } from './conversations/revoke-leaves.ts';
import type { ConversationDuties, HotPathPorts, MailboxHub } from './hot-path.ts';
import type { Route } from './http/route.ts';
import { createMailboxCopier, type MailboxCopier } from './mailbox/copy-to-mailboxes.ts';
import { createMailboxHub } from './mailbox/mailbox-hub.ts';
import { createMailboxStore } from './mailbox/mailbox-store.ts';
import { startMailboxUpkeep } from './mailbox/mailbox-upkeep.ts';
import { createWakeups, type Wakeups } from './mailbox/wakeups.ts';
import { createAcceptor } from './messages/accept-messages.ts';
import { messageRoutes } from './messages/message-routes.ts';

export type HotPath = {
  readonly routes: readonly Route[];
  readonly hub: MailboxHub;
  readonly duties: ConversationDuties;
  /** For tests and recovery: what copies the log into mailboxes. */
  readonly copier: MailboxCopier;
  /** Copies what a crash left behind, then keeps doing so on a timer. Call once the database is migrated. */
  readonly start: () => void;
  /** Takes no more submits, finishes what is under way, says `bye` to every socket (H3). Idempotent. */
  readonly close: () => Promise<void>;
};

/** `wakeups` connects several relays; alone, an in-process emitter does. */
export function createHotPath(
  ports: HotPathPorts,
  options: { readonly wakeups?: Wakeups } = {},
): HotPath {
  const { database, now, events } = ports;
  const wakeups = options.wakeups ?? createWakeups();
  const failed = (work: string) => (failure: unknown) => events.backgroundFailed(work, failure);
  const store = createMailboxStore({ database, now });
  const hub = createMailboxHub({
    authenticate: ports.authenticate,
    store,
    wakeups,
    random: ports.random,
    contactsOf: (accountId) => contactsOf(database, accountId),
    failed: failed('mailbox'),
  });
  const copier = createMailboxCopier({
    database,
    now,
    wakeups,
    // Other relays may hold the socket when wake-ups come from outside.
    isAbsent: options.wakeups === undefined ? hub.isAbsent : () => false,
    failed: failed('copy to mailboxes'),
  });
  const acceptor = createAcceptor({ database, accepted: copier.touch });
  const conversationPorts = {
    ...ports,
    committed: copier.touch,
    keyPackagesLeft: hub.keyPackagesLeft,
  };
  const tag = (tagged: Parameters<typeof makeRelayTag>[0]) => makeRelayTag(tagged, ports.tagKey);
  const upkeep = startMailboxUpkeep({ copier, store, now, failed: failed('mailbox upkeep') });
  return {
    routes: [
      ...conversationRoutes(conversationPorts),
      ...messageRoutes({ acceptor, tag, now, attachBlobs: ports.attachBlobs }),
    ],
    hub,
    copier,
    duties: {
      revokeLeaves: async (accountId, deviceIds) => {
        await revokeLeaves(database, accountId, deviceIds);
        await store.removeMailboxes(accountId, deviceIds);
      },
      endWindows: (accountId) => endWindows(database, accountId),
    },
    start: upkeep.start,
    close: async () => {
      upkeep.stop();
      await acceptor.close();
      await copier.close();
      await hub.close();
    },
  };
}
