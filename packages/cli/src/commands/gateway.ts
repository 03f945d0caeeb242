// `siegel gateway`: a firm's own server; `enroll` makes its key, `run` serves the Cloud API.
import { enrolGateway, readConfig, startGateway } from '@siegel/gateway';
import { readArguments } from '../arguments.ts';
import { asked, type Command, type Terminal, usage } from '../command.ts';

const help = `Usage: siegel gateway run
       siegel gateway enroll <code>

Runs a firm's own server: the Cloud API inside, sealed envelopes outside. It holds the firm's keys.

  enroll <code>    redeem the operator's one-time code; the business key is made here and stays here
  run              serve the Cloud API

Environment:
  SIEGEL_GATEWAY_DATABASE_URL    PostgreSQL 15 or newer, a database of its own; required
  SIEGEL_RELAY_URL               the operator's server; required
  SIEGEL_GATEWAY_PORT            4500 unless set; 0 takes any free one
  SIEGEL_GATEWAY_HOST            127.0.0.1 unless set; a public address needs SIEGEL_BEHIND_PROXY=1
  SIEGEL_GATEWAY_PUBLIC_URL      the address clients use, when it is another
  SIEGEL_GATEWAY_APP_ID, SIEGEL_GATEWAY_APP_SECRET    made when left out
  SIEGEL_GATEWAY_TOKENS_FILE     JSON list of access tokens: [{ "token": "..." }]
  SIEGEL_GATEWAY_WEBHOOK_URL, SIEGEL_GATEWAY_VERIFY_TOKEN    where events go
  SIEGEL_GATEWAY_ALLOWED_ADDRESSES    loopback or CIDR ranges webhooks may reach beside public ones
  SIEGEL_GATEWAY_KEYS_HOSTED_BY  who runs this machine; every person sees it
  SIEGEL_GATEWAY_PORTAL_FOLDER   web files served at /
  SIEGEL_LOG_LEVEL               debug, info, warn, error or silent`;

async function enrol(code: string | undefined, terminal: Terminal): Promise<number> {
  if (code === undefined) throw usage('The enrolment code is missing.');
  await enrolGateway(readConfig(terminal.environment), code);
  terminal.out('Enrolled. The business key was made here; keep a backup of this database.');
  return 0;
}

async function serve(terminal: Terminal): Promise<number> {
  const running = await startGateway(readConfig(terminal.environment));
  terminal.error(`The gateway serves at ${running.url}`);
  await asked(terminal.signal);
  await running.close();
  return 0;
}

export const gateway: Command = {
  name: 'gateway',
  summary: "run a firm's own server, or enrol it",
  help,
  async run(args, terminal) {
    const [action = 'run', ...rest] = readArguments(args, []).positionals;
    if (action === 'run') return serve(terminal);
    if (action === 'enroll' || action === 'enrol') return enrol(rest[0], terminal);
    throw usage(`siegel gateway has no ${action}.`);
  },
};
