// Every endpoint in one list: OpenAPI, rate limits and the fuzz tests go through it.

import * as accounts from './accounts.ts';
import * as blobs from './blobs.ts';
import * as blocks from './blocks.ts';
import * as businesses from './businesses.ts';
import * as conversations from './conversations.ts';
import * as devices from './devices.ts';
import * as directory from './directory.ts';
import type { Endpoint } from './endpoint.ts';
import * as messages from './messages.ts';
import * as templates from './templates.ts';

const isEndpoint = (value: unknown): value is Endpoint =>
  typeof value === 'object' && value !== null && 'outcomes' in value && 'path' in value;

export const relayEndpoints: readonly Endpoint[] = [
  accounts,
  devices,
  directory,
  conversations,
  messages,
  blobs,
  blocks,
  templates,
  businesses,
].flatMap((module) => Object.values(module).filter(isEndpoint));
