// A person as a process of its own, on a journal that survives SIGKILL.
import { ConversationId } from '@siegel/protocol/ids';
import { openJournalStore } from '../people/journal-store.ts';
import { type Person, person } from '../people/person.ts';
import type { PersonConfig, PersonReport, PersonRequest } from '../people/person-protocol.ts';

const historyMax = 100;

const tell = (report: PersonReport): void => {
  if (process.connected) process.send?.(report);
};

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');

async function answer(one: Person, request: PersonRequest): Promise<unknown> {
  switch (request.do) {
    case 'send-text':
      return one.sendTextToNumber(request.number, request.text);
    case 'answer': {
      const conversationId = ConversationId.parse(request.conversationId);
      return one.sendText({ conversationId }, request.text);
    }
    case 'history': {
      const conversationId = ConversationId.parse(request.conversationId);
      return one.account.messages(conversationId, { limit: historyMax });
    }
    case 'settled':
      return one.account.settled();
    default:
      return request satisfies never;
  }
}

async function open(config: PersonConfig): Promise<void> {
  const store = await openJournalStore(config.folder);
  const one = await person({
    ...config,
    store,
    onMessage: (message) => tell({ report: 'message', message }),
    onStatus: (status) => tell({ report: 'status', status }),
    onNotice: (notice) => tell({ report: 'notice', notice }),
  });
  process.on('message', (message: unknown) => {
    // Only the parent has this end of the channel.
    const request = message as PersonRequest;
    answer(one, request).then(
      (value) => tell({ report: 'answer', request: request.request, value }),
      (error: unknown) => {
        tell({ report: 'refusal', request: request.request, why: wordsOf(error) });
      },
    );
  });
  const end = () => {
    void one
      .close()
      .then(() => store.close())
      .finally(() => process.exit());
  };
  for (const name of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(name, end);
  tell({ report: 'open' });
}

process.once('message', (message: unknown) => {
  open(message as PersonConfig).catch((error: unknown) => {
    tell({ report: 'failed', why: wordsOf(error) });
    process.exitCode = 1;
    process.disconnect?.();
  });
});
