// A firm and its customer: templates the device checks, the answer that opens the window, blocks, and what is refused.

import { fromBase64Url } from '@siegel/protocol/content';
import type { NumericId } from '@siegel/protocol/ids';
import { decideTemplate, type TemplateCategory, type TemplateObject } from '@siegel/protocol/relay';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Outgoing } from '../src/index.ts';
import { submitOwnTemplate } from '../src/templates.ts';
import {
  createWorld,
  eventually,
  noticed,
  seen,
  type TestDevice,
  text,
  type World,
} from './engine-world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world.closeAccounts());
afterAll(() => world.close());

type Firm = Awaited<ReturnType<World['firm']>>;
type Approved = {
  readonly id: NumericId;
  readonly hash: string;
  readonly category: TemplateCategory;
};
let templates = 0;

async function approved(firm: Firm, category: TemplateCategory = 'utility'): Promise<Approved> {
  templates += 1;
  const object: TemplateObject = {
    v: 1,
    business: firm.gateway.identity.accountId,
    wabaId: firm.wabaId,
    name: `order_ready_${templates}`,
    language: 'en',
    category,
    parameterFormat: 'positional',
    components: {
      body: {
        text: 'Your order {{1}} is ready.',
        parameters: [{ name: '1', type: 'text', charsMax: 20, example: '4711' }],
      },
      buttons: [],
    },
  };
  const context = world.contextOf(firm.gateway.shelf, firm.gateway.identity.deviceToken);
  const submitted = await submitOwnTemplate(context, firm.gateway.identity, object);
  if (submitted.outcome !== 'submitted') throw new Error(JSON.stringify(submitted));
  const { templateId, hash } = submitted.template;
  const decided = await world.operate(decideTemplate, { templateId, decision: 'approve' });
  if (decided.outcome !== 'decided') throw new Error(decided.outcome);
  return { id: templateId, hash, category };
}

const templateMessage = (
  firm: Firm,
  person: TestDevice,
  { id, hash, category }: Approved,
): Outgoing => ({
  to: { from: firm.number, person: { accountId: person.identity.accountId } },
  template: { id, category },
  body: {
    type: 'template',
    templateId: id,
    hash: fromBase64Url(hash),
    body: [{ name: '1', type: 'text', text: '4711' }],
    buttons: [],
  },
});

const failed = (device: TestDevice, failure: string): Promise<void> =>
  eventually(
    () => device.statuses.some((each) => each.status === 'failed' && each.failure === failure),
    () => [failure, device.statuses, device.reports.map(String)],
  );

describe('a firm', { timeout: 60_000 }, () => {
  it('reaches a person by a template, whose answer lets it write freely', async () => {
    const firm = await world.firm();
    const alice = await world.person();
    const template = await approved(firm);
    const { gateway } = firm;
    await gateway.account.send(templateMessage(firm, alice, template));
    await eventually(
      () => alice.received.length === 1,
      () => [gateway.reports.map(String), gateway.statuses],
    );
    const [received] = alice.received;
    expect(received!.template?.components.body.text).toBe('Your order {{1}} is ready.');
    expect(received!.phoneNumberId).toBe(firm.number);
    const { conversationId } = received!;
    await alice.account.send({ to: { business: firm.number }, body: text('thank you') });
    await seen(gateway, 'thank you');
    await gateway.account.send({ to: { conversationId }, body: text('you are welcome') });
    await seen(alice, 'you are welcome');
    await eventually(
      () => gateway.statuses.filter(({ status }) => status === 'delivered').length === 2,
      () => gateway.statuses,
    );
    const order = gateway.statuses.map(({ clientId, status }) => `${clientId} ${status}`);
    expect(new Set(order).size).toBe(order.length);
    await alice.account.markRead(conversationId, alice.received.at(-1)!.messageId);
    await eventually(
      () => gateway.statuses.filter(({ status }) => status === 'read').length === 2,
      () => gateway.statuses,
    );
    for (const clientId of new Set(gateway.statuses.map((each) => each.clientId))) {
      const statuses = gateway.statuses.filter((each) => each.clientId === clientId);
      expect(statuses.map(({ status }) => status)).toEqual(['sent', 'delivered', 'read']);
    }
  });

  it('that writes first is known by its certificate, which the person asks the operator for', async () => {
    const firm = await world.firm();
    const alice = await world.person();
    const { identity } = firm.gateway;
    await firm.gateway.account.send(templateMessage(firm, alice, await approved(firm)));
    await eventually(
      () => alice.received.length === 1,
      () => [firm.gateway.reports.map(String), firm.gateway.statuses],
    );
    expect(await alice.account.contact(identity.accountId)).toMatchObject({
      kind: 'business',
      accountKey: identity.accountKey,
      certificate: {
        sub: identity.accountId,
        cnf: { jwk: { x: identity.accountKey } },
        phoneNumberId: firm.number,
      },
    });
  });

  it('cannot write freely to somebody who has not written', async () => {
    const firm = await world.firm();
    const alice = await world.person();
    const to = { from: firm.number, person: { accountId: alice.identity.accountId } };
    await firm.gateway.account.send({ to, body: text('buy this') });
    await failed(firm.gateway, 'window-closed');
    expect(alice.received).toEqual([]);
  });

  it('gets undeliverable from whoever blocked it, and reaches them again afterwards', async () => {
    const firm = await world.firm();
    const alice = await world.person();
    const { gateway } = firm;
    await alice.account.send({ to: { business: firm.number }, body: text('hello') });
    await seen(gateway, 'hello');
    const { conversationId } = gateway.received[0]!;
    await alice.account.block(gateway.identity.accountId);
    await gateway.account.send({ to: { conversationId }, body: text('blocked') });
    await failed(gateway, 'undeliverable');
    await alice.account.unblock(gateway.identity.accountId);
    await gateway.account.send({ to: { conversationId }, body: text('again') });
    await seen(alice, 'again');
    expect(alice.texts()).toEqual(['again']);
  });

  it('is not shown with a template other than the one it paid for', async () => {
    const firm = await world.firm();
    const alice = await world.person();
    const cheap = await approved(firm, 'utility');
    const dear = await approved(firm, 'marketing');
    const { gateway } = firm;
    // Another object under the header of the cheap one: the firm's device itself is the liar.
    const message = templateMessage(firm, alice, { ...cheap, hash: dear.hash });
    await gateway.account.send(message);
    await noticed(alice, 'message-refused');
    await gateway.account.send(templateMessage(firm, alice, cheap));
    await eventually(
      () => alice.received.length === 1,
      () => alice.notices,
    );
    expect(alice.received[0]!.template?.category).toBe('utility');
  });
});

describe('persons', { timeout: 60_000 }, () => {
  it('do not see that they are blocked', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
    await seen(bob, 'hello');
    await bob.account.block(alice.identity.accountId);
    await alice.account.send({
      to: { direct: bob.identity.accountId },
      body: text('are you there'),
    });
    await eventually(
      () => alice.statuses.filter(({ status }) => status === 'sent').length === 2,
      () => alice.statuses,
    );
    await bob.account.settled();
    expect(bob.texts()).toEqual(['hello']);
  });

  it('look each other up by number, with the operator’s word for it', async () => {
    const alice = await world.person();
    const bob = await world.person();
    const found = await alice.account.lookUp(bob.identity.number!);
    if (found.outcome !== 'person') throw new Error(found.outcome);
    expect(found.contact.accountId).toBe(bob.identity.accountId);
    expect(found.contact.numberStatement?.number).toBe(bob.identity.number);
    await alice.account.send({ to: { direct: found.contact.accountId }, body: text('found you') });
    await seen(bob, 'found you');
    expect((await alice.account.contact(bob.identity.accountId))?.numberStatement).toBeDefined();
  });

  it('who are unknown end a message as undeliverable', async () => {
    const alice = await world.person();
    const direct = '11111111-2222-4333-8444-555555555555' as TestDevice['identity']['accountId'];
    await alice.account.send({ to: { direct }, body: text('anybody?') });
    await failed(alice, 'undeliverable');
  });

  it('see each other type, and nothing of it is kept', async () => {
    const alice = await world.person();
    const bob = await world.person();
    await alice.account.send({ to: { direct: bob.identity.accountId }, body: text('hello') });
    await seen(bob, 'hello');
    const { conversationId } = bob.received[0]!;
    bob.account.sendTyping(conversationId, true);
    await eventually(
      () => alice.received.some(({ content }) => content.body.type === 'typing'),
      () => [alice.received, bob.reports.map(String)],
    );
    expect(await alice.account.messages(conversationId, { limit: 10 })).toHaveLength(1);
  });
});
