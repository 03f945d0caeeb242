// What Nordwind Air's bot answers: flight status, baggage, check-in, opening hours; a person for
// everything else.
import { type Answer, createDialogue, type Language, personTopic, say } from '@siegel/bot';
import { type Flight, flights } from './flights.ts';

const menu = (language: Language): Answer => ({
  kind: 'buttons',
  message:
    language === 'de'
      ? {
          body:
            'Ich bin der automatische Assistent von Nordwind Air. Schreiben Sie mir eine ' +
            'Flugnummer, zum Beispiel NW204, oder wählen Sie:',
          footer: 'Automatische Antwort',
          buttons: [
            { id: 'baggage', title: 'Gepäck' },
            { id: 'check-in', title: 'Check-in' },
            { id: 'person', title: 'Mit Mensch sprechen' },
          ],
        }
      : {
          body:
            'I am the automatic assistant of Nordwind Air. Send me a flight number, for example ' +
            'NW204, or choose:',
          footer: 'Automatic answer',
          buttons: [
            { id: 'baggage', title: 'Baggage' },
            { id: 'check-in', title: 'Check-in' },
            { id: 'person', title: 'Talk to a person' },
          ],
        },
});

type StatusText = (route: string, flight: Flight) => string;

const germanStatus: Record<Flight['state'], StatusText> = {
  'on-time': (route, { departs, gate }) =>
    `${route} ist pünktlich: Abflug ${departs} Uhr, Gate ${gate}.`,
  delayed: (route, { departs, newDeparture, gate }) =>
    `${route} ist verspätet: neuer Abflug ${newDeparture} Uhr statt ${departs} Uhr, Gate ${gate}.`,
  boarding: (route, { departs, gate }) =>
    `${route} steigt gerade ein: Gate ${gate}, Abflug ${departs} Uhr.`,
  cancelled: (route, { departs, newDeparture }) =>
    `${route} um ${departs} Uhr fällt aus. Sie sind auf den Flug um ${newDeparture} Uhr ` +
    'umgebucht. Passt das nicht, schreiben Sie „Mensch“.',
};

const englishStatus: Record<Flight['state'], StatusText> = {
  'on-time': (route, { departs, gate }) =>
    `${route} is on time: departure ${departs}, gate ${gate}.`,
  delayed: (route, { departs, newDeparture, gate }) =>
    `${route} is delayed: it now leaves at ${newDeparture} instead of ${departs}, gate ${gate}.`,
  boarding: (route, { departs, gate }) =>
    `${route} is boarding: gate ${gate}, departure ${departs}.`,
  cancelled: (route, { departs, newDeparture }) =>
    `${route} at ${departs} is cancelled. You are booked on the flight at ${newDeparture}. ` +
    'If that does not suit you, write "agent".',
};

const statusText = (language: Language, number: string, flight: Flight): string =>
  language === 'de'
    ? germanStatus[flight.state](`${number} von ${flight.from.de} nach ${flight.to.de}`, flight)
    : englishStatus[flight.state](`${number} from ${flight.from.en} to ${flight.to.en}`, flight);

function flightStatus(language: Language, match: RegExpMatchArray | null): Answer | undefined {
  const number = `NW${match?.[1] ?? ''}`;
  const flight = flights[number];
  if (flight !== undefined) {
    return { kind: 'text', text: statusText(language, number, flight) };
  }
  return say({
    de:
      `Einen Flug ${number} kenne ich heute nicht. Die Nummer steht auf Ihrer Bordkarte, zum ` +
      `Beispiel NW204.`,
    en: `I know no flight ${number} today. The number is on your boarding pass, for example NW204.`,
  })(language);
}

export const dialogue = createDialogue(
  [
    personTopic({
      de:
        'Ich gebe an eine Kollegin im Kundendienst weiter und schweige so lange. ' +
        'Schreiben Sie „Assistent“, wenn ich wieder helfen soll.',
      en:
        'I am handing you over to a colleague in customer service and will be quiet. ' +
        'Write "assistant" if you want me back.',
    }),
    { pattern: /\bNW\s?-?(\d{3})\b/iu, answer: flightStatus },
    {
      pattern: /gepäck|koffer|baggage|luggage|\bbag\b/iu,
      choice: 'baggage',
      answer: say({
        de:
          'Frei sind ein Handgepäck bis 8 kg (55 × 40 × 23 cm) und, ab Tarif „Brise“, ein ' +
          'Koffer bis 23 kg. Fehlt Ihr Gepäck, halten Sie bitte die Nummer des ' +
          'Gepäckabschnitts bereit und schreiben Sie „Mensch“.',
        en:
          'One cabin bag up to 8 kg (55 × 40 × 23 cm) is free and, from the "Brise" fare on, ' +
          'one suitcase up to 23 kg. If your baggage is missing, have the number of your ' +
          'baggage tag ready and write "agent".',
      }),
    },
    {
      pattern: /check-?\s?in|einchecken|bordkarte|boarding pass/iu,
      choice: 'check-in',
      answer: say({
        de:
          'Einchecken können Sie ab 24 Stunden bis 45 Minuten vor dem Abflug auf ' +
          'nordwind-air.example. Am Flughafen öffnet der Schalter zwei Stunden vorher.',
        en:
          'You can check in from 24 hours until 45 minutes before departure at ' +
          'nordwind-air.example. The desk at the airport opens two hours before.',
      }),
    },
    {
      pattern: /öffnungszeit|geöffnet|opening hours|\bopen\b|erreichbar/iu,
      answer: say({
        de: 'Ich antworte immer. Kolleginnen und Kollegen erreichen Sie täglich von 6 bis 22 Uhr.',
        en: 'I answer at any time. Colleagues are here daily from 6 am to 10 pm.',
      }),
    },
    {
      pattern: /\b(flug|flüge|flight|verspätung|delayed?|gate)\b/iu,
      answer: say({
        de: 'Schreiben Sie mir bitte die Flugnummer, zum Beispiel NW204.',
        en: 'Please send me the flight number, for example NW204.',
      }),
    },
    {
      pattern: /\b(danke|thanks|thank you)\b/iu,
      answer: say({ de: 'Gern. Guten Flug.', en: 'You are welcome. Have a good flight.' }),
    },
  ],
  menu,
);
