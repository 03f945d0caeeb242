// The narrow view of a WebSocket that the mailbox sees, so that another socket library can take the place of `ws`.

export type RelaySocket = {
  /** The peer's network address, for rate limits only. */
  readonly address: string;
  /** Octets handed to `send` that the network has not taken yet. */
  readonly bufferedAmount: () => number;
  /** One text frame. Does nothing on a closed socket. */
  readonly send: (text: string) => void;
  /** Idempotent. `onClose` is told as well. */
  readonly close: (code: number, reason: string) => void;
  /** Text frames only, at most `limits.socketFrameBytesMax`; a binary frame closes the socket before this is told. */
  readonly onMessage: (listener: (text: string) => void) => void;
  /** Told once, whoever closed. */
  readonly onClose: (listener: () => void) => void;
};
