// The airline's own system under a storm: POSTs with several under way to each person, and a book of what was answered 200.
import type { TownBusiness } from '@siegel/testkit';

/** One POST. `asked` and `answered` are ticks of one clock, so that what came before what can be told. */
export type Posted = {
  readonly to: string;
  /** unique, and found again in what the person is shown */
  readonly label: string;
  readonly asked: number;
  readonly answered: number;
  /** 0: the connection was lost, or nobody answered in time */
  readonly status: number;
  readonly wamid?: string;
};

export type FirmSender = {
  readonly posted: readonly Posted[];
  /** how many were answered 200 so far */
  accepted(): number;
  post(to: string, label: string): Promise<Posted>;
  /** Posts to this person one after the other until `count` of them were answered 200. */
  lane(lane: { readonly to: string; readonly name: string; readonly count: number }): Promise<void>;
};

const postTimeoutMs = 20_000;
const pauseAfterRefusalMs = 100;
/** A gateway that is gone refuses at once: this many are a minute. */
const refusalsMax = 600;

/** Every fifth is a template, the others free text: both are metered, and both keep the order. */
function messageFor(to: string, label: string): object {
  const message = { messaging_product: 'whatsapp', to };
  if (!label.endsWith('0') && !label.endsWith('5')) {
    return { ...message, type: 'text', text: { body: label } };
  }
  const parameters = [label, '15:10', 'B7'].map((text) => ({ type: 'text', text }));
  return {
    ...message,
    type: 'template',
    template: {
      name: 'flight_update',
      language: { code: 'de' },
      components: [{ type: 'body', parameters }],
    },
  };
}

async function ask(
  firm: TownBusiness,
  message: object,
): Promise<{ readonly status: number; readonly wamid?: string }> {
  try {
    const response = await fetch(`${firm.cloudApi}/v25.0/${firm.phoneNumberId}/messages`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${firm.accessToken}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(postTimeoutMs),
    });
    const answer = (await response.json()) as { messages?: { id: string }[] };
    const wamid = answer.messages?.[0]?.id;
    return { status: response.status, ...(wamid === undefined ? {} : { wamid }) };
  } catch {
    // Cut off before or while answering: may or may not have been taken.
    return { status: 0 };
  }
}

export function firmSender(firm: TownBusiness): FirmSender {
  const posted: Posted[] = [];
  let tick = 0;
  let accepted = 0;
  const post = async (to: string, label: string): Promise<Posted> => {
    tick += 1;
    const asked = tick;
    const answer = await ask(firm, messageFor(to, label));
    tick += 1;
    const one = { to, label, asked, answered: tick, ...answer };
    posted.push(one);
    if (one.status === 200) accepted += 1;
    return one;
  };
  return {
    posted,
    accepted: () => accepted,
    post,
    async lane({ to, name, count }) {
      let taken = 0;
      let refusals = 0;
      for (let index = 1; taken < count; index += 1) {
        const { status } = await post(to, `${name}.${index}`);
        if (status === 200) {
          taken += 1;
          continue;
        }
        refusals += 1;
        if (refusals > refusalsMax) throw new Error(`${name} is only refused, last: ${status}`);
        await new Promise((resolve) => setTimeout(resolve, pauseAfterRefusalMs));
      }
    },
  };
}
