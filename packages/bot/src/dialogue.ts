// A dialogue is a pure function from a question to an answer: an ordered list of topics, the first
// that fits answers.

import type { Language } from './language.ts';
import type { ButtonsMessage, HandOver, ListMessage } from './reply.ts';

export type Question = {
  readonly text: string;
  /** id of what was tapped */
  readonly choice?: string;
  readonly language: Language;
};

export type Answer =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'buttons'; readonly message: ButtonsMessage }
  | { readonly kind: 'list'; readonly message: ListMessage }
  | { readonly kind: 'hand-over'; readonly handOver: HandOver };

export type Dialogue = (question: Question) => Answer;

export type Topic = {
  /** what was typed fits; its groups are handed to `answer` */
  readonly pattern: RegExp;
  /** or this was tapped */
  readonly choice?: string;
  /** undefined leaves the question to the next topic */
  readonly answer: (language: Language, match: RegExpMatchArray | null) => Answer | undefined;
};

/** In both languages; picked when the answer is made. */
export type Worded<T = string> = Readonly<Record<Language, T>>;

const charsRead = 1000;

export const say =
  (texts: Worded) =>
  (language: Language): Answer => ({
    kind: 'text',
    text: texts[language],
  });

/** @param otherwise when no topic fits */
export function createDialogue(
  topics: readonly Topic[],
  otherwise: (language: Language) => Answer,
): Dialogue {
  return ({ text, choice, language }) => {
    const typed = text.slice(0, charsRead).normalize('NFC');
    const known = choice !== undefined && topics.some((topic) => topic.choice === choice);
    for (const topic of topics) {
      const tapped = known && topic.choice === choice;
      // A tap that no topic knows, as a template's own button, counts as its title typed.
      const match = known ? null : typed.match(topic.pattern);
      if (!tapped && match === null) continue;
      const answer = topic.answer(language, match);
      if (answer !== undefined) return answer;
    }
    return otherwise(language);
  };
}

const personWords = [
  '\\b(mensch(en)?|mitarbeiter(in|innen)?|berater(in)?|kundenservice|kundendienst)\\b',
  'jemand(em|en)? (sprechen|reden)',
  'mit (einer|jemand).*(sprechen|reden)',
  '\\b(human|real person|agent|representative|advisor|customer service)\\b',
  '(talk|speak|chat) (to|with) (a |an |some|the )?(person|one|body|somebody|someone)',
];

/** "I want to talk to a person", however it is put. */
const personPattern = new RegExp(personWords.join('|'), 'iu');

/** Hands over when a person is asked for, typed or tapped as `person`. */
export const personTopic = (texts: Worded): Topic => ({
  pattern: personPattern,
  choice: 'person',
  answer: (language) => ({ kind: 'hand-over', handOver: { say: texts[language] } }),
});

/** "Back to the assistant": ends a hand-over from the person's side. */
export const resumePattern = /^\s*\/?(bot|assistent(in)?|assistant)\s*[.!]?\s*$/iu;
