// Reads a Cloud API webhook into what a handler wants to know. Unknown fields and types are passed
// over: newer senders are no error.
import { type Fields, fieldsOf, listOf, textOf } from './fields.ts';

export type Sender = {
  /** digits of the number, when the business knows it */
  readonly waId?: string;
  /** the business-scoped user id */
  readonly userId?: string;
  readonly name?: string;
};

export type IncomingMessage = {
  readonly id: string;
  readonly sender: Sender;
  /** the same for all messages of one person */
  readonly conversation: string;
  /** seconds since 1970 */
  readonly at: number;
  readonly type: string;
  /** what was typed, a caption, or the title of what was tapped */
  readonly text: string;
  /** id of a tapped button or row */
  readonly choice?: string;
  readonly inReplyTo?: string;
  readonly raw: Readonly<Record<string, unknown>>;
};

export type IncomingStatus = {
  readonly id: string;
  readonly status: string;
  readonly at: number;
  readonly errorCode?: number;
};

export type Incoming = {
  readonly messages: readonly IncomingMessage[];
  readonly statuses: readonly IncomingStatus[];
};

const present = <T>(name: string, value: T | undefined) =>
  value === undefined ? {} : { [name]: value };

function senderOf(message: Fields, contacts: readonly Fields[]): Sender {
  const userId = textOf(message['from_user_id']);
  const from = textOf(message['from']);
  const contact =
    contacts.find(
      (one) =>
        (userId !== undefined && one['user_id'] === userId) ||
        (from !== undefined && one['wa_id'] === from),
    ) ?? (contacts.length === 1 ? contacts[0]! : {});
  return {
    ...present('waId', from ?? textOf(contact['wa_id'])),
    ...present('userId', userId ?? textOf(contact['user_id'])),
    ...present('name', textOf(fieldsOf(contact['profile'])['name'])),
  };
}

/** What the person tapped: reply button, list row, or quick reply of a template. */
function choiceOf(message: Fields): { id: string; title: string } | undefined {
  const interactive = fieldsOf(message['interactive']);
  const button = fieldsOf(message['button']);
  for (const reply of [interactive['button_reply'], interactive['list_reply']].map(fieldsOf)) {
    const id = textOf(reply['id']);
    if (id !== undefined) return { id, title: textOf(reply['title']) ?? '' };
  }
  const id = textOf(button['payload']);
  return id === undefined ? undefined : { id, title: textOf(button['text']) ?? '' };
}

function messageOf(message: Fields, contacts: readonly Fields[]): IncomingMessage | undefined {
  const id = textOf(message['id']);
  const type = textOf(message['type']);
  const sender = senderOf(message, contacts);
  const conversation = sender.userId ?? sender.waId;
  if (id === undefined || type === undefined || conversation === undefined) return undefined;
  const choice = choiceOf(message);
  const typed = textOf(fieldsOf(message['text'])['body']);
  const caption = textOf(fieldsOf(message[type])['caption']);
  return {
    id,
    sender,
    conversation,
    at: Number(message['timestamp']) || 0,
    type,
    text: typed ?? choice?.title ?? caption ?? '',
    ...present('choice', choice?.id),
    ...present('inReplyTo', textOf(fieldsOf(message['context'])['id'])),
    raw: message,
  };
}

function statusOf(status: Fields): IncomingStatus | undefined {
  const id = textOf(status['id']);
  const name = textOf(status['status']);
  if (id === undefined || name === undefined) return undefined;
  const code = listOf(status['errors'])[0]?.['code'];
  const errorCode = typeof code === 'number' ? code : undefined;
  return {
    id,
    status: name,
    at: Number(status['timestamp']) || 0,
    ...present('errorCode', errorCode),
  };
}

/** Everything for this number in all entries and changes; updates of other numbers are left out. */
export function readWebhook(body: unknown, phoneNumberId: string): Incoming {
  const values = listOf(fieldsOf(body)['entry'])
    .flatMap((entry) => listOf(entry['changes']))
    .filter((change) => change['field'] === 'messages')
    .map((change) => fieldsOf(change['value']))
    .filter((value) => fieldsOf(value['metadata'])['phone_number_id'] === phoneNumberId);
  return {
    messages: values.flatMap((value) => {
      const contacts = listOf(value['contacts']);
      return listOf(value['messages']).flatMap((one) => messageOf(one, contacts) ?? []);
    }),
    statuses: values.flatMap((value) =>
      listOf(value['statuses']).flatMap((one) => statusOf(one) ?? []),
    ),
  };
}
