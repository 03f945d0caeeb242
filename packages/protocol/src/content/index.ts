// What is inside a sealed envelope. Client, gateway and apps import this; the relay may not.

export * from './body.ts';
export * from './content.ts';
export * from './message-id.ts';
export { ContentMalformed, decodeMimi, encodeMimi, type MimiContent, octets } from './mimi.ts';
