import type { Exchange } from './exchange.ts'

/** The credentials in the field `Authorization` (RFC 9110 §11.4): the scheme in lower case, and the text after it. */
export interface Authorization {
  readonly scheme: string
  readonly credentials: string
}

/** Reads the field `Authorization`; `undefined` if the request has none or an empty one. */
export function authorizationOf(exchange: Exchange): Authorization | undefined {
  const field = exchange.header('authorization')?.trim()
  if (field === undefined || field === '') return undefined
  const [scheme = ''] = token.exec(field) ?? []
  return { scheme: scheme.toLowerCase(), credentials: field.slice(scheme.length).replace(/^ +/, '') }
}

/** A token (RFC 9110 §5.6.2). The scheme ends before the first other character, even if that is not a space as it should be. */
const token = /^[\w!#$%&'*+.^`|~-]*/

/**
 * The token of `Authorization: Bearer`. It is read from nowhere else: in a query or a body it would end up in logs (RFC 9700
 * §4.3.2).
 *
 * @returns `missing` without such credentials; `malformed` if the scheme is followed by no token or by several. Two fields
 * are joined by a comma, so they count as malformed, too
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

/** Writes a challenge for WWW-Authenticate: `Bearer realm="api", error="invalid_token"`. */
export function challenge(scheme: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const written = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${value.replace(/["\\]/g, '\\$&')}"`],
  )
  return `${scheme} ${written.join(', ')}`
}
