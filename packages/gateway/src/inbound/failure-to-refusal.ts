// What a failed message is called in the Cloud API. Blocked, unregistered and no device have one code and one text (design §4).

import type { FailureReason } from '@siegel/client';
import type { CloudApiRefusal } from '@siegel/protocol/cloud-api';

/** The relay's words for a refused template, where the account tells them. */
export type TemplateRefusal = 'unknown' | 'not-approved' | 'paused' | 'disabled' | 'wrong-category';

function templateRefusal(reason: TemplateRefusal | undefined): CloudApiRefusal {
  switch (reason) {
    case 'paused':
      return { code: 132015 };
    case 'disabled':
      return { code: 132016 };
    case 'wrong-category':
      return {
        code: 132012,
        details: 'The category of the template has changed. Read it again and send anew.',
      };
    default:
      return { code: 132001 };
  }
}

export function failureToRefusal(
  failure: FailureReason | undefined,
  template?: TemplateRefusal,
): CloudApiRefusal {
  switch (failure) {
    case 'undeliverable':
      return { code: 131026 };
    case 'window-closed':
      return { code: 131047 };
    case 'template-refused':
      return templateRefusal(template);
    case 'pair-rate':
      return { code: 131056 };
    case 'quota-reached':
      return { code: 131048 };
    // A mailbox keeps a message for 30 days; not being fetched in time is one more way of being undeliverable.
    case 'expired':
      return { code: 131026 };
    case 'not-member':
      return {
        code: 131005,
        details: 'This business is no longer part of that conversation. Start a new one.',
      };
    case 'content-refused':
      return {
        code: 131000,
        details: 'The device refused the message because its content and its envelope differ.',
      };
    case undefined:
      return { code: 131000 };
  }
}
