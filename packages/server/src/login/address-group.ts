import { isIPv6 } from 'node:net'

/** Addresses that are likely one person's, as far as counting goes. */
export interface AddressGroup {
  readonly key: string
  /** How many times the limit of a single person this group may use. */
  readonly factor: number
}

/** An IPv4 address by itself; of an IPv6 address the /64 that a home or a phone gets, and the /48 that a site gets. */
export function addressGroups(address: string | undefined): readonly AddressGroup[] {
  // Without an address all visitors share one count: a count of their own would not limit them.
  if (address === undefined) return [{ key: 'unknown', factor: 1 }]
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !isIPv6(address)) return [{ key: mapped ?? address, factor: 1 }]
  const groups = expandIPv6(address)
  return [
    { key: `${groups.slice(0, 4).join(':')}::/64`, factor: 1 },
    { key: `${groups.slice(0, 3).join(':')}::/48`, factor: 8 },
  ]
}

/** The eight groups of an IPv6 address (RFC 4291 §2.2), without leading zeros; a zone is left out. */
function expandIPv6(address: string): string[] {
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::')
  const left = groupsOf(head)
  const right = groupsOf(tail ?? '')
  return [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right]
}

function groupsOf(part: string): string[] {
  return part === '' ? [] : part.split(':').map((group) => group.replace(/^0+(?=.)/, ''))
}
