// `siegel town`: the whole product on one machine, until somebody ends it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readTownOptions, startTown, type Town, type TownEvent } from '@siegel/testkit';
import { readArguments } from '../arguments.ts';
import { asked, type Command, type Terminal } from '../command.ts';
import { type Language, languageOf } from '../language.ts';

const help = `Usage: siegel town

Runs the whole of Siegel on this machine: relay, and for each of four invented firms a gateway,
a bot and a database. Ctrl-C ends everything; what was written stays in the data folder.

Environment:
  SIEGEL_HOME     the data folder; .siegel unless set. When ready, its town.json holds all addresses
  SIEGEL_PORT     4400 unless set: messenger and relay; +1 business app; +2 console;
                  +100 and on one gateway per firm. 0 takes any free ones
  SIEGEL_HOST     127.0.0.1 unless set; a public address needs TLS or SIEGEL_BEHIND_PROXY=1,
                  and SIEGEL_SMS_URL, because the SMS inbox is served to this machine only.
                  Gateways stay on this machine unless a proxy is in front
  DATABASE_URL    a PostgreSQL for the relay instead of the embedded one
  SIEGEL_GATEWAY_DATABASE_URL    one for the gateways; each firm gets a database in it, made by this
                  role (CREATEDB) or beforehand: siegel_gateway_nordwind_air, ...`;

const texts = {
  de: {
    starting: 'Die Stadt startet …',
    firms: 'Das Relais läuft; die Firmen folgen …',
    orphans: (count: number) => `Von einem abgebrochenen Lauf übrig, beendet: ${count}.`,
    died: (child: string, ms: number) => `${child} ist ausgefallen; neuer Start in ${ms} ms.`,
    again: (child: string) => `${child} läuft wieder.`,
    gaveUp: (child: string, log: string) =>
      `${child} fällt immer wieder aus und wird nicht mehr gestartet. Siehe ${log}`,
    database: (child: string) => `${child} ist ausgefallen und wird neu gestartet.`,
    ready: 'Die Stadt ist bereit.',
    labels: ['Messenger und Relais', 'Business-App', 'Konsole', 'SMS-Eingang', 'Alle Zugänge'],
    firmsTitle: 'Firmen (Cloud API und Portal)',
    tryIt: 'Eine Person in einem zweiten Terminal:',
    curl: 'Dann eine erste Nachricht an sie:',
    end: 'Strg-C beendet alles.',
    stopping: 'Die Stadt endet …',
    stopped: 'Beendet. Die Daten bleiben.',
  },
  en: {
    starting: 'The town is starting …',
    firms: 'The relay is up; the firms follow …',
    orphans: (count: number) => `Left over from a run that was cut off, ended: ${count}.`,
    died: (child: string, ms: number) => `${child} went down; starting it again in ${ms} ms.`,
    again: (child: string) => `${child} is up again.`,
    gaveUp: (child: string, log: string) =>
      `${child} keeps going down and is not started any more. See ${log}`,
    database: (child: string) => `${child} went down and is being started again.`,
    ready: 'The town is ready.',
    labels: ['Messenger and relay', 'Business app', 'Console', 'SMS inbox', 'All credentials'],
    firmsTitle: 'Firms (Cloud API and portal)',
    tryIt: 'A person, in a second terminal:',
    curl: 'Then a first message to it:',
    end: 'Ctrl-C ends everything.',
    stopping: 'The town is stopping …',
    stopped: 'Stopped. The data stays.',
  },
};

/** Tells what a person should know, and no more: a quiet start is a good one. */
function reporter(home: string, language: Language, terminal: Terminal) {
  const words = texts[language];
  const down = new Set<string>();
  return (event: TownEvent): void => {
    switch (event.event) {
      case 'step':
        if (event.step === 'firms') terminal.out(words.firms);
        return;
      case 'orphans-ended':
        terminal.out(words.orphans(event.count));
        return;
      case 'died':
        down.add(event.child);
        terminal.error(words.died(event.child, event.againInMs));
        return;
      case 'gave-up':
        terminal.error(words.gaveUp(event.child, join(home, 'logs', `${event.child}.log`)));
        return;
      case 'database-died':
        terminal.error(words.database(event.child));
        return;
      case 'ready':
      case 'restarted':
        if (down.delete(event.child) || event.event === 'restarted') {
          terminal.out(words.again(event.child));
        }
        return;
      default:
        event satisfies never;
    }
  };
}

const readToken = 'JSON.parse(fs.readFileSync(process.argv[1])).businesses[0].accessToken';

function curlOf(town: Town, language: Language): string[] {
  const [firm] = town.file.businesses;
  if (firm === undefined) return [];
  const value = (text: string) => `{ "type": "text", "text": "${text}" }`;
  return [
    `curl ${firm.cloudApi}/v25.0/${firm.phoneNumberId}/messages \\`,
    // The token stays in its file: what is printed here may end in a log.
    `  -H "Authorization: Bearer $(node -p '${readToken}' '${join(town.home, 'town.json')}')" \\`,
    `  -H 'Content-Type: application/json' -d '{`,
    `    "messaging_product": "whatsapp", "to": "+4915550001001", "type": "template",`,
    `    "template": { "name": "flight_update", "language": { "code": "${language}" },`,
    `      "components": [{ "type": "body", "parameters": [`,
    `        ${value('NW204')}, ${value('15:10')}, ${value('B7')} ] }] } }'`,
  ];
}

function summary(town: Town, language: Language): string[] {
  const words = texts[language];
  const { file } = town;
  const values = [
    file.messenger,
    file.business,
    file.console,
    `${file.smsInbox}?number=+49…`,
    join(town.home, 'town.json'),
  ];
  const width = Math.max(...words.labels.map((label) => label.length)) + 2;
  const nameWidth = Math.max(...file.businesses.map(({ name }) => name.length)) + 2;
  return [
    '',
    words.ready,
    '',
    ...values.map((value, index) => `  ${words.labels[index]!.padEnd(width)}${value}`),
    '',
    words.firmsTitle,
    ...file.businesses.map(
      ({ name, number, cloudApi }) => `  ${name.padEnd(nameWidth)}${number.padEnd(16)}${cloudApi}`,
    ),
    '',
    words.tryIt,
    '  npm exec --no -- siegel demo-person',
    '',
    words.curl,
    ...curlOf(town, language).map((line) => `  ${line}`),
    '',
    words.end,
  ];
}

export const town: Command = {
  name: 'town',
  summary: 'run everything on this machine, with four demo firms',
  help,
  async run(args, terminal) {
    readArguments(args, []);
    const options = readTownOptions(terminal.environment);
    const language = languageOf(terminal.environment);
    const words = texts[language];
    terminal.out(words.starting);
    const running = await startTown(options, {
      random: randomBytes,
      signal: terminal.signal,
      onEvent: reporter(options.home, language, terminal),
    }).catch((error: unknown) => {
      // Ended while starting, by whoever started it: nothing went wrong.
      if (terminal.signal.aborted) return undefined;
      throw error;
    });
    if (running !== undefined) {
      for (const line of summary(running, language)) terminal.out(line);
      await asked(terminal.signal);
      terminal.out(words.stopping);
      await running.stop();
    }
    terminal.out(words.stopped);
    return 0;
  },
};
