// What Postwagen's bot answers: where a parcel is, shops and hours, what to do when nobody is home;
// a person for everything else.
import { type Answer, createDialogue, type Language, personTopic, say } from '@siegel/bot';
import { parcels } from './parcels.ts';

const menu = (language: Language): Answer => ({
  kind: 'list',
  message:
    language === 'de'
      ? {
          body:
            'Ich bin der automatische Assistent von Postwagen. Schreiben Sie mir eine ' +
            'Sendungsnummer, zum Beispiel PW4711, oder wählen Sie ein Thema.',
          footer: 'Automatische Antwort',
          button: 'Themen',
          sections: [
            {
              rows: [
                { id: 'hours', title: 'Öffnungszeiten', description: 'der Paketläden' },
                { id: 'absent', title: 'Nicht zu Hause', description: 'Ablageort und Nachbarn' },
                { id: 'person', title: 'Mit Mensch sprechen' },
              ],
            },
          ],
        }
      : {
          body:
            'I am the automatic assistant of Postwagen. Send me a tracking number, for example ' +
            'PW4711, or pick a topic.',
          footer: 'Automatic answer',
          button: 'Topics',
          sections: [
            {
              rows: [
                { id: 'hours', title: 'Opening hours', description: 'of our parcel shops' },
                { id: 'absent', title: 'Not at home', description: 'safe place and neighbours' },
                { id: 'person', title: 'Talk to a person' },
              ],
            },
          ],
        },
});

function tracking(language: Language, match: RegExpMatchArray | null): Answer {
  const number = `PW${match?.[1] ?? ''}`;
  const parcel = parcels[number];
  if (parcel === undefined) {
    return say({
      de:
        `Eine Sendung ${number} finde ich nicht. Die Nummer steht in der Versandbestätigung, ` +
        `zum Beispiel PW4711.`,
      en:
        `I cannot find a parcel ${number}. The number is in your dispatch note, for example ` +
        `PW4711.`,
    })(language);
  }
  return say({
    de: `Ihre Sendung ${number} ${parcel.state.de}. ${parcel.next.de}`,
    en: `Your parcel ${number} ${parcel.state.en}. ${parcel.next.en}`,
  })(language);
}

export const dialogue = createDialogue(
  [
    personTopic({
      de:
        'Ich gebe an den Kundendienst weiter und schweige so lange. ' +
        'Schreiben Sie „Assistent“, wenn ich wieder helfen soll.',
      en:
        'I am handing you over to customer service and will be quiet. ' +
        'Write "assistant" if you want me back.',
    }),
    { pattern: /\bPW\s?-?(\d{4})\b/iu, answer: tracking },
    {
      pattern: /öffnungszeit|geöffnet|paketladen|opening hours|\bopen\b|\bshop\b/iu,
      choice: 'hours',
      answer: say({
        de:
          'Unsere Paketläden sind montags bis freitags von 8 bis 19 Uhr geöffnet, samstags von ' +
          '9 bis 18 Uhr.',
        en:
          'Our parcel shops are open Monday to Friday from 8 am to 7 pm and Saturday from 9 am ' +
          'to 6 pm.',
      }),
    },
    {
      pattern: /nicht (zu ?hause|da)|nachbar|ablage|not (at )?home|neighbou?r|safe place/iu,
      choice: 'absent',
      answer: say({
        de:
          'Sind Sie nicht da, versuchen wir es bei einer Nachbarin oder bringen die Sendung in ' +
          'den nächsten Paketladen. Einen Ablageort legen Sie auf postwagen.example fest.',
        en:
          'If you are out, we try a neighbour or take the parcel to the nearest shop. You can ' +
          'name a safe place at postwagen.example.',
      }),
    },
    {
      pattern: /\b(paket|päckchen|sendung|lieferung|parcel|package|delivery|track(ing)?)\b/iu,
      answer: say({
        de: 'Schreiben Sie mir bitte die Sendungsnummer, zum Beispiel PW4711.',
        en: 'Please send me the tracking number, for example PW4711.',
      }),
    },
    {
      pattern: /\b(danke|thanks|thank you)\b/iu,
      answer: say({ de: 'Gern.', en: 'You are welcome.' }),
    },
  ],
  menu,
);
