// Opens the relay's doors: the port with contract, blobs, sockets and the messenger's page, and a port for each further web
// app. Whatever is opened is put on the list of what is to be closed.

import type { IncomingMessage } from 'node:http';
import { SiegelError } from '@siegel/protocol/errors';
import type { Composition, Features } from './compose-features.ts';
import type { RelayConfig, WebApp } from './config.ts';
import { addBlobRoutes } from './http/blob-octets.ts';
import { addOperationsRoutes, type OperationsPorts } from './http/operations-routes.ts';
import { createEdge, createServer, type Edge, type EdgePorts } from './http/serve.ts';
import { hostSockets } from './http/socket.ts';
import { addWebApp } from './http/web-app.ts';
import { createWebOrigins, localUrl, relayUrlFor, type WebOrigins } from './http/web-origins.ts';

export type DoorPorts = {
  readonly composition: Composition;
  readonly features: Features;
  readonly townInbox?: NonNullable<OperationsPorts['townInbox']>;
  /** Run in reverse order when the relay stops. */
  readonly stops: (() => Promise<unknown>)[];
};

export type Doors = {
  /** On this machine. */
  readonly url: string;
  readonly port: number;
  readonly webApps: readonly { readonly name: string; readonly url: string }[];
};

export async function openDoors(ports: DoorPorts): Promise<Doors> {
  const { composition, features, stops } = ports;
  const { config, events, metrics, database } = composition;
  let isStopping = false;
  const webOrigins = createWebOrigins(config);
  const isWebOrigin = webOrigins.includes;
  const edge = { config, events, metrics, isWebOrigin, isStopping: () => isStopping };
  const app = await createServer({ ...composition, ...edge, routes: features.routes });
  addBlobRoutes(app, { ...composition, ...features });
  addOperationsRoutes(app, {
    ...composition,
    ...(ports.townInbox === undefined ? {} : { townInbox: ports.townInbox }),
    checkReady: async () => {
      if (isStopping) throw new SiegelError('shutting-down');
      await database.ping();
    },
  });
  const relayPort = () => portOf(app);
  const own = config.webApps.find((webApp) => webApp.port === undefined);
  if (own !== undefined) await addPages(app, own, { config, relayPort });
  await app.listen({ host: config.host, port: config.port });
  const sockets = hostSockets({
    ...{ ...composition, ...edge, server: app.server },
    acceptSocket: features.hotPath.hub.acceptSocket,
    addressOf: (request) => addressOf(request, config),
    socketsPerAddress: config.socketsPerAddress,
  });
  stops.push(async () => {
    events.stopping();
    isStopping = true;
    // Requests under way go on while the sockets say goodbye.
    const served = stopServer(app, config.stopSeconds);
    await features.hotPath.hub.close();
    await sockets.close();
    await served;
  });
  const others = config.webApps.filter((webApp) => webApp !== own);
  const opened = await openPages({ edge, webApps: others, relayPort, webOrigins, stops });
  const url = localUrl(config, relayPort());
  const webApps = own === undefined ? opened : [{ name: own.name, url }, ...opened];
  return { url, port: relayPort(), webApps };
}

type Pages = {
  readonly edge: EdgePorts;
  readonly webApps: readonly WebApp[];
  readonly relayPort: () => number;
  readonly webOrigins: WebOrigins;
  readonly stops: (() => Promise<unknown>)[];
};

async function openPages({ edge, webApps, relayPort, webOrigins, stops }: Pages) {
  const { config } = edge;
  const opened: { name: string; url: string }[] = [];
  for (const webApp of webApps) {
    const app = await createEdge(edge);
    await addPages(app, webApp, { config, relayPort });
    await app.listen({ host: config.host, port: webApp.port ?? 0 });
    webOrigins.add(portOf(app));
    opened.push({ name: webApp.name, url: localUrl(config, portOf(app)) });
    stops.push(() => stopServer(app, config.stopSeconds));
  }
  return opened;
}

async function addPages(
  app: Edge,
  { name, folder }: WebApp,
  { config, relayPort }: { config: RelayConfig; relayPort: () => number },
): Promise<void> {
  const relayUrl = (request: Parameters<typeof relayUrlFor>[2]) =>
    relayUrlFor(config, relayPort(), request);
  await addWebApp(app, { folder, relayUrl }).catch((cause: unknown) => {
    const sentence = `The folder of the web app ${name} cannot be read.`;
    throw new SiegelError('configuration-invalid', sentence, { cause });
  });
}

function portOf(app: Edge): number {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}

/** Of a socket's first request; the last entry is the one our own proxy wrote. */
function addressOf(request: IncomingMessage, config: RelayConfig): string {
  const forwarded = config.behindProxy ? request.headers['x-forwarded-for'] : undefined;
  const last = [forwarded ?? []].flat().join(',').split(',').at(-1)?.trim();
  return last || (request.socket.remoteAddress ?? '');
}

/** Requests under way are finished, but not waited for longer than this. */
async function stopServer(app: Edge, seconds: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), seconds * 1000);
  timer.unref();
  await app.close();
  clearTimeout(timer);
}
