// Rules about the tree itself: what a reviewer would otherwise have to say again and again.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && existsSync(path));
const code = tracked.filter((path) => /\.(ts|tsx|mjs|cjs)$/.test(path));
const text = (path: string) => readFileSync(path, 'utf8');

describe('tidy', () => {
  it('every source file begins by saying what it is for', () => {
    const silent = code.filter((path) => !/^(#!.*\n)?\s*(\/\/|\/\*)/.test(text(path)));
    expect(silent).toEqual([]);
  });

  it('no line is longer than 140 columns; code is wrapped at 100 by the formatter', () => {
    const long = code.flatMap((path) =>
      text(path)
        .split('\n')
        .map((line, index) => ({ line, at: `${path}:${index + 1}` }))
        .filter(({ line }) => line.length > 140)
        .map(({ at }) => at),
    );
    expect(long).toEqual([]);
  });

  it('no folder or file is called by a name that says nothing', () => {
    const empty = /(^|\/)(utils?|helpers?|common|lib|services?|managers?|misc)(\/|\.ts$)/;
    expect(code.filter((path) => empty.test(path))).toEqual([]);
  });

  it('no unfinished marks are left', () => {
    const marks = /\b(FIXME|XXX|TODO)\b|@todo(?! #\d)|\.only\(|\.skip\(|@ts-ignore|@ts-nocheck/;
    const left = code.filter((path) => path !== 'tools/tidy.test.ts' && marks.test(text(path)));
    expect(left).toEqual([]);
  });

  it('nothing of the machine it was written on stands in the tree', () => {
    const traces = /\/root\/|\/home\/[a-z]+\/|\/work\//;
    const found = tracked
      .filter(
        (path) =>
          path !== 'tools/tidy.test.ts' && /\.(ts|tsx|mjs|cjs|md|json|sql|css|html)$/.test(path),
      )
      .filter((path) => traces.test(text(path)));
    expect(found).toEqual([]);
  });

  it('every dependency is pinned exactly', () => {
    const loose = tracked
      .filter((path) => /(^|\/)package\.json$/.test(path))
      .flatMap((path) => {
        const manifest = JSON.parse(text(path)) as Record<
          string,
          Record<string, string> | undefined
        >;
        return ['dependencies', 'devDependencies', 'optionalDependencies']
          .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
          .filter(([, version]) => !/^(npm:[^@]*@?[^@]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
          .map(([name, version]) => `${path}: ${name} ${version}`);
      });
    expect(loose).toEqual([]);
  });

  it('the lock file names no download address', () => {
    expect(/"resolved": "http/.test(text('package-lock.json'))).toBe(false);
  });

  it('every numbered rule of the spec is quoted by a test', () => {
    const rules = tracked
      .filter((path) => path.startsWith('docs/spec/') && path.endsWith('.md'))
      .flatMap((path) =>
        [...text(path).matchAll(/^- \*\*([A-Z]+\d+)\*\*/gm)].map((match) => match[1] ?? ''),
      );
    const tests = code
      .filter((path) => /\.test\.ts$/.test(path))
      .map(text)
      .join('\n');
    const silent = rules.filter(
      (rule) => !new RegExp(`['"\`(]([A-Z]+\\d+[ ,–-]+)*${rule}\\b`).test(tests),
    );
    expect(rules.length).toBeGreaterThan(0);
    expect(silent).toEqual([]);
  });
});
