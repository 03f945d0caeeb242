// How much anybody may ask: one table for all endpoints, and the token buckets that keep it. Buckets live in this process
// and are bounded in number; what must survive a restart (SMS cost, look-ups, blob bytes) is counted in `quotas`.

/** `burst` at once, then `perMinute`. */
export type Limit = { readonly burst: number; readonly perMinute: number };

/** Per device of a person, per device of a business, and per address for callers without a token. */
type EndpointLimits = {
  readonly person?: Limit;
  readonly business?: Limit;
  readonly address?: Limit;
};

const limit = (burst: number, perMinute: number): Limit => ({ burst, perMinute });

/** What no line below names. */
const usual: Required<EndpointLimits> = {
  person: limit(120, 120),
  business: limit(600, 3000),
  address: limit(60, 60),
};

const table: Readonly<Record<string, EndpointLimits>> = {
  requestCode: { address: limit(20, 10) },
  verifyCode: { address: limit(40, 30) },
  createAccount: { address: limit(30, 20) },
  setPin: { person: limit(10, 2), business: limit(10, 2) },
  joinLink: { address: limit(20, 10) },
  finishLink: { address: limit(120, 120) },
  openLink: { person: limit(10, 2), business: limit(10, 2) },
  updateDeviceList: { person: limit(20, 6), business: limit(20, 6) },
  uploadKeyPackages: { person: limit(20, 10), business: limit(60, 30) },
  lookUpNumber: { person: limit(30, 10), business: limit(200, 200) },
  openConversation: { person: limit(60, 30), business: limit(1000, 6000) },
  claimKeyPackages: { person: limit(60, 30), business: limit(1000, 6000) },
  submitCommit: { person: limit(200, 300), business: limit(2000, 30_000) },
  submitMessage: { person: limit(300, 1200), business: limit(5000, 120_000) },
  createBlob: { person: limit(60, 60), business: limit(600, 1200) },
  block: { person: limit(60, 60), business: limit(60, 60) },
  submitTemplate: { business: limit(120, 60) },
  openEnrolment: { address: limit(20, 5) },
  completeEnrolment: { address: limit(20, 5) },
  // Beside the contract.
  putBlob: { person: limit(60, 60), business: limit(600, 1200) },
  getBlob: { address: limit(600, 1200) },
  openSocket: { address: limit(200, 120) },
};

/** Wrong or missing tokens from one address, whatever the endpoint. */
export const failedTokens: Limit = limit(60, 30);

export const limitFor = (endpoint: string, who: keyof EndpointLimits): Limit =>
  table[endpoint]?.[who] ?? usual[who];

export type Taken =
  | { readonly taken: true }
  | { readonly taken: false; readonly retryAfterSeconds: number };

export type RateLimiter = {
  /** A refusal takes nothing. */
  readonly take: (key: string, limit: Limit) => Taken;
  /** Whether something could be taken, without taking it. */
  readonly peek: (key: string, limit: Limit) => Taken;
};

const bucketsMax = 200_000;

/** Token buckets under keys; the one untouched longest goes when there are too many. */
export function createRateLimiter(now: () => number, factor = 1): RateLimiter {
  const buckets = new Map<string, { level: number; at: number }>();

  function levelOf(key: string, limit: Limit): number {
    const bucket = buckets.get(key);
    if (bucket === undefined) return limit.burst * factor;
    const gained = ((now() - bucket.at) / 60_000) * limit.perMinute * factor;
    return Math.min(limit.burst * factor, bucket.level + Math.max(0, gained));
  }

  function answer(level: number, limit: Limit): Taken {
    if (level >= 1) return { taken: true };
    const seconds = ((1 - level) / (limit.perMinute * factor)) * 60;
    return { taken: false, retryAfterSeconds: Math.max(1, Math.ceil(seconds)) };
  }

  return {
    peek: (key, limit) => answer(levelOf(key, limit), limit),
    take: (key, limit) => {
      const level = levelOf(key, limit);
      const taken = answer(level, limit);
      buckets.delete(key);
      buckets.set(key, { level: taken.taken ? level - 1 : level, at: now() });
      if (buckets.size > bucketsMax) buckets.delete(buckets.keys().next().value ?? '');
      return taken;
    },
  };
}

/** One household or server: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function addressKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = 8 - groups.length - (tail ? tail.split(':').length : 0);
  const full = tail === undefined ? groups : [...groups, ...Array(Math.max(0, missing)).fill('0')];
  return full
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
