// The relay contract: everything a client and the relay say to each other. The relay may import this and no content.

export * from './accounts.ts';
export * from './blobs.ts';
export * from './blocks.ts';
export * from './businesses.ts';
export * from './conversations.ts';
export * from './devices.ts';
export * from './directory.ts';
export * from './endpoint.ts';
export * from './endpoints.ts';
export * from './envelope.ts';
export * from './identity.ts';
export * from './messages.ts';
export * from './refusals.ts';
export * from './socket.ts';
export * from './templates.ts';
