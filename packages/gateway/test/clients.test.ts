// Two existing client libraries, unchanged, against the gateway: one takes a base URL, the other a fetch of our choice.

import { WhatsAppClient } from '@kapso/whatsapp-cloud-api';
import { verifySignature } from '@kapso/whatsapp-cloud-api/server';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WhatsAppAPI } from 'whatsapp-api-js';
import {
  ActionButtons,
  ActionList,
  Body,
  BodyComponent,
  BodyParameter,
  Button,
  Header,
  Image,
  Interactive,
  Language,
  ListSection,
  Row,
  Template,
  Text,
} from 'whatsapp-api-js/messages';
import {
  appSecret,
  gatewayDatabase,
  newConversationId,
  newMessageId,
  numbers,
  type Sink,
  startSink,
  startTestGateway,
  type TestGateway,
  templateEntry,
  textParameter,
  token,
  until,
  verifyToken,
  wabaId,
} from './support.ts';

let database: Awaited<ReturnType<typeof gatewayDatabase>>;
let gateway: TestGateway;
let sink: Sink;
const phoneNumberId = numbers.airline.id;
const to = '+4915123456789';
const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47]);

beforeAll(async () => {
  database = await gatewayDatabase();
  sink = await startSink();
  gateway = await startTestGateway({
    database: database.database,
    config: { webhook: { url: sink.url, verifyToken } },
    templates: [
      templateEntry({
        name: 'flug',
        components: {
          body: {
            text: 'Flug {{1}} um {{2}}',
            parameters: [textParameter('1'), textParameter('2')],
          },
          buttons: [],
        },
      }),
    ],
  });
});
afterAll(async () => {
  await gateway.close();
  await sink.close();
  await database.drop();
});
beforeEach(() => {
  sink.received.length = 0;
});
const last = () => gateway.account.sent.at(-1)!;

async function receivedText(body: string) {
  const message = await gateway.account.receive({ body: { type: 'text', text: body } });
  await until('the webhook', () => sink.received.length === 1);
  return { message, value: sink.events()[0], raw: sink.received[0]! };
}

describe('@kapso/whatsapp-cloud-api 0.3.0', () => {
  const client = () => new WhatsAppClient({ accessToken: token, baseUrl: gateway.url });

  test('text, with the answer it expects', async () => {
    const answer = await client().messages.sendText({
      phoneNumberId,
      to,
      body: 'Hallo 👋',
      previewUrl: true,
    });
    expect(answer.contacts[0]).toMatchObject({ input: to, waId: '4915123456789' });
    expect(answer.messages[0]!.id).toMatch(/^wamid\./);
    expect(last().body).toEqual({ type: 'text', text: 'Hallo 👋', preview: true });
  });

  test('template, buttons, list, location, reaction', async () => {
    const { messages } = client();
    await messages.sendTemplate({
      phoneNumberId,
      to,
      template: {
        name: 'flug',
        language: { code: 'de' },
        components: [
          {
            type: 'body',
            parameters: [
              { type: 'text', text: 'NW 7' },
              { type: 'text', text: '9:30' },
            ],
          },
        ],
      },
    } as never);
    expect(last().body).toMatchObject({
      type: 'template',
      body: [{ text: 'NW 7' }, { text: '9:30' }],
    });
    await messages.sendInteractiveButtons({
      phoneNumberId,
      to,
      bodyText: 'Fenster oder Gang?',
      buttons: [
        { id: 'f', title: 'Fenster' },
        { id: 'g', title: 'Gang' },
      ],
    });
    expect(last().body).toMatchObject({ type: 'buttons', buttons: [{ id: 'f' }, { id: 'g' }] });
    await messages.sendInteractiveList({
      phoneNumberId,
      to,
      bodyText: 'Wohin?',
      buttonText: 'Ziele',
      sections: [{ title: 'Nord', rows: [{ id: 'o', title: 'Oslo' }] }],
    });
    expect(last().body).toMatchObject({ type: 'list', button: 'Ziele' });
    await messages.sendLocation({
      phoneNumberId,
      to,
      location: { latitude: 52.5, longitude: 13.4, name: 'Berlin' },
    });
    expect(last().body).toMatchObject({ type: 'location', latitude: 52.5 });
    const answer = await messages.sendText({ phoneNumberId, to, body: 'x' });
    await gateway.account.tell({
      clientId: last().clientId,
      conversationId: newConversationId(),
      messageId: newMessageId(),
      status: 'sent',
      at: 1,
    });
    await messages.sendReaction({
      phoneNumberId,
      to,
      reaction: { messageId: answer.messages[0]!.id, emoji: '👍' },
    });
    expect(last().body).toEqual({ type: 'reaction', emoji: '👍' });
  });

  test('media: upload, send, describe, download with and without a token, delete', async () => {
    const { media, messages } = client();
    const { id } = await media.upload({
      phoneNumberId,
      type: 'image/png',
      file: new Blob([png], { type: 'image/png' }),
      fileName: 'bild.png',
    });
    await messages.sendImage({ phoneNumberId, to, image: { id, caption: 'Schau' } });
    expect(last().body).toMatchObject({ type: 'attachment', media: 'image', caption: 'Schau' });
    expect(await media.get({ mediaId: id })).toMatchObject({ mimeType: 'image/png', id });
    for (const auth of ['auto', 'always', 'never'] as const) {
      const bytes = await media.download({ mediaId: id, auth });
      expect(new Uint8Array(bytes as ArrayBuffer)).toEqual(png);
    }
    expect(await media.delete({ mediaId: id })).toMatchObject({ success: true });
    await expect(media.get({ mediaId: id })).rejects.toMatchObject({ code: 100 });
  });

  test('templates of the WABA', async () => {
    const { templates } = client();
    const { data } = await templates.list({ businessAccountId: wabaId, status: 'APPROVED' });
    expect(data[0]).toMatchObject({ name: 'flug', parameterFormat: 'POSITIONAL' });
    const made = await templates.create({
      businessAccountId: wabaId,
      name: 'neu',
      language: 'de',
      category: 'UTILITY',
      components: [{ type: 'BODY', text: 'Guten Tag' }],
    });
    expect(made).toMatchObject({ status: 'PENDING' });
  });

  test('errors arrive with code and details', async () => {
    const bad = client().messages.sendText({ phoneNumberId, to: '12', body: 'x' });
    await expect(bad).rejects.toMatchObject({ code: 131009, httpStatus: 400 });
    const other = new WhatsAppClient({ accessToken: 'nobody', baseUrl: gateway.url });
    const refused = other.messages.sendText({ phoneNumberId, to, body: 'x' });
    await expect(refused).rejects.toMatchObject({ code: 190, category: 'authorization' });
  });

  test('a webhook passes its signature check, and is marked read with typing', async () => {
    const { message, value, raw } = await receivedText('Grüße 🧳 @');
    const signatureHeader = raw.headers['x-hub-signature-256'] as string;
    expect(verifySignature({ appSecret, rawBody: raw.body, signatureHeader })).toBe(true);
    const read = { phoneNumberId, messageId: value.messages[0].id };
    await client().messages.markRead({ ...read, typingIndicator: { type: 'text' } });
    expect(gateway.account.readMarks.at(-1)!.messageId).toBe(message.messageId);
    expect(gateway.account.typing.at(-1)).toBe(message.conversationId);
  });
});

describe('whatsapp-api-js 6.3.0', () => {
  const redirected: typeof fetch = (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    return fetch(url.replace('https://graph.facebook.com', gateway.url), init);
  };
  const client = () =>
    new WhatsAppAPI({
      token,
      appSecret,
      webhookVerifyToken: verifyToken,
      v: 'v24.0',
      ponyfill: { fetch: redirected },
    });

  test('text, quotation and callback data', async () => {
    const first = await client().sendMessage(phoneNumberId, to, new Text('Hallo', true));
    expect(first).toMatchObject({ messages: [{ id: expect.stringMatching(/^wamid\./) }] });
    const messageId = newMessageId();
    await gateway.account.tell({ clientId: last().clientId, messageId, status: 'sent', at: 1 });
    const wamid = (first as { messages: [{ id: string }] }).messages[0].id;
    await client().sendMessage(phoneNumberId, to, new Text('dazu'), wamid, 'spur');
    expect(last()).toMatchObject({ inReplyTo: messageId, body: { text: 'dazu' } });
  });

  test('template, buttons, list', async () => {
    const flight = new Template(
      'flug',
      new Language('de'),
      new BodyComponent(new BodyParameter('NW 7'), new BodyParameter('9:30')),
    );
    expect(await client().sendMessage(phoneNumberId, to, flight)).toHaveProperty('messages');
    expect(last().body).toMatchObject({
      type: 'template',
      body: [{ text: 'NW 7' }, { text: '9:30' }],
    });
    const buttons = new ActionButtons(new Button('f', 'Fenster'), new Button('g', 'Gang'));
    await client().sendMessage(phoneNumberId, to, new Interactive(buttons, new Body('Wo?')));
    expect(last().body).toMatchObject({ type: 'buttons', buttons: [{ id: 'f' }, { id: 'g' }] });
    const list = new ActionList('Ziele', new ListSection(undefined, new Row('o', 'Oslo', 'Nord')));
    const header = new Header('Reisen');
    await client().sendMessage(
      phoneNumberId,
      to,
      new Interactive(list, new Body('Wohin?'), header),
    );
    expect(last().body).toMatchObject({ type: 'list', header: { text: 'Reisen' } });
  });

  test('media by id, fetched again with its own headers', async () => {
    const form = new FormData();
    form.set('file', new Blob([png], { type: 'image/png' }), 'bild.png');
    form.set('messaging_product', 'whatsapp');
    const uploaded = await client().uploadMedia(phoneNumberId, form);
    const { id } = uploaded as { id: string };
    await client().sendMessage(phoneNumberId, to, new Image(id, true, 'Schau'));
    expect(last().body).toMatchObject({ type: 'attachment', media: 'image', caption: 'Schau' });
    const about = (await client().retrieveMedia(id, phoneNumberId)) as { url: string };
    const bytes = await (await client().fetchMedia(about.url)).arrayBuffer();
    expect(new Uint8Array(bytes)).toEqual(png);
    expect(await client().deleteMedia(id)).toMatchObject({ success: true });
  });

  test('webhooks pass its signature check and reach its handlers', async () => {
    const { message, value, raw } = await receivedText('Grüße 🧳 @ <b>');
    const api = client();
    const seen: string[] = [];
    api.on.message = ({ message: one, name, reply }) => {
      seen.push(one.type === 'text' ? one.text.body : one.type, String(name));
      expect(reply).toBeTypeOf('function');
    };
    const signature = raw.headers['x-hub-signature-256'] as string;
    await api.post(JSON.parse(raw.text), raw.text, signature);
    expect(seen[0]).toBe('Grüße 🧳 @ <b>');
    await api.markAsRead(phoneNumberId, value.messages[0].id, 'text');
    expect(gateway.account.readMarks.at(-1)!.messageId).toBe(message.messageId);
    await expect(api.post(JSON.parse(raw.text), `${raw.text} `, signature)).rejects.toThrow();
  });

  test('status webhooks reach its handlers', async () => {
    await client().sendMessage(phoneNumberId, to, new Text('x'));
    await gateway.account.tell({
      clientId: last().clientId,
      status: 'sent',
      at: 1_770_000_000_000,
    });
    await until('the status', () => sink.received.length === 1);
    const api = client();
    const seen: string[] = [];
    api.on.status = ({ status, phone }) => void seen.push(status, String(phone));
    const raw = sink.received[0]!;
    await api.post(JSON.parse(raw.text), raw.text, raw.headers['x-hub-signature-256'] as string);
    expect(seen[0]).toBe('sent');
  });
});
