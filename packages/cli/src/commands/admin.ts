// `siegel admin`: the operator's work by hand: enter firms, issue codes, decide about templates.
import { connectToRelay } from '@siegel/client/node';
import { AccountId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import {
  decideTemplate,
  issueEnrolmentCode,
  listPendingTemplates,
  registerBusiness,
  SealLevel,
} from '@siegel/protocol/relay';
import { type Arguments, readArguments } from '../arguments.ts';
import { type Command, type Terminal, usage } from '../command.ts';
import { findTown } from '../town-home.ts';

const help = `Usage: siegel admin register --legal-name <name> --country <DE> --number <+49...>
                            --display-name <name> [--level <level>] [--evidence <what>]
                            [--register-entry <entry>] [--domain <domain>]
       siegel admin enrolment-code <account id>
       siegel admin templates list
       siegel admin templates approve|reject|pause|resume|disable <template id> [--reason <words>]

Does the operator's work at a relay. Nothing here shows a message or a person.

  register          enter a legal entity with a number; prints its one-time enrolment code
  enrolment-code    a fresh code for an entity that is not enrolled yet; older ones end
  templates         what waits for a decision, and deciding it

Levels: number-proven, entity-proven, badge.

Options for all:
  --relay <url>     the relay; SIEGEL_RELAY_URL, else the town's
  --home <folder>   the town's folder; SIEGEL_HOME, else .siegel

The operator's token is taken from SIEGEL_OPERATOR_TOKEN, else from the town's folder.`;

const common = ['relay', 'home'];
const decisions = ['approve', 'reject', 'pause', 'resume', 'disable'] as const;

type Relay = ReturnType<typeof connectToRelay>;

function connect(given: Arguments, terminal: Terminal): Relay {
  const town = findTown(terminal, given.option('home'));
  const url = given.option('relay') ?? terminal.environment['SIEGEL_RELAY_URL'] ?? town.relay;
  const token = terminal.environment['SIEGEL_OPERATOR_TOKEN'] ?? town.operatorToken;
  if (url === undefined) throw usage('Which relay? Give --relay, or start the town first.');
  if (token === undefined) throw usage('SIEGEL_OPERATOR_TOKEN is not set, and no town is here.');
  return connectToRelay({ url, token });
}

/** @throws UsageError that names the option */
function checked<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
  value: string,
  name: string,
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw usage(`${name} is not usable: ${JSON.stringify(value)}.`);
}

async function register(args: readonly string[], terminal: Terminal): Promise<number> {
  const optional = ['level', 'evidence', 'register-entry', 'domain'];
  const needed = ['legal-name', 'country', 'number', 'display-name'];
  const given = readArguments(args, [...common, ...needed, ...optional]);
  const registerEntry = given.option('register-entry');
  const domain = given.option('domain');
  const request = {
    legalName: given.required('legal-name'),
    country: given.required('country'),
    evidence: given.option('evidence') ?? 'none',
    level: checked(SealLevel, given.option('level') ?? 'number-proven', '--level'),
    ...(registerEntry === undefined ? {} : { registerEntry }),
    ...(domain === undefined ? {} : { domain }),
    numbers: [
      {
        number: checked(PhoneNumber, given.required('number'), '--number'),
        displayName: given.required('display-name'),
      },
    ],
  };
  const relay = connect(given, terminal);
  try {
    const answer = await relay.call(registerBusiness, request);
    if (answer.outcome === 'number-taken') {
      terminal.error('This number belongs to another firm already.');
      return 1;
    }
    const [number] = answer.business.numbers;
    terminal.out(`account id        ${answer.business.accountId}`);
    terminal.out(`WABA id           ${number?.wabaId ?? ''}`);
    terminal.out(`phone number id   ${number?.phoneNumberId ?? ''}`);
    terminal.out(`enrolment code    ${answer.enrolmentCode}`);
    return 0;
  } finally {
    await relay.close();
  }
}

async function enrolmentCode(args: readonly string[], terminal: Terminal): Promise<number> {
  const given = readArguments(args, common);
  const [id] = given.positionals;
  if (id === undefined) throw usage('The account id is missing.');
  const accountId = checked(AccountId, id, 'The account id');
  const relay = connect(given, terminal);
  try {
    const answer = await relay.call(issueEnrolmentCode, { accountId });
    if (answer.outcome === 'issued') {
      terminal.out(answer.enrolmentCode);
      return 0;
    }
    terminal.error(
      answer.outcome === 'already-enrolled'
        ? 'This firm is enrolled: further gateways are linked by one it has.'
        : 'There is no such firm.',
    );
    return 1;
  } finally {
    await relay.close();
  }
}

async function listTemplates(relay: Relay, terminal: Terminal): Promise<number> {
  const { templates } = await relay.call(listPendingTemplates, {});
  if (templates.length === 0) terminal.out('No template waits for a decision.');
  for (const one of templates) {
    const head = [one.templateId, one.name, one.language, one.category, one.business].join('  ');
    terminal.out(head);
    terminal.out(`  ${one.body.replaceAll('\n', '\n  ')}`);
  }
  return 0;
}

async function templates(args: readonly string[], terminal: Terminal): Promise<number> {
  const given = readArguments(args, [...common, 'reason']);
  const [action, id] = given.positionals;
  const decision = decisions.find((one) => one === action);
  if (action !== 'list' && decision === undefined) {
    throw usage(`siegel admin templates takes list, ${decisions.join(', ')}.`);
  }
  if (decision !== undefined && id === undefined) throw usage('The template id is missing.');
  const relay = connect(given, terminal);
  try {
    if (decision === undefined) return await listTemplates(relay, terminal);
    const reason = given.option('reason');
    const answer = await relay.call(decideTemplate, {
      templateId: checked(NumericId, id!, 'The template id'),
      decision,
      ...(reason === undefined ? {} : { reason }),
    });
    if (answer.outcome === 'not-found') {
      terminal.error('There is no such template.');
      return 1;
    }
    if (answer.outcome === 'decided') terminal.out(answer.status);
    else terminal.error(`Not possible: the template is ${answer.status}.`);
    return answer.outcome === 'decided' ? 0 : 1;
  } finally {
    await relay.close();
  }
}

export const admin: Command = {
  name: 'admin',
  summary: "do the operator's work: firms, codes, templates",
  help,
  async run([action, ...rest], terminal) {
    switch (action) {
      case 'register':
        return register(rest, terminal);
      case 'enrolment-code':
        return enrolmentCode(rest, terminal);
      case 'templates':
        return templates(rest, terminal);
      case undefined:
        throw usage('What is to be done? register, enrolment-code or templates.');
      default:
        throw usage(`siegel admin has no ${action}.`);
    }
  },
};
