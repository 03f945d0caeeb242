// What a bot author may use.
export { CloudApiRefusal } from './cloud-api-client.ts';
export {
  type Bot,
  type BotEvent,
  type BotHandlers,
  type BotLimits,
  type BotOptions,
  createBot,
} from './create-bot.ts';
export type { DemoFirm } from './demo-firm.ts';
export {
  type Answer,
  createDialogue,
  type Dialogue,
  personTopic,
  type Question,
  resumePattern,
  say,
  type Topic,
  type Worded,
} from './dialogue.ts';
export type { IncomingMessage, IncomingStatus, Sender } from './incoming.ts';
export { detectLanguage, type Language, languageOfNumber } from './language.ts';
export type {
  Button,
  ButtonsMessage,
  HandOver,
  ListMessage,
  Reply,
  Row,
  TemplateMessage,
} from './reply.ts';
export { type BotProcess, dialogueHandlers, runBot } from './run-bot.ts';
export { signatureIsRight, signatureOf } from './signature.ts';
export type {
  TemplateButtonCreation,
  TemplateComponentCreation,
  TemplateCreation,
} from './template-creation.ts';
