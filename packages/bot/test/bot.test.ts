// The bot runtime over real HTTP: who gets in, what is answered once, in which order, and how it
// ends.
import { afterEach, describe, expect, test } from 'vitest';
import {
  type Bot,
  type BotEvent,
  type BotHandlers,
  type BotLimits,
  createBot,
  signatureOf,
} from '../src/index.ts';
import { type Stub, startCloudApiStub } from './cloud-api-stub.ts';

const appSecret = 'an app secret';
const verifyToken = 'a verify token';
const phoneNumberId = '100000000000001';
const person = '4917139200001';

type Setup = { bot: Bot; stub: Stub; events: BotEvent[]; clock: { now: number } };
const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

async function setUp(handlers: BotHandlers, limits: Partial<BotLimits> = {}): Promise<Setup> {
  const stub = await startCloudApiStub();
  const events: BotEvent[] = [];
  const clock = { now: Date.UTC(2026, 10, 22) };
  const bot = await createBot({
    cloudApi: stub.url,
    accessToken: 'a token',
    phoneNumberId,
    appSecret,
    verifyToken,
    port: 0,
    handlers,
    now: () => clock.now,
    onEvent: (event) => events.push(event),
    limits: { stopMs: 500, ...limits },
  });
  open.push(stub, bot);
  return { bot, stub, events, clock };
}

const text = (id: string, body: string, from = person) => ({
  from,
  from_user_id: `DE.${from}`,
  id,
  timestamp: '1795305600',
  type: 'text',
  text: { body },
});

const webhook = (messages: unknown[], number = phoneNumberId) => ({
  object: 'whatsapp_business_account',
  entry: [
    {
      id: '2',
      changes: [
        {
          field: 'messages',
          value: {
            messaging_product: 'whatsapp',
            metadata: { display_phone_number: '49', phone_number_id: number },
            contacts: [{ profile: { name: 'Alice' }, wa_id: person, user_id: `DE.${person}` }],
            messages,
          },
        },
      ],
    },
  ],
});

/** Posts as Meta does: non-ASCII escaped, signed over exactly these bytes. */
async function post(bot: Bot, body: unknown, options: { signature?: string; raw?: string } = {}) {
  const raw =
    options.raw ??
    JSON.stringify(body).replace(/[\u0080-\uffff]/g, (one) => {
      return `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
  const signature = options.signature ?? signatureOf(Buffer.from(raw), appSecret);
  return fetch(bot.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': signature },
    body: raw,
  });
}

function gate() {
  const opened: (() => void)[] = [];
  const held = new Promise<void>((resolve) => opened.push(resolve));
  return { held, release: () => opened[0]?.() };
}

const said = (stub: Stub): unknown[] => stub.sent.map(({ body }) => body['text']);

const echo: BotHandlers = {
  async message(message, reply) {
    await reply.text(`you said ${message.text}`);
  },
};

describe('the door', () => {
  test('the handshake answers the challenge to whoever knows the verify token', async () => {
    const { bot } = await setUp(echo);
    const ask = (token: string, mode = 'subscribe') =>
      fetch(`${bot.url}?hub.mode=${mode}&hub.verify_token=${token}&hub.challenge=<b>1158201444`);
    const right = await ask(encodeURIComponent(verifyToken));
    expect(right.status).toBe(200);
    expect(await right.text()).toBe('<b>1158201444');
    expect(right.headers.get('content-type')).toContain('text/plain');
    expect(right.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await ask('wrong')).status).toBe(403);
    expect((await ask(encodeURIComponent(verifyToken), 'unsubscribe')).status).toBe(403);
    expect((await ask('')).status).toBe(403);
  });

  test('a signature over the escaped bytes is right, over re-written ones it is not', async () => {
    const { bot, stub, events } = await setUp(echo);
    expect((await post(bot, webhook([text('wamid.1', 'Grüße @ä')]))).status).toBe(200);
    await stub.reached(1);
    expect(stub.sent[0]?.body['text']).toEqual({ body: 'you said Grüße @ä' });
    const rewritten = signatureOf(
      Buffer.from(JSON.stringify(webhook([text('2', 'ü')]))),
      appSecret,
    );
    const refused = await post(bot, webhook([text('2', 'ü')]), { signature: rewritten });
    expect(refused.status).toBe(401);
    expect(events).toContainEqual({ event: 'refused', why: 'signature' });
  });

  test('missing, foreign and cut signatures are refused alike and nothing is handled', async () => {
    const { bot, stub } = await setUp(echo);
    const body = webhook([text('wamid.1', 'hello')]);
    const right = signatureOf(Buffer.from(JSON.stringify(body)), appSecret);
    const foreign = signatureOf(Buffer.from(JSON.stringify(body)), 'another secret');
    for (const signature of [foreign, right.slice(0, -1), right.slice(7), '', 'sha256=']) {
      expect((await post(bot, body, { signature })).status).toBe(401);
    }
    expect((await fetch(bot.url, { method: 'POST', body: JSON.stringify(body) })).status).toBe(401);
    expect(stub.sent).toHaveLength(0);
  });

  test('what is signed but not JSON is malformed; what is too large is not read', async () => {
    const { bot } = await setUp(echo);
    expect((await post(bot, undefined, { raw: '{"object":' })).status).toBe(400);
    const large = await post(bot, undefined, { raw: 'x'.repeat(3 * 1024 * 1024 + 1) }).catch(
      () => 'cut' as const,
    );
    expect(large === 'cut' ? 413 : large.status).toBe(413);
  });

  test('other paths and methods are refused', async () => {
    const { bot } = await setUp(echo);
    expect((await fetch(new URL('/other', bot.url))).status).toBe(404);
    expect((await fetch(bot.url, { method: 'DELETE' })).status).toBe(405);
  });
});

describe('answering', () => {
  test('replies carry token, number and the mark of a machine', async () => {
    const { bot, stub } = await setUp(echo);
    await post(bot, webhook([text('wamid.1', 'hello')]));
    await stub.reached(1);
    const [sent] = stub.sent;
    expect(sent?.path).toBe(`/v25.0/${phoneNumberId}/messages`);
    expect(sent?.headers.authorization).toBe('Bearer a token');
    expect(sent?.headers['x-siegel-automated']).toBe('true');
    expect(sent?.body).toEqual({
      messaging_product: 'whatsapp',
      recipient_type: 'individual',
      to: person,
      type: 'text',
      text: { body: 'you said hello' },
    });
  });

  test('the reply helpers write what the Cloud API takes', async () => {
    const { bot, stub } = await setUp({
      async message(_message, reply) {
        await reply.markRead();
        await reply.typing();
        await reply.text('quoted', { quote: true });
        await reply.template({ name: 'flight_update', language: 'de' });
        await reply.buttons({ body: 'b', footer: 'f', buttons: [{ id: '1', title: 'one' }] });
        await reply.list({
          body: 'b',
          button: 'open',
          sections: [{ rows: [{ id: '1', title: 'r' }] }],
        });
      },
    });
    await post(bot, webhook([text('wamid.1', 'hello')]));
    await stub.reached(6);
    const bodies = stub.sent.map(({ body }) => body);
    expect(bodies[0]).toMatchObject({ status: 'read', message_id: 'wamid.1' });
    expect(bodies[1]).toMatchObject({ status: 'read', typing_indicator: { type: 'text' } });
    expect(bodies[2]).toMatchObject({ context: { message_id: 'wamid.1' }, type: 'text' });
    expect(bodies[3]).toMatchObject({
      type: 'template',
      template: { name: 'flight_update', language: { code: 'de' }, components: [] },
    });
    expect(bodies[4]).toMatchObject({
      type: 'interactive',
      interactive: {
        type: 'button',
        body: { text: 'b' },
        footer: { text: 'f' },
        action: { buttons: [{ type: 'reply', reply: { id: '1', title: 'one' } }] },
      },
    });
    expect(bodies[5]).toMatchObject({
      interactive: {
        type: 'list',
        action: { button: 'open', sections: [{ rows: [{ id: '1' }] }] },
      },
    });
  });

  test('a person known by user id only is addressed by it', async () => {
    const { bot, stub } = await setUp(echo);
    const { from, ...withoutNumber } = text('wamid.1', 'hello');
    const body = webhook([withoutNumber]);
    for (const { changes } of body.entry) for (const { value } of changes) value.contacts = [];
    await post(bot, body);
    await stub.reached(1);
    expect(stub.sent[0]?.body).toMatchObject({ recipient: `DE.${from}` });
    expect(stub.sent[0]?.body).not.toHaveProperty('to');
  });

  test('a webhook delivered twice is answered once', async () => {
    const { bot, stub, events } = await setUp(echo);
    const body = webhook([text('wamid.1', 'hello'), text('wamid.1', 'hello')]);
    expect((await post(bot, body)).status).toBe(200);
    expect((await post(bot, body)).status).toBe(200);
    await post(bot, webhook([text('wamid.2', 'again')]));
    await stub.reached(2);
    expect(stub.sent.map(({ body }) => body['text'])).toEqual([
      { body: 'you said hello' },
      { body: 'you said again' },
    ]);
    expect(events.filter(({ event }) => event === 'duplicate')).toHaveLength(3);
  });

  test('messages for another number of the firm are left to its own bot', async () => {
    const { bot, stub } = await setUp(echo);
    expect((await post(bot, webhook([text('wamid.1', 'hello')], '42'))).status).toBe(200);
    await post(bot, webhook([text('wamid.2', 'mine')]));
    await stub.reached(1);
    expect(stub.sent[0]?.body['text']).toEqual({ body: 'you said mine' });
  });

  test('one person is answered in order while others go on', async () => {
    const order: string[] = [];
    const { held, release } = gate();
    const { bot, stub } = await setUp({
      async message(message, reply) {
        if (message.text === 'slow') await held;
        order.push(message.text);
        await reply.text(message.text);
      },
    });
    const body = webhook([
      text('wamid.1', 'slow'),
      text('wamid.2', 'after slow'),
      text('wamid.3', 'other', '4917139200002'),
    ]);
    await post(bot, body);
    await stub.reached(1);
    expect(order).toEqual(['other']);
    release();
    await stub.reached(3);
    expect(order).toEqual(['other', 'slow', 'after slow']);
  });

  test('200 comes before the answer; a full queue asks the sender to come again', async () => {
    const { held, release } = gate();
    const { bot, stub, events } = await setUp(
      {
        async message(message, reply) {
          await held;
          await reply.text(message.text);
        },
      },
      { waitingPerPersonMax: 2 },
    );
    expect((await post(bot, webhook([text('wamid.1', '1')]))).status).toBe(200);
    expect((await post(bot, webhook([text('wamid.2', '2'), text('wamid.3', '3')]))).status).toBe(
      200,
    );
    expect((await post(bot, webhook([text('wamid.4', '4')]))).status).toBe(503);
    expect(events).toContainEqual({ event: 'refused', why: 'busy' });
    release();
    await stub.reached(3);
    // Refused means forgotten: the same message is taken when it comes again.
    expect((await post(bot, webhook([text('wamid.4', '4')]))).status).toBe(200);
    await stub.reached(4);
    expect(stub.sent.map(({ body }) => body['text'])).toEqual(
      ['1', '2', '3', '4'].map((body) => ({ body })),
    );
  });

  test('a handler that fails or hangs is reported without its words; others go on', async () => {
    const { bot, stub, events } = await setUp(
      {
        async message(message, reply) {
          if (message.text === 'hang') await new Promise(() => {});
          if (message.text === 'fail') throw new TypeError('secret words');
          await reply.text('fine');
        },
      },
      { handlerMs: 200 },
    );
    await post(bot, webhook([text('1', 'hang'), text('2', 'fail'), text('3', 'go')]));
    await stub.reached(1);
    expect(events.filter(({ event }) => event === 'failed')).toEqual([
      { event: 'failed', why: 'Error' },
      { event: 'failed', why: 'TypeError' },
    ]);
  });

  test('a busy Cloud API is asked again, a refusal is not', async () => {
    const { bot, stub, events } = await setUp(echo);
    stub.answers.push({ status: 429, code: 130429 }, { status: 503 }, { status: 200 });
    stub.answers.push({ status: 400, code: 131047 });
    await post(bot, webhook([text('1', 'hello')]));
    await stub.reached(3);
    await post(bot, webhook([text('2', 'late')]));
    await expect
      .poll(() => events)
      .toContainEqual({ event: 'failed', why: 'the Cloud API answered 400, code 131047' });
    expect(stub.sent).toHaveLength(4);
  });
});

describe('handing over', () => {
  const handlers: BotHandlers = {
    async message(message, reply) {
      if (message.text === 'person') await reply.handOver({ say: 'a person comes', minutes: 60 });
      else await reply.text(`bot: ${message.text}`);
    },
    resumes: (message) => message.text === 'bot',
  };

  test('the bot says so and is quiet for this person only', async () => {
    const { bot, stub, events } = await setUp(handlers);
    await post(bot, webhook([text('1', 'person')]));
    await stub.reached(1);
    await post(bot, webhook([text('2', 'hello?')]));
    await post(bot, webhook([text('3', 'hello', '4917139200002')]));
    await stub.reached(2);
    await expect.poll(() => events).toContainEqual({ event: 'quiet' });
    expect(said(stub)).toEqual([{ body: 'a person comes' }, { body: 'bot: hello' }]);
    expect(bot.handedOver()).toHaveLength(1);
  });

  test('the person, an operator, or time wakes it', async () => {
    const { bot, stub, clock } = await setUp(handlers);
    await post(bot, webhook([text('1', 'person')]));
    await stub.reached(1);
    await post(bot, webhook([text('2', 'bot')]));
    await stub.reached(2);
    await post(bot, webhook([text('3', 'person')]));
    await stub.reached(3);
    expect(bot.resume(`DE.${person}`)).toBe(true);
    expect(bot.resume(`DE.${person}`)).toBe(false);
    await post(bot, webhook([text('4', 'operator')]));
    await stub.reached(4);
    await post(bot, webhook([text('5', 'person')]));
    await stub.reached(5);
    clock.now += 60 * 60_000;
    await post(bot, webhook([text('6', 'an hour later')]));
    await stub.reached(6);
    expect([1, 3, 5].map((index) => said(stub)[index])).toEqual(
      ['bot: bot', 'bot: operator', 'bot: an hour later'].map((body) => ({ body })),
    );
  });
});

test('stopping finishes what was taken and then refuses', async () => {
  const { bot, stub } = await setUp(echo);
  const { held, release } = gate();
  stub.hold = held;
  await post(bot, webhook([text('1', 'one'), text('2', 'two')]));
  await stub.reached(1);
  const stopped = bot.stop();
  release();
  await stopped;
  expect(stub.sent).toHaveLength(2);
  await expect(fetch(bot.url)).rejects.toThrow();
});

test('stopping cuts what does not end in time', async () => {
  const { bot } = await setUp({ message: () => new Promise(() => {}) }, { stopMs: 100 });
  await post(bot, webhook([text('1', 'hang')]));
  await bot.stop();
});
