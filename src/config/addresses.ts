/** IP addresses and ranges of them, of both versions. */
import ipaddr from 'ipaddr.js';

/** Ready to be asked. */
export interface Addresses {
  /** As they were written. */
  readonly said: readonly string[];
  /** Whether an address is one of them; what is no address is none of them. */
  has(address: string): boolean;
}

type Address = ReturnType<typeof ipaddr.parse>;

/** `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`. */
export function isAddressRange(text: string): boolean {
  return rangeOf(text) !== undefined;
}

/** @param ranges ones that `isAddressRange` knows. */
export function compileAddresses(ranges: readonly string[]): Addresses {
  const compiled = ranges.flatMap((range) => {
    const parsed = rangeOf(range);
    return parsed === undefined ? [] : [parsed];
  });
  return {
    said: ranges,
    has(address) {
      if (!isAddress(address)) return false;
      const plain = unmapped(ipaddr.parse(address));
      return compiled.some(([base, bits]) => base.kind() === plain.kind() && plain.match(base, bits));
    },
  };
}

function rangeOf(text: string): [Address, number] | undefined {
  const [, address, given] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (address === undefined || address.includes('%')) return undefined;
  if (!isAddress(address)) return undefined;
  const parsed = ipaddr.parse(address);
  const plain = unmapped(parsed);
  const most = parsed.kind() === 'ipv6' ? 128 : 32;
  const bits = given === undefined ? most : Number(given);
  if (bits > most) return undefined;
  if (plain === parsed) return [plain, bits];
  // Of a mapped address the first 96 bits say that it is one.
  return bits < 96 ? undefined : [plain, bits - 96];
}

/** An IPv4 address has four parts here: older forms of three, two or one are not what anybody means. */
function isAddress(text: string): boolean {
  return ipaddr.IPv6.isValid(text) || ipaddr.IPv4.isValidFourPartDecimal(text);
}

/** Sockets that listen for both versions tell of IPv4 clients as `::ffff:10.0.0.1`. */
function unmapped(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}
