import { BlockList, isIP } from 'node:net'
import { UsageError } from '../error.ts'
import { parameter } from './exchange.ts'
import { plainAddress } from './origin.ts'

/** Which proxies stand in front of the application, and in which fields they name the client. */
export interface ProxyOptions {
  /**
   * How many proxies stand in front, or their addresses, networks (`10.0.0.0/8`) or the names `loopback`, `linklocal`,
   * `uniquelocal`. Default: no proxy, and no forwarded field is read.
   */
  trustProxy?: number | readonly string[]
  /** Which fields the proxies write: `X-Forwarded-*` (default), or `Forwarded` (RFC 7239). The other kind is not read. */
  proxyHeaders?: 'x-forwarded' | 'forwarded'
}

/** The checked proxy options. */
export interface ProxyTrust {
  trusts(address: string, hop: number): boolean
  /** The number of proxies, if configured. A request with a shorter list did not come through all of them. */
  readonly count: number | undefined
  readonly family: 'x-forwarded' | 'forwarded'
}

/** The browser's own connection, as trusted proxies report it; `undefined` where none reports it. */
export interface Client {
  readonly address: string | undefined
  readonly proto: 'http' | 'https' | undefined
  readonly host: string | undefined
}

/** The client of a request without trusted proxies. */
export const unknownClient: Client = { address: undefined, proto: undefined, host: undefined }

/**
 * Checks the proxy options; `undefined` if no proxy is trusted.
 *
 * @throws {UsageError} `ERR_HTTP_PROXY`; names the entry and what to write
 */
export function proxyTrust(options: ProxyOptions): ProxyTrust | undefined {
  const { trustProxy = 0, proxyHeaders: family = 'x-forwarded' } = options
  if (family !== 'x-forwarded' && family !== 'forwarded') {
    throw proxyError('`proxyHeaders` is not one of its two values', "Write proxyHeaders: 'x-forwarded' or 'forwarded'.")
  }
  if (typeof trustProxy === 'number') return trustByCount(trustProxy, family)
  if (Array.isArray(trustProxy)) return trustByAddress(trustProxy, family)
  throw proxyError('`trustProxy` is neither a number nor a list', countHint)
}

/** What the trusted proxies report about the client that connected to the outermost of them. */
export function clientBehind(
  trust: ProxyTrust,
  peer: string | undefined,
  header: (name: string) => string | undefined,
): Client {
  const address = plainAddress(peer)
  if (address === undefined || !trust.trusts(address, 0)) return { address, proto: undefined, host: undefined }
  return trust.family === 'forwarded' ? byForwarded(trust, address, header) : byXForwarded(trust, address, header)
}

// ── which hops are trusted ───────────────────────────────────────────────────────────────────────────────────────────

const countHint =
  "Write how many proxies stand in front, trustProxy: 1, or their addresses: trustProxy: ['10.0.0.0/8']."
const mostProxies = 32

function trustByCount(count: number, family: ProxyTrust['family']): ProxyTrust | undefined {
  if (!Number.isInteger(count) || count < 0 || count > mostProxies) {
    throw proxyError(`\`trustProxy\` is not a number of proxies from 0 to ${mostProxies}`, countHint)
  }
  return count === 0 ? undefined : { trusts: (_address, hop) => hop < count, count, family }
}

function trustByAddress(entries: readonly unknown[], family: ProxyTrust['family']): ProxyTrust | undefined {
  if (entries.length === 0) return undefined
  const networks = new BlockList()
  entries.forEach((entry, n) => {
    addNetwork(networks, entry, `trustProxy[${n}]`)
  })
  return { trusts: (address) => networks.check(address, familyOf(address)), count: undefined, family }
}

const named: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

function addNetwork(networks: BlockList, entry: unknown, option: string): void {
  if (typeof entry !== 'string') throw proxyError(`\`${option}\` is not a string`, countHint)
  const group = Object.hasOwn(named, entry) ? named[entry] : undefined
  for (const network of group ?? [entry]) {
    const [address = '', prefix, ...rest] = network.split('/')
    const bits = isIP(address) === 4 ? 32 : 128
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
    if (isIP(address) === 0 || rest.length > 0 || length < 1 || length > bits) {
      throw proxyError(
        `\`${option}\` is not an address or network: "${entry.slice(0, 60)}"`,
        "Write an address ('10.1.2.3'), a network ('10.0.0.0/8'), 'loopback', 'linklocal' or 'uniquelocal'.",
      )
    }
    networks.addSubnet(address, length, familyOf(address))
  }
}

function proxyError(message: string, hint: string): UsageError {
  return new UsageError('ERR_HTTP_PROXY', message, { hint })
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}

// ── what proxies report ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Walks from the nearest hop outward, as long as each hop is trusted. */
function walk(
  trust: ProxyTrust,
  peer: string,
  reported: readonly (string | undefined)[],
): { address: string; hops: number } {
  if (trust.count !== undefined && reported.length < trust.count) return { address: peer, hops: 1 }
  let address = peer
  let hops = 0
  while (hops < reported.length && trust.trusts(address, hops)) {
    const next = reported[reported.length - 1 - hops]
    hops += 1
    if (next === undefined) break
    address = next
  }
  return { address, hops: Math.max(hops, 1) }
}

function byXForwarded(trust: ProxyTrust, peer: string, header: (name: string) => string | undefined): Client {
  const { address, hops } = walk(trust, peer, lastElements(header('x-forwarded-for')).map(plainAddress))
  return {
    address,
    proto: schemeOf(saidBy(lastElements(header('x-forwarded-proto')), hops)),
    host: saidBy(lastElements(header('x-forwarded-host')), hops),
  }
}

/** The element that the outermost trusted hop wrote. If hops replace the list instead of extending it, its first element. */
function saidBy<Element>(list: readonly Element[], hops: number): Element | undefined {
  return list[Math.max(0, list.length - hops)]
}

/**
 * The last elements of a list, at most as many as there can be proxies. Proxies append; everything before is from the
 * sender, which may send 16 KiB of commas.
 */
function lastElements(field: string | undefined): string[] {
  const elements: string[] = []
  let end = field === undefined || field === '' ? -1 : field.length
  while (field !== undefined && end >= 0 && elements.length < mostProxies) {
    const comma = end === 0 ? -1 : field.lastIndexOf(',', end - 1)
    elements.unshift(field.slice(comma + 1, end).trim())
    end = comma
  }
  return elements
}

function schemeOf(text: string | undefined): 'http' | 'https' | undefined {
  const scheme = text?.toLowerCase()
  return scheme === 'http' || scheme === 'https' ? scheme : undefined
}

function byForwarded(trust: ProxyTrust, peer: string, header: (name: string) => string | undefined): Client {
  const elements = parseForwarded(lastForwarded(header('forwarded') ?? '')) ?? []
  const { address, hops } = walk(
    trust,
    peer,
    elements.map((element) => plainAddress(element.get('for'))),
  )
  const said = saidBy(elements, hops)
  return { address, proto: schemeOf(said?.get('proto')), host: said?.get('host') }
}

/** The last elements of a Forwarded field, at most as many as there can be proxies. A quoted comma does not separate. */
function lastForwarded(field: string): string {
  const starts: number[] = []
  let commas = 0
  let quoted = false
  for (let at = 0; at < field.length; at++) {
    const character = field[at]
    if (character === '"') quoted = !quoted
    else if (quoted) at += character === '\\' ? 1 : 0
    else if (character === ',') starts[commas++ % mostProxies] = at + 1
  }
  return commas < mostProxies ? field : field.slice(starts[commas % mostProxies])
}

/** Parses a Forwarded field (RFC 7239 §4) into elements with parameters by lower-case name; `undefined` if malformed. */
export function parseForwarded(field: string): ReadonlyMap<string, string>[] | undefined {
  const elements: Map<string, string>[] = []
  let element = new Map<string, string>()
  for (let at = 0; at < field.length; ) {
    forwardedPair.lastIndex = at
    const found = forwardedPair.exec(field)
    if (found === null) return undefined
    const [whole, name = '', token, quoted = '', separator] = found
    if (element.has(name.toLowerCase()) || element.size === mostParameters) return undefined
    element.set(name.toLowerCase(), token ?? quoted.replace(/\\(.)/g, '$1'))
    if (separator === ',' || separator === '') {
      elements.push(element)
      element = new Map()
    }
    at += whole.length
    if (at === field.length && separator !== '') return undefined
  }
  return elements
}

/** RFC 7239 defines four parameters and allows others. */
const mostParameters = 32

const forwardedPair = new RegExp(`[ \\t]*${parameter}[ \\t]*([;,]|$)`, 'y')
