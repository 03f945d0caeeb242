// Numbers, accounts, templates and subscriptions through the HTTP side, and that no token sees more than its scope.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enterTokens } from '../src/tokens.ts';
import {
  gatewayDatabase,
  numbers,
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
const templates = Array.from({ length: 5 }, (_, index) =>
  templateEntry({
    name: `vorlage_${index}`,
    components: {
      header: { type: 'text', text: 'Kopf {{1}}', parameters: [textParameter('1')] },
      body: { text: 'Hallo {{1}}', parameters: [textParameter('1')] },
      footer: { text: 'Fuß' },
      buttons: [{ type: 'quick-reply', text: 'Danke' }],
    },
  }),
);

beforeAll(async () => {
  database = await gatewayDatabase();
  gateway = await startTestGateway({ database: database.database, templates });
});
afterAll(async () => {
  await gateway.close();
  await database.drop();
});

const gone = { code: 100, error_subcode: 33 };

describe('nodes', () => {
  test('a number', async () => {
    const answer = await gateway.call('GET', `/v17.0/${numbers.airline.id}`);
    expect(answer.json).toMatchObject({
      id: numbers.airline.id,
      display_phone_number: '+4930123456',
      verified_name: 'Nordwind Air',
    });
    expect(answer.json.status).toBeUndefined();
    const chosen = await gateway.call(
      'GET',
      `/${numbers.airline.id}?fields=status,verified_name,x{a,b}`,
    );
    expect(chosen.json).toEqual({
      id: numbers.airline.id,
      status: 'CONNECTED',
      verified_name: 'Nordwind Air',
    });
  });

  test('the numbers of a WABA, in pages whose links need no header', async () => {
    const answer = await gateway.call('GET', `/v13.0/${wabaId}/phone_numbers?limit=1`);
    expect(answer.json.data.map(({ id }: { id: string }) => id)).toEqual([numbers.airline.id]);
    const next = new URL(answer.json.paging.next);
    expect(next.pathname).toBe(`/v13.0/${wabaId}/phone_numbers`);
    expect(next.search).not.toContain(token);
    const second = (await (await fetch(next)).json()) as any;
    expect(second.data.map(({ id }: { id: string }) => id)).toEqual([numbers.second.id]);
    expect(second.paging.next).toBeUndefined();
    const back = (await (await fetch(second.paging.previous)).json()) as any;
    expect(back.data).toEqual(answer.json.data);
  });

  test('a paging link is good for its path and one hour', async () => {
    const answer = await gateway.call('GET', `/${wabaId}/phone_numbers?limit=1`);
    const next = new URL(answer.json.paging.next);
    const paging = next.searchParams.get('access_token')!;
    const elsewhere = `/${wabaId}/message_templates?access_token=${paging}`;
    expect((await gateway.call('GET', elsewhere, undefined, {})).status).toBe(401);
    const forged = `/${wabaId}/phone_numbers?access_token=${paging.slice(0, -2)}xx`;
    expect((await gateway.call('GET', forged, undefined, {})).status).toBe(401);
    gateway.advance(60 * 60 * 1000);
    expect((await fetch(next)).status).toBe(401);
  });

  test.each(['limit=0', 'limit=x', 'after=%%%', 'after=abc'])(
    'a page of nonsense: %s',
    async (query) => {
      const answer = await gateway.call('GET', `/${wabaId}/phone_numbers?${query}`);
      expect(answer.json.error.code).toBe(100);
    },
  );

  test('what is not there', async () => {
    for (const path of [
      '/123456',
      '/123456/phone_numbers',
      '/123456/message_templates',
      '/123456/subscribed_apps',
    ]) {
      expect((await gateway.call('GET', path)).json.error).toMatchObject(gone);
    }
  });
});

describe('templates', () => {
  test('the list has parameter_format in every item, filters and pages', async () => {
    const answer = await gateway.call(
      'GET',
      `/v14.0/${wabaId}/message_templates?access_token=${token}&limit=3`,
      undefined,
      {},
    );
    expect(answer.json.data).toHaveLength(3);
    expect(answer.json.data[0]).toEqual({
      id: '594425479261596',
      name: 'vorlage_0',
      language: 'de',
      status: 'APPROVED',
      category: 'UTILITY',
      parameter_format: 'POSITIONAL',
      rejected_reason: 'NONE',
      quality_score: { score: 'UNKNOWN' },
      components: [
        { type: 'HEADER', format: 'TEXT', text: 'Kopf {{1}}', example: { header_text: ['x'] } },
        { type: 'BODY', text: 'Hallo {{1}}', example: { body_text: [['x']] } },
        { type: 'FOOTER', text: 'Fuß' },
        { type: 'BUTTONS', buttons: [{ type: 'QUICK_REPLY', text: 'Danke' }] },
      ],
    });
    const named = await gateway.call(
      'GET',
      `/${wabaId}/message_templates?name=vorlage_3&status=["APPROVED","PENDING"]`,
    );
    expect(named.json.data.map(({ name }: { name: string }) => name)).toEqual(['vorlage_3']);
    const none = await gateway.call('GET', `/${wabaId}/message_templates?status=REJECTED`);
    expect(none.json).toEqual({ data: [] });
  });

  test('a new one is submitted as the public object, and can be read back', async () => {
    const answer = await gateway.call('POST', `/v25.0/${wabaId}/message_templates`, {
      name: 'buchung',
      language: 'de',
      category: 'UTILITY',
      parameter_format: 'NAMED',
      components: [
        { type: 'HEADER', format: 'IMAGE', example: { header_handle: ['4::x'] } },
        {
          type: 'BODY',
          text: 'Hallo {{name}}, Flug {{flug}}.',
          example: {
            body_text_named_params: [
              { param_name: 'name', example: 'Ada' },
              { param_name: 'flug', example: 'NW 1' },
            ],
          },
        },
        {
          type: 'BUTTONS',
          buttons: [
            {
              type: 'URL',
              text: 'Ansehen',
              url: 'https://example.org/{{1}}',
              example: ['https://example.org/1'],
            },
          ],
        },
      ],
    });
    expect(answer.json).toEqual({ id: expect.any(String), status: 'PENDING', category: 'UTILITY' });
    const entry = templates.at(-1)!;
    expect(entry.object).toMatchObject({
      name: 'buchung',
      parameterFormat: 'named',
      wabaId,
      components: {
        header: { type: 'image' },
        body: {
          parameters: [
            { name: 'name', example: 'Ada' },
            { name: 'flug', example: 'NW 1' },
          ],
        },
      },
    });
    const back = await gateway.call('GET', `/${answer.json.id}`);
    expect(back.json).toMatchObject({
      name: 'buchung',
      parameter_format: 'NAMED',
      status: 'PENDING',
    });
  });

  test('an authentication template gets the wording of its language', async () => {
    await gateway.call('POST', `/${wabaId}/message_templates`, {
      name: 'code',
      language: 'de',
      category: 'AUTHENTICATION',
      components: [
        { type: 'BODY', add_security_recommendation: true },
        { type: 'FOOTER', code_expiration_minutes: 10 },
        { type: 'BUTTONS', buttons: [{ type: 'OTP', otp_type: 'COPY_CODE', text: 'Kopieren' }] },
      ],
    });
    expect(templates.at(-1)!.object.components).toMatchObject({
      body: { text: expect.stringContaining('{{1}}'), parameters: [{ name: '1' }] },
      footer: { text: expect.stringContaining('10') },
      buttons: [{ type: 'copy-code' }],
    });
  });

  const base = { name: 'x', language: 'de', category: 'UTILITY' };
  const body = (text: string) => ({ ...base, components: [{ type: 'BODY', text }] });
  test.each<[string, object]>([
    ['no name', { ...body('x'), name: undefined }],
    ['a name in capitals', { ...body('x'), name: 'Buchung' }],
    ['no language', { ...body('x'), language: undefined }],
    ['an unknown category', { ...body('x'), category: 'SPAM' }],
    ['no body', { ...base, components: [{ type: 'FOOTER', text: 'x' }] }],
    [
      'two bodies',
      {
        ...base,
        components: [
          { type: 'BODY', text: 'x' },
          { type: 'BODY', text: 'y' },
        ],
      },
    ],
    ['gaps in the numbers', body('{{1}} und {{3}}')],
    ['a name among numbers', body('{{1}} und {{name}}')],
    ['too long a body', body('x'.repeat(1025))],
    [
      'a url without https',
      {
        ...base,
        components: [
          { type: 'BODY', text: 'x' },
          { type: 'BUTTONS', buttons: [{ type: 'URL', text: 'a', url: 'http://x' }] },
        ],
      },
    ],
  ])('%s is refused with 100', async (_name, template) => {
    const answer = await gateway.call('POST', `/${wabaId}/message_templates`, template);
    expect(answer.status).toBe(400);
    expect(answer.json.error.code).toBe(100);
    expect(answer.json.error.error_data.details).toMatch(/\.$/);
  });
});

describe('subscriptions', () => {
  const path = `/v25.0/${wabaId}/subscribed_apps`;
  const events = async () =>
    (
      await database.database.query<{ n: number }>(
        'SELECT COUNT(*)::bigint AS n FROM webhook_events',
      )
    ).rows[0]!.n;

  test('an address is taken only after its owner answered the challenge', async () => {
    const sink = await startSink();
    const refused = await gateway.call('POST', path, {
      override_callback_uri: sink.url,
      verify_token: 'wrong',
    });
    expect(refused.json.error.error_data.details).toContain('403');
    const away = await gateway.call('POST', path, {
      override_callback_uri: 'http://10.0.0.1/',
      verify_token: 'x',
    });
    expect(away.json.error.error_data.details).toContain('address-refused');
    expect(
      (await gateway.call('POST', path, { override_callback_uri: sink.url })).json.error.code,
    ).toBe(100);
    const taken = await gateway.call('POST', path, {
      override_callback_uri: sink.url,
      verify_token: verifyToken,
    });
    expect(taken.json).toEqual({ success: true });
    expect((await gateway.call('GET', path)).json).toEqual({
      data: [
        {
          whatsapp_business_api_data: { id: '670843887433847', name: 'Test', link: '' },
          override_callback_uri: sink.url,
        },
      ],
    });
    await gateway.account.receive({ body: { type: 'text', text: 'Hallo' } });
    await until('the event', () => sink.received.length === 1);
    // As a form, and without a body: subscribes and clears.
    const form = await gateway.call(
      'POST',
      path,
      `override_callback_uri=${encodeURIComponent(sink.url)}&verify_token=${encodeURIComponent(verifyToken)}`,
      {
        authorization: `Bearer ${token}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
    );
    expect(form.json).toEqual({ success: true });
    expect((await gateway.call('POST', path)).json).toEqual({ success: true });
    expect((await gateway.call('GET', path)).json.data[0].override_callback_uri).toBeUndefined();
    await sink.close();
  });

  test('an unsubscribed WABA gets no events', async () => {
    expect((await gateway.call('DELETE', path)).json).toEqual({ success: true });
    expect((await gateway.call('GET', path)).json).toEqual({ data: [] });
    const before = await events();
    await gateway.account.receive({ body: { type: 'text', text: 'Hallo' } });
    expect(await events()).toBe(before);
    await gateway.call('POST', path);
    expect((await gateway.call('GET', path)).json.data).toHaveLength(1);
  });
});

describe('scopes', () => {
  const routes: [method: string, path: string, permission: string | undefined][] = [
    ['POST', `/${numbers.airline.id}/messages`, 'whatsapp_business_messaging'],
    ['POST', `/${numbers.airline.id}/media`, 'whatsapp_business_messaging'],
    ['DELETE', '/1000000000000001', 'whatsapp_business_messaging'],
    ['GET', `/${wabaId}/phone_numbers`, 'whatsapp_business_management'],
    ['GET', `/${wabaId}/message_templates`, 'whatsapp_business_management'],
    ['GET', `/${wabaId}/message_templates/594425479261596`, 'whatsapp_business_management'],
    ['POST', `/${wabaId}/message_templates`, 'whatsapp_business_management'],
    ['GET', `/${wabaId}/subscribed_apps`, 'whatsapp_business_management'],
    ['POST', `/${wabaId}/subscribed_apps`, 'whatsapp_business_management'],
    ['DELETE', `/${wabaId}/subscribed_apps`, 'whatsapp_business_management'],
    ['GET', `/${numbers.airline.id}`, undefined],
  ];
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` });
  const all = ['whatsapp_business_messaging', 'whatsapp_business_management'];

  test.each(routes)('%s %s', async (method, path, permission) => {
    const body = method === 'POST' ? {} : undefined;
    expect((await gateway.call(method, path, body, {})).status).toBe(401);
    expect((await gateway.call(method, path, body, bearer('x'.repeat(30)))).status).toBe(401);
    for (const other of all.filter((one) => one !== permission)) {
      const label = `scoped-${other}-${'x'.repeat(10)}`;
      await enterTokens(database.database, [{ token: label, permissions: [other] }], 1);
      const answer = await gateway.call(method, path, body, bearer(label));
      if (permission === undefined) expect(answer.status).toBe(200);
      else expect(answer.json.error.code).toBe(10);
    }
    await enterTokens(
      database.database,
      [{ token: 'a-token-of-another-number', phoneNumberIds: ['999'] }],
      1,
    );
    const foreign = await gateway.call(method, path, body, bearer('a-token-of-another-number'));
    expect(foreign.json.error).toMatchObject(gone);
  });
});

describe('operations', () => {
  test('health, readiness and metrics need no token and tell nothing', async () => {
    expect((await gateway.call('GET', '/health', undefined, {})).json).toEqual({ status: 'ok' });
    expect((await gateway.call('GET', '/ready', undefined, {})).status).toBe(200);
    gateway.state.mayWrite = false;
    expect((await gateway.call('GET', '/ready', undefined, {})).status).toBe(503);
    gateway.state.mayWrite = true;
    const metrics = (await gateway.call('GET', '/metrics', undefined, {})).text;
    expect(metrics).toContain('siegel_gateway_requests_total');
    for (const secret of [token, '4930123456', numbers.airline.id])
      expect(metrics).not.toContain(secret);
  });
});
