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
  const end = field.indexOf(' ')
  if (end === -1) return { scheme: field.toLowerCase(), credentials: '' }
  return { scheme: field.slice(0, end).toLowerCase(), credentials: field.slice(end + 1).trimStart() }
}

/**
 * The token of `Authorization: Bearer`, and of nowhere else: in a query or a body it would end up in logs (RFC 9700 §4.3.2).
 *
 * @returns `missing` without such credentials; `malformed` where there is no token behind the scheme, or more than one: of
 * two fields, which Node joins by a comma, neither is believed
 */
export function bearerToken(exchange: Exchange): { readonly token: string } | 'missing' | 'malformed' {
  const given = authorizationOf(exchange)
  if (given?.scheme !== 'bearer') return 'missing'
  const token = given.credentials
  return token === '' || token.includes(',') || token.includes(' ') ? 'malformed' : { token }
}

/** A challenge for WWW-Authenticate: `Bearer realm="api", error="invalid_token"`. */
export function challenge(scheme: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const written = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${value.replace(/["\\]/g, '\\$&')}"`],
  )
  return `${scheme} ${written.join(', ')}`
}
