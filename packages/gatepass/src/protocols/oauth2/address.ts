import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { ProtocolError } from '../../error.ts'

/** Where a provider may be, besides the public internet with TLS. */
export interface Reach {
  /** Allow this machine, also without TLS. */
  readonly loopback: boolean
  /** Allow private networks (10.0.0.0/8 and similar), with TLS. */
  readonly privateNetwork: boolean
}

/** Whether a host name means this machine. It must be as the WHATWG URL parser writes it. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || inList(loopback, bare(hostname))
}

/**
 * Refuses an address that our server must not call (server-side request forgery).
 *
 * The name is looked up here and again by `fetch`. If the second answer names an internal host, the TLS handshake fails,
 * because that host has no certificate for the name.
 *
 * @throws {ProtocolError} `ERR_OAUTH_ADDRESS` (502)
 */
export async function checkAddress(url: URL, reach: Reach): Promise<void> {
  if (isLoopback(url.hostname)) {
    if (reach.loopback && (url.protocol === 'http:' || url.protocol === 'https:')) return
    throw refused(url, 'is this machine')
  }
  if (url.protocol !== 'https:') throw refused(url, 'is not https')
  if (url.username !== '' || url.password !== '') throw refused(url, 'contains credentials')
  if (reach.privateNetwork) return
  const addresses = isIP(bare(url.hostname)) === 0 ? await addressesOf(url.hostname) : [bare(url.hostname)]
  if (addresses.some((address) => inList(internal, address))) throw refused(url, 'is not on the public internet')
}

/** The addresses of a name. None if the name is unknown: then the request fails, or a proxy knows the name. */
async function addressesOf(hostname: string): Promise<string[]> {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}

function refused(url: URL, why: string): ProtocolError {
  return new ProtocolError('ERR_OAUTH_ADDRESS', `${url.origin} ${why}, so no request is sent there`, {
    status: 502,
    hint: 'For a provider in your own network, see the options `privateNetwork` and `insecureLoopback`.',
  })
}

/** Removes the brackets of an IPv6 address in a URL. */
function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function inList(list: BlockList, address: string): boolean {
  if (isIP(address) === 0) return false
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

function listOf(...networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, isIPv6(network) ? 'ipv6' : 'ipv4')
  return list
}

const loopback = listOf(['127.0.0.0', 8], ['::1', 128])

/** Special-purpose networks (RFC 6890) and multicast. BlockList itself finds IPv4 addresses inside IPv6. */
const internal = listOf(
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
  // IPv6 networks that contain IPv4 addresses: compatible, translated, Teredo and similar, 6to4.
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 23],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
)
