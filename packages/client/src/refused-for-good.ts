// Failures that repeating cannot mend: the request itself was at fault.

import { SiegelError } from '@siegel/protocol/errors';

const codes: readonly string[] = ['request-invalid', 'request-too-large', 'forbidden'];

export const isRefusedForGood = (error: unknown): boolean =>
  error instanceof SiegelError && codes.includes(error.code);
