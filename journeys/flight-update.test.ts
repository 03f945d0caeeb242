// Story (a): an airline's own system tells a person of a changed flight, and the person answers. Two clients from npm, unchanged.
import { createHash, createHmac, createPublicKey, verify } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifySignature } from '@kapso/whatsapp-cloud-api/server';
import {
  fetchAttachment,
  type ReceivedMessage,
  renderTemplate,
  type StatusUpdate,
} from '@siegel/client';
import { nodeProvider } from '@siegel/crypto/node';
import { type Attachment, toBase64Url } from '@siegel/protocol/content';
import { getBusinessCertificate, getOperator, getTemplate } from '@siegel/protocol/relay';
import { seededRandom } from '@siegel/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Accepted,
  type AirlineSystem,
  airlineSystems,
  apiJsClient,
} from './airline-system.ts';
import { type AirlineTown, airlineTown, type Passenger } from './airline-town.ts';
import { messageOf, statusesOf, statusOf, waitForStatus, waitForText } from './read-webhook.ts';
import { shownText, shows } from './shown-text.ts';

let scene: AirlineTown;
beforeAll(async () => {
  scene = await airlineTown();
});
afterAll(() => scene?.[Symbol.asyncDispose]());

const digits = (number: string): string => number.slice(1);
const userId = expect.stringMatching(/^DE\.[0-9A-Za-z]{1,128}$/);
const seconds = expect.stringMatching(/^\d{10}$/);

/** RFC 7515 §5.2 with nothing of ours: header, payload and whether one of these keys signed it. */
function readSigned(jws: string, keys: readonly string[]) {
  const [header = '', payload = '', signature = ''] = jws.split('.');
  const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
  const genuine = keys.some((x) => {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const signed = Buffer.from(`${header}.${payload}`);
    return verify(null, signed, key, Buffer.from(signature, 'base64url'));
  });
  return { header: decode(header), payload: decode(payload), bytes: payload, genuine };
}

async function operatorKeys({ relay }: Passenger): Promise<string[]> {
  const { keys } = await relay.call(getOperator, {});
  return keys.map(({ publicKey }) => publicKey);
}

describe.each(airlineSystems)('an airline with $library', ({ connect }) => {
  let system: AirlineSystem;
  let passenger: Passenger;
  let accepted: Accepted;
  let update: ReceivedMessage;
  let answer: StatusUpdate['clientId'];
  let answerWamid: string;
  const words =
    'Ihr Flug NW204 startet jetzt um 15:10 Uhr von Gate B7. Ihre Bordkarte gilt weiter.';

  beforeAll(async () => {
    system = connect(scene.firm);
    passenger = await scene.newcomer();
  });

  test('sends flight_update to a number and is answered with a wamid and a user id', async () => {
    const change = { flight: 'NW204', time: '15:10', gate: 'B7' };
    accepted = await system.sendFlightUpdate({ to: passenger.number, ...change });
    expect(accepted).toEqual({
      wamid: expect.stringMatching(/^wamid\.[A-Za-z0-9+/=]+$/),
      waId: digits(passenger.number),
      userId,
    });
  });

  test('the person’s device opens it and shows the approved German words', async () => {
    update = await passenger.waitFor(shows(words));
    const { body } = update.content;
    if (body.type !== 'template' || update.template === undefined) throw new Error('no template');
    const rendering = renderTemplate(update.template, body);
    expect(rendering).toMatchObject({
      outcome: 'rendered',
      rendered: {
        header: { type: 'text', parts: [{ kind: 'literal', text: 'Änderung Ihres Fluges' }] },
        footer: 'Nordwind Air',
        buttons: [{ text: 'Verstanden' }, { text: 'Mit Mensch sprechen' }],
      },
    });
    expect(passenger.received).toHaveLength(1);
  });

  test('the template is the one the firm signed and the operator approved', async () => {
    const { body } = update.content;
    if (body.type !== 'template') throw new Error('no template');
    const found = await passenger.relay.call(getTemplate, { templateId: body.templateId });
    if (found.outcome !== 'template') throw new Error(found.outcome);
    const { signed, approval = '' } = found.template;
    const contact = await passenger.account.contact(update.sender.accountId);
    const object = readSigned(signed, [contact!.accountKey!]);
    expect(object).toMatchObject({ genuine: true, payload: update.template });
    const octets = Buffer.from(object.bytes, 'base64url');
    const hash = createHash('sha256').update(octets).digest('base64url');
    expect(toBase64Url(body.hash)).toBe(hash);
    expect(readSigned(approval, await operatorKeys(passenger))).toMatchObject({
      genuine: true,
      payload: { template: body.templateId, hash, category: 'utility' },
    });
  });

  test('the firm’s certificate is the operator’s, for this key and this number', async () => {
    const { phoneNumberId } = update;
    const found = await passenger.relay.call(getBusinessCertificate, {
      phoneNumberId: phoneNumberId!,
    });
    if (found.outcome !== 'certificate') throw new Error(found.outcome);
    const keys = await operatorKeys(passenger);
    const certificate = readSigned(found.certificate, keys);
    const contact = await passenger.account.contact(update.sender.accountId);
    expect(certificate).toMatchObject({
      genuine: true,
      payload: {
        sub: update.sender.accountId,
        cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: contact?.accountKey } },
        number: scene.firm.number,
        phoneNumberId: scene.firm.phoneNumberId,
        legalName: 'Nordwind Air GmbH',
      },
    });
    expect(contact).toMatchObject({ kind: 'business', certificate: certificate.payload });
    const [header, , signature] = found.certificate.split('.');
    const forged = Buffer.from(
      JSON.stringify({ ...Object(certificate.payload), legalName: 'Südwind Air GmbH' }),
    );
    const other = `${header}.${forged.toString('base64url')}.${signature}`;
    expect(readSigned(other, keys).genuine).toBe(false);
  });

  test('sent, delivered and read come back in order, under the wamid the client got', async () => {
    const { conversationId, messageId } = update;
    await waitForStatus(scene.sink, accepted.wamid, 'delivered');
    expect(statusesOf(scene.sink, accepted.wamid).map(({ status }) => status)).not.toContain(
      'read',
    );
    await passenger.account.markRead(conversationId, messageId);
    const last = await waitForStatus(scene.sink, accepted.wamid, 'read');
    const told = statusesOf(scene.sink, accepted.wamid);
    expect(told.map(({ status }) => status)).toEqual(['sent', 'delivered', 'read']);
    const times = told.map(({ timestamp }) => Number(timestamp));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(last.body).toEqual({
      object: 'whatsapp_business_account',
      entry: [
        {
          id: scene.firm.wabaId,
          changes: [
            {
              field: 'messages',
              value: {
                messaging_product: 'whatsapp',
                metadata: {
                  display_phone_number: digits(scene.firm.number),
                  phone_number_id: scene.firm.phoneNumberId,
                },
                contacts: [
                  { profile: {}, wa_id: digits(passenger.number), user_id: accepted.userId },
                ],
                statuses: [
                  {
                    id: accepted.wamid,
                    status: 'read',
                    timestamp: seconds,
                    recipient_id: digits(passenger.number),
                    recipient_user_id: accepted.userId,
                    recipient_type: 'individual',
                  },
                ],
              },
            },
          ],
        },
      ],
    });
  });

  test('the person’s answer arrives as a webhook in the known shape, signed over its bytes', async () => {
    const text = `Danke, ich bin unterwegs. 🧳 Grüße von ${system.library}`;
    const { clientId } = await passenger.account.send({
      to: { conversationId: update.conversationId },
      body: { type: 'text', text },
      inReplyTo: update.messageId,
    });
    answer = clientId;
    const record = await waitForText(scene.sink, text);
    answerWamid = messageOf(record)!.id;
    expect(record.body).toEqual({
      object: 'whatsapp_business_account',
      entry: [
        {
          id: scene.firm.wabaId,
          changes: [
            {
              field: 'messages',
              value: {
                messaging_product: 'whatsapp',
                metadata: {
                  display_phone_number: digits(scene.firm.number),
                  phone_number_id: scene.firm.phoneNumberId,
                },
                contacts: [
                  { profile: {}, wa_id: digits(passenger.number), user_id: accepted.userId },
                ],
                messages: [
                  {
                    from: digits(passenger.number),
                    from_user_id: accepted.userId,
                    id: expect.stringMatching(/^wamid\./),
                    timestamp: seconds,
                    type: 'text',
                    text: { body: text },
                    context: { from: digits(scene.firm.number), id: accepted.wamid },
                  },
                ],
              },
            },
          ],
        },
      ],
    });
    const mac = createHmac('sha256', scene.firm.appSecret).update(record.bytes).digest('hex');
    const signatureHeader = record.headers['x-hub-signature-256'] as string;
    expect(signatureHeader).toBe(`sha256=${mac}`);
    const { appSecret } = scene.firm;
    expect(verifySignature({ appSecret, rawBody: record.bytes, signatureHeader })).toBe(true);
    const changed = Buffer.from(record.bytes);
    changed[changed.length - 3]! ^= 1;
    expect(verifySignature({ appSecret, rawBody: changed, signatureHeader })).toBe(false);
  });

  test('whatsapp-api-js takes these webhooks as they came', async () => {
    const heard: unknown[] = [];
    const api = apiJsClient(scene.firm);
    api.on.message = ({ message }) => void heard.push(message.id);
    api.on.status = ({ status, id }) => void heard.push(`${status} ${id}`);
    const ids = new Set([accepted.wamid, answerWamid]);
    const mine = scene.sink.received.filter((record) =>
      ids.has((messageOf(record) ?? statusOf(record))?.id ?? ''),
    );
    for (const { body, bytes, headers } of mine) {
      await api.post(body as never, bytes.toString(), headers['x-hub-signature-256'] as string);
    }
    const told = ['sent', 'delivered', 'read'].map((status) => `${status} ${accepted.wamid}`);
    expect(heard).toEqual([...told, answerWamid]);
  });

  test('the client marks the answer as read, and the person sees that', async () => {
    await passenger.waitForStatus(answer, 'delivered');
    const reached = () =>
      passenger.statuses.filter((one) => one.clientId === answer).map(({ status }) => status);
    expect(reached()).not.toContain('read');
    await system.markRead(answerWamid);
    await passenger.waitForStatus(answer, 'read');
    expect(reached()).toEqual(['sent', 'delivered', 'read']);
  });

  test('in the open window a free text reaches the person', async () => {
    const text = `Gern. Wir warten auf Sie. (${system.library})`;
    const { wamid } = await system.sendText(passenger.number, text);
    const shown = await passenger.waitFor(shows(text));
    expect(shown.sender).toEqual(update.sender);
    await waitForStatus(scene.sink, wamid, 'delivered');
  });

  test('a picture by media id and one by link are opened as the very bytes that were given', async () => {
    await using pictures = await pictureServer();
    for (const given of [{ bytes: picture(1) }, { link: pictures.url }]) {
      const caption = 'bytes' in given ? 'Ihr Gate' : 'Der Weg dorthin';
      const { wamid } = await system.sendPicture({ to: passenger.number, caption, ...given });
      const message = await passenger.waitFor(
        ({ content: { body } }) => body.type === 'attachment' && body.caption === caption,
      );
      const attachment = message.content.body as Attachment;
      expect(attachment).toMatchObject({ media: 'image', contentType: 'image/png' });
      const opened = await fetchAttachment(
        { connection: passenger.relay, provider: await nodeProvider() },
        attachment,
      );
      const expected = 'bytes' in given ? given.bytes : pictures.bytes;
      if (opened.outcome !== 'attachment') throw new Error(opened.outcome);
      expect(Buffer.from(opened.bytes).equals(Buffer.from(expected))).toBe(true);
      await waitForStatus(scene.sink, wamid, 'delivered');
    }
    expect(pictures.requests()).toBe(1);
  });

  test('nothing was shown twice and nothing else was told', async () => {
    await passenger.account.settled();
    expect(passenger.received.map(shownText).filter((text) => text === words)).toHaveLength(1);
    expect(passenger.received).toHaveLength(4);
    expect(scene.sink.received.every(({ signed }) => signed)).toBe(true);
    const told = statusesOf(scene.sink, accepted.wamid).map(({ status }) => status);
    expect(told).toEqual(['sent', 'delivered', 'read']);
  });
});

/** A PNG in its first octets, then as many more as need several sealed records. */
function picture(seed: number): Uint8Array<ArrayBuffer> {
  const random = seededRandom(seed);
  const bytes = new Uint8Array(150_000).map(() => Math.floor(random() * 256));
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return bytes;
}

async function pictureServer() {
  const bytes = picture(2);
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    response.writeHead(200, { 'content-type': 'image/png' }).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/weg.png`,
    bytes,
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
