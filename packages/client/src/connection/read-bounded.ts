// Reads a body to its end and no further than allowed: a relay must not be able to fill a device's memory.

import { SiegelError } from '@siegel/protocol/errors';

/** @throws SiegelError `relay-refused` when there is more than `bytesMax`; what the stream throws passes through */
export async function readBounded(
  response: Response,
  bytesMax: number,
  onBytes?: (total: number) => void,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of chunksOf(response)) {
    total += part.length;
    if (total > bytesMax) throw new SiegelError('relay-refused', 'answer too large');
    parts.push(part);
    onBytes?.(total);
  }
  return joined(parts, total);
}

/** The chunks of a body; leaving the loop early cancels the transfer. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array, void, void> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // A body that broke refuses to be cancelled; the break itself has been thrown already.
    await reader.cancel().catch(() => undefined);
  }
}

export function joined(parts: readonly Uint8Array[], total: number): Uint8Array {
  const only = parts.length === 1 ? parts[0] : undefined;
  if (only !== undefined) return only;
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
