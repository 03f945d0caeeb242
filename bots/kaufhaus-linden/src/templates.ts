// What Kaufhaus Linden may send unasked: confirmation, dispatch. Named parameters, in the shape the
// Cloud API takes.
import type { TemplateCreation } from '@siegel/bot';

const utility = { category: 'UTILITY', parameter_format: 'NAMED' } as const;

export const templates: readonly TemplateCreation[] = [
  {
    ...utility,
    name: 'order_confirmed',
    language: 'de',
    components: [
      { type: 'HEADER', format: 'TEXT', text: 'Danke für Ihre Bestellung' },
      {
        type: 'BODY',
        text:
          'Guten Tag {{name}}, wir haben Ihre Bestellung {{order}} über {{amount}} erhalten und ' +
          'versenden sie am {{day}} an Sie.',
        example: {
          body_text_named_params: [
            { param_name: 'name', example: 'Herr Winter' },
            { param_name: 'order', example: 'L-1001' },
            { param_name: 'amount', example: '49,90 €' },
            { param_name: 'day', example: '24. November' },
          ],
        },
      },
      { type: 'FOOTER', text: 'Kaufhaus Linden' },
    ],
  },
  {
    ...utility,
    name: 'order_confirmed',
    language: 'en',
    components: [
      { type: 'HEADER', format: 'TEXT', text: 'Thank you for your order' },
      {
        type: 'BODY',
        text:
          'Hello {{name}}, we have received your order {{order}} of {{amount}} and send it on ' +
          '{{day}} to you.',
        example: {
          body_text_named_params: [
            { param_name: 'name', example: 'Mr Winter' },
            { param_name: 'order', example: 'L-1001' },
            { param_name: 'amount', example: '€49.90' },
            { param_name: 'day', example: '24 November' },
          ],
        },
      },
      { type: 'FOOTER', text: 'Kaufhaus Linden' },
    ],
  },
  {
    ...utility,
    name: 'order_shipped',
    language: 'de',
    components: [
      {
        type: 'BODY',
        text:
          'Ihre Bestellung {{order}} ist unterwegs. Die Sendungsnummer bei Postwagen ist ' +
          '{{parcel}} und gilt ab heute Abend.',
        example: {
          body_text_named_params: [
            { param_name: 'order', example: 'L-1001' },
            { param_name: 'parcel', example: 'PW4711' },
          ],
        },
      },
    ],
  },
  {
    ...utility,
    name: 'order_shipped',
    language: 'en',
    components: [
      {
        type: 'BODY',
        text:
          'Your order {{order}} is on its way. The Postwagen tracking number is {{parcel}} and ' +
          'works from tonight.',
        example: {
          body_text_named_params: [
            { param_name: 'order', example: 'L-1001' },
            { param_name: 'parcel', example: 'PW4711' },
          ],
        },
      },
    ],
  },
];
