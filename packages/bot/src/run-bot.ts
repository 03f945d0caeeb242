// Runs a dialogue as a process of its own: reads its environment, answers what comes, ends in order
// on a signal.
import { type Bot, createBot } from './create-bot.ts';
import { type Answer, type Dialogue, resumePattern } from './dialogue.ts';
import type { IncomingMessage } from './incoming.ts';
import { detectLanguage, type Language, languageOfNumber } from './language.ts';
import type { Reply } from './reply.ts';

const conversationsRemembered = 10_000;

async function give(answer: Answer, reply: Reply): Promise<void> {
  switch (answer.kind) {
    case 'text':
      await reply.text(answer.text);
      return;
    case 'buttons':
      await reply.buttons(answer.message);
      return;
    case 'list':
      await reply.list(answer.message);
      return;
    case 'hand-over':
      await reply.handOver(answer.handOver);
  }
}

/** Keeps the language a person last wrote in, so that `NW204` is answered in it. */
function createLanguageMemory() {
  const languages = new Map<string, Language>();
  return (message: IncomingMessage): Language => {
    const typed = message.choice === undefined ? detectLanguage(message.text) : undefined;
    const language =
      typed ?? languages.get(message.conversation) ?? languageOfNumber(message.sender.waId);
    languages.delete(message.conversation);
    languages.set(message.conversation, language);
    if (languages.size > conversationsRemembered) {
      const oldest = languages.keys().next();
      if (oldest.done !== true) languages.delete(oldest.value);
    }
    return language;
  };
}

/** Handlers that answer by a dialogue; reactions and the like are left alone. */
export function dialogueHandlers(dialogue: Dialogue) {
  const languageOf = createLanguageMemory();
  return {
    async message(message: IncomingMessage, reply: Reply): Promise<void> {
      if (message.text === '' && message.choice === undefined) return;
      const language = languageOf(message);
      // A mere courtesy: its failure must not keep the answer back.
      await reply.typing().catch(() => {});
      await give(
        dialogue({
          text: message.text,
          language,
          ...(message.choice === undefined ? {} : { choice: message.choice }),
        }),
        reply,
      );
    },
    resumes: (message: IncomingMessage) => resumePattern.test(message.text),
  };
}

function required(environment: NodeJS.ProcessEnv, name: string): string {
  const value = environment[name];
  if (value === undefined || value === '') throw new Error(`${name} must be set`);
  return value;
}

export type BotProcess = {
  readonly dialogue: Dialogue;
  readonly environment: NodeJS.ProcessEnv;
  readonly now: () => number;
};

/**
 * Reads `SIEGEL_BOT_CLOUD_API`, `_ACCESS_TOKEN`, `_PHONE_NUMBER_ID`, `_APP_SECRET`,
 * `_VERIFY_TOKEN`, `_PORT` and `_HOST`.
 * Tells a supervisor over IPC when it is ready, and ends when that supervisor is gone.
 */
export async function runBot({ dialogue, environment, now }: BotProcess): Promise<Bot> {
  const bot = await createBot({
    cloudApi: required(environment, 'SIEGEL_BOT_CLOUD_API'),
    accessToken: required(environment, 'SIEGEL_BOT_ACCESS_TOKEN'),
    phoneNumberId: required(environment, 'SIEGEL_BOT_PHONE_NUMBER_ID'),
    appSecret: required(environment, 'SIEGEL_BOT_APP_SECRET'),
    verifyToken: required(environment, 'SIEGEL_BOT_VERIFY_TOKEN'),
    port: Number(environment['SIEGEL_BOT_PORT'] ?? '0'),
    host: environment['SIEGEL_BOT_HOST'] ?? '127.0.0.1',
    handlers: dialogueHandlers(dialogue),
    now,
    onEvent: (event) => process.stdout.write(`${JSON.stringify({ at: now(), ...event })}\n`),
  });
  const stop = () => {
    void bot.stop().finally(() => process.exit());
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'disconnect']) process.once(signal, stop);
  process.send?.({ type: 'ready', url: bot.url });
  process.stdout.write(`${JSON.stringify({ at: now(), event: 'ready', url: bot.url })}\n`);
  return bot;
}
