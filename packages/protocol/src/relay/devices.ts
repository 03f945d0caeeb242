// The signed device list and the linking of a further device by a code shown on the first (design §3, §10).

import * as z from 'zod/mini';
import { AccountId, base64Url, DeviceId } from '../ids.ts';
import { limits } from '../limits.ts';
import { Token } from './accounts.ts';
import { defineEndpoint, outcome } from './endpoint.ts';
import { PublicKey, Statement, Version } from './identity.ts';
import { rateLimited } from './refusals.ts';

/** Public half of a linking code; the secret half never reaches the relay. */
export const LinkId = z.string().check(z.regex(/^[A-Z2-7]{8}$/, 'eight letters of base32'));

export const getDeviceList = defineEndpoint({
  name: 'getDeviceList',
  method: 'GET',
  path: '/v1/accounts/:accountId/devices',
  caller: 'device',
  summary: 'The signed device list of an account one shares a conversation with, or of one’s own.',
  request: z.strictObject({ accountId: AccountId }),
  outcomes: {
    list: outcome(200, z.object({ deviceList: Statement })),
    unknown: outcome(404, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['D2', 'D5'],
});

export const updateDeviceList = defineEndpoint({
  name: 'updateDeviceList',
  method: 'PUT',
  path: '/v1/account/devices',
  caller: 'device',
  summary:
    'Publish the next version of the own device list. Devices no longer on it are revoked at once.',
  request: z.strictObject({ deviceList: Statement }),
  outcomes: {
    updated: outcome(200, z.object({ version: Version })),
    'list-refused': outcome(422, z.object({ reason: z.string() })),
    'version-conflict': outcome(409, z.object({ version: Version })),
    'rate-limited': rateLimited,
  },
  rules: ['D1', 'D3', 'D4'],
});

export const openLink = defineEndpoint({
  name: 'openLink',
  method: 'POST',
  path: '/v1/links',
  caller: 'device',
  summary: 'Begin linking: the main device shows `linkId` and a secret of its own as one code.',
  request: z.strictObject({ linkId: LinkId }),
  outcomes: {
    opened: outcome(200, z.object({ expiresInSeconds: z.int() })),
    taken: outcome(409, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['L1'],
});

export const joinLink = defineEndpoint({
  name: 'joinLink',
  method: 'POST',
  path: '/v1/links/:linkId/join',
  caller: 'anyone',
  summary: 'The new device offers its leaf key with a MAC under the code’s secret.',
  request: z.strictObject({ linkId: LinkId, leafKey: PublicKey, proof: base64Url(32, 32) }),
  outcomes: {
    joined: outcome(200, z.object({ joinToken: Token })),
    'link-over': outcome(410, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['L1', 'L2'],
});

export const readLink = defineEndpoint({
  name: 'readLink',
  method: 'GET',
  path: '/v1/links/:linkId',
  caller: 'device',
  summary: 'The main device looks whether somebody joined; it checks the MAC itself.',
  request: z.strictObject({ linkId: LinkId }),
  outcomes: {
    waiting: outcome(200, z.object({})),
    joined: outcome(200, z.object({ leafKey: PublicKey, proof: base64Url(32, 32) })),
    'link-over': outcome(410, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['L2'],
});

export const completeLink = defineEndpoint({
  name: 'completeLink',
  method: 'POST',
  path: '/v1/links/:linkId/complete',
  caller: 'device',
  summary: 'After publishing the list with the new device: hand it its certificate, with a MAC.',
  request: z.strictObject({
    linkId: LinkId,
    deviceId: DeviceId,
    certificate: Statement,
    proof: base64Url(32, 32),
  }),
  outcomes: {
    completed: outcome(200, z.object({})),
    'not-on-list': outcome(422, z.object({})),
    'link-over': outcome(410, z.object({})),
  },
  rules: ['L2', 'L3'],
});

export const finishLink = defineEndpoint({
  name: 'finishLink',
  method: 'POST',
  path: '/v1/links/:linkId/finish',
  caller: 'anyone',
  summary: 'The new device fetches certificate and device token; it checks the MAC itself.',
  request: z.strictObject({ linkId: LinkId, joinToken: Token }),
  outcomes: {
    waiting: outcome(200, z.object({})),
    linked: outcome(
      200,
      z.object({
        accountId: AccountId,
        deviceId: DeviceId,
        certificate: Statement,
        deviceList: Statement,
        proof: base64Url(32, 32),
        deviceToken: Token,
      }),
    ),
    'link-over': outcome(410, z.object({})),
    'rate-limited': rateLimited,
  },
  rules: ['L3'],
});

export const uploadKeyPackages = defineEndpoint({
  name: 'uploadKeyPackages',
  method: 'POST',
  path: '/v1/key-packages',
  caller: 'device',
  summary: 'Add one-time key packages, and replace the reusable last-resort one.',
  request: z.strictObject({
    keyPackages: z
      .array(base64Url(limits.keyPackageBytesMax, 1))
      .check(z.maxLength(limits.keyPackagesPerUpload)),
    lastResort: z.optional(base64Url(limits.keyPackageBytesMax, 1)),
  }),
  outcomes: {
    stored: outcome(200, z.object({ left: z.int() })),
    'key-package-refused': outcome(422, z.object({ index: z.int(), reason: z.string() })),
    'rate-limited': rateLimited,
  },
  rules: ['K1', 'K2', 'K3'],
});
