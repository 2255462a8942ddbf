import { UsageError } from '../error.ts'

/**
 * The origin in the form of RFC 6454 §6.2: lower case, without a default port. `undefined` if `text` is not the origin of an
 * http or https address: `null`, a list, an address with a path.
 */
export function originOf(text: string): string | undefined {
  return plainOrigin.test(text) ? URL.parse(text)?.origin : undefined
}

const plainOrigin = /^https?:\/\/(?:\[[\da-f:.]+\]|[\p{L}\p{M}\p{N}_.-]+)(?::\d{1,5})?$/iu

/** The address that a request arrived at. */
export interface Arrival {
  readonly scheme: 'http' | 'https'
  /** The host and port that the browser asked for, from each source that may name it, the most trusted first. */
  readonly hosts: readonly (string | undefined)[]
  /** The origin of a request that names no host: the address that it arrived at. */
  readonly local: () => string
}

/** The origin of a request: the configured one; among several, the one that it names; with none, the one that it names. */
export function findOrigin(configured: readonly string[], arrival: () => Arrival): string {
  const [only, ...others] = configured
  if (only !== undefined && others.length === 0) return only
  const { scheme, hosts, local } = arrival()
  let seen: string | undefined
  for (const host of hosts) seen ??= host === undefined ? undefined : originOf(`${scheme}://${host}`)
  if (only === undefined) return seen ?? local()
  return configured.find((own) => own === seen) ?? only
}

/**
 * Checks the origins that a developer configured.
 *
 * @throws {UsageError} `ERR_HTTP_ORIGIN`; names the option and what to write
 */
export function configuredOrigins(option: string, value: string | readonly string[] | undefined): readonly string[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return entries.map((entry) => configuredOrigin(option, entry))
}

function configuredOrigin(option: string, entry: unknown): string {
  const origin = typeof entry === 'string' ? originOf(entry.replace(/\/$/, '')) : undefined
  if (origin !== undefined) return origin
  throw new UsageError('ERR_HTTP_ORIGIN', `\`${option}\` has ${shown(entry)}, which is not an origin`, {
    hint: `Write scheme, host and, unless it is the default, port: ${option}: 'https://app.example'.`,
  })
}

/** A configured value for a message, without the password that a URL may contain. */
function shown(entry: unknown): string {
  if (typeof entry !== 'string') return `a ${typeof entry}`
  return entry.includes('@') ? 'an address with a user name' : `"${entry.slice(0, 80)}"`
}
