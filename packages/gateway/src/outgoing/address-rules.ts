// Which network addresses the gateway may reach on behalf of what somebody else wrote (design §10): public ones, and
// those the operator of this machine listed.

import { SiegelError } from '@siegel/protocol/errors';
import ipaddr from 'ipaddr.js';

/** `loopback`, or a range such as `10.1.0.0/16`. */
export type AddressRules = {
  /** false: the address is private, reserved or not an address */
  allows(address: string): boolean;
  /** true: it was listed, so plain http is the operator's own decision */
  lists(address: string): boolean;
};

const loopback = ['127.0.0.0/8', '::1/128'];

function parsed(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // `process` turns ::ffff:10.0.0.1 into 10.0.0.1, so that a mapped address cannot slip through.
  return ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
}

function rangeOf(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    return ipaddr.parseCIDR(text);
  } catch (cause) {
    throw new SiegelError('configuration-invalid', 'a range of allowed addresses', { cause });
  }
}

export function createAddressRules(allowed: readonly string[]): AddressRules {
  const ranges = allowed
    .flatMap((entry) => (entry === 'loopback' ? loopback : [entry]))
    .map(rangeOf);
  const lists = (address: string): boolean => {
    const ip = parsed(address);
    return (
      ip !== undefined &&
      ranges.some(([range, bits]) => ip.kind() === range.kind() && ip.match([range, bits] as never))
    );
  };
  return {
    lists,
    // Everything but plain unicast is refused: private, link-local, multicast, NAT64, 6to4, Teredo, reserved.
    allows: (address) => lists(address) || parsed(address)?.range() === 'unicast',
  };
}
