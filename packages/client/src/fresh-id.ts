// A fresh random UUID (RFC 9562, version 4) from the provider's chance; client ids are made of it.

import type { CryptoProvider } from '@siegel/crypto';
import { uuidInBucket } from '@siegel/protocol/ids';

export function freshId(provider: CryptoProvider): string {
  const bytes = provider.randomBytes(16);
  const bucket = ((bytes[0] ?? 0) << 2) | ((bytes[1] ?? 0) >> 6);
  return uuidInBucket(bucket, bytes);
}
