// What Postwagen may send unasked: when a parcel comes and where it waits. In the shape the Cloud
// API takes.
import type { TemplateCreation } from '@siegel/bot';

const utility = { category: 'UTILITY', parameter_format: 'POSITIONAL' } as const;

export const templates: readonly TemplateCreation[] = [
  {
    ...utility,
    name: 'delivery_notice',
    language: 'de',
    components: [
      {
        type: 'BODY',
        text: 'Ihre Sendung {{1}} von {{2}} kommt heute zwischen {{3}} und {{4}} Uhr zu Ihnen.',
        example: { body_text: [['PW4711', 'Kaufhaus Linden', '14', '16']] },
      },
      {
        type: 'BUTTONS',
        buttons: [
          { type: 'QUICK_REPLY', text: 'Ich bin da' },
          { type: 'QUICK_REPLY', text: 'Nicht zu Hause' },
        ],
      },
    ],
  },
  {
    ...utility,
    name: 'delivery_notice',
    language: 'en',
    components: [
      {
        type: 'BODY',
        text: 'Your parcel {{1}} from {{2}} arrives today between {{3}} and {{4}} at your door.',
        example: { body_text: [['PW4711', 'Kaufhaus Linden', '2 pm', '4 pm']] },
      },
      {
        type: 'BUTTONS',
        buttons: [
          { type: 'QUICK_REPLY', text: 'I am in' },
          { type: 'QUICK_REPLY', text: 'Not at home' },
        ],
      },
    ],
  },
  {
    ...utility,
    name: 'pickup_ready',
    language: 'de',
    components: [
      { type: 'HEADER', format: 'TEXT', text: 'Ihre Sendung liegt bereit' },
      {
        type: 'BODY',
        text:
          'Sie können {{1}} bis {{2}} im Paketladen {{3}} abholen. Bitte bringen Sie Ihren ' +
          'Ausweis mit.',
        example: { body_text: [['PW3030', 'Samstag, 18 Uhr,', 'Lindenstraße 8']] },
      },
    ],
  },
  {
    ...utility,
    name: 'pickup_ready',
    language: 'en',
    components: [
      { type: 'HEADER', format: 'TEXT', text: 'Your parcel is ready' },
      {
        type: 'BODY',
        text: 'You can collect {{1}} until {{2}} at the shop {{3}} near you. Please bring your ID.',
        example: { body_text: [['PW3030', 'Saturday, 6 pm,', 'Lindenstraße 8']] },
      },
    ],
  },
];
