// The engine's suites on a server: over node:crypto, and over the browser's provider as Node runs
// it.

import { browserProvider } from '../src/index.ts';
import { nodeProvider } from '../src/node.ts';
import { groupsSuite } from './groups.suite.ts';
import { historiesSuite } from './histories.suite.ts';
import { malformedSuite } from './malformed.suite.ts';
import { maliceSuite } from './malice.suite.ts';
import { messagesSuite } from './messages.suite.ts';

for (const [name, makeProvider] of [
  ['node:crypto', nodeProvider],
  ['WebCrypto', browserProvider],
] as const) {
  messagesSuite(name, makeProvider);
  groupsSuite(name, makeProvider);
  maliceSuite(name, makeProvider);
  malformedSuite(name, makeProvider);
  historiesSuite(name, makeProvider, name === 'WebCrypto' ? 5 : 25);
}
