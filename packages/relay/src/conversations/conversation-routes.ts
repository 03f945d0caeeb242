// Binds the conversation endpoints to their rules. No thinking here.

import {
  claimKeyPackages as claimKeyPackagesEndpoint,
  getConversation as getConversationEndpoint,
  listConversations as listConversationsEndpoint,
  openConversation as openConversationEndpoint,
  submitCommit as submitCommitEndpoint,
} from '@siegel/protocol/relay';
import { type Route, route } from '../http/route.ts';
import { claimKeyPackages } from './claim-key-packages.ts';
import { getConversation } from './get-conversation.ts';
import { listConversations } from './list-conversations.ts';
import { type OpenPorts, openConversation } from './open-conversation.ts';
import { type CommitPorts, submitCommit } from './submit-commit.ts';

export const conversationRoutes = (ports: OpenPorts & CommitPorts): Route[] => [
  route(openConversationEndpoint, (caller, request) => openConversation(ports, caller, request)),
  route(getConversationEndpoint, (caller, request) => getConversation(ports, caller, request)),
  route(listConversationsEndpoint, (caller, request) => listConversations(ports, caller, request)),
  route(claimKeyPackagesEndpoint, (caller, request) => claimKeyPackages(ports, caller, request)),
  route(submitCommitEndpoint, (caller, request) => submitCommit(ports, caller, request)),
];
