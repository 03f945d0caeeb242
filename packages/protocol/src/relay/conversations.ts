// Conversations as the delivery service keeps them: members, generations, epochs and commits by compare-and-set (design §3).

import * as z from 'zod/mini';
import {
  AccountId,
  base64Url,
  ClientId,
  ConversationId,
  DeviceId,
  NumericId,
  PhoneNumber,
} from '../ids.ts';
import { limits } from '../limits.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { Epoch, Generation, TemplateCategory, Time } from './envelope.ts';
import { Statement } from './identity.ts';
import { epochConflict, notMember, rateLimited, undeliverable } from './refusals.ts';

/** person–firm, person–person, group, and all devices of one account. */
export const ConversationKind = z.enum(['business', 'direct', 'group', 'own']);
export type ConversationKind = z.infer<typeof ConversationKind>;

/** A leaf as the relay's roster has it. Clients compare it with the MLS tree. */
export const RosterLeaf = z.object({
  leafIndex: z.int().check(z.minimum(0), z.maximum(65_535)),
  accountId: AccountId,
  deviceId: DeviceId,
});
export type RosterLeaf = z.infer<typeof RosterLeaf>;

/** A device to be added, with the key package claimed for it. */
export const ClaimedKeyPackage = z.object({
  deviceId: DeviceId,
  keyPackage: base64Url(limits.keyPackageBytesMax),
  lastResort: z.boolean(),
});

/** What a committer needs of one account: its signed list and a key package of each device that has one. */
export const MemberKeys = z.object({
  accountId: AccountId,
  deviceList: Statement,
  keyPackages: z.array(ClaimedKeyPackage),
});
export type MemberKeys = z.infer<typeof MemberKeys>;

export const ConversationState = z.object({
  conversationId: ConversationId,
  kind: ConversationKind,
  /** the business number of a `business` conversation */
  phoneNumberId: z.optional(NumericId),
  generation: Generation,
  epoch: Epoch,
  /** false until the founding commit of the first generation was taken */
  founded: z.boolean(),
  members: z.array(
    z.object({
      accountId: AccountId,
      kind: z.enum(['person', 'business']),
      role: z.enum(['member', 'admin']),
      deviceListVersion: z.int(),
    }),
  ),
  roster: z.array(RosterLeaf),
  /** leaves that must be removed by a commit before anything else is sent */
  revoked: z.array(RosterLeaf),
});
export type ConversationState = z.infer<typeof ConversationState>;

/** Whom a conversation is opened with. */
export const OpenWith = z.union([
  z.strictObject({ kind: z.literal('own') }),
  z.strictObject({
    kind: z.literal('group'),
    accounts: z.array(AccountId).check(z.minLength(1), z.maxLength(limits.membersPerGroup)),
  }),
  z.strictObject({ kind: z.literal('direct'), accountId: AccountId }),
  /** a person writes to a business number */
  z.strictObject({ kind: z.literal('business'), phoneNumberId: NumericId }),
  /** a business writes from one of its numbers to a person it knows by number or account */
  z.strictObject({
    kind: z.literal('person'),
    from: NumericId,
    to: z.union([
      z.strictObject({ number: PhoneNumber }),
      z.strictObject({ accountId: AccountId }),
    ]),
    template: z.optional(z.strictObject({ id: NumericId, category: TemplateCategory })),
  }),
]);
export type OpenWith = z.infer<typeof OpenWith>;

export const openConversation = defineEndpoint({
  name: 'openConversation',
  method: 'POST',
  path: '/v1/conversations',
  caller: 'device',
  summary:
    'Find or begin a conversation. Key packages are claimed only here, after the rules of sending have been passed.',
  request: z.strictObject({ with: OpenWith }),
  outcomes: {
    /** nobody has founded it yet: the caller may, with these key packages */
    'to-found': outcome(200, z.object({ state: ConversationState, members: z.array(MemberKeys) })),
    exists: outcome(200, z.object({ state: ConversationState })),
    undeliverable,
    'window-closed': outcome(403, z.object({})),
    'template-refused': outcome(422, z.object({ reason: z.string() })),
    'quota-reached': outcome(429, z.object({ retryAfterSeconds: z.int() })),
    'rate-limited': rateLimited,
  },
  rules: ['C1', 'C2', 'C3', 'K4', 'S6'],
});

export const getConversation = defineEndpoint({
  name: 'getConversation',
  method: 'GET',
  path: '/v1/conversations/:conversationId',
  caller: 'device',
  summary:
    'State, roster and newest GroupInfo of a conversation the caller’s account is a member of.',
  request: z.strictObject({ conversationId: ConversationId }),
  outcomes: {
    conversation: outcome(
      200,
      z.object({
        state: ConversationState,
        groupInfo: z.optional(base64Url(limits.handshakeBytesMax)),
        deviceLists: z.array(Statement),
      }),
    ),
    'not-member': notMember,
    'rate-limited': rateLimited,
  },
  rules: ['C4'],
});

export const listConversations = defineEndpoint({
  name: 'listConversations',
  method: 'GET',
  path: '/v1/conversations',
  caller: 'device',
  summary: 'Conversations of the caller’s account, by id; a new device joins each.',
  request: z.strictObject({
    after: z.optional(ConversationId),
    limit: z.optional(
      z.coerce.number().check(z.int(), z.minimum(1), z.maximum(limits.pageSizeMax)),
    ),
  }),
  outcomes: {
    page: outcome(200, z.object({ conversations: z.array(ConversationState), more: z.boolean() })),
    'rate-limited': rateLimited,
  },
  rules: ['C4'],
});

export const claimKeyPackages = defineEndpoint({
  name: 'claimKeyPackages',
  method: 'POST',
  path: '/v1/conversations/:conversationId/key-packages',
  caller: 'device',
  summary:
    'Key packages for founding the next generation, for own devices, or for accounts an admin adds to a group.',
  request: z.strictObject({
    conversationId: ConversationId,
    purpose: z.union([
      z.strictObject({ kind: z.literal('next-generation'), generation: Generation }),
      z.strictObject({
        kind: z.literal('add-accounts'),
        accounts: z.array(AccountId).check(z.minLength(1), z.maxLength(limits.membersPerGroup)),
      }),
      z.strictObject({ kind: z.literal('own-devices') }),
    ]),
  }),
  outcomes: {
    claimed: outcome(200, z.object({ members: z.array(MemberKeys) })),
    'epoch-conflict': epochConflict,
    'not-member': notMember,
    undeliverable,
    'rate-limited': rateLimited,
  },
  rules: ['K4', 'G1'],
});

export const submitCommit = defineEndpoint({
  name: 'submitCommit',
  method: 'POST',
  path: '/v1/conversations/:conversationId/commits',
  caller: 'device',
  summary:
    'A commit with roster delta, Welcomes and new GroupInfo in one compare-and-set on (generation, epoch).',
  request: z.strictObject({
    conversationId: ConversationId,
    clientId: ClientId,
    generation: Generation,
    /** the epoch this commit was made in; a founding commit is made in epoch 0 of its generation */
    epoch: Epoch,
    form: z.enum(['founding', 'member', 'external']),
    commit: base64Url(limits.handshakeBytesMax),
    welcome: z.optional(base64Url(limits.handshakeBytesMax)),
    groupInfo: base64Url(limits.handshakeBytesMax, 1),
    added: z.array(RosterLeaf).check(z.maxLength(limits.leavesPerConversation)),
    removed: z.array(RosterLeaf).check(z.maxLength(limits.leavesPerConversation)),
  }),
  outcomes: {
    accepted: outcome(200, z.object({ sequence: z.int(), epoch: Epoch, acceptedAt: Time })),
    'epoch-conflict': epochConflict,
    'roster-refused': outcome(422, z.object({ reason: z.string() })),
    'not-member': notMember,
    'rate-limited': rateLimited,
  },
  rules: ['C5', 'C6', 'C7', 'G1', 'G2'],
});
