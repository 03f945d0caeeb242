// Story (a) from outside: `npm start` makes a town, two clients from npm in a folder of their own send a flight update, a person
// at a terminal reads and answers. Nothing of the house is imported; of the town only town.json is read.
// `node tools/outside.mjs` uses this checkout, `node tools/outside.mjs --clone` a fresh clone of it.

import { execFileSync, spawn } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const clients = ['@kapso/whatsapp-cloud-api@0.3.0', 'whatsapp-api-js@6.3.0'];
const personNumber = '+4915550002001';
const pollMs = 50;
const limitsMs = {
  whole: 10 * 60_000,
  install: 3 * 60_000,
  /** design: ready in under three minutes with a cold npm cache */
  town: 3 * 60_000,
  person: 60_000,
  step: 30_000,
  stop: 20_000,
};

/** The airline's system with @kapso/whatsapp-cloud-api: told what to do by arguments, answers with one line of JSON. */
const kapsoProgram = `
import { readFileSync } from 'node:fs';
import { WhatsAppClient } from '@kapso/whatsapp-cloud-api';
const [town, action, to, ...values] = process.argv.slice(2);
const firm = JSON.parse(readFileSync(town, 'utf8')).businesses[0];
const { messages } = new WhatsAppClient({ accessToken: firm.accessToken, baseUrl: firm.cloudApi });
const { phoneNumberId } = firm;
const parameters = values.map((text) => ({ type: 'text', text }));
const answer = await {
  update: () => messages.sendTemplate({ phoneNumberId, to, template: { name: 'flight_update',
    language: { code: 'de' }, components: [{ type: 'body', parameters }] } }),
  text: () => messages.sendText({ phoneNumberId, to, body: values[0] }),
  read: () => messages.markRead({ phoneNumberId, messageId: to }),
}[action]();
console.log(JSON.stringify({ wamid: answer.messages?.[0].id, userId: answer.contacts?.[0].userId }));
`;

/** The same with whatsapp-api-js, which takes no base address but a fetch. */
const apiJsProgram = `
import { readFileSync } from 'node:fs';
import { WhatsAppAPI } from 'whatsapp-api-js';
import { BodyComponent, BodyParameter, Language, Template, Text } from 'whatsapp-api-js/messages';
const [town, action, to, ...values] = process.argv.slice(2);
const firm = JSON.parse(readFileSync(town, 'utf8')).businesses[0];
const ponyfill = { fetch: (input, init) =>
  fetch(String(input).replace('https://graph.facebook.com', firm.cloudApi), init) };
const client = new WhatsAppAPI({ token: firm.accessToken, secure: false, v: 'v24.0', ponyfill });
const { phoneNumberId } = firm;
const body = () => new BodyComponent(...values.map((text) => new BodyParameter(text)));
const answer = await {
  update: () => client.sendMessage(phoneNumberId, to,
    new Template('flight_update', new Language('de'), body())),
  text: () => client.sendMessage(phoneNumberId, to, new Text(values[0])),
  read: () => client.markAsRead(phoneNumberId, to),
}[action]();
console.log(JSON.stringify({ wamid: answer.messages?.[0].id, userId: answer.contacts?.[0].user_id }));
`;

const clientPrograms = [
  { name: '@kapso/whatsapp-cloud-api', file: 'kapso.mjs', source: kapsoProgram, flight: 'NW204' },
  { name: 'whatsapp-api-js', file: 'api-js.mjs', source: apiJsProgram, flight: 'NW318' },
];

class Miss extends Error {}

const pass = (what) => console.log(`PASS ${what}`);

function expect(holds, what) {
  if (!holds) throw new Miss(what);
  pass(what);
}

/** Waits for a condition, never for a time; `why` is asked when it does not come. */
async function until(what, condition, limitMs = limitsMs.step, why = () => '') {
  for (const end = performance.now() + limitMs; ; await delay(pollMs)) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Miss(`${what} (not within ${limitMs} ms) ${why()}`);
  }
}

/** A program with its output kept, so that it can be waited on. `lines` grows. */
function start(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  const program = { child, output: '', ended: undefined };
  const take = (chunk) => {
    program.output = `${program.output}${chunk}`.slice(-1_000_000);
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  child.stdin.on('error', () => {});
  child.once('error', (error) => {
    program.ended = error.message;
  });
  child.once('exit', (code, signal) => {
    program.ended ??= String(signal ?? code);
  });
  return program;
}

const tail = (program) => `ended: ${program.ended ?? 'no'}\n${program.output.slice(-3_000)}`;

async function finished(what, program, limitMs) {
  const why = () => tail(program);
  await until(what, () => program.ended !== undefined, limitMs, why);
  if (program.ended !== '0') throw new Miss(`${what}\n${why()}`);
  return program.output;
}

/** All living processes. Two never share pid and start. */
function processes() {
  const list = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,ppid=,stat=,lstart=,args='], {
    encoding: 'utf8',
  });
  const line = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/;
  return list.split('\n').flatMap((text) => {
    const [, pid, parent, state = '', started, command] = line.exec(text) ?? [];
    const isAlive = pid !== undefined && !state.startsWith('Z');
    return isAlive ? [{ pid: Number(pid), parent: Number(parent), started, command }] : [];
  });
}

function descendants(pid) {
  const all = processes();
  const below = new Set([pid]);
  for (let before = 0; before < below.size; ) {
    before = below.size;
    for (const one of all) if (below.has(one.parent)) below.add(one.pid);
  }
  return all.filter((one) => below.has(one.pid));
}

function living(known) {
  const all = processes();
  return known.filter(({ pid, started }) =>
    all.some((one) => one.pid === pid && one.started === started),
  );
}

const valuesOf = ({ entry }) => entry.flatMap((one) => one.changes).map(({ value }) => value);

function isSigned(bytes, header, appSecret) {
  const mac = createHmac('sha256', appSecret).update(bytes).digest('hex');
  const expected = Buffer.from(`sha256=${mac}`);
  const given = Buffer.from(header ?? '');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The airline's own endpoint: does the handshake, checks each signature over the exact bytes, keeps what came. */
async function startSink(firm) {
  const events = [];
  let unsigned = 0;
  const server = createServer((request, response) => {
    const { searchParams: query } = new URL(request.url, 'http://sink');
    if (request.method === 'GET') {
      const right = query.get('hub.verify_token') === firm.verifyToken;
      response.writeHead(right ? 200 : 403).end(right ? query.get('hub.challenge') : '');
      return;
    }
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      if (!isSigned(bytes, request.headers['x-hub-signature-256'], firm.appSecret)) unsigned += 1;
      events.push(JSON.parse(bytes.toString('utf8')));
      response.writeHead(200).end();
    });
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/webhook`,
    unsigned: () => unsigned,
    values: () => events.flatMap(valuesOf),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function subscribe(firm, sink) {
  const response = await fetch(`${firm.cloudApi}/v25.0/${firm.wabaId}/subscribed_apps`, {
    method: 'POST',
    headers: { authorization: `Bearer ${firm.accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ override_callback_uri: sink.url, verify_token: firm.verifyToken }),
    signal: AbortSignal.timeout(limitsMs.step),
  });
  expect(response.ok, 'the airline subscribes an endpoint of its own');
}

/** One client, from its flight update to the free text that answers the person's answer. */
async function tellStory(scene, { name, file, flight }) {
  const { folder, townFile, firm, sink, person } = scene;
  const ask = async (...args) => {
    const program = start(process.execPath, [file, townFile, ...args], { cwd: folder });
    scene.programs.push(program);
    const output = await finished(`${name}: ${args[0]}`, program, limitsMs.step);
    return JSON.parse(output.trim().split('\n').at(-1));
  };
  const shows = (text) =>
    until(
      `${name}: the terminal shows “${text}”`,
      () => person.output.includes(text),
      limitsMs.step,
      () => tail(person),
    );
  const { wamid, userId } = await ask('update', personNumber, flight, '15:10', 'B7');
  expect(/^wamid\./.test(wamid) && /^DE\./.test(userId), `${name}: flight_update is accepted`);
  // Values stand in invisible isolates, so the words are looked for piece by piece.
  for (const words of [flight, ' Uhr von Gate ', 'Ihre Bordkarte gilt weiter.']) await shows(words);
  pass(`${name}: the person reads it in German`);
  const told = () =>
    sink
      .values()
      .flatMap((value) =>
        (value.statuses ?? [])
          .filter(({ id }) => id === wamid)
          .map(({ status }) => ({ status, userId: value.contacts?.[0]?.user_id })),
      );
  await until(`${name}: it is told as read`, () => told().some((one) => one.status === 'read'));
  const order = told().map(({ status }) => status);
  expect(order.join() === 'sent,delivered,read', `${name}: sent, delivered, read, in order`);
  expect(
    told().every((one) => one.userId === userId),
    `${name}: every status names the person by the same user id`,
  );
  const answer = `Danke, ${flight} gesehen 🧳`;
  person.child.stdin.write(`${answer}\n`);
  const value = await until(`${name}: the answer arrives`, () =>
    sink.values().find((one) => one.messages?.[0]?.text?.body === answer),
  );
  const [message] = value.messages;
  const right =
    value.messaging_product === 'whatsapp' &&
    value.metadata.phone_number_id === firm.phoneNumberId &&
    value.contacts[0].user_id === userId &&
    message.from === personNumber.slice(1) &&
    message.from_user_id === userId &&
    message.type === 'text' &&
    /^\d{10}$/.test(message.timestamp);
  expect(right, `${name}: the answer arrives as a webhook in the known shape`);
  expect(sink.unsigned() === 0, `${name}: every webhook is signed over its exact bytes`);
  await ask('read', message.id);
  pass(`${name}: marks the answer as read`);
  const reply = `Gern, gute Reise mit ${flight}`;
  await ask('text', personNumber, reply);
  await shows(reply);
  pass(`${name}: a free text in the open window reaches the person`);
}

async function prepareClients(folder, programs) {
  mkdirSync(folder);
  const manifest = { name: 'airline', private: true, type: 'module' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const args = ['install', '--no-audit', '--no-fund', ...clients];
  const installing = start('npm', args, { cwd: folder });
  programs.push(installing);
  await finished('both clients are installed', installing, limitsMs.install);
  for (const { file, source } of clientPrograms) writeFileSync(join(folder, file), source);
  pass(`${clients.join(' and ')} are installed in a folder of their own`);
}

async function startTown(house, home, programs) {
  const began = performance.now();
  const environment = { ...process.env, SIEGEL_HOME: home, SIEGEL_PORT: '0', LANG: 'de_DE.UTF-8' };
  const town = start('npm', ['start'], { cwd: house, env: environment });
  programs.push(town);
  const townFile = join(home, 'town.json');
  await until(
    'npm start makes a town',
    () => {
      if (town.ended !== undefined) throw new Miss(`npm start ended\n${tail(town)}`);
      return existsSync(townFile);
    },
    limitsMs.town,
    () => tail(town),
  );
  pass(`npm start makes a town, ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return { town, townFile, environment };
}

async function startPerson(house, environment, programs) {
  const args = ['exec', '--no', '--', 'siegel', 'demo-person', '--number', personNumber];
  const person = start('npm', [...args, '--language', 'de'], { cwd: house, env: environment });
  programs.push(person);
  await until(
    'the person registers',
    () => person.output.includes(`Angemeldet als ${personNumber}`),
    limitsMs.person,
    () => tail(person),
  );
  pass('a person registers at a terminal with the code from the SMS inbox');
  return person;
}

async function run(folder, programs, closers) {
  const house = process.argv.includes('--clone') ? join(folder, 'siegel') : root;
  if (house !== root) execFileSync('git', ['clone', '--quiet', root, house]);
  const airline = join(folder, 'airline');
  const home = join(folder, 'home');
  const [started] = await Promise.all([
    startTown(house, home, programs),
    prepareClients(airline, programs),
  ]);
  const { town, townFile, environment } = started;
  const [firm] = JSON.parse(readFileSync(townFile, 'utf8')).businesses;
  const sink = await startSink(firm);
  closers.push(sink.close);
  await subscribe(firm, sink);
  const person = await startPerson(house, environment, programs);
  const scene = { folder: airline, townFile, firm, sink, person, programs };
  for (const client of clientPrograms) await tellStory(scene, client);
  expect(
    person.output.includes('Nordwind Air GmbH, DE') && !person.output.includes('Kein gültiges'),
    'the terminal names the firm by its checked certificate',
  );
  person.child.stdin.end('/quit\n');
  await finished('the person ends when asked', person, limitsMs.step);
  pass('the person ends when asked');
  const below = descendants(town.child.pid);
  town.child.kill('SIGTERM');
  await until('the town ends when asked', () => town.ended !== undefined, limitsMs.stop);
  await until(
    'none of its processes is left',
    () => living(below).length === 0,
    limitsMs.stop,
    () =>
      living(below)
        .map(({ pid, command }) => `\n${pid} ${command}`)
        .join(''),
  );
  pass(`the town ends when asked, and none of its ${below.length} processes is left`);
}

/** Whatever still runs is ended by its id: first asked, then made to. */
async function endAll(programs) {
  const open = programs.filter(({ ended }) => ended === undefined);
  const known = open.flatMap(({ child }) => (child.pid ? descendants(child.pid) : []));
  for (const name of ['SIGTERM', 'SIGKILL']) {
    for (const { pid } of living(known)) {
      try {
        process.kill(pid, name);
      } catch {
        // It ended meanwhile.
      }
    }
    const end = performance.now() + limitsMs.stop;
    while (living(known).length > 0 && performance.now() < end) await delay(pollMs);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'siegel-outside-'));
const programs = [];
const closers = [];
const stopped = new Promise((_resolve, reject) => {
  const late = () => reject(new Miss(`everything within ${limitsMs.whole} ms`));
  setTimeout(late, limitsMs.whole).unref();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(name, () => reject(new Miss(`nobody stops it (${name})`)));
  }
});
try {
  await Promise.race([run(folder, programs, closers), stopped]);
  console.log('\nAll passed.');
} catch (error) {
  console.error(`FAIL ${error instanceof Miss ? error.message : error.stack}`);
  process.exitCode = 1;
} finally {
  for (const close of closers) close();
  await endAll(programs);
  rmSync(folder, { recursive: true, force: true });
}
