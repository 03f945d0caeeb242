// What Bank am Markt may send unasked: login codes, card payments, appointments. In the shape the
// Cloud API takes.
import type { TemplateCreation } from '@siegel/bot';

const utility = { category: 'UTILITY', parameter_format: 'POSITIONAL' } as const;

const loginCode = (language: string, button: string): TemplateCreation => ({
  name: 'login_code',
  language,
  category: 'AUTHENTICATION',
  components: [
    { type: 'BODY', add_security_recommendation: true },
    { type: 'FOOTER', code_expiration_minutes: 5 },
    { type: 'BUTTONS', buttons: [{ type: 'OTP', otp_type: 'COPY_CODE', text: button }] },
  ],
});

export const templates: readonly TemplateCreation[] = [
  loginCode('de', 'Code kopieren'),
  loginCode('en', 'Copy code'),
  {
    ...utility,
    name: 'card_payment',
    language: 'de',
    components: [
      {
        type: 'BODY',
        text:
          'Mit Ihrer Karte auf {{1}} wurde am {{2}} bei {{3}} ein Betrag von {{4}} bezahlt. ' +
          'Waren Sie das nicht, sperren Sie die Karte bitte sofort.',
        example: { body_text: [['•• 4242', '22. November', 'Kaufhaus Linden', '49,90 €']] },
      },
      { type: 'BUTTONS', buttons: [{ type: 'QUICK_REPLY', text: 'Karte sperren' }] },
    ],
  },
  {
    ...utility,
    name: 'card_payment',
    language: 'en',
    components: [
      {
        type: 'BODY',
        text:
          'Your card ending in {{1}} paid {{2}} at {{3}} on {{4}} just now. If that was not ' +
          'you, please block the card at once.',
        example: { body_text: [['4242', '€49.90', 'Kaufhaus Linden', '22 November']] },
      },
      { type: 'BUTTONS', buttons: [{ type: 'QUICK_REPLY', text: 'Block a card' }] },
    ],
  },
  {
    ...utility,
    name: 'appointment_reminder',
    language: 'de',
    components: [
      {
        type: 'BODY',
        text: 'Wir erwarten Sie am {{1}} um {{2}} in der Filiale {{3}} zu Ihrem Termin.',
        example: { body_text: [['24. November', '10:30 Uhr', 'Marktplatz']] },
      },
    ],
  },
  {
    ...utility,
    name: 'appointment_reminder',
    language: 'en',
    components: [
      {
        type: 'BODY',
        text: 'We look forward to seeing you on {{1}} at {{2}} in our branch {{3}} as agreed.',
        example: { body_text: [['24 November', '10:30 am', 'Marktplatz']] },
      },
    ],
  },
];
