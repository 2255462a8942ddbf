import type { Exchange } from './exchange.ts'

/** Credentials out of the field `Authorization` (RFC 9110 §11.4): the scheme in lower case, and what follows it. */
export interface Authorization {
  readonly scheme: string
  readonly credentials: string
}

/** `undefined`: the request has no such field, or an empty one. */
export function authorizationOf(exchange: Exchange): Authorization | undefined {
  const field = exchange.header('authorization')?.trim()
  if (field === undefined || field === '') return undefined
  const [scheme = ''] = token.exec(field) ?? []
  return { scheme: scheme.toLowerCase(), credentials: field.slice(scheme.length).replace(/^ +/, '') }
}

/** RFC 9110 §5.6.2: a scheme ends with the first character that cannot be in one, even if that should be a space and is none. */
const token = /^[\w!#$%&'*+.^`|~-]*/

/**
 * The token of `Authorization: Bearer`, and of nowhere else: in a query or a body it would end up in logs (RFC 9700 §4.3.2).
 *
 * @returns `missing` without such credentials; `malformed` where there is no token behind the scheme, or more than one: of
 * two fields, which are joined by a comma, neither is believed
 */
export function bearerToken(exchange: Exchange): { readonly token: string } | 'missing' | 'malformed' {
  const given = authorizationOf(exchange)
  if (given?.scheme !== 'bearer') return 'missing'
  const { credentials } = given
  return credentials === '' || separators.some((one) => credentials.includes(one))
    ? 'malformed'
    : { token: credentials }
}

const separators = [',', ' ', '\t']

/** A challenge for WWW-Authenticate: `Bearer realm="api", error="invalid_token"`. */
export function challenge(scheme: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const written = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${value.replace(/["\\]/g, '\\$&')}"`],
  )
  return `${scheme} ${written.join(', ')}`
}
