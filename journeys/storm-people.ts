// People of a storm, in this process or in one of their own, behind one face: what each has on its device, and what it answers.
import type { ReceivedMessage, StoredMessage } from '@siegel/client';
import { ConversationId } from '@siegel/protocol/ids';
import type { PersonProcess } from '@siegel/testkit';
import type { Passenger } from './airline-town.ts';

type Received = Pick<ReceivedMessage, 'conversationId' | 'content'>;

export type StormPerson = {
  readonly number: string;
  readonly received: readonly Received[];
  waitFor(
    fits: (message: ReceivedMessage) => boolean,
    options: { readonly timeoutMs: number },
  ): Promise<ReceivedMessage>;
  /** Resolves once it is durable on the device. */
  answer(conversationId: string, text: string): Promise<string>;
  /** what the device keeps of a chat, oldest first */
  kept(conversationId: string): Promise<readonly StoredMessage[]>;
  settled(): Promise<void>;
};

const keptMax = 100;

export const passengerPerson = (one: Passenger): StormPerson => ({
  number: one.number,
  received: one.received,
  waitFor: one.waitFor,
  answer: (id, text) => one.sendText({ conversationId: ConversationId.parse(id) }, text),
  async kept(id) {
    const page = await one.account.messages(ConversationId.parse(id), { limit: keptMax });
    return page.toReversed();
  },
  settled: () => one.account.settled(),
});

export const processPerson = (one: PersonProcess): StormPerson => ({
  number: one.number,
  received: one.received,
  waitFor: one.waitFor,
  answer: one.answer,
  async kept(id) {
    // The child answers a page of its account's messages.
    return ((await one.history(id)) as StoredMessage[]).toReversed();
  },
  settled: one.settled,
});

/** The words of a text, or the first value of a template: where a storm writes its labels. */
export function labelOf({ content: { body } }: Pick<ReceivedMessage, 'content'>): string {
  if (body.type === 'text') return body.text;
  return (body.type === 'template' && body.body[0]?.text) || '';
}
