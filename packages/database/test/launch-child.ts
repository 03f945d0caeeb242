// A node process of its own that runs a cluster, for tests that kill it or run it as another
// user. Prints one line of JSON when ready; stops in order when its input closes.
import { errorCode } from '../src/error-code.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../src/index.ts';

const [home = '', name = ''] = process.argv.slice(2);

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

try {
  const cluster = await startEmbeddedPostgres({ home, name, restart: false });
  const address = await ensureDatabase(cluster, { database: 'child', role: 'child' });
  const { adopted, launchMode } = cluster;
  print({ pid: cluster.pid(), adopted, launchMode, address, uid: process.getuid?.() });
  process.stdin.resume();
  process.stdin.once('end', () => {
    void cluster.stop().then(() => print({ stopped: true }));
  });
} catch (error) {
  print({ failure: errorCode(error) ?? 'unknown', message: String(error) });
  process.exitCode = 1;
}
