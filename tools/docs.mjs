// `npm run docs`: writes what is generated and committed: OpenAPI documents and the import graph.

import { install, run } from './install.mjs';

install();
const source = (file) => run(process.execPath, ['--conditions=source', '--import', 'tsx', file]);
process.exitCode = source('tools/openapi.ts') && source('tools/import-graph.ts') ? 0 : 1;
