// Every failure code of the house: what it means over HTTP, whether trying again can help, and one sentence for a person.
// Expected refusals are not here: they are named outcomes of an endpoint.

type ErrorEntry = {
  readonly status: number;
  readonly retryable: boolean;
  readonly message: string;
};

export const errorCodes = {
  'request-invalid': {
    status: 400,
    retryable: false,
    message: 'The request does not have the shape this endpoint takes.',
  },
  'version-unknown': {
    status: 400,
    retryable: false,
    message: 'This version of the protocol is not spoken here.',
  },
  unauthenticated: { status: 401, retryable: false, message: 'A valid token is needed.' },
  forbidden: { status: 403, retryable: false, message: 'This token may not do that.' },
  'not-found': { status: 404, retryable: false, message: 'There is nothing here.' },
  'method-not-allowed': {
    status: 405,
    retryable: false,
    message: 'This address does not take that method.',
  },
  'request-too-large': {
    status: 413,
    retryable: false,
    message: 'The request is larger than allowed here.',
  },
  'media-type-unsupported': {
    status: 415,
    retryable: false,
    message: 'This endpoint takes application/json.',
  },
  'too-many-requests': {
    status: 429,
    retryable: true,
    message: 'Too many requests; try again later.',
  },
  internal: {
    status: 500,
    retryable: true,
    message: 'Something went wrong here. It has been noted.',
  },
  overloaded: {
    status: 503,
    retryable: true,
    message: 'Too busy at the moment; try again shortly.',
  },
  'shutting-down': {
    status: 503,
    retryable: true,
    message: 'This server is being stopped; try again shortly.',
  },
  'database-unavailable': {
    status: 503,
    retryable: true,
    message: 'The store cannot be reached at the moment.',
  },
  'relay-unreachable': {
    status: 502,
    retryable: true,
    message: 'The relay cannot be reached at the moment.',
  },
  'relay-refused': { status: 502, retryable: false, message: 'The relay answered with an error.' },
  'state-corrupt': { status: 500, retryable: false, message: 'Stored state cannot be read.' },
  'state-conflict': {
    status: 500,
    retryable: false,
    message: 'Another writer changed this state first.',
  },
  'seal-refused': { status: 500, retryable: false, message: 'The message could not be sealed.' },
  'open-refused': { status: 500, retryable: false, message: 'The message could not be opened.' },
  'attachment-corrupt': {
    status: 422,
    retryable: false,
    message: 'The attachment is not what its sender sealed.',
  },
  'configuration-invalid': {
    status: 500,
    retryable: false,
    message: 'The configuration is not usable.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCodes;

/** A failure: the world broke, or somebody sent nonsense. `detail` is for people and never holds content, keys, tokens or numbers. */
export class SiegelError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  override readonly name = 'SiegelError';

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(
      detail === undefined ? errorCodes[code].message : `${errorCodes[code].message} ${detail}`,
      options,
    );
    this.code = code;
    this.detail = detail;
  }

  get status(): number {
    return errorCodes[this.code].status;
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}
