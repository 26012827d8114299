import type { Request } from 'express';
import { ipKeyGenerator } from 'express-rate-limit';

/** The networks around a client. */
export interface ClientNetworks {
  /** IPv6 /48 or IPv4 /24: at most one customer of a network provider. */
  readonly site: string;
  /** IPv6 /32 or IPv4 /16: one network provider. */
  readonly provider: string;
}

/**
 * Clients are limited by network: IPv4 by address, IPv6 by /56. A household gets one bucket, and
 * cannot get more by its 2^72 addresses.
 */
export function networkOf({ context: { clientAddress } }: Request): string {
  return clientAddress.includes(':') ? ipKeyGenerator(clientAddress, 56) : clientAddress;
}

/** `network`: as in `ClientInfo`. */
export function networksAround(network: string): ClientNetworks {
  const [address = ''] = network.split('/');
  if (address.includes(':'))
    return { site: ipKeyGenerator(address, 48), provider: ipKeyGenerator(address, 32) };
  return {
    site: address.replace(/^(\d+\.\d+\.\d+)\.\d+$/, '$1.0/24'),
    provider: address.replace(/^(\d+\.\d+)\.\d+\.\d+$/, '$1.0.0/16'),
  };
}
