// From what the account tells to what somebody's server receives: signed over the exact bytes, in order, once acknowledged.

import { createHmac } from 'node:crypto';
import { WebhookBody } from '@siegel/protocol/cloud-api';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAddressRules } from '../src/outgoing/address-rules.ts';
import { createOutgoingRequests } from '../src/outgoing/outgoing-requests.ts';
import { setCallback } from '../src/webhooks/callbacks.ts';
import { retryDelayMs, startDelivery } from '../src/webhooks/deliver.ts';
import {
  appSecret,
  createTestClock,
  gatewayDatabase,
  newAccountId,
  newClientId,
  newConversationId,
  newMessageId,
  numbers,
  type Sink,
  startSink,
  startTestGateway,
  type TestGateway,
  until,
  verifyToken,
  wabaId,
} from './support.ts';

let database: Awaited<ReturnType<typeof gatewayDatabase>>;
let gateway: TestGateway;
let sink: Sink;

beforeAll(async () => {
  database = await gatewayDatabase();
  sink = await startSink();
  gateway = await startTestGateway({
    database: database.database,
    config: { webhook: { url: sink.url, verifyToken } },
  });
});
afterAll(async () => {
  await gateway.close();
  await sink.close();
  await database.drop();
});
beforeEach(() => {
  sink.received.length = 0;
  sink.state.answer = () => 200;
});

const said = (text: string, more: object = {}) =>
  gateway.account.receive({ body: { type: 'text', text }, ...more });
const waiting = async () =>
  (
    await database.database.query<{ count: number }>(
      "SELECT COUNT(*)::bigint AS count FROM webhook_events WHERE state = 'waiting'",
    )
  ).rows[0]!.count;

describe('what is told', () => {
  test('a text, with contact and metadata, one event per POST', async () => {
    const message = await said('Grüße an alle 🧳 <@you> %2F');
    await until('delivery', () => sink.received.length === 1);
    const body = JSON.parse(sink.received[0]!.text);
    expect(WebhookBody.safeParse(body).success).toBe(true);
    expect(body.entry).toHaveLength(1);
    expect(body.entry[0].id).toBe(wabaId);
    const { value, field } = body.entry[0].changes[0];
    expect(field).toBe('messages');
    expect(value.metadata).toEqual({
      display_phone_number: '4930123456',
      phone_number_id: numbers.airline.id,
    });
    expect(value.messages).toEqual([
      {
        from_user_id: expect.stringMatching(/^DE\./),
        id: expect.stringMatching(/^wamid\./),
        timestamp: String(message.acceptedAt / 1000),
        type: 'text',
        text: { body: 'Grüße an alle 🧳 <@you> %2F' },
      },
    ]);
    // The firm does not know this person's number, so it is nowhere.
    expect(value.contacts).toEqual([{ profile: {}, user_id: value.messages[0].from_user_id }]);
    await until('settled', async () => (await waiting()) === 0);
  });

  test('the signature is over the exact bytes, which are ASCII', async () => {
    await said('Ä 😀 @');
    await until('delivery', () => sink.received.length === 1);
    const { body, text, headers } = sink.received[0]!;
    expect(/^[\x20-\x7e]*$/.test(text)).toBe(true);
    expect(text).toContain('\\u00c4 \\ud83d\\ude00 @');
    const hmac = (data: string | Buffer) =>
      createHmac('sha256', appSecret).update(data).digest('hex');
    expect(headers['x-hub-signature-256']).toBe(`sha256=${hmac(body)}`);
    const delivery = headers['x-siegel-delivery'];
    const timestamp = headers['x-siegel-timestamp'];
    expect(delivery).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(timestamp)).toBe(Math.floor(gateway.clock.now() / 1000));
    expect(headers['x-siegel-signature']).toBe(`v1=${hmac(`${delivery}.${timestamp}.${text}`)}`);
  });

  test('statuses carry contacts, wa_id only because the firm wrote to that number', async () => {
    const answer = await gateway.send({
      to: '+49 171 5555555',
      text: { body: 'Hallo' },
      biz_opaque_callback_data: 'order/7',
    });
    const clientId = gateway.account.sent.at(-1)!.clientId;
    const at = 1_770_000_001_000;
    const ids = { clientId, conversationId: newConversationId(), messageId: newMessageId() };
    for (const status of ['pending', 'sent', 'sent', 'delivered', 'sent', 'read'] as const) {
      await gateway.account.tell({ ...ids, status, at });
    }
    await until('three statuses', () => sink.received.length === 3);
    const statuses = sink.events().map((value) => value.statuses[0]);
    expect(statuses.map(({ status }) => status)).toEqual(['sent', 'delivered', 'read']);
    expect(statuses[0]).toEqual({
      id: answer.json.messages[0].id,
      status: 'sent',
      timestamp: '1770000001',
      recipient_id: '491715555555',
      recipient_user_id: answer.json.contacts[0].user_id,
      recipient_type: 'individual',
      biz_opaque_callback_data: 'order/7',
    });
    expect(sink.events()[0].contacts).toEqual([
      { profile: {}, wa_id: '491715555555', user_id: answer.json.contacts[0].user_id },
    ]);
    // The person answers in that conversation: same person, number known.
    await said('Danke', {
      conversationId: ids.conversationId,
      content: { salt: new Uint8Array(16), inReplyTo: ids.messageId },
    });
    await until('the answer', () => sink.received.length === 4);
    expect(sink.events()[3].messages[0]).toMatchObject({
      from: '491715555555',
      from_user_id: answer.json.contacts[0].user_id,
      context: { from: '4930123456', id: answer.json.messages[0].id },
    });
  });

  test('a person who wrote first and is then written to by number is one person', async () => {
    const message = await said('Hallo');
    await until('the message', () => sink.received.length === 1);
    const userId = sink.events()[0].messages[0].from_user_id;
    const answer = await gateway.send({ to: '+491715550000', text: { body: 'Guten Tag' } });
    const early = answer.json.contacts[0].user_id;
    expect(early).not.toBe(userId);
    await gateway.account.tell({
      clientId: gateway.account.sent.at(-1)!.clientId,
      conversationId: message.conversationId,
      messageId: newMessageId(),
      status: 'sent',
      at: 1,
    });
    await until('the status', () => sink.received.length === 2);
    expect(sink.events()[1].statuses[0]).toMatchObject({
      recipient_id: '491715550000',
      recipient_user_id: userId,
    });
    // The id handed out before still names the person.
    expect((await gateway.send({ recipient: early, text: { body: 'x' } })).status).toBe(200);
    expect(gateway.account.sent.at(-1)!.to).toMatchObject({
      person: { accountId: message.sender.accountId },
    });
    await said('Danke', { conversationId: message.conversationId, sender: message.sender });
    await until('the answer', () => sink.received.length === 3);
    expect(sink.events()[2].messages[0]).toMatchObject({
      from: '491715550000',
      from_user_id: userId,
    });
  });

  test('a recycled number: another account in that conversation is another person', async () => {
    const answer = await gateway.send({ to: '+491715550001', text: { body: 'Guten Tag' } });
    const conversationId = newConversationId();
    await gateway.account.tell({
      clientId: gateway.account.sent.at(-1)!.clientId,
      conversationId,
      messageId: newMessageId(),
      status: 'sent',
      at: 1,
    });
    await said('ich', { conversationId });
    await said('jemand anderes', { conversationId: newConversationId() });
    await until('all', () => sink.received.length === 3);
    const [first, second] = sink.events().flatMap((value) => value.messages ?? []);
    expect(first.from_user_id).toBe(answer.json.contacts[0].user_id);
    expect(second.from_user_id).not.toBe(first.from_user_id);
    expect(second.from).toBeUndefined();
  });

  test.each([
    ['undeliverable', 131026],
    ['window-closed', 131047],
    ['template-refused', 132001],
    ['pair-rate', 131056],
    ['quota-reached', 131048],
    ['expired', 131026],
    ['not-member', 131005],
    ['content-refused', 131000],
  ] as const)('a message that failed as %s is %i', async (failure, code) => {
    await gateway.send({ to: '+491715555556', text: { body: 'Hallo' } });
    const clientId = gateway.account.sent.at(-1)!.clientId;
    await gateway.account.tell({ clientId, status: 'failed', at: 1, failure });
    await until('the status', () => sink.received.length === 1);
    const [status] = sink.events()[0].statuses;
    expect(status.status).toBe('failed');
    expect(status.errors).toEqual([
      {
        code,
        title: expect.any(String),
        message: expect.any(String),
        error_data: { details: expect.stringMatching(/\.$/) },
      },
    ]);
    expect(sink.events()[0].contacts[0].user_id).toMatch(/^DE\./);
  });

  test('expired and undeliverable are word for word the same', async () => {
    for (const failure of ['undeliverable', 'expired'] as const) {
      await gateway.send({ to: '+491715555557', text: { body: 'Hallo' } });
      const clientId = gateway.account.sent.at(-1)!.clientId;
      await gateway.account.tell({ clientId, status: 'failed', at: 1, failure });
    }
    await until('both', () => sink.received.length === 2);
    const [first, second] = sink.events().map((value) => value.statuses[0].errors);
    expect(first).toEqual(second);
  });

  test('taps, reactions, places, deletions, edits and what is unknown', async () => {
    const accountId = newAccountId();
    const chat = {
      conversationId: newConversationId(),
      sender: { accountId, deviceId: 1 as never },
    };
    const salt = new Uint8Array(16);
    const first = await said('eins', chat);
    const ref = first.messageId;
    await gateway.account.receive({
      ...chat,
      body: { type: 'choice', of: 'button', id: 'j', title: 'Ja' },
    });
    await gateway.account.receive({
      ...chat,
      body: { type: 'choice', of: 'list', id: 'r', title: 'Reihe', description: 'd' },
    });
    await gateway.account.receive({
      ...chat,
      body: { type: 'choice', of: 'template-button', id: 'p', title: 'Danke' },
    });
    await gateway.account.receive({
      ...chat,
      content: { salt, inReplyTo: ref } as never,
      body: { type: 'reaction', emoji: '👍' },
    });
    await gateway.account.receive({
      ...chat,
      content: { salt, inReplyTo: ref } as never,
      body: { type: 'reaction', emoji: '' },
    });
    await gateway.account.receive({
      ...chat,
      body: { type: 'location', latitude: 52.5, longitude: 13.4, name: 'Berlin' },
    });
    await said('zwei', { ...chat, content: { salt, replaces: ref } });
    await gateway.account.receive({
      ...chat,
      content: { salt, replaces: ref } as never,
      body: { type: 'delete' },
    });
    await gateway.account.receive({ ...chat, body: { type: 'unknown', contentType: 'x/y' } });
    await until('all of them', () => sink.received.length === 10);
    const messages = sink.events().map((value) => value.messages[0]);
    const wamid = messages[0].id;
    expect(messages.slice(1).map(({ id, from_user_id, timestamp, ...rest }) => rest)).toEqual([
      {
        type: 'interactive',
        interactive: { type: 'button_reply', button_reply: { id: 'j', title: 'Ja' } },
      },
      {
        type: 'interactive',
        interactive: {
          type: 'list_reply',
          list_reply: { id: 'r', title: 'Reihe', description: 'd' },
        },
      },
      { type: 'button', button: { payload: 'p', text: 'Danke' } },
      { type: 'reaction', reaction: { message_id: wamid, emoji: '👍' } },
      { type: 'reaction', reaction: { message_id: wamid } },
      { type: 'location', location: { latitude: 52.5, longitude: 13.4, name: 'Berlin' } },
      {
        type: 'edit',
        edit: { original_message_id: wamid, message: { type: 'text', text: { body: 'zwei' } } },
      },
      { type: 'revoke', revoke: { original_message_id: wamid } },
      {
        type: 'unsupported',
        unsupported: { type: 'unknown' },
        errors: [expect.objectContaining({ code: 131051 })],
      },
    ]);
  });

  test('nobody takes back what somebody else said', async () => {
    const first = await said('meins');
    await gateway.account.receive({
      content: { salt: new Uint8Array(16), replaces: first.messageId } as never,
      body: { type: 'delete' },
    });
    await said('danach');
    await until('two', () => sink.received.length === 2);
    expect(sink.events().map((value) => value.messages[0].type)).toEqual(['text', 'text']);
  });

  test('a client id used before by somebody else hides nothing; a repeated message is told once', async () => {
    const clientId = newClientId();
    const first = await said('A', { clientId });
    await said('B', { clientId });
    await gateway.account.receive({ ...first, body: first.content.body });
    await until('two', () => sink.received.length === 2);
    const ids = sink.events().map((value) => value.messages[0].id);
    expect(new Set(ids).size).toBe(2);
  });

  test('receipts, typing and profiles are no messages; a name is shown from then on', async () => {
    const chat = {
      conversationId: newConversationId(),
      sender: { accountId: newAccountId(), deviceId: 1 as never },
    };
    await gateway.account.receive({ ...chat, body: { type: 'typing', active: true } });
    await gateway.account.receive({ ...chat, body: { type: 'profile', displayName: 'Alice' } });
    await said('Hallo', chat);
    await until('one', () => sink.received.length === 1);
    expect(sink.events()[0].contacts[0].profile).toEqual({ name: 'Alice' });
    // A name made to break something is stored without what breaks.
    const displayName = 'Bob\u0000\u202eeve';
    await gateway.account.receive({ ...chat, body: { type: 'profile', displayName } });
    await said('x\u0000y', chat);
    await until('two', () => sink.received.length === 2);
    expect(sink.events()[1].contacts[0].profile).toEqual({ name: 'Bobeve' });
    expect(sink.events()[1].messages[0].text.body).toBe('x\u0000y');
  });

  test('a handler that fails leaves neither log row nor event', async () => {
    const counts = async () =>
      (
        await database.database.query<{ events: number; messages: number }>(
          `SELECT (SELECT COUNT(*)::bigint FROM webhook_events) AS events,
             (SELECT COUNT(*)::bigint FROM messages) AS messages`,
        )
      ).rows[0];
    const before = await counts();
    await database.database.query('ALTER TABLE webhook_chats RENAME TO webhook_chats_away');
    await expect(said('verloren?')).rejects.toThrow();
    await database.database.query('ALTER TABLE webhook_chats_away RENAME TO webhook_chats');
    expect(await counts()).toEqual(before);
  });
});

describe('delivery', () => {
  test('only 2xx acknowledges; a repetition has the same id and body and grows apart', async () => {
    const answers = [500, 302, 404, 204];
    sink.state.answer = (_received, index) => answers[index] ?? 200;
    await said('hartnäckig');
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      await until(`attempt ${attempt}`, () => {
        gateway.advance(100);
        return sink.received.length === attempt;
      });
      await until('recorded', async () => {
        const found = await database.database.query<{ attempts: number }>(
          'SELECT attempts FROM webhook_events ORDER BY event_order DESC LIMIT 1',
        );
        return found.rows[0]!.attempts === attempt;
      });
    }
    const ids = sink.received.map(({ headers }) => headers['x-siegel-delivery']);
    expect(new Set(ids).size).toBe(1);
    expect(new Set(sink.received.map(({ text }) => text)).size).toBe(1);
    const times = sink.received.map(({ headers }) => Number(headers['x-siegel-timestamp']));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(await waiting()).toBe(0);
  });

  test('events of a chat wait for each other, other chats do not', async () => {
    const chat = {
      conversationId: newConversationId(),
      sender: { accountId: newAccountId(), deviceId: 1 as never },
    };
    sink.state.answer = ({ text }) =>
      text.includes('"erste') && sink.received.length < 3 ? 503 : 200;
    await said('erste', chat);
    await until('refused', () => sink.received.length === 1);
    await said('zweite', chat);
    await said('dritte', chat);
    await said('anderswo');
    await until('the other chat', () => sink.received.length === 2);
    sink.state.answer = () => 200;
    await until('everything', async () => {
      gateway.advance(5000);
      return (await waiting()) === 0;
    });
    const texts = sink.events().map((value) => value.messages[0].text.body);
    expect(texts).toEqual(['erste', 'anderswo', 'erste', 'zweite', 'dritte']);
  });

  test('the delay doubles from a second to an hour, half of it by chance', () => {
    expect(retryDelayMs(0, () => 0)).toBe(500);
    expect(retryDelayMs(0, () => 0.999999)).toBe(1000);
    expect(retryDelayMs(3, () => 0)).toBe(4000);
    expect(retryDelayMs(60, () => 1)).toBe(3_600_000);
  });

  test('after seven days an event is dead, kept, and its chat goes on', async () => {
    const chat = {
      conversationId: newConversationId(),
      sender: { accountId: newAccountId(), deviceId: 1 as never },
    };
    sink.state.answer = () => 500;
    await said('verloren', chat);
    await until(
      'dead',
      async () => {
        gateway.advance(3_600_000);
        const { rows } = await database.database.query(
          "SELECT 1 FROM webhook_events WHERE state = 'dead'",
        );
        return rows.length === 1;
      },
      60_000,
    );
    sink.received.length = 0;
    sink.state.answer = () => 200;
    await said('danach', chat);
    await until('the next one', () => sink.received.length === 1);
    expect(sink.events()[0].messages[0].text.body).toBe('danach');
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('siegel_gateway_webhooks_dead 1');
  }, 90_000);

  test('number before WABA before app', async () => {
    const byWaba = await startSink();
    const byNumber = await startSink();
    const at = gateway.clock.now();
    const db = database.database;
    await setCallback(db, { scope: 'waba', id: wabaId }, { url: byWaba.url, verifyToken }, at);
    await said('an die WABA');
    await until('the WABA', () => byWaba.received.length === 1);
    await setCallback(
      db,
      { scope: 'number', id: numbers.airline.id },
      { url: byNumber.url, verifyToken },
      at,
    );
    await said('an die Nummer');
    await until('the number', () => byNumber.received.length === 1);
    await said('zweite Nummer', { phoneNumberId: numbers.second.id });
    await until('the other number', () => byWaba.received.length === 2);
    await db.query("DELETE FROM webhook_callbacks WHERE scope <> 'app'");
    await byWaba.close();
    await byNumber.close();
    expect(sink.received).toHaveLength(0);
  });
});

test('a worker that was killed repeats only what was not acknowledged', async () => {
  await using own = await gatewayDatabase();
  const target = await startSink();
  const config = { webhook: { url: target.url, verifyToken } };
  const first = await startTestGateway({ database: own.database, config });
  for (const text of ['a', 'b', 'c']) {
    await first.account.receive({ body: { type: 'text', text } });
  }
  await until('acknowledged', async () => {
    const { rows } = await own.database.query(
      "SELECT 1 FROM webhook_events WHERE state = 'delivered'",
    );
    return rows.length === 3;
  });
  // Received, but the answer is never seen: the process is gone before.
  target.state.hold = true;
  await first.account.receive({ body: { type: 'text', text: 'd' } });
  await until('the fourth', () => target.received.length === 4);
  const restarted = createTestClock();
  const outgoing = createOutgoingRequests({ rules: createAddressRules(['loopback']) });
  target.state.hold = false;
  await using second = startDelivery({
    database: own.database,
    outgoing,
    appId: '670843887433847',
    appSecret,
    now: restarted.clock.now,
    random: () => 0.5,
    schedule: restarted.clock.schedule,
  });
  second.wake();
  await until('repeated', () => target.received.length === 5);
  const ids = target.received.map(({ headers }) => headers['x-siegel-delivery']);
  expect(ids[4]).toBe(ids[3]);
  expect(new Set(ids).size).toBe(4);
  for (const reply of target.held) reply();
  await first.close();
  await outgoing.close();
  await target.close();
});
