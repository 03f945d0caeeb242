// What a handler can do with a message: answer it, mark it read, show that an answer is coming, or
// hand the conversation to a person.
import type { CloudApiClient } from './cloud-api-client.ts';
import type { HandOvers } from './hand-over.ts';
import type { IncomingMessage } from './incoming.ts';

export type Button = { readonly id: string; readonly title: string };
export type Row = { readonly id: string; readonly title: string; readonly description?: string };

export type ButtonsMessage = {
  readonly body: string;
  readonly header?: string;
  readonly footer?: string;
  /** one to three */
  readonly buttons: readonly Button[];
};

export type ListMessage = {
  readonly body: string;
  readonly header?: string;
  readonly footer?: string;
  /** what opens the list */
  readonly button: string;
  /** ten rows in all at most */
  readonly sections: readonly { readonly title?: string; readonly rows: readonly Row[] }[];
};

export type TemplateMessage = {
  readonly name: string;
  readonly language: string;
  /** as the Cloud API takes them */
  readonly components?: readonly unknown[];
};

export type HandOver = {
  /** what the person is told; said before the bot goes quiet */
  readonly say: string;
  /** how long the bot stays quiet unless somebody resumes it; a day unless given */
  readonly minutes?: number;
};

/** Each call answers the id of the message that was sent. */
export interface Reply {
  text(body: string, options?: { readonly quote?: boolean }): Promise<string>;
  template(template: TemplateMessage): Promise<string>;
  buttons(message: ButtonsMessage): Promise<string>;
  list(message: ListMessage): Promise<string>;
  markRead(): Promise<void>;
  /** Shows that an answer is being written; marks the message read as well. */
  typing(): Promise<void>;
  handOver(handOver: HandOver): Promise<void>;
}

const minutesPerDay = 24 * 60;

const frame = (message: { header?: string; body: string; footer?: string }) => ({
  ...(message.header === undefined ? {} : { header: { type: 'text', text: message.header } }),
  body: { text: message.body },
  ...(message.footer === undefined ? {} : { footer: { text: message.footer } }),
});

export type ReplyPorts = {
  readonly client: CloudApiClient;
  readonly handOvers: HandOvers;
  readonly signal: AbortSignal;
};

export function createReply(message: IncomingMessage, ports: ReplyPorts): Reply {
  const { client, handOvers, signal } = ports;
  const { waId, userId } = message.sender;
  // A person known by user id only is addressed by it (Cloud API, July 2026).
  const recipient = waId === undefined ? { recipient: userId } : { to: waId };
  const send = (fields: Readonly<Record<string, unknown>>) =>
    client.send({ recipient_type: 'individual', ...recipient, ...fields }, signal);
  const read = (extra: Readonly<Record<string, unknown>>) =>
    client.send({ status: 'read', message_id: message.id, ...extra }, signal);
  const text: Reply['text'] = (body, options) =>
    send({
      type: 'text',
      text: { body },
      ...(options?.quote === true ? { context: { message_id: message.id } } : {}),
    });

  return {
    text,
    template: ({ name, language, components = [] }) =>
      send({ type: 'template', template: { name, language: { code: language }, components } }),
    buttons: (one) =>
      send({
        type: 'interactive',
        interactive: {
          type: 'button',
          ...frame(one),
          action: { buttons: one.buttons.map((button) => ({ type: 'reply', reply: button })) },
        },
      }),
    list: (one) =>
      send({
        type: 'interactive',
        interactive: {
          type: 'list',
          ...frame(one),
          action: { button: one.button, sections: one.sections },
        },
      }),
    async markRead() {
      await read({});
    },
    async typing() {
      await read({ typing_indicator: { type: 'text' } });
    },
    async handOver({ say, minutes = minutesPerDay }) {
      // Quiet first: a question that comes while this is said is already the person's.
      handOvers.begin(message.conversation, minutes);
      await text(say);
    },
  };
}
