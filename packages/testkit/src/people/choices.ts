// What a message offers to tap, in the order in which it is shown; and the answer a tap is.
import { type ReceivedMessage, renderTemplate } from '@siegel/client';
import type { Body } from '@siegel/protocol/content';

export type Offer = {
  readonly of: 'button' | 'list' | 'template-button';
  readonly id: string;
  readonly title: string;
  readonly description?: string;
};

function templateOffers({ content, template }: ReceivedMessage): Offer[] {
  if (content.body.type !== 'template' || template === undefined) return [];
  const rendering = renderTemplate(template, content.body);
  if (rendering.outcome === 'refused') return [];
  return rendering.rendered.buttons.flatMap((button) =>
    button.type === 'quick-reply'
      ? [{ of: 'template-button' as const, id: button.payload, title: button.text }]
      : [],
  );
}

export function offersOf(message: ReceivedMessage): readonly Offer[] {
  const { body } = message.content;
  switch (body.type) {
    case 'template':
      return templateOffers(message);
    case 'buttons':
      return body.buttons.map((button) => ({ of: 'button' as const, ...button }));
    case 'list':
      return body.sections
        .flatMap(({ rows }) => rows)
        .map(({ id, title, description }) => ({
          of: 'list' as const,
          id,
          title,
          ...(description === undefined ? {} : { description }),
        }));
    default:
      return [];
  }
}

export const choiceBody = (offer: Offer): Body => ({ type: 'choice', ...offer });
