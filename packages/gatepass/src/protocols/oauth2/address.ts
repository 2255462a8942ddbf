import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { ProtocolError } from '../../error.ts'

/** Where a provider may be, besides on the public internet behind TLS. */
export interface Reach {
  /** This very machine, also without TLS. */
  readonly loopback: boolean
  /** A network that is not the internet: 10.0.0.0/8 and its like, behind TLS. */
  readonly privateNetwork: boolean
}

/** Whether this is the name of the machine at hand: what the WHATWG URL parser wrote. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || inList(loopback, bare(hostname))
}

/**
 * Refuses an address that our server must not ask on somebody's behalf (server-side request forgery).
 *
 * The name is looked up here, and by `fetch` once more: an answer that changes in between gets as far as a TLS handshake
 * with a host that has no certificate for the name.
 *
 * @throws {ProtocolError} `ERR_OAUTH_ADDRESS` (502)
 */
export async function checkAddress(url: URL, reach: Reach): Promise<void> {
  if (isLoopback(url.hostname)) {
    if (reach.loopback && (url.protocol === 'http:' || url.protocol === 'https:')) return
    throw refused(url, 'is this machine itself')
  }
  if (url.protocol !== 'https:') throw refused(url, 'is not https')
  if (url.username !== '' || url.password !== '') throw refused(url, 'carries credentials')
  if (reach.privateNetwork) return
  const addresses = isIP(bare(url.hostname)) === 0 ? await addressesOf(url.hostname) : [bare(url.hostname)]
  if (addresses.some((address) => inList(internal, address))) throw refused(url, 'is not on the public internet')
}

/** None where the name is unknown: then the request will say so, or a proxy knows it. */
async function addressesOf(hostname: string): Promise<string[]> {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}

function refused(url: URL, why: string): ProtocolError {
  return new ProtocolError('ERR_OAUTH_ADDRESS', `${url.origin} ${why}, so the provider is not asked there`, {
    status: 502,
    hint: 'For a provider in your own network, see the options `privateNetwork` and `insecureLoopback`.',
  })
}

/** Without the brackets of an IPv6 address in a URL. */
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

/** Special-purpose registries (RFC 6890) and multicast; IPv4 addresses within IPv6 are found by BlockList itself. */
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
  // With an IPv4 address within: compatible, translated, Teredo and its like, 6to4.
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
