// What Bank am Markt's bot answers: blocking a card, branches, appointments. It never asks for
// codes, and never tells a balance.
import { type Answer, createDialogue, type Language, personTopic, say } from '@siegel/bot';
import { branches } from './branches.ts';

const menu = (language: Language): Answer => ({
  kind: 'buttons',
  message:
    language === 'de'
      ? {
          body:
            'Ich bin der automatische Assistent der Bank am Markt. Nach PIN, TAN oder Passwort ' +
            'fragen wir hier nie. Worum geht es?',
          footer: 'Automatische Antwort',
          buttons: [
            { id: 'block-card', title: 'Karte sperren' },
            { id: 'branches', title: 'Filialen' },
            { id: 'person', title: 'Mit Mensch sprechen' },
          ],
        }
      : {
          body:
            'I am the automatic assistant of Bank am Markt. We never ask for your PIN, TAN or ' +
            'password here. What is it about?',
          footer: 'Automatic answer',
          buttons: [
            { id: 'block-card', title: 'Block a card' },
            { id: 'branches', title: 'Branches' },
            { id: 'person', title: 'Talk to a person' },
          ],
        },
});

function branchList(language: Language): Answer {
  const lines = branches.map((one) => `${one.name}, ${one.address}: ${one.hours[language]}`);
  const opening = language === 'de' ? 'Unsere Filialen:' : 'Our branches:';
  return { kind: 'text', text: [opening, ...lines].join('\n') };
}

export const dialogue = createDialogue(
  [
    {
      pattern: /\b(tan|pin|passwort|password|code)\b/iu,
      answer: say({
        de:
          'Schicken Sie niemandem PIN, TAN, Passwort oder Anmeldecode, auch uns nicht. Haben ' +
          'Sie einen Code erhalten, den Sie nicht angefordert haben, schreiben Sie „Mensch“.',
        en:
          'Never send your PIN, TAN, password or login code to anybody, not even to us. If you ' +
          'got a code you did not ask for, write "agent".',
      }),
    },
    {
      pattern: /sperr|gestohlen|verloren|\b(block|lost|stolen)\b/iu,
      choice: 'block-card',
      answer: say({
        de:
          'Sperren Sie Ihre Karte sofort in der Banking-App unter „Karten“ oder telefonisch, ' +
          'rund um die Uhr, unter 069 90009 411. Danach hilft Ihnen hier ein Mensch weiter.',
        en:
          'Block your card at once in the banking app under "Cards" or by phone, day and night, ' +
          'on +49 69 90009 411. After that a person here will help you on.',
      }),
    },
    personTopic({
      de:
        'Ich gebe an eine Beraterin weiter und schweige so lange. ' +
        'Schreiben Sie „Assistent“, wenn ich wieder helfen soll.',
      en:
        'I am handing you over to an advisor and will be quiet. ' +
        'Write "assistant" if you want me back.',
    }),
    {
      pattern: /filiale|öffnungszeit|geöffnet|\b(branch(es)?|opening hours|open)\b/iu,
      choice: 'branches',
      answer: branchList,
    },
    {
      pattern: /termin|\bappointment\b/iu,
      answer: say({
        de:
          'Termine vereinbaren wir gern: Schreiben Sie „Mensch“, dann meldet sich eine ' +
          'Beraterin, werktags binnen einer Stunde.',
        en:
          'We are glad to arrange one: write "agent" and an advisor gets back to you, within an ' +
          'hour on working days.',
      }),
    },
    {
      pattern: /kontostand|guthaben|überweisung|\b(balance|transfer)\b/iu,
      answer: say({
        de:
          'Kontostand und Überweisungen finden Sie nur in der Banking-App. Hier nenne ich keine ' +
          'Beträge.',
        en: 'Balance and transfers are in the banking app only. I state no amounts here.',
      }),
    },
    {
      pattern: /\b(danke|thanks|thank you)\b/iu,
      answer: say({ de: 'Gern.', en: 'You are welcome.' }),
    },
  ],
  menu,
);
