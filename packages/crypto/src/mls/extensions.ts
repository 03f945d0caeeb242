// Numbers of the two MLS extensions we use; apart from the rest so that a look at a key package
// needs nothing else.

/**
 * Group context extension from the private range (RFC 9420 §17.3): binds a group to its
 * conversation and generation.
 */
export const conversationExtension = 0xf5e1;

/**
 * `last_resort` of draft-ietf-mls-extensions: a key package that may be used more than once (RFC
 * 9420 §16.8).
 */
export const lastResortExtension = 0x000a;
