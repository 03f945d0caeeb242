// The engine's suites in a browser, over the browser's own WebCrypto.

import { browserProvider } from '../src/index.ts';
import { groupsSuite } from './groups.suite.ts';
import { historiesSuite } from './histories.suite.ts';
import { malformedSuite } from './malformed.suite.ts';
import { maliceSuite } from './malice.suite.ts';
import { messagesSuite } from './messages.suite.ts';

const name = 'Chromium';
messagesSuite(name, browserProvider);
groupsSuite(name, browserProvider);
maliceSuite(name, browserProvider);
malformedSuite(name, browserProvider);
historiesSuite(name, browserProvider, 20);
