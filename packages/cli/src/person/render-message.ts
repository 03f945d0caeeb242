// A received message as lines of text: who, marked when a machine wrote it, the words, and the
// numbered buttons.
import { plainText, type ReceivedMessage, renderTemplate, safeText } from '@siegel/client';
import { offersOf } from '@siegel/testkit';
import type { PersonTexts } from './person-texts.ts';

type Interactive = {
  readonly header?: { readonly text: string } | { readonly attachment: unknown } | undefined;
  readonly body: string;
  readonly footer?: string | undefined;
};

function interactiveLines({ header, body, footer }: Interactive): string[] {
  return [
    ...(header !== undefined && 'text' in header ? [header.text] : []),
    body,
    ...(footer === undefined ? [] : [`(${footer})`]),
  ];
}

function templateLines(message: ReceivedMessage, texts: PersonTexts, locale: string): string[] {
  const { body } = message.content;
  if (body.type !== 'template' || message.template === undefined) return [texts.unrendered];
  const rendering = renderTemplate(message.template, body, { locale });
  if (rendering.outcome === 'refused') return [texts.unrendered];
  const { header, body: parts, footer, buttons } = rendering.rendered;
  return [
    ...(header?.type === 'text' ? [plainText(header.parts)] : []),
    ...(header !== undefined && 'attachment' in header ? [`[${texts.media[header.type]}]`] : []),
    plainText(parts),
    ...(footer === undefined ? [] : [`(${footer})`]),
    ...buttons.flatMap((button) => {
      if (button.type === 'url') return [`→ ${button.text}: ${button.url}`];
      if (button.type === 'phone-number') return [`→ ${button.text}: ${button.number}`];
      return button.type === 'copy-code' ? [`→ ${button.code}`] : [];
    }),
  ];
}

function bodyLines(message: ReceivedMessage, texts: PersonTexts, locale: string): string[] {
  const { body } = message.content;
  switch (body.type) {
    case 'text':
      return [body.text];
    case 'template':
      return templateLines(message, texts, locale);
    case 'buttons':
    case 'list':
      return interactiveLines(body);
    case 'attachment':
      return [
        `[${texts.media[body.media]}${body.filename === undefined ? '' : ` ${body.filename}`}]`,
        ...(body.caption === undefined ? [] : [body.caption]),
      ];
    case 'location':
      return [
        `[${texts.location}: ${body.name ?? ''} ${body.latitude}, ${body.longitude}]`,
        ...(body.address === undefined ? [] : [body.address]),
      ];
    case 'reaction':
      return [`${texts.reaction} ${body.emoji}`];
    case 'choice':
      return [body.title];
    case 'delete':
      return [texts.deleted];
    case 'unknown':
      return [texts.notShown];
    default:
      // Receipts, typing and the like are not said, only done.
      return [];
  }
}

export type Rendered = {
  readonly lines: readonly string[];
  /** how many buttons can be tapped */
  readonly offers: number;
};

/**
 * What others write is hostile (design §10): nothing of it reaches the terminal as a control
 * character.
 */
export function renderMessage(
  message: ReceivedMessage,
  options: { readonly sender: string; readonly texts: PersonTexts; readonly locale: string },
): Rendered {
  const { sender, texts, locale } = options;
  const said = bodyLines(message, texts, locale).flatMap((text) => safeText(text).split('\n'));
  if (said.length === 0) return { lines: [], offers: 0 };
  const mark = message.content.automated === true ? ` · ${texts.automated}` : '';
  const offers = offersOf(message);
  return {
    lines: [
      `${safeText(sender).replaceAll('\n', ' ')}${mark}`,
      ...said.map((line) => `  ${line}`),
      ...offers.map(({ title, description }, index) => {
        const more = description === undefined ? '' : ` – ${safeText(description)}`;
        return `  [${index + 1}] ${safeText(title)}${more}`;
      }),
    ],
    offers: offers.length,
  };
}
