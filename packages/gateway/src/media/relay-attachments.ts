// Sealed media at the relay, through the SDK.

import { type DeviceContext, fetchAttachment, storeAttachment } from '@siegel/client';
import { SiegelError } from '@siegel/protocol/errors';
import type { Attachments } from '../gateway-context.ts';

export const createRelayAttachments = (device: DeviceContext): Attachments => ({
  async seal(file) {
    const stored = await storeAttachment(device, file);
    switch (stored.outcome) {
      case 'stored':
        return { outcome: 'sealed', attachment: stored.attachment };
      case 'too-large':
        throw new SiegelError('attachment-corrupt', 'too large once sealed');
      default:
        return { outcome: 'over-quota' };
    }
  },
  async open(attachment) {
    try {
      const fetched = await fetchAttachment(device, attachment);
      return fetched.outcome === 'gone' ? fetched : { outcome: 'opened', bytes: fetched.bytes };
    } catch (error) {
      // Trying again would give the same octets.
      if (error instanceof SiegelError && error.code === 'attachment-corrupt') {
        return { outcome: 'gone' };
      }
      throw error;
    }
  },
});
