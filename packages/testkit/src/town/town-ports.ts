// Which port each server of the town takes (design §9). All are known before anything starts, so
// that children can start side by side.
import { createServer, type Server } from 'node:net';
import { SiegelError } from '@siegel/protocol/errors';

export type TownPorts = {
  readonly relay: number;
  readonly business: number;
  readonly console: number;
  readonly gateways: readonly number[];
  readonly bots: readonly number[];
};

function listen(port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', () =>
      reject(
        new SiegelError(
          'configuration-invalid',
          `Port ${port} is taken; set SIEGEL_PORT to another one, or to 0 for any free ones.`,
        ),
      ),
    );
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}

const portOf = (server: Server): number => {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

/**
 * Takes each port for a moment; 0 takes a free one. Held all together, so that none comes twice.
 */
async function probe(
  places: readonly { readonly port: number; readonly host: string }[],
): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (const { port, host } of places) servers.push(await listen(port, host));
    return servers.map(portOf);
  } finally {
    await Promise.all(
      servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }
}

/** @throws SiegelError `configuration-invalid` when one is taken */
export async function planPorts(options: {
  readonly port: number;
  readonly host: string;
  readonly gatewayHost: string;
  readonly firms: number;
}): Promise<TownPorts> {
  const { port, host, gatewayHost, firms } = options;
  const at = (step: number) => (port === 0 ? 0 : port + step);
  const each = Array.from({ length: firms }, (_, index) => index);
  const pages = [0, 1, 2].map((step) => ({ port: at(step), host }));
  const gateways = each.map((index) => ({ port: at(100 + index), host: gatewayHost }));
  // Bots are reached by their own gateway only.
  const bots = each.map(() => ({ port: 0, host: '127.0.0.1' }));
  const found = await probe([...pages, ...gateways, ...bots]);
  return {
    relay: found[0]!,
    business: found[1]!,
    console: found[2]!,
    gateways: found.slice(3, 3 + firms),
    bots: found.slice(3 + firms),
  };
}
