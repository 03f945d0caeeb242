// Hands the features to each other as ports: accounts publish lists through devices, revocations reach conversations and
// sockets, submits ask templates and blobs. No feature imports another; they meet here.

import type { Queryable } from '@siegel/database';
import { accountsRoutes } from './accounts/accounts-routes.ts';
import { createNumberStatements } from './accounts/number-statement.ts';
import { deleteOverRegistrations } from './accounts/registration-store.ts';
import type { SmsSender } from './accounts/sms.ts';
import type { BasePorts } from './base-ports.ts';
import {
  attachBlobs,
  type BlobPorts,
  findBlob,
  sweepBlobs,
  writeBlob,
} from './blobs/blob-rules.ts';
import { createBlobFolder } from './blobs/blob-store.ts';
import { blobsRoutes } from './blobs/blobs-routes.ts';
import { blocksRoutes } from './blocks/blocks-routes.ts';
import { businessesRoutes } from './businesses/businesses-routes.ts';
import type { RelayConfig } from './config.ts';
import { createHotPath, type HotPath } from './create-hot-path.ts';
import { devicesRoutes } from './devices/devices-routes.ts';
import { endRevokedDevices } from './devices/end-revoked-devices.ts';
import { countKeyPackages } from './devices/key-package-store.ts';
import { deleteOverLinks } from './devices/link-store.ts';
import { type Publication, publishDeviceList } from './devices/publish-device-list.ts';
import { directoryRoutes } from './directory/directory-routes.ts';
import { businessOfNumber, holderOf } from './directory/directory-store.ts';
import type { Events } from './events.ts';
import type { Authenticator } from './http/authenticate.ts';
import type { Route } from './http/route.ts';
import type { Metrics } from './metrics.ts';
import type { OperatorKeys } from './operator-keys.ts';
import type { RateLimiter } from './rate-limits.ts';
import { readTemplateState } from './templates/read-templates.ts';
import { templatesRoutes } from './templates/templates-routes.ts';
import type { Job } from './upkeep.ts';

export type Composition = BasePorts & {
  readonly config: RelayConfig;
  readonly keys: OperatorKeys;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly authenticator: Authenticator;
  readonly rateLimiter: RateLimiter;
  readonly sms: SmsSender;
};

export type Features = {
  readonly routes: readonly Route[];
  readonly hotPath: HotPath;
  readonly writeBlob: ReturnType<typeof writeBlob>;
  readonly findBlob: ReturnType<typeof findBlob>;
  readonly jobs: readonly Job[];
};

export function composeFeatures(composition: Composition): Features {
  const { config, keys, events, database, now, random } = composition;
  const base: BasePorts = { database, now, random };
  const folder = createBlobFolder(config.blobFolder, random);
  const blobs: BlobPorts = { ...base, events, folder };
  const hotPath = createHotPath(hotPathPorts(composition, blobs));
  const endRevoked = revocation(composition, hotPath);
  const signing = { issuer: config.issuer, signingKey: keys.signing };
  const stateNumber = createNumberStatements(config.issuer, keys.signing);
  const lists = {
    endRevokedDevices: endRevoked,
    devicesChanged: hotPath.hub.devicesChanged,
    endWindows: hotPath.duties.endWindows,
    publishFirstList: (transaction: Queryable, publication: Publication) =>
      publishDeviceList(transaction, publication),
  };
  const routes = [
    ...accountsRoutes({
      ...composition,
      ...lists,
      ...{ stateNumber, issuer: config.issuer, smsPerDay: config.smsPerDay },
      ...{ codeSecret: keys.codeSecret, operatorKeyId: keys.signingKeyId },
      keyPackagesLeft: (device) => countKeyPackages(database, device, now()),
    }),
    ...devicesRoutes({ ...base, ...lists }),
    ...directoryRoutes({ ...base, ...signing, stateNumber, operatorKeys: keys.published }),
    ...businessesRoutes({ ...base, ...lists, ...signing, events }),
    ...templatesRoutes({ ...base, ...signing, events }),
    ...blocksRoutes(base),
    ...blobsRoutes(blobs),
    ...hotPath.routes,
  ];
  const jobs = jobsOf({ base, blobs, endRevoked });
  return { routes, hotPath, writeBlob: writeBlob(blobs), findBlob: findBlob(blobs), jobs };
}

const hotPathPorts = (composition: Composition, blobs: BlobPorts) => {
  const { database, now, random, events, metrics, authenticator, keys } = composition;
  return {
    ...{ database, now, random, events, metrics },
    tagKey: keys.tag,
    authenticate: authenticator.device,
    templateState: readTemplateState({ database, now, random }),
    accountOfNumber: async (number: string) => (await holderOf(database, number))?.account_id,
    businessOfNumber: (phoneNumberId: Parameters<typeof businessOfNumber>[1]) =>
      businessOfNumber(database, phoneNumberId),
    attachBlobs: attachBlobs(blobs),
  };
};

const revocation =
  ({ database, events, authenticator }: Composition, { hub, duties }: HotPath) =>
  (accountId?: Parameters<typeof endRevokedDevices>[1]) =>
    endRevokedDevices(
      {
        ...{ database, events },
        invalidateTokens: authenticator.invalidate,
        closeSockets: hub.revokeDevices,
        revokeLeaves: duties.revokeLeaves,
      },
      accountId,
    );

type Upkept = {
  readonly base: BasePorts;
  readonly blobs: BlobPorts;
  readonly endRevoked: () => Promise<void>;
};

const dayMs = 86_400_000;

const jobsOf = ({ base, blobs, endRevoked }: Upkept): readonly Job[] => [
  { name: 'revocations', everySeconds: 10, run: () => endRevoked() },
  {
    name: 'registrations',
    everySeconds: 60,
    run: () => deleteOverRegistrations(base.database, base.now()),
  },
  { name: 'links', everySeconds: 60, run: () => deleteOverLinks(base.database, base.now()) },
  { name: 'blobs', everySeconds: 60, run: () => sweepBlobs(blobs) },
  {
    name: 'blob drafts',
    everySeconds: 3600,
    // Files bear the machine's own time, and an upload ends long before a day is over.
    run: () => blobs.folder.removeOldDrafts(base.now() - dayMs),
  },
];
