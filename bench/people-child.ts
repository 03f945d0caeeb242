// Many people in one process, each with the SDK, a store in memory and an open socket. Whoever gets
// a template says hello once, which opens the firm's window; every text that was opened is told to
// the bench with its time.

import { type Account, openAccount, type ReceivedMessage, readIdentity } from '@siegel/client';
import { connectToRelay } from '@siegel/client/node';
import { type PeopleConfig, type PeopleReport, preciseNow } from './people-protocol.ts';
import { deviceContext, type Registered, registerMany } from './strangers.ts';

const tell = (report: PeopleReport): void => {
  if (process.connected) process.send?.(report);
};
const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');
const trouble = (error: unknown): void => tell({ report: 'trouble', words: wordsOf(error) });

async function open({ number, store }: Registered, url: string): Promise<Account<undefined>> {
  const identity = await readIdentity(store);
  if (identity === undefined) throw new Error('nobody was registered');
  const { environment, provider, engine } = await deviceContext(url);
  let greeting: string | undefined;
  const greet = async ({ conversationId }: ReceivedMessage) => {
    const sent = await account.send({
      to: { conversationId },
      body: { type: 'text', text: 'Hallo' },
    });
    greeting = sent.clientId;
  };
  const account: Account<undefined> = await openAccount<undefined>({
    ...environment,
    store,
    connection: connectToRelay({ url, token: identity.deviceToken }),
    provider,
    engine,
    handler: {
      message: (message) => {
        const { body } = message.content;
        if (body.type === 'text') tell({ report: 'opened', text: body.text, at: preciseNow() });
        // A handler waits for nothing but its transaction.
        if (body.type === 'template') setImmediate(() => void greet(message).catch(trouble));
        return Promise.resolve();
      },
      status: ({ clientId, status, failure }) => {
        if (status === 'failed') trouble(new Error(`the hello failed: ${failure}`));
        if (status === 'sent' && clientId === greeting) tell({ report: 'greeted', number });
        return Promise.resolve();
      },
      notice: () => Promise.resolve(),
    },
    report: trouble,
  });
  return account;
}

async function openAll(config: PeopleConfig): Promise<void> {
  const people = await registerMany(config, config);
  const accounts = await Promise.all(people.map((one) => open(one, config.url)));
  const end = () => {
    void Promise.all(accounts.map((account) => account.close())).finally(() => process.exit());
  };
  for (const name of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(name, end);
  tell({ report: 'open', numbers: people.map(({ number }) => number) });
}

process.once('message', ({ config }: { config: PeopleConfig }) => {
  process.send?.({ type: 'ready', url: config.url });
  openAll(config).catch((error: unknown) => {
    trouble(error);
    process.exitCode = 1;
    process.disconnect();
  });
});
