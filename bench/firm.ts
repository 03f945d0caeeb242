// A firm with the SDK alone: registered by the operator, enrolled, one template approved, its
// account open on a store in memory.

import {
  type Account,
  enrolBusiness,
  type Outgoing,
  openAccount,
  type StatusUpdate,
  submitOwnTemplate,
} from '@siegel/client';
import { connectToRelay } from '@siegel/client/node';
import { fromBase64Url } from '@siegel/protocol/content';
import { PhoneNumber } from '@siegel/protocol/ids';
import { decideTemplate, registerBusiness, TemplateObject } from '@siegel/protocol/relay';
import { must } from './must.ts';
import type { RelayProcess } from './relay-process.ts';
import { deviceContext } from './strangers.ts';

export type Firm = {
  readonly account: Account<undefined>;
  /** The approved template, for somebody who may never have been written to. */
  readonly templateTo: (number: PhoneNumber) => Outgoing;
};

/** What the operator does; the caller closes its connection. */
export async function registerFirm(relay: RelayProcess) {
  const operator = connectToRelay({ url: relay.url, token: relay.operatorToken });
  const { enrolmentCode, business } = must(
    await operator.call(registerBusiness, {
      legalName: 'Nordwind Air GmbH',
      country: 'DE',
      evidence: 'demo',
      level: 'badge',
      numbers: [{ number: PhoneNumber.parse('+493023125999'), displayName: 'Nordwind Air' }],
    }),
    'registered',
  );
  const [number] = business.numbers;
  if (number === undefined) throw new Error('a firm without a number');
  return { operator, enrolmentCode, number };
}

const words = 'Ihr Flug {{1}} startet um {{2}} Uhr von Flugsteig {{3}}.';
const values = [
  { name: '1', text: 'NW 4711' },
  { name: '2', text: '14:35' },
  { name: '3', text: 'B 12' },
] as const;

export async function openFirm(
  relay: RelayProcess,
  on: {
    readonly status: (update: StatusUpdate) => void;
    readonly report: (error: unknown) => void;
  },
): Promise<Firm> {
  const { operator, enrolmentCode, number } = await registerFirm(relay);
  const device = await deviceContext(relay.url);
  const { identity } = must(
    await enrolBusiness(device, {
      code: enrolmentCode,
      role: 'gateway',
      keysHostedBy: 'Nordwind Air GmbH',
    }),
    'enrolled',
  );
  const connection = connectToRelay({ url: relay.url, token: identity.deviceToken });
  const parameter = (name: string) => ({ name, type: 'text', charsMax: 60, example: 'x' });
  const object = TemplateObject.parse({
    v: 1,
    business: identity.accountId,
    wabaId: number.wabaId,
    name: 'flight_departure',
    language: 'de',
    category: 'utility',
    parameterFormat: 'positional',
    components: {
      body: { text: words, parameters: values.map(({ name }) => parameter(name)) },
      buttons: [],
    },
  });
  const submitted = must(await submitOwnTemplate({ connection }, identity, object), 'submitted');
  const { templateId, hash } = submitted.template;
  must(await operator.call(decideTemplate, { templateId, decision: 'approve' }), 'decided');
  await operator.close();
  const account = await openAccount<undefined>({
    ...device.environment,
    store: device.store as never,
    connection,
    provider: device.provider,
    engine: device.engine,
    handler: {
      message: () => Promise.resolve(),
      notice: () => Promise.resolve(),
      status: (update) => {
        on.status(update);
        return Promise.resolve();
      },
    },
    report: on.report,
  });
  const body = values.map(({ name, text }) => ({ name, type: 'text' as const, text }));
  return {
    account,
    templateTo: (person) => ({
      to: { from: number.phoneNumberId, person: { number: person } },
      body: { type: 'template', templateId, hash: fromBase64Url(hash), body, buttons: [] },
      template: { id: templateId, category: 'utility' },
    }),
  };
}
