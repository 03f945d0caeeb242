// `siegel demo-person`: a person in the terminal, with an account of their own, until the messenger
// in the browser exists.
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { openAccount, readIdentity } from '@siegel/client';
import { openNodeDevice } from '@siegel/client/node';
import { PhoneNumber } from '@siegel/protocol/ids';
import {
  countTexts,
  fetchCertificate,
  openJournalStore,
  readCode,
  registerPerson,
} from '@siegel/testkit';
import { readArguments } from '../arguments.ts';
import { type Command, type Terminal, usage } from '../command.ts';
import { languageOf } from '../language.ts';
import { PersonSession } from '../person/person-session.ts';
import { personTexts } from '../person/person-texts.ts';
import { findTown } from '../town-home.ts';

const help = `Usage: siegel demo-person [--number <+49...>] [--relay <url>] [--sms-inbox <url>]
                          [--home <folder>] [--language de|en]

Opens a person in this terminal. It registers its number (the code comes from the town's SMS inbox;
without one you are asked for it), shows what arrives, and sends what you type. Its keys and chats
are kept in <home>/people and are there again next time.

  --number      +4915550001001 unless given
  --relay       the relay; SIEGEL_RELAY_URL, else the town's
  --sms-inbox   where codes are read; the town's unless given
  --home        the town's folder; SIEGEL_HOME, else .siegel
  --language    that of the terminal unless given

In the chat: text goes to the open chat, a number taps a button, /help shows the rest.
Reads commands from a pipe too: printf '/to +494066969100\\nNW204\\n/wait\\n' | siegel demo-person`;

const options = ['number', 'relay', 'sms-inbox', 'home', 'language'];
const numberDefault = '+4915550001001';

type Lines = NodeJS.AsyncIterator<string>;

/**
 * Lines of the terminal or of a pipe, kept from now on; they end with it, or when the command is
 * asked to.
 */
function linesOf(reader: Interface, signal: AbortSignal): Lines {
  const close = () => reader.close();
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
  // Asked for at once: lines that come before the iterator are lost.
  return reader[Symbol.asyncIterator]();
}

async function askForCode(lines: Lines, terminal: Terminal, question: string): Promise<string> {
  terminal.out(question);
  const { value, done } = await lines.next();
  if (done === true) throw usage('No code was given.');
  return value.trim();
}

export const demoPerson: Command = {
  name: 'demo-person',
  summary: 'be a person in this terminal',
  help,
  async run(args, terminal) {
    const given = readArguments(args, options);
    const wanted = given.option('language');
    const language = wanted === 'de' || wanted === 'en' ? wanted : languageOf(terminal.environment);
    const texts = personTexts[language];
    const number = PhoneNumber.safeParse(given.option('number') ?? numberDefault);
    if (!number.success) throw usage(texts.numberInvalid);
    const town = findTown(terminal, given.option('home'));
    const relay = given.option('relay') ?? terminal.environment['SIEGEL_RELAY_URL'] ?? town.relay;
    if (relay === undefined) throw usage('Which relay? Give --relay, or start the town first.');
    const smsInbox = given.option('sms-inbox') ?? town.smsInbox;
    const folder = join(town.home, 'people', number.data.slice(1));
    const store = await openJournalStore(folder);
    const reader = createInterface({
      input: terminal.input,
      ...(terminal.input.isTTY === true ? { output: process.stdout, prompt: '' } : {}),
    });
    const lines = linesOf(reader, terminal.signal);
    try {
      const isKnown = (await readIdentity(store)) !== undefined;
      if (!isKnown) terminal.out(texts.registering(number.data));
      const before =
        isKnown || smsInbox === undefined ? 0 : await countTexts(smsInbox, number.data);
      const identity = await registerPerson({
        relay,
        store,
        number: number.data,
        language,
        readCode: () =>
          smsInbox === undefined
            ? askForCode(lines, terminal, texts.codeQuestion)
            : readCode(smsInbox, number.data, before),
      });
      const token = identity.deviceToken;
      const device = await openNodeDevice({ url: relay, store, token });
      const session = new PersonSession({
        out: terminal.out,
        language,
        now: device.environment.now,
        certificate: (contact, phoneNumberId) =>
          fetchCertificate({ relay, token, store, contact, phoneNumberId }),
      });
      const account = await openAccount<undefined>({
        ...device,
        ...device.environment,
        store,
        handler: {
          message: async (message) => session.take(message),
          status: async (status) => session.takeStatus(status),
          notice: async (notice) => session.takeNotice(notice),
        },
      });
      session.begin(account);
      terminal.out(isKnown ? texts.opened(number.data) : texts.registered(number.data));
      terminal.out(texts.keys);
      terminal.out(texts.howTo);
      for await (const line of lines) {
        if (!(await session.type(line))) break;
      }
      if (!terminal.signal.aborted) await session.settle();
      await account.close();
      terminal.out(texts.bye);
      return 0;
    } finally {
      reader.close();
      await store.close();
    }
  },
};
