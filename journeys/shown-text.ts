// What a person reads of a message: the words of a text, or a template filled in.
import { plainText, type ReceivedMessage, renderTemplate } from '@siegel/client';

export function shownText(message: ReceivedMessage): string {
  const { body } = message.content;
  if (body.type === 'text') return body.text;
  if (body.type !== 'template' || message.template === undefined) return '';
  const rendering = renderTemplate(message.template, body);
  if (rendering.outcome === 'refused') return '';
  // Values stand in isolates (UAX #9 §2.4), which are not seen.
  return plainText(rendering.rendered.body).replaceAll(/[\u2066-\u2069]/g, '');
}

export const shows =
  (text: string) =>
  (message: ReceivedMessage): boolean =>
    shownText(message) === text;
