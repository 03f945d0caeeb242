// Entry point of the only package that turns content into ciphertext and back. Platform free:
// Node's own provider is in './node', and what a relay may import is in './verify'.

export {
  type AttachmentDescriptor,
  collectBytes,
  openAttachment,
  openRange,
  type ReadSealed,
  type SealedAttachment,
  sealAttachment,
  sealedLength,
} from './attachment.ts';
export { browserProvider } from './browser-provider.ts';
export * from './commit-policy.ts';
export type * from './engine.ts';
export { createEngine } from './mls/create-engine.ts';
export { paddedLength } from './padding.ts';
export { type CryptoProvider, suiteName } from './provider.ts';
export type * from './roster.ts';
export * from './verify.ts';
