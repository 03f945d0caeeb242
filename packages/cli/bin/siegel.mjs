#!/usr/bin/env node
// The siegel command. Runs the built CLI; `npm run build` (or npm start) makes it.
import('../dist/index.js').then(
  (cli) => cli.main(process.argv.slice(2)),
  (error) => {
    console.error(
      'siegel is not built yet: run `npm run build` first.',
      error.code ?? error.message,
    );
    process.exitCode = 1;
  },
);
