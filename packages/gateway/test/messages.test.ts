// Sending through the HTTP side: what real clients write, what is stored before the answer, and every refusal.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messageByWamid } from '../src/message-log.ts';
import {
  gatewayDatabase,
  newMessageId,
  numbers,
  startTestGateway,
  type TestGateway,
  templateEntry,
  textParameter,
  token,
} from './support.ts';

let database: Awaited<ReturnType<typeof gatewayDatabase>>;
let gateway: TestGateway;
const templates = [
  templateEntry({
    name: 'flight_update',
    components: {
      body: {
        text: 'Flug {{1}} um {{2}}, Gate {{3}}',
        parameters: [textParameter('1'), textParameter('2'), textParameter('3', 5)],
      },
      buttons: [
        { type: 'quick-reply', text: 'Danke' },
        {
          type: 'url',
          text: 'Details',
          url: 'https://example.org/{{1}}',
          parameter: textParameter('1', 20),
        },
      ],
    },
  }),
  templateEntry(
    { name: 'paused_one', components: { body: { text: 'x', parameters: [] }, buttons: [] } },
    'paused',
  ),
  templateEntry(
    { name: 'off', components: { body: { text: 'x', parameters: [] }, buttons: [] } },
    'disabled',
  ),
  templateEntry(
    { name: 'waiting', components: { body: { text: 'x', parameters: [] }, buttons: [] } },
    'pending',
  ),
];

beforeAll(async () => {
  database = await gatewayDatabase();
  gateway = await startTestGateway({ database: database.database, templates });
});
afterAll(async () => {
  await gateway.close();
  await database.drop();
});

const text = { text: { body: 'Hallo 👋' } };
const last = () => gateway.account.sent.at(-1)!;

describe('accepted', () => {
  test('a text is durable with its log row before the answer, and the wamid names both', async () => {
    const answer = await gateway.send({ to: '+49 151 2345-6789', type: 'text', ...text });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      messaging_product: 'whatsapp',
      contacts: [{ input: '+49 151 2345-6789', wa_id: '4915123456789' }],
      messages: [{ id: expect.stringMatching(/^wamid\.[A-Za-z0-9+/]+=*$/) }],
    });
    const entry = await messageByWamid(database.database, answer.json.messages[0].id);
    expect(entry).toMatchObject({
      direction: 'out',
      status: 'pending',
      type: 'text',
      clientId: last().clientId,
    });
    expect(last().body).toEqual({ type: 'text', text: 'Hallo 👋' });
    expect(last().to).toEqual({
      from: numbers.airline.id,
      person: { number: '+4915123456789' },
    });
    const { rows } = await database.database.query(
      "SELECT 1 FROM account_records WHERE collection = 'outbox' AND key = $1",
      [last().clientId],
    );
    expect(rows.length).toBe(1);
  });

  test.each([
    ['a number, not a string', 4915123456789],
    ['spaces and brackets', '+49 (0)151 / 234-56789'],
    ['a double nought', '004915123456789'],
    ['digits alone', '4915123456789'],
    ['a no-break space', '+49\u00a015123456789'],
  ])('`to` as %s is the same person', async (_name, to) => {
    const answer = await gateway.send({ to, ...text });
    expect(answer.json.contacts[0].wa_id).toBe('4915123456789');
    expect(answer.json.contacts[0].input).toBe(String(to));
  });

  test.each([
    ['5215512345678', '525512345678'],
    ['525512345678', '525512345678'],
    ['541123456789', '5491123456789'],
    ['5491123456789', '5491123456789'],
  ])('both spellings of a Mexican or Argentine mobile are one person: %s', async (to, waId) => {
    const answer = await gateway.send({ to, ...text });
    expect(answer.json.contacts[0].wa_id).toBe(waId);
  });

  test.each(['/v13.0', '/v25.0', ''])('any version prefix, and none: %s', async (prefix) => {
    const path = `${prefix}/${numbers.airline.id}/messages`;
    const body = { messaging_product: 'whatsapp', to: '4915123456789', context: null, ...text };
    const answer = await gateway.call('POST', path, body);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('facebook-api-version')).toBe(prefix.slice(1) || 'v25.0');
    expect(answer.headers.get('x-fb-request-id')).toMatch(/^A/);
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
  });

  test('a token in the query is as good as a header', async () => {
    const path = `/v25.0/${numbers.airline.id}/messages?access_token=${token}`;
    const body = { messaging_product: 'whatsapp', to: '4915123456789', ...text };
    expect((await gateway.call('POST', path, body, {})).status).toBe(200);
  });

  test('a template is sent as hash and values, with what the relay bills by', async () => {
    const answer = await gateway.send({
      to: '4915123456789',
      type: 'template',
      biz_opaque_callback_data: 'order 7',
      template: {
        name: 'flight_update',
        language: { code: 'de', policy: 'deterministic' },
        components: [
          {
            type: 'BODY',
            parameters: [
              { type: 'text', text: 'NW 12' },
              { type: 'text', text: 9 },
              { type: 'text', text: 'A1' },
            ],
          },
          {
            type: 'button',
            sub_type: 'URL',
            index: 1,
            parameters: [{ type: 'text', text: 'nw12' }],
          },
          {
            type: 'button',
            sub_type: 'quick_reply',
            index: '0',
            parameters: [{ type: 'payload', payload: 'ok' }],
          },
        ],
      },
    });
    expect(answer.status).toBe(200);
    expect(last().template).toEqual({ id: '594425479261596', category: 'utility' });
    expect(last().body).toEqual({
      type: 'template',
      templateId: '594425479261596',
      hash: new Uint8Array(32).fill(7),
      body: [
        { name: '1', type: 'text', text: 'NW 12' },
        { name: '2', type: 'text', text: '9' },
        { name: '3', type: 'text', text: 'A1' },
      ],
      buttons: [
        { index: 0, payload: 'ok' },
        { index: 1, text: 'nw12' },
      ],
    });
  });

  test('buttons and lists', async () => {
    const buttons = {
      type: 'button',
      body: { text: 'Wirklich?' },
      action: { buttons: [{ type: 'reply', reply: { id: 'j', title: 'Ja' } }] },
    };
    await gateway.send({ to: '4915123456789', type: 'interactive', interactive: buttons });
    expect(last().body).toEqual({
      type: 'buttons',
      body: 'Wirklich?',
      buttons: [{ id: 'j', title: 'Ja' }],
    });
    const list = {
      type: 'list',
      header: { type: 'text', text: 'Kopf' },
      body: { text: 'Wähle' },
      footer: { text: 'Fuß' },
      action: { button: 'Menü', sections: [{ rows: [{ id: 1, title: 'Eins' }] }] },
    };
    await gateway.send({ to: '4915123456789', type: 'interactive', interactive: list });
    expect(last().body).toEqual({
      type: 'list',
      header: { text: 'Kopf' },
      body: 'Wähle',
      footer: 'Fuß',
      button: 'Menü',
      sections: [{ rows: [{ id: '1', title: 'Eins' }] }],
    });
  });

  test('a reply and a reaction point to the message by wamid, in the chat with that person only', async () => {
    const first = await gateway.send({ to: '4915100000001', ...text });
    const wamid = first.json.messages[0].id;
    const early = await gateway.send({
      to: '4915100000001',
      context: { message_id: wamid },
      ...text,
    });
    expect(early.json.error).toMatchObject({ code: 131009 });
    const messageId = newMessageId();
    await gateway.account.tell({ clientId: last().clientId, messageId, status: 'sent', at: 1 });
    const reply = await gateway.send({
      to: '4915100000001',
      context: { message_id: wamid },
      ...text,
    });
    expect(reply.status).toBe(200);
    expect(last().inReplyTo).toBe(messageId);
    await gateway.send({
      to: '4915100000001',
      type: 'reaction',
      reaction: { message_id: wamid, emoji: '👍' },
    });
    expect(last()).toMatchObject({ inReplyTo: messageId, body: { type: 'reaction', emoji: '👍' } });
    const other = await gateway.send({
      to: '4915100000002',
      context: { message_id: wamid },
      ...text,
    });
    expect(other.json.error).toMatchObject({ code: 131009 });
  });

  test('a person who wrote is answered by business-scoped user id', async () => {
    const message = await gateway.account.receive({ body: { type: 'text', text: 'Hi' } });
    const { rows } = await database.database.query<{ user_id: string }>(
      'SELECT user_id FROM contacts WHERE account_id = $1',
      [message.sender.accountId],
    );
    const userId = rows[0]!.user_id;
    expect(userId).toMatch(/^DE\.[0-9A-Za-z]{1,128}$/);
    const answer = await gateway.send({ recipient: userId, ...text });
    expect(answer.json.contacts).toEqual([{ input: userId, user_id: userId }]);
    expect(last().to).toEqual({
      from: numbers.airline.id,
      person: { accountId: message.sender.accountId },
    });
  });

  test('read marks and typing resolve the wamid', async () => {
    const message = await gateway.account.receive({ body: { type: 'text', text: 'Hi' } });
    const { rows } = await database.database.query<{ wamid: string }>(
      'SELECT wamid FROM messages WHERE message_id = $1',
      [message.messageId],
    );
    const mark = { status: 'read', message_id: rows[0]!.wamid };
    const answer = await gateway.send({ ...mark, typing_indicator: { type: 'text' } });
    expect(answer.json).toEqual({ success: true });
    const { conversationId, messageId } = message;
    expect(gateway.account.readMarks).toContainEqual({ conversationId, messageId });
    expect(gateway.account.typing).toContain(conversationId);
    const other = await gateway.send(mark, numbers.second.id);
    expect(other.json.error.code).toBe(131009);
  });
});

const template = (name: string, components?: unknown) => ({
  to: '4915123456789',
  type: 'template',
  template: { name, language: { code: 'de' }, components },
});
const bodyOf = (...texts: string[]) => [
  { type: 'body', parameters: texts.map((one) => ({ type: 'text', text: one })) },
];

describe('refused', () => {
  test.each<[string, object, number, number, RegExp]>([
    ['no recipient', text, 400, 131008, /to or recipient/],
    ['no text', { to: '4915123456789', type: 'text' }, 400, 131008, /text is required/],
    ['an empty text', { to: '4915123456789', text: { body: '' } }, 400, 131008, /empty/],
    [
      'too long a text',
      { to: '4915123456789', text: { body: 'x'.repeat(4097) } },
      400,
      100,
      /4096/,
    ],
    ['a number without a country', { to: '0151234', ...text }, 400, 131009, /country/],
    ['letters for a number', { to: 'hallo', ...text }, 400, 131009, /phone number/],
    ['its own number', { to: numbers.airline.number, ...text }, 400, 131021, /same number/],
    ['its own second number', { to: numbers.second.number, ...text }, 400, 131021, /same number/],
    ['an unknown user id', { recipient: 'DE.nobody', ...text }, 400, 131026, /not be delivered/],
    ['an unknown type', { to: '4915123456789', type: 'hologram' }, 400, 100, /type/],
    [
      'a type not served',
      { to: '4915123456789', type: 'contacts', contacts: [] },
      400,
      131051,
      /contacts/,
    ],
    ['a group', { to: '4915123456789', recipient_type: 'group', ...text }, 400, 131009, /group/],
    [
      'an identity check',
      { to: '4915123456789', recipient_identity_key_hash: 'x', ...text },
      400,
      131009,
      /identity/,
    ],
    [
      'an unknown quotation',
      { to: '4915123456789', context: { message_id: 'wamid.AAAA' }, ...text },
      400,
      131009,
      /context/,
    ],
    [
      'a bad wamid to be read',
      { status: 'read', message_id: 'wamid.AAAA' },
      400,
      131009,
      /message_id/,
    ],
    ['another status', { status: 'unread', message_id: 'wamid.AAAA' }, 400, 131009, /status/],
    ['no such template', template('nothing'), 404, 132001, /no template/],
    ['a paused template', template('paused_one'), 400, 132015, /paused/],
    ['a disabled template', template('off'), 400, 132016, /disabled/],
    ['a template in review', template('waiting'), 404, 132001, /approval/],
    [
      'too few parameters',
      template('flight_update', bodyOf('a')),
      400,
      132000,
      /^body: number of localizable_params \(1\) does not match the expected number of params \(3\)$/,
    ],
    [
      'too long a parameter',
      template('flight_update', bodyOf('a', 'b', 'longer')),
      400,
      132005,
      /5 characters/,
    ],
    [
      'an empty parameter',
      template('flight_update', bodyOf('a', 'b', '')),
      400,
      131008,
      /no value/,
    ],
    [
      'no button parameter',
      template('flight_update', bodyOf('a', 'b', 'c')),
      400,
      131008,
      /index 1/,
    ],
    [
      'unknown media',
      { to: '4915123456789', type: 'image', image: { id: '1' } },
      400,
      131009,
      /media/,
    ],
  ])('%s', async (_name, message, status, code, details) => {
    const before = gateway.account.sent.length;
    const answer = await gateway.send(message);
    expect(answer.json.error).toMatchObject({ code, fbtrace_id: expect.stringMatching(/^A/) });
    expect(answer.json.error.message).toMatch(new RegExp(`^\\(#${code}\\) `));
    expect(answer.json.error.error_data.details).toMatch(details);
    expect(answer.status).toBe(status);
    expect(gateway.account.sent.length).toBe(before);
  });

  test('the envelope of a request that is no JSON, too large or of another type', async () => {
    const path = `/v25.0/${numbers.airline.id}/messages`;
    expect((await gateway.call('POST', path, '{"to":')).json.error.code).toBe(100);
    expect((await gateway.call('POST', path, '[]')).json.error.code).toBe(100);
    const large = await gateway.call('POST', path, `"${'x'.repeat(600_000)}"`);
    expect(large.json.error.code).toBe(100);
    const xml = await gateway.call('POST', path, '<a/>', {
      authorization: `Bearer ${token}`,
      'content-type': 'application/xml',
    });
    expect(xml.json.error.code).toBe(100);
    expect((await gateway.call('GET', '/v25.0/a/b/c/d')).json.error.code).toBe(2500);
    expect((await gateway.call('GET', '/%E0%A4%A')).json.error.code).toBe(2500);
  });
});

describe('who may', () => {
  const path = `/v25.0/${numbers.airline.id}/messages`;
  const body = { messaging_product: 'whatsapp', to: '4915123456789', ...text };
  const enter = async (row: {
    token: string;
    permissions?: string[];
    phoneNumberIds?: string[];
  }) => {
    const { enterTokens } = await import('../src/tokens.ts');
    await enterTokens(database.database, [row], gateway.clock.now());
    return { authorization: `Bearer ${row.token}` };
  };

  test('no token, a wrong one, an expired and a revoked one: 401 with 190', async () => {
    expect((await gateway.call('POST', path, body, {})).json.error.code).toBe(190);
    const wrong = await gateway.call('POST', path, body, { authorization: 'Bearer nonsense' });
    expect(wrong.status).toBe(401);
    expect(wrong.json.error).toMatchObject({ code: 190, type: 'OAuthException' });
    await expect(enter({ token: 'short' })).rejects.toMatchObject({
      code: 'configuration-invalid',
    });
    const ended = await enter({ token: 'a-token-that-will-expire' });
    const set = (column: string) =>
      database.database.query(
        `UPDATE access_tokens SET ${column} = 1 WHERE token_hash = sha256('a-token-that-will-expire')`,
      );
    expect((await gateway.call('POST', path, body, ended)).status).toBe(200);
    await set('expires_at');
    const expired = await gateway.call('POST', path, body, ended);
    expect(expired.json.error).toMatchObject({ code: 190, error_subcode: 463 });
    await set('revoked_at');
    expect(
      (await gateway.call('POST', path, body, ended)).json.error.error_subcode,
    ).toBeUndefined();
  });

  test('a token without the permission: 403 with 10', async () => {
    const headers = await enter({
      token: 'a-token-that-only-manages',
      permissions: ['whatsapp_business_management'],
    });
    const answer = await gateway.call('POST', path, body, headers);
    expect(answer.status).toBe(403);
    expect(answer.json.error.code).toBe(10);
  });

  test('a token for one number sees the other as if it were not there', async () => {
    const headers = await enter({
      token: 'a-token-for-one-number-only',
      phoneNumberIds: [numbers.second.id],
    });
    const foreign = await gateway.call('POST', path, body, headers);
    expect(foreign.json.error).toMatchObject({ code: 100, error_subcode: 33 });
    const nothing = await gateway.call('POST', '/v25.0/999/messages', body, headers);
    expect(nothing.json.error.error_data).toEqual(foreign.json.error.error_data);
    expect(
      (await gateway.call('POST', `/${numbers.second.id}/messages`, body, headers)).status,
    ).toBe(200);
  });

  test('tokens are kept as hashes only', async () => {
    const { rows } = await database.database.query<{ row: string }>(
      'SELECT row_to_json(access_tokens)::text AS row FROM access_tokens',
    );
    expect(rows.some(({ row }) => row.includes(token))).toBe(false);
  });
});
