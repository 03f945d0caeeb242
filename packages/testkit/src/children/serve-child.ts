// The frame of every child of the town: takes its configuration over IPC, says when it serves, ends
// in order when it is asked to or when
// its supervisor is gone.

export type Served = { readonly url: string; readonly close: () => Promise<void> };

/** Nothing may keep a child alive longer than this once it was asked to end. */
const closeTimeoutMs = 8_000;

function onConfig(take: (config: unknown) => void): void {
  process.once('message', (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'config' in message) {
      take(message.config);
    }
  });
}

const tell = (message: unknown): void => {
  if (process.connected) process.send?.(message);
};

export function serveChild(start: (config: unknown) => Promise<Served>): void {
  let served: Served | undefined;
  let ending = false;
  const close = () => void (served?.close() ?? Promise.resolve()).finally(() => process.exit());
  const end = () => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(1), closeTimeoutMs).unref();
    close();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'disconnect']) process.once(name, end);
  onConfig((config) => {
    start(config).then(
      (one) => {
        served = one;
        if (ending) close();
        tell({ type: 'ready', url: one.url });
      },
      (error: unknown) => {
        process.stderr.write(
          `${error instanceof Error ? (error.stack ?? error.message) : 'failed'}\n`,
        );
        tell({ type: 'failure', failure: error instanceof Error ? error.message : 'unknown' });
        setTimeout(() => process.exit(1), 50);
      },
    );
  });
}
