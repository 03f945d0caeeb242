// Templates from submission to decision (T1–T4).

import { createHash } from 'node:crypto';
import {
  createAccountKey,
  type SigningKey,
  signStatement,
  signTemplate,
  verifyTemplateApproval,
} from '@siegel/crypto';
import {
  canonicalTemplate,
  decideTemplate,
  getOperator,
  getTemplate,
  listPendingTemplates,
  listTemplates,
  statementTypes,
  submitTemplate,
  type TemplateObject,
} from '@siegel/protocol/relay';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolBusiness, registerPerson, type TestBusiness, unchecked } from './person.ts';
import { type RelayTest, startTestRelay } from './relay-world.ts';

let town: RelayTest;
let bakery: TestBusiness;
beforeAll(async () => {
  town = await startTestRelay();
  bakery = await enrolBusiness(town);
});
afterAll(() => town.close());

let names = 0;

const parameter = (name: string) => ({
  ...{ name, type: 'text' as const, charsMax: 20, example: 'Brot' },
});

function templateOf(changes: Partial<TemplateObject> = {}): TemplateObject {
  names += 1;
  return {
    ...{ v: 1, business: bakery.accountId, wabaId: bakery.wabaId, name: `order_${names}` },
    ...{ language: 'de', category: 'utility', parameterFormat: 'positional' },
    components: {
      body: { text: 'Ihre Bestellung {{1}} liegt für Sie bereit.', parameters: [parameter('1')] },
      buttons: [],
    },
    ...changes,
  };
}

const sign = (template: TemplateObject, key: SigningKey = bakery.key) =>
  signTemplate(new TextEncoder().encode(canonicalTemplate(template)), key);

const submit = async (template: TemplateObject, token = bakery.token) =>
  town.call(submitTemplate, { signed: await sign(template) }, token);

async function submitted(template = templateOf()) {
  const answer = await submit(template);
  if (answer.outcome !== 'submitted') throw new Error(JSON.stringify(answer));
  return answer.template;
}

const decide = (
  templateId: Awaited<ReturnType<typeof submitted>>['templateId'],
  decision: 'approve' | 'reject' | 'pause' | 'resume' | 'disable',
) => town.call(decideTemplate, { templateId, decision }, town.operatorToken);

describe('templates', () => {
  it('T1 a template needs the business key’s signature over its canonical form', async () => {
    const template = templateOf();
    const foreign = await sign(template, await createAccountKey());
    const refused = await town.call(submitTemplate, { signed: foreign }, bakery.token);
    expect(refused).toMatchObject({ outcome: 'template-invalid', reason: 'wrong-key' });
    // The same object, its members in another order.
    const spelt = Object.fromEntries(Object.entries(template).toReversed());
    const other = await signStatement(unchecked(statementTypes.template), spelt, bakery.key);
    const again = await town.call(submitTemplate, { signed: other }, bakery.token);
    expect(again).toMatchObject({ outcome: 'template-invalid', reason: 'malformed' });
    const record = await submitted(template);
    const hash = createHash('sha256').update(canonicalTemplate(template)).digest('base64url');
    expect(record).toMatchObject({ version: 1, status: 'pending', hash });
  });

  it('T1 only a business submits, for itself and its own WABA', async () => {
    const bank = await enrolBusiness(town);
    const alice = await registerPerson(town);
    expect((await submit(templateOf(), alice.token)).outcome).toBe('forbidden');
    expect(await submit(templateOf({ business: bank.accountId }))).toMatchObject({
      reason: 'wrong-business',
    });
    expect(await submit(templateOf({ wabaId: bank.wabaId }))).toMatchObject({
      reason: 'wrong-waba',
    });
  });

  it('T2 what no person need look at is refused with its reason', async () => {
    const answer = await submit(
      templateOf({
        components: {
          body: { text: '{{1}} liegt für Sie bereit.', parameters: [parameter('1')] },
          buttons: [],
        },
      }),
    );
    expect(answer).toMatchObject({ outcome: 'template-invalid', reason: 'parameter-at-edge' });
  });

  it('T3 a person decides, and the approval is the operator’s over id, version, hash, category', async () => {
    const record = await submitted();
    const { templateId } = record;
    const waiting = await town.call(listPendingTemplates, {}, town.operatorToken);
    expect(waiting.templates.find((one) => one.templateId === templateId)).toMatchObject({
      ...{ version: 1, category: 'utility', business: 'Bäckerei Sonnenschein GmbH' },
      body: 'Ihre Bestellung {{1}} liegt für Sie bereit.',
    });
    await expect(
      town.call(decideTemplate, { templateId, decision: 'approve' }, bakery.token),
    ).rejects.toThrow('401');
    expect(await decide(templateId, 'approve')).toEqual({ outcome: 'decided', status: 'approved' });
    const alice = await registerPerson(town);
    const fetched = await town.call(getTemplate, { templateId, hash: record.hash }, alice.token);
    if (fetched.outcome !== 'template') throw new Error(fetched.outcome);
    const { keys } = await town.call(getOperator, {});
    const approval = await verifyTemplateApproval(
      fetched.template.approval ?? '',
      keys.map(({ publicKey }) => publicKey),
    );
    expect(approval).toMatchObject({
      outcome: 'valid',
      statement: {
        ...{ template: templateId, version: 1, hash: record.hash, category: 'utility' },
      },
    });
  });

  it('T3 decisions follow one another only as they may', async () => {
    const { templateId } = await submitted();
    expect((await decide(templateId, 'pause')).outcome).toBe('not-possible');
    expect((await decide(templateId, 'approve')).outcome).toBe('decided');
    expect(await decide(templateId, 'approve')).toMatchObject({ outcome: 'not-possible' });
    expect(await decide(templateId, 'pause')).toEqual({ outcome: 'decided', status: 'paused' });
    expect(await decide(templateId, 'resume')).toEqual({ outcome: 'decided', status: 'approved' });
    expect(await decide(templateId, 'disable')).toEqual({ outcome: 'decided', status: 'disabled' });
    expect(await decide(templateId, 'resume')).toEqual({
      ...{ outcome: 'not-possible', status: 'disabled' },
    });
    const rejected = await submitted();
    const no = { templateId: rejected.templateId, decision: 'reject', reason: 'SPAM' } as const;
    await town.call(decideTemplate, no, town.operatorToken);
    const read = await town.call(getTemplate, { templateId: no.templateId }, bakery.token);
    expect(read).toMatchObject({ template: { status: 'rejected', reason: 'SPAM' } });
  });

  it('T3 what a submit is decided by stays as it is while a newer version waits', async () => {
    const template = templateOf();
    const { templateId } = await submitted(template);
    await decide(templateId, 'approve');
    await submitted({ ...template, category: 'marketing' });
    const stateOf = async () => {
      const { rows } = await town.test.database.query<{ status: string; category: string }>(
        'SELECT status, category FROM templates WHERE template_id = $1',
        [templateId],
      );
      return rows[0];
    };
    expect(await stateOf()).toEqual({ status: 'approved', category: 'utility' });
    await decide(templateId, 'reject');
    expect(await stateOf()).toEqual({ status: 'approved', category: 'utility' });
    const third = { ...template, parameterFormat: 'positional' as const };
    third.components = { ...template.components, footer: { text: 'Bis gleich' } };
    await submitted({ ...third, category: 'marketing' });
    await decide(templateId, 'approve');
    expect(await stateOf()).toEqual({ status: 'approved', category: 'marketing' });
  });

  it('T4 every version stays fetchable by its hash, under one id per name and language', async () => {
    const template = templateOf();
    const first = await submitted(template);
    expect(await submitted(template)).toEqual(first);
    const second = await submitted({
      ...template,
      components: { ...template.components, footer: { text: 'Ihre Bäckerei' } },
    });
    expect(second).toMatchObject({ templateId: first.templateId, version: 2 });
    expect(Number(first.templateId)).toBeLessThan(2 ** 53);
    expect(first.templateId).toMatch(/^\d{15}$/);
    const other = await submitted({ ...template, language: 'en' });
    expect(other.templateId).not.toBe(first.templateId);
    const { templateId } = first;
    for (const { hash, version } of [first, second]) {
      const read = await town.call(getTemplate, { templateId, hash }, bakery.token);
      expect(read).toMatchObject({ outcome: 'template', template: { version, hash } });
    }
    const newest = await town.call(getTemplate, { templateId }, bakery.token);
    expect(newest).toMatchObject({ template: { version: 2 } });
    // What nobody approved is nobody else's business.
    const alice = await registerPerson(town);
    const hidden = await town.call(getTemplate, { templateId }, alice.token);
    expect(hidden).toEqual({ outcome: 'not-found' });
  });

  it('T4 a business pages through its own templates', async () => {
    const bank = await enrolBusiness(town);
    const mine = { business: bank.accountId, wabaId: bank.wabaId };
    for (let round = 0; round < 5; round += 1) {
      const signed = await sign(templateOf(mine), bank.key);
      expect((await town.call(submitTemplate, { signed }, bank.token)).outcome).toBe('submitted');
    }
    const seen: string[] = [];
    let after: (typeof seen)[number] | undefined;
    for (let page = 0; page < 3; page += 1) {
      const request = { limit: 2, ...(after === undefined ? {} : { after }) } as { limit: number };
      const answer = await town.call(listTemplates, request, bank.token);
      if (answer.outcome !== 'page') throw new Error(answer.outcome);
      seen.push(...answer.templates.map(({ templateId }) => templateId));
      after = seen.at(-1);
      expect(answer.more).toBe(page < 2);
    }
    expect(new Set(seen).size).toBe(5);
    const none = await town.call(listTemplates, { wabaId: bakery.wabaId }, bank.token);
    expect(none).toEqual({ outcome: 'page', templates: [], more: false });
    const alice = await registerPerson(town);
    expect((await town.call(listTemplates, {}, alice.token)).outcome).toBe('forbidden');
  });

  it('T2 a business submits a hundred templates an hour', async () => {
    const bank = await enrolBusiness(town);
    const signed = await sign(
      templateOf({ business: bank.accountId, wabaId: bank.wabaId }),
      bank.key,
    );
    const outcomes: string[] = [];
    for (let round = 0; round < 101; round += 1) {
      outcomes.push((await town.call(submitTemplate, { signed }, bank.token)).outcome);
    }
    expect(outcomes.at(-1)).toBe('quota-reached');
    expect(outcomes.filter((outcome) => outcome === 'submitted')).toHaveLength(100);
  });
});
