// What a person in a process of its own and whoever started it say to each other over IPC.
import type { ConversationNotice, ReceivedMessage, StatusUpdate } from '@siegel/client';

export type PersonConfig = {
  readonly relay: string;
  readonly smsInbox: string;
  readonly number: string;
  /** holds the journal */
  readonly folder: string;
};

export type PersonRequest = { readonly request: number } & (
  | { readonly do: 'send-text'; readonly number: string; readonly text: string }
  | { readonly do: 'answer'; readonly conversationId: string; readonly text: string }
  | { readonly do: 'history'; readonly conversationId: string }
  | { readonly do: 'settled' }
);

export type PersonReport =
  | { readonly report: 'open' }
  | { readonly report: 'failed'; readonly why: string }
  | { readonly report: 'message'; readonly message: ReceivedMessage }
  | { readonly report: 'status'; readonly status: StatusUpdate }
  | { readonly report: 'notice'; readonly notice: ConversationNotice }
  | { readonly report: 'answer'; readonly request: number; readonly value: unknown }
  | { readonly report: 'refusal'; readonly request: number; readonly why: string };
