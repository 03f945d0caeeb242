// A template as the gateway works with it: the public object, its stable id, its hash and where it stands in review.

import type { NumericId } from '@siegel/protocol/ids';
import type { TemplateObject, TemplateStatus } from '@siegel/protocol/relay';

export type TemplateEntry = {
  readonly templateId: NumericId;
  /** SHA-256 over the canonical form */
  readonly hash: Uint8Array;
  readonly object: TemplateObject;
  readonly status: TemplateStatus;
  /** why it was rejected, paused or disabled */
  readonly reason?: string;
};
