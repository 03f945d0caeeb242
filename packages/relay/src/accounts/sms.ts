// Sending an SMS: the port, the inbox of a town, and the operator's own provider behind a web address.

import { SiegelError } from '@siegel/protocol/errors';

export type Sms = { readonly to: string; readonly text: string; readonly at: number };

export type SmsSender = {
  /** Rejects when it was certainly not taken for sending. */
  readonly send: (sms: Sms) => Promise<void>;
};

export type TownInbox = SmsSender & {
  /** Newest first. */
  readonly read: (number: string) => readonly Sms[];
};

const inboxMax = 1000;

/** In memory, the newest thousand; nothing leaves this machine. */
export function createTownInbox(): TownInbox {
  const kept: Sms[] = [];
  return {
    send: async (sms) => {
      kept.unshift(sms);
      kept.length = Math.min(kept.length, inboxMax);
    },
    read: (number) => kept.filter((sms) => sms.to === number),
  };
}

const providerSeconds = 10;

/** POSTs `{ to, text }` as JSON to an address of the operator's choice. */
export const createSmsProvider = (provider: {
  readonly url: string;
  readonly token?: string | undefined;
}): SmsSender => ({
  send: async ({ to, text }) => {
    const response = await fetch(provider.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(provider.token === undefined ? {} : { authorization: `Bearer ${provider.token}` }),
      },
      body: JSON.stringify({ to, text }),
      redirect: 'error',
      signal: AbortSignal.timeout(providerSeconds * 1000),
    });
    await response.body?.cancel();
    if (!response.ok) throw new SiegelError('overloaded', 'The SMS provider refused.');
  },
});

/** Plain words and no link: an SMS that asks to follow one is never ours. */
export function codeText(code: string, issuer: string, language: 'de' | 'en'): string {
  return language === 'de'
    ? `${issuer}: Ihr Code ist ${code}. Er gilt 10 Minuten. Geben Sie ihn niemandem weiter.`
    : `${issuer}: your code is ${code}. It is valid for 10 minutes. Do not share it with anyone.`;
}
