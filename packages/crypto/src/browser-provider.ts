// The provider of browsers: WebCrypto, as ts-mls uses it. It also runs in Node 20, six to ten times
// slower than the other.

import { getCiphersuiteFromName, getCiphersuiteImpl } from 'ts-mls';
import { type CryptoProvider, providerOf, suiteName } from './provider.ts';

export async function browserProvider(): Promise<CryptoProvider> {
  return providerOf('webcrypto', await getCiphersuiteImpl(getCiphersuiteFromName(suiteName)));
}
