// Three runs over one set of settings: `tidy` (rules about the tree), `tests` (units and packages), `journeys` (whole-system stories).
// Everything runs from source, through the `source` export condition; nobody builds in order to test.
import { defineConfig } from 'vitest/config';

const conditions = ['source', 'module', 'node', 'development|production'];
const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions } },
};
const exclude = ['**/node_modules/**', '**/dist/**', '**/*.browser.test.ts'];

export default defineConfig({
  ...shared,
  test: {
    maxWorkers: 2,
    projects: [
      { ...shared, test: { name: 'tidy', include: ['tools/**/*.test.ts'], exclude } },
      {
        ...shared,
        test: {
          name: 'tests',
          include: [
            'packages/*/{src,test}/**/*.test.ts',
            'bots/*/src/**/*.test.ts',
            'simulation/**/*.test.ts',
          ],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'journeys',
          include: ['journeys/**/*.test.ts'],
          exclude,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
