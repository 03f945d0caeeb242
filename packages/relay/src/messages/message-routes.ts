// Binds the message endpoint to its rule. No thinking here.

import { submitMessage as submitMessageEndpoint } from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { createRateLimiter } from '../rate-limits.ts';
import { type MessagePorts, submitMessage } from './submit-message.ts';

export function messageRoutes(ports: Omit<MessagePorts, 'controlRate'>): Route[] {
  const all: MessagePorts = { ...ports, controlRate: createRateLimiter(ports.now) };
  return [route(submitMessageEndpoint, (caller, request) => submitMessage(all, caller, request))];
}
