// `siegel relay`: the operator's server on its own.
import { readConfig, startRelay } from '@siegel/relay';
import { readArguments } from '../arguments.ts';
import { asked, type Command } from '../command.ts';

const help = `Usage: siegel relay

Runs the operator's server: accounts, key directory, conversations, mailboxes, templates.
It never sees a word of a message.

Environment:
  DATABASE_URL             PostgreSQL 15 or newer; required
  SIEGEL_OPERATOR_TOKEN    32 random octets in base64url; required
  SIEGEL_PORT              4400 unless set; 0 takes any free one
  SIEGEL_HOST              127.0.0.1 unless set; a public address needs TLS or a proxy
  SIEGEL_TLS_CERTIFICATE, SIEGEL_TLS_KEY    PEM files
  SIEGEL_BEHIND_PROXY=1    a proxy in front ends TLS and sets X-Forwarded-For
  SIEGEL_PUBLIC_URL        the address devices use, when it is another
  SIEGEL_KEYS_FILE         the operator's signing keys; made when missing
  SIEGEL_BLOB_FOLDER       sealed media
  SIEGEL_SMS_URL, SIEGEL_SMS_TOKEN    the service that sends registration codes
  SIEGEL_ISSUER            stands in certificates and SMS; Siegel unless set
  SIEGEL_LOG_LEVEL         debug, info, warn, error or silent`;

export const relay: Command = {
  name: 'relay',
  summary: "run the operator's server",
  help,
  async run(args, terminal) {
    readArguments(args, []);
    const running = await startRelay(readConfig(terminal.environment));
    terminal.error(`The relay serves at ${running.url}`);
    await asked(terminal.signal);
    await running.close();
    return 0;
  },
};
