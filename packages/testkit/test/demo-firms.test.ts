// The demo firms themselves: what they may send reads well in both languages and passes the relay's
// automatic rules (T2).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PhoneNumber } from '@siegel/protocol/ids';
import { describe, expect, test } from 'vitest';
import { demoFirms } from '../src/index.ts';
import { repository } from '../src/town/program.ts';

test('the firms come in the order of town.json, each with a number of its own', () => {
  const names = demoFirms.map(({ firm }) => firm.displayName);
  expect(names).toEqual(['Nordwind Air', 'Postwagen', 'Kaufhaus Linden', 'Bank am Markt']);
  const numbers = demoFirms.map(({ firm }) => PhoneNumber.parse(firm.number));
  expect(new Set(numbers).size).toBe(numbers.length);
});

describe.each(demoFirms.map((one) => [one.firm.displayName, one] as const))('%s', (_, one) => {
  test('has every template in German and in English', () => {
    const keys = one.templates.map(({ name, language }) => `${name} ${language}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { name } of one.templates) {
      expect(keys).toContain(`${name} de`);
      expect(keys).toContain(`${name} en`);
    }
  });

  test('gives an example for every parameter, and begins and ends with its own words', () => {
    for (const { name, language, components } of one.templates) {
      for (const component of components) {
        if (component.type !== 'BODY' || !('text' in component)) continue;
        const { text, example } = component;
        const places = text.match(/\{\{\w+\}\}/g) ?? [];
        const given =
          example === undefined
            ? []
            : 'body_text' in example
              ? example.body_text[0]!
              : example.body_text_named_params;
        expect(given, `${name} ${language}`).toHaveLength(places.length);
        expect(text).not.toMatch(/^\{\{|\}\}$|\}\}\s*\{\{/);
        expect(text.length).toBeLessThanOrEqual(1024);
      }
    }
  });
});

const apps = ['messenger', 'business', 'console', 'portal'];

describe.each(apps)('the start page of %s', (app) => {
  const read = (file: string) =>
    readFileSync(join(repository, 'apps', app, 'public', file), 'utf8');

  test('wears the design tokens as they are in packages/ui', () => {
    for (const file of ['tokens.css', 'page.css', 'mark.svg', 'mark-dark.svg']) {
      const source = readFileSync(join(repository, 'packages/ui/src', file), 'utf8');
      expect(read(file) === source, `${app}/public/${file} is not packages/ui/src/${file}`).toBe(
        true,
      );
    }
  });

  test('is there in both languages, which lead to each other, and needs nothing the policy forbids', () => {
    const pages = { de: read('index.html'), en: read('en.html') };
    expect(pages.de).toContain('href="/en.html"');
    expect(pages.en).toContain('href="/"');
    for (const [language, page] of Object.entries(pages)) {
      expect(page).toContain(`<html lang="${language}">`);
      expect(page).not.toMatch(/<script|<style|\sstyle=|\son\w+=|javascript:/i);
      expect(page).not.toMatch(/(src|href|srcset)="(https?:)?\/\//);
      expect(page).not.toContain('!</');
    }
  });
});
