// The platform-free tests of packages/crypto in a real Chromium: what a person's browser runs is what is tested.

import { existsSync } from 'node:fs';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';

const installed = process.env['SIEGEL_CHROMIUM'] ?? '/usr/bin/chromium';
const isRoot = process.getuid?.() === 0;

export default defineConfig({
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  optimizeDeps: { include: ['ts-mls', 'jose', 'cborg', 'zod/mini', 'fast-check'] },
  test: {
    include: [
      'packages/crypto/src/**/*.test.ts',
      'packages/crypto/test/**/*.browser.test.ts',
      'packages/client/{src,test}/**/*.browser.test.ts',
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: {
          ...(existsSync(installed) ? { executablePath: installed } : {}),
          args: [
            ...(isRoot ? ['--no-sandbox'] : []),
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
          ],
        },
      }),
      instances: [{ browser: 'chromium' }],
    },
  },
});
