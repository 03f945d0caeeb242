// The `siegel` command: help for everything, sentences instead of stacks, exit codes that scripts
// can use.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { run } from '../src/index.ts';
import { languageOf } from '../src/language.ts';

async function siegel(args: string[], environment: Record<string, string> = {}) {
  const out: string[] = [];
  const error: string[] = [];
  const code = await run(args, {
    out: (line) => out.push(line),
    error: (line) => error.push(line),
    input: Readable.from([]),
    environment: { SIEGEL_HOME: '/nowhere', ...environment },
    signal: new AbortController().signal,
  });
  return { code, out: out.join('\n'), error: error.join('\n') };
}

const commands = ['town', 'demo-person', 'relay', 'gateway', 'admin'];

describe('help', () => {
  test('without a command all are listed', async () => {
    const { code, out } = await siegel(['--help']);
    expect(code).toBe(0);
    for (const command of commands) expect(out).toContain(command);
    expect((await siegel([])).code).toBe(2);
  });

  test.each(commands)('siegel %s --help begins with its usage and starts nothing', async (name) => {
    const { code, out, error } = await siegel([name, '--help']);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^Usage: siegel ${name}`));
    expect(error).toBe('');
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  });
});

describe('mistakes', () => {
  test.each([
    [['nonsense'], 'no command "nonsense"'],
    [['constructor'], 'no command "constructor"'],
    [['admin'], 'What is to be done?'],
    [['admin', 'dance'], 'no dance'],
    [['admin', 'register'], '--legal-name is missing'],
    [['admin', 'register', '--what', 'x'], "'--what'"],
    [['admin', 'templates', 'eat'], 'takes list'],
    [['admin', 'templates', 'approve'], 'template id is missing'],
    [['admin', 'enrolment-code', 'x'], 'The account id is not usable'],
    [['admin', 'templates', 'list'], 'Which relay?'],
    [['gateway', 'enroll'], 'code is missing'],
    [['gateway', 'dance'], 'no dance'],
    [['demo-person', '--number', '123'], 'no number'],
    [['demo-person'], 'Which relay?'],
  ])('siegel %j is asked wrongly', async (args, words) => {
    const { code, error } = await siegel(args);
    expect(code).toBe(2);
    expect(error).toContain(words);
  });

  test.each([
    [['relay'], {}, 'SIEGEL_OPERATOR_TOKEN'],
    [['gateway', 'run'], {}, 'SIEGEL_GATEWAY_DATABASE_URL'],
    [['town'], { SIEGEL_PORT: 'http' }, 'SIEGEL_PORT'],
    [['town'], { SIEGEL_HOST: '0.0.0.0' }, 'SIEGEL_BEHIND_PROXY'],
  ])('siegel %j with %j says what is missing', async (args, environment, words) => {
    const { code, error } = await siegel(args, environment);
    expect(code).toBe(1);
    expect(error).toContain(words);
    expect(error).not.toMatch(/^\s+at /m);
  });

  test('a relay that is not there is a sentence', async () => {
    const home = mkdtempSync(join(tmpdir(), 'siegel-cli-'));
    const token = Buffer.alloc(32, 1).toString('base64url');
    const { code, error } = await siegel(
      ['admin', 'templates', 'list', '--relay', 'http://127.0.0.1:1', '--home', home],
      { SIEGEL_OPERATOR_TOKEN: token },
    );
    expect(code).toBe(1);
    expect(error).toContain('The relay cannot be reached');
    expect(error).not.toContain(token);
    rmSync(home, { recursive: true });
  });
});

test('the terminal speaks German where the system does', () => {
  expect(languageOf({ LANG: 'de_DE.UTF-8' })).toBe('de');
  expect(languageOf({ LANG: 'de_AT', LC_ALL: 'en_GB.UTF-8' })).toBe('en');
  expect(languageOf({ LANG: 'C' })).toBe('en');
  expect(languageOf({})).toBe('en');
});
