// How many messages a second one process accepts: batched, one at a time, and with everything copied into mailboxes.
// npx tsx --conditions=source packages/relay/test/accept.bench.ts [seconds]

import { randomBytes, randomUUID } from 'node:crypto';
import { makeRelayTag } from '@siegel/crypto/verify';
import type { Database } from '@siegel/database';
import { testDatabase } from '@siegel/database/testing';
import type { DeviceId } from '@siegel/protocol/ids';
import { type AccountId, bucketOf, type ConversationId, uuidInBucket } from '@siegel/protocol/ids';
import { createMailboxCopier, type MailboxCopier } from '../src/mailbox/copy-to-mailboxes.ts';
import { createMailboxStore } from '../src/mailbox/mailbox-store.ts';
import { createWakeups } from '../src/mailbox/wakeups.ts';
import { createAcceptor } from '../src/messages/accept-messages.ts';
import { submitMessage } from '../src/messages/submit-message.ts';
import { migrations } from './hot-path-world.ts';

type Chat = { conversationId: ConversationId; from: AccountId; to: AccountId };

const seconds = Number(process.argv[2] ?? 3);
const chatCount = 5000;
const deviceId = 1 as DeviceId;

async function insertChats(database: Database, devices: number): Promise<Chat[]> {
  const chats = Array.from({ length: chatCount }, (): Chat => {
    const [from, to] = [randomUUID(), randomUUID()].sort() as [AccountId, AccountId];
    const conversationId = uuidInBucket(bucketOf(from), randomBytes(16)) as ConversationId;
    return { conversationId, from, to };
  });
  const rows = JSON.stringify(
    chats.map((chat) => ({ ...chat, own: bucketOf(chat.conversationId), far: bucketOf(chat.to) })),
  );
  const each = `FROM json_to_recordset($1)
    AS c ("conversationId" uuid, "from" uuid, "to" uuid, own int, far int)`;
  await database.query(
    `INSERT INTO conversations (bucket, conversation_id, kind, founded, epoch, oldest_open_epoch,
       group_info, created_at) SELECT own, "conversationId", 'direct', true, 1, 1, $2, 0 ${each}`,
    [rows, randomBytes(1500)],
  );
  for (const side of ['from', 'to']) {
    await database.query(
      `INSERT INTO members SELECT own, "conversationId", "${side}", 'person', 'member' ${each}`,
      [rows],
    );
  }
  for (const [side, bucket, count] of [
    ['from', 'own', 1],
    ['to', 'far', devices],
  ] as const) {
    await database.query(
      `INSERT INTO devices (bucket, account_id, device_id, leaf_key, role, token_hash, created_at)
       SELECT ${bucket}, "${side}", d, '', 'main', sha256("${side}"::text::bytea || d::text::bytea), 0
       ${each}, generate_series(1, ${count}) d`,
      [rows],
    );
    await database.query(
      `INSERT INTO leaves (bucket, conversation_id, account_id, device_id, leaf_index, since_epoch)
       SELECT own, "conversationId", "${side}", d, d, 1 ${each}, generate_series(1, ${count}) d`,
      [rows],
    );
  }
  await database.query('ANALYZE');
  return chats;
}

type Run = { name: string; inFlight: number; batchMax: number; copy: boolean; deliver?: boolean };

async function measure(database: Database, chats: readonly Chat[], run: Run): Promise<void> {
  const now = Date.now;
  const wakeups = createWakeups();
  const failed = (failure: unknown) => {
    throw failure;
  };
  const copier: MailboxCopier = createMailboxCopier({
    ...{ database, now, wakeups, failed },
    isAbsent: () => false,
  });
  const store = createMailboxStore({ database, now });
  let delivered = 0;
  if (run.deliver) {
    wakeups.subscribe(async (wakeup) => {
      if (wakeup.kind !== 'items') return;
      const items = await store.read({ device: wakeup, after: 0, items: 128 });
      delivered += items.length;
      const position = items.at(-1)?.position;
      if (position !== undefined) await store.acknowledge({ device: wakeup, position });
    });
  }
  const acceptor = createAcceptor({
    database,
    batchMax: run.batchMax,
    accepted: run.copy ? copier.touch : () => {},
  });
  const key = { keyId: 'bench', key: new Uint8Array(32) };
  const ports = {
    acceptor,
    now,
    tag: (tagged: Parameters<typeof makeRelayTag>[0]) => makeRelayTag(tagged, key),
    attachBlobs: async () => {},
    controlRate: { take: () => ({ taken: true as const }) },
  };
  const mls = randomBytes(512).toString('base64url');
  const commitment = randomBytes(32).toString('base64url');
  const until = now() + seconds * 1000;
  const taken: number[] = [];
  let accepted = 0;
  const caller = async () => {
    while (now() < until) {
      const chat = chats[Math.floor((randomBytes(2).readUInt16LE() / 65_536) * chats.length)]!;
      const began = performance.now();
      const answer = await submitMessage(
        ports,
        {
          ...{ kind: 'device', address: '', accountId: chat.from, deviceId, account: 'person' },
        } as const,
        {
          ...{ conversationId: chat.conversationId, generation: 0, epoch: 1, mls, commitment },
          ...{ class: 'message', kind: 'free-form', clientId: randomUUID() as never },
        },
      );
      if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
      accepted += 1;
      taken.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: run.inFlight }, caller));
  const acceptSeconds = (performance.now() - began) / 1000;
  await copier.settled();
  await store.close();
  const allSeconds = (performance.now() - began) / 1000;
  taken.sort((a, b) => a - b);
  const at = (share: number) => taken[Math.floor(taken.length * share)]?.toFixed(1);
  const rate = Math.round(accepted / acceptSeconds);
  const settled = Math.round(accepted / allSeconds);
  const more = run.deliver ? `, ${delivered} delivered` : '';
  console.log(
    `${run.name}: ${rate} accepted/s (p50 ${at(0.5)} ms, p99 ${at(0.99)} ms), ` +
      `${settled}/s until settled${more}`,
  );
}

const test = await testDatabase({ migrations });
try {
  const chats = await insertChats(test.database, 1);
  const many = await insertChats(test.database, 3);
  const one = { inFlight: 1, batchMax: 1, copy: false };
  const full = { inFlight: 256, batchMax: 64, copy: false };
  await measure(test.database, chats, { name: 'warm-up', ...full, copy: true });
  await measure(test.database, chats, { name: 'one at a time, accept only', ...one });
  await measure(test.database, chats, { name: 'batched, accept only, 1 device', ...full });
  await measure(test.database, chats, {
    name: 'batched, with copy, 1 device',
    ...full,
    copy: true,
  });
  await measure(test.database, many, {
    name: 'batched, with copy, 3 devices',
    ...full,
    copy: true,
  });
  const all = { ...full, copy: true, deliver: true };
  await measure(test.database, chats, { name: 'batched, delivered and acknowledged', ...all });
} finally {
  await test.drop();
}
