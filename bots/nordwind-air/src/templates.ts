// What Nordwind Air may send unasked: changes, boarding, check-in. In the shape the Cloud API
// takes.
import type { TemplateCreation } from '@siegel/bot';

const utility = { category: 'UTILITY', parameter_format: 'POSITIONAL' } as const;

export const templates: readonly TemplateCreation[] = [
  {
    ...utility,
    name: 'flight_update',
    language: 'de',
    components: [
      { type: 'HEADER', format: 'TEXT', text: 'Änderung Ihres Fluges' },
      {
        type: 'BODY',
        text: 'Ihr Flug {{1}} startet jetzt um {{2}} Uhr von Gate {{3}}. Ihre Bordkarte gilt weiter.',
        example: { body_text: [['NW204', '15:10', 'B7']] },
      },
      { type: 'FOOTER', text: 'Nordwind Air' },
      {
        type: 'BUTTONS',
        buttons: [
          { type: 'QUICK_REPLY', text: 'Verstanden' },
          { type: 'QUICK_REPLY', text: 'Mit Mensch sprechen' },
        ],
      },
    ],
  },
  {
    ...utility,
    name: 'flight_update',
    language: 'en',
    components: [
      { type: 'HEADER', format: 'TEXT', text: 'Your flight has changed' },
      {
        type: 'BODY',
        text: 'Your flight {{1}} now leaves at {{2}} from gate {{3}}. Your boarding pass stays valid.',
        example: { body_text: [['NW204', '15:10', 'B7']] },
      },
      { type: 'FOOTER', text: 'Nordwind Air' },
      {
        type: 'BUTTONS',
        buttons: [
          { type: 'QUICK_REPLY', text: 'Got it' },
          { type: 'QUICK_REPLY', text: 'Talk to a person' },
        ],
      },
    ],
  },
  {
    ...utility,
    name: 'boarding_call',
    language: 'de',
    components: [
      {
        type: 'BODY',
        text:
          'Der Einstieg für Flug {{1}} beginnt um {{2}} an Gate {{3}}. Das Gate schließt 20 ' +
          'Minuten vor dem Abflug.',
        example: { body_text: [['NW318', '11:05 Uhr', 'C3']] },
      },
    ],
  },
  {
    ...utility,
    name: 'boarding_call',
    language: 'en',
    components: [
      {
        type: 'BODY',
        text:
          'Boarding for flight {{1}} begins at {{2}} at gate {{3}}. The gate closes 20 minutes ' +
          'before departure.',
        example: { body_text: [['NW318', '11:05', 'C3']] },
      },
    ],
  },
  {
    ...utility,
    name: 'check_in_open',
    language: 'de',
    components: [
      {
        type: 'BODY',
        text:
          'Der Check-in für Flug {{1}} am {{2}} ist geöffnet. Er schließt 45 Minuten vor dem ' +
          'Abflug.',
        example: { body_text: [['NW101', '24. November']] },
      },
      {
        type: 'BUTTONS',
        buttons: [
          {
            type: 'URL',
            text: 'Jetzt einchecken',
            url: 'https://nordwind-air.example/check-in/{{1}}',
            example: ['https://nordwind-air.example/check-in/NW101'],
          },
        ],
      },
    ],
  },
  {
    ...utility,
    name: 'check_in_open',
    language: 'en',
    components: [
      {
        type: 'BODY',
        text: 'Check-in for flight {{1}} on {{2}} is open. It closes 45 minutes before departure.',
        example: { body_text: [['NW101', '24 November']] },
      },
      {
        type: 'BUTTONS',
        buttons: [
          {
            type: 'URL',
            text: 'Check in now',
            url: 'https://nordwind-air.example/check-in/{{1}}',
            example: ['https://nordwind-air.example/check-in/NW101'],
          },
        ],
      },
    ],
  },
];
