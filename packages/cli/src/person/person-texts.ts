// The words of `siegel demo-person`, German and English each written for itself.
import type { Language } from '../language.ts';

export type PersonTexts = {
  readonly registering: (number: string) => string;
  readonly codeQuestion: string;
  readonly registered: (number: string) => string;
  readonly opened: (number: string) => string;
  readonly keys: string;
  readonly howTo: string;
  readonly commands: readonly string[];
  readonly noChats: string;
  readonly noChat: string;
  readonly chats: string;
  readonly you: string;
  readonly person: string;
  readonly automated: string;
  readonly keysWith: (name: string, host: string) => string;
  readonly certificate: {
    readonly none: string;
    readonly expired: string;
    readonly levels: Readonly<Record<'number-proven' | 'entity-proven' | 'badge', string>>;
    readonly issued: (legalName: string, country: string) => string;
    readonly noLog: string;
  };
  readonly unrendered: string;
  readonly media: Readonly<Record<'image' | 'video' | 'audio' | 'document' | 'sticker', string>>;
  readonly location: string;
  readonly deleted: string;
  readonly reaction: string;
  readonly notShown: string;
  readonly noSuchButton: (count: number) => string;
  readonly blocked: (name: string) => string;
  readonly unblocked: (name: string) => string;
  readonly unknownCommand: (command: string) => string;
  readonly nobodyThere: string;
  readonly numberInvalid: string;
  readonly failed: Readonly<Record<string, string>> & { readonly other: string };
  readonly offline: string;
  readonly online: string;
  readonly notices: Readonly<Record<string, string>>;
  readonly nothingCame: string;
  readonly bye: string;
};

const de: PersonTexts = {
  registering: (number) => `Die Nummer ${number} wird angemeldet …`,
  codeQuestion: 'Code aus der SMS: ',
  registered: (number) => `Angemeldet als ${number}.`,
  opened: (number) => `Wieder da als ${number}.`,
  keys: 'Deine Schlüssel liegen nur hier, in diesem Ordner. Das Relais kann nichts mitlesen.',
  howTo: 'Warte auf eine Nachricht oder schreib mit /to +49… an eine Firma. /help zeigt alles.',
  commands: [
    '  Text            an den offenen Chat',
    '  1, 2, 3 …       den Knopf mit dieser Zahl tippen',
    '  /chats          alle Chats',
    '  /chat 2         einen Chat öffnen',
    '  /to +49…        an eine Nummer schreiben',
    '  /block          die Firma des offenen Chats blockieren; /unblock hebt es auf',
    '  /wait 10        bis zu zehn Sekunden auf eine Nachricht warten',
    '  /quit           beenden',
  ],
  noChats: 'Noch keine Chats.',
  noChat: 'Kein Chat ist offen: /to +49… oder /chat 1.',
  chats: 'Chats',
  you: 'du',
  person: 'Person',
  automated: 'automatisch',
  keysWith: (name, host) => `Nur du und ${name} könnt das lesen. Die Schlüssel hält dort: ${host}.`,
  certificate: {
    none: 'Kein gültiges Zertifikat: Wer das ist, hat niemand geprüft.',
    expired: 'Das Zertifikat ist abgelaufen.',
    levels: {
      'number-proven': 'Nur die Nummer ist nachgewiesen.',
      'entity-proven': 'Die Firma ist nachgewiesen.',
      badge: 'Die Firma ist nachgewiesen und trägt das Siegel der Betreiberin.',
    },
    issued: (legalName, country) => `Laut Betreiberin: ${legalName}, ${country}.`,
    noLog: 'Ein öffentliches Protokoll der Siegel gibt es noch nicht; darum hier kein Haken.',
  },
  unrendered: '[Diese Vorlage passt nicht zu ihren Werten und wird nicht gezeigt]',
  media: {
    image: 'Bild',
    video: 'Video',
    audio: 'Ton',
    document: 'Dokument',
    sticker: 'Sticker',
  },
  location: 'Ort',
  deleted: '[Nachricht gelöscht]',
  reaction: 'reagiert mit',
  notShown: '[Diese Nachricht zeigt diese Version nicht]',
  noSuchButton: (count) => `Zu tippen gibt es nur 1 bis ${count}.`,
  blocked: (name) => `${name} ist blockiert und erfährt das nicht.`,
  unblocked: (name) => `${name} darf dir wieder schreiben.`,
  unknownCommand: (command) => `${command} kenne ich nicht. /help zeigt alles.`,
  nobodyThere: 'Unter dieser Nummer ist niemand zu finden.',
  numberInvalid: 'Das ist keine Nummer. So sieht eine aus: +494066969100',
  failed: {
    undeliverable: 'Nicht zugestellt: Der Empfänger ist nicht zu erreichen.',
    'pair-rate': 'Nicht gesendet: zu viele Nachrichten in kurzer Zeit.',
    other: 'Nicht gesendet.',
  },
  offline: 'Keine Verbindung zum Relais; es wird weiter versucht.',
  online: 'Verbunden.',
  notices: {
    'account-key-changed': 'Der Schlüssel der anderen Seite hat sich geändert.',
    'message-unreadable': 'Eine Nachricht war nicht zu öffnen.',
    'message-refused': 'Eine Nachricht war nicht, was sie vorgab, und wird nicht gezeigt.',
    'sender-mismatch': 'Eine Nachricht kam nicht von dem, der sie gesendet haben will.',
  },
  nothingCame: 'Nichts gekommen.',
  bye: 'Bis bald.',
};

const en: PersonTexts = {
  registering: (number) => `Registering ${number} …`,
  codeQuestion: 'Code from the SMS: ',
  registered: (number) => `Registered as ${number}.`,
  opened: (number) => `Back as ${number}.`,
  keys: 'Your keys are here only, in this folder. The relay cannot read along.',
  howTo: 'Wait for a message, or write to a firm with /to +49…. /help shows everything.',
  commands: [
    '  text            to the open chat',
    '  1, 2, 3 …       tap the button with this number',
    '  /chats          all chats',
    '  /chat 2         open a chat',
    '  /to +49…        write to a number',
    '  /block          block the firm of the open chat; /unblock undoes it',
    '  /wait 10        wait up to ten seconds for a message',
    '  /quit           end',
  ],
  noChats: 'No chats yet.',
  noChat: 'No chat is open: /to +49… or /chat 1.',
  chats: 'Chats',
  you: 'you',
  person: 'person',
  automated: 'automatic',
  keysWith: (name, host) =>
    `Only you and ${name} can read this. The keys there are held by: ${host}.`,
  certificate: {
    none: 'No valid certificate: nobody has checked who this is.',
    expired: 'The certificate has expired.',
    levels: {
      'number-proven': 'Only the number is proven.',
      'entity-proven': 'The firm is proven.',
      badge: "The firm is proven and bears the operator's seal.",
    },
    issued: (legalName, country) => `According to the operator: ${legalName}, ${country}.`,
    noLog: 'There is no public log of seals yet, so no tick is shown here.',
  },
  unrendered: '[This template does not fit its values and is not shown]',
  media: {
    image: 'image',
    video: 'video',
    audio: 'audio',
    document: 'document',
    sticker: 'sticker',
  },
  location: 'place',
  deleted: '[message deleted]',
  reaction: 'reacts with',
  notShown: '[this version does not show this message]',
  noSuchButton: (count) => `There is only 1 to ${count} to tap.`,
  blocked: (name) => `${name} is blocked and is not told.`,
  unblocked: (name) => `${name} may write to you again.`,
  unknownCommand: (command) => `I do not know ${command}. /help shows everything.`,
  nobodyThere: 'Nobody is to be found at this number.',
  numberInvalid: 'That is no number. One looks like this: +494066969100',
  failed: {
    undeliverable: 'Not delivered: the recipient cannot be reached.',
    'pair-rate': 'Not sent: too many messages in a short time.',
    other: 'Not sent.',
  },
  offline: 'No connection to the relay; trying on.',
  online: 'Connected.',
  notices: {
    'account-key-changed': "The other side's key has changed.",
    'message-unreadable': 'A message could not be opened.',
    'message-refused': 'A message was not what it claimed to be and is not shown.',
    'sender-mismatch': 'A message did not come from whom it claimed.',
  },
  nothingCame: 'Nothing came.',
  bye: 'See you.',
};

export const personTexts: Readonly<Record<Language, PersonTexts>> = { de, en };
