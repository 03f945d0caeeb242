// Servers of the testkit listen on a free port of this machine only.
import type { Server } from 'node:net';

export type Listening = {
  readonly port: number;
  readonly url: string;
  readonly close: () => Promise<void>;
};

export async function listenOnLoopback(server: Server): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
