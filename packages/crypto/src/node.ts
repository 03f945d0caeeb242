// Entry point for servers: the same package with primitives of node:crypto. Only this file and what
// it alone imports touch Node.

export { nodeProvider } from './node-provider.ts';
