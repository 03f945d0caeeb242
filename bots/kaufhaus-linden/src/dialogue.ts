// What Kaufhaus Linden's bot answers: the state of an order, opening hours, returns; a person for
// everything else.
import { type Answer, createDialogue, type Language, personTopic, say } from '@siegel/bot';
import { orders } from './orders.ts';

const menu = (language: Language): Answer => ({
  kind: 'buttons',
  message:
    language === 'de'
      ? {
          body:
            'Ich bin der automatische Assistent von Kaufhaus Linden. Schreiben Sie mir eine ' +
            'Bestellnummer, zum Beispiel L-1001, oder wählen Sie:',
          footer: 'Automatische Antwort',
          buttons: [
            { id: 'hours', title: 'Öffnungszeiten' },
            { id: 'returns', title: 'Rückgabe' },
            { id: 'person', title: 'Mit Mensch sprechen' },
          ],
        }
      : {
          body:
            'I am the automatic assistant of Kaufhaus Linden. Send me an order number, for ' +
            'example L-1001, or choose:',
          footer: 'Automatic answer',
          buttons: [
            { id: 'hours', title: 'Opening hours' },
            { id: 'returns', title: 'Returns' },
            { id: 'person', title: 'Talk to a person' },
          ],
        },
});

function orderState(language: Language, match: RegExpMatchArray | null): Answer {
  const number = `L-${match?.[1] ?? ''}`;
  const state = orders[number];
  if (state === undefined) {
    return say({
      de:
        `Eine Bestellung ${number} finde ich nicht. Die Nummer steht in der Bestellbestätigung, ` +
        `zum Beispiel L-1001.`,
      en:
        `I cannot find an order ${number}. The number is in your confirmation, for example ` +
        `L-1001.`,
    })(language);
  }
  return say({
    de: `Ihre Bestellung ${number} ${state.de}.`,
    en: `Your order ${number} ${state.en}.`,
  })(language);
}

export const dialogue = createDialogue(
  [
    personTopic({
      de:
        'Ich hole jemanden vom Service dazu und schweige so lange. ' +
        'Schreiben Sie „Assistent“, wenn ich wieder helfen soll.',
      en:
        'I am fetching somebody from our service desk and will be quiet. ' +
        'Write "assistant" if you want me back.',
    }),
    { pattern: /\bL\s?-?\s?(\d{4})\b/iu, answer: orderState },
    {
      pattern: /öffnungszeit|geöffnet|\b(offen|opening hours|open)\b/iu,
      choice: 'hours',
      answer: say({
        de: 'Kaufhaus Linden ist montags bis samstags von 10 bis 20 Uhr geöffnet, online immer.',
        en:
          'Kaufhaus Linden is open Monday to Saturday from 10 am to 8 pm, and online at any ' +
          'time.',
      }),
    },
    {
      pattern: /rückgabe|zurück(geben|senden|schicken)|umtausch|widerruf|\b(returns?|refund)\b/iu,
      choice: 'returns',
      answer: say({
        de:
          'Sie können alles binnen 30 Tagen zurückgeben, im Haus oder per Post. Den ' +
          'Rücksendeschein finden Sie auf kaufhaus-linden.example.',
        en:
          'You can return anything within 30 days, in the store or by post. The return label is ' +
          'at kaufhaus-linden.example.',
      }),
    },
    {
      pattern: /\b(bestellung|bestellt|order(ed)?)\b/iu,
      answer: say({
        de: 'Schreiben Sie mir bitte die Bestellnummer, zum Beispiel L-1001.',
        en: 'Please send me the order number, for example L-1001.',
      }),
    },
    {
      pattern: /\b(danke|thanks|thank you)\b/iu,
      answer: say({ de: 'Gern.', en: 'You are welcome.' }),
    },
  ],
  menu,
);
