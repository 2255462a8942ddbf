import type { RemoteJWKSet } from 'jose'
import { ProtocolError } from '../../error.ts'
import {
  type Claims,
  type CommonExpectation,
  checkCommonClaims,
  isSubject,
  SKEW,
  verifySignature,
} from './provider-token.ts'

/** Maximum age of a logout token when it arrives, in seconds. */
const LONGEST_WAY = 120

/** The content of a logout token: which user's logins, or which login, ended at the provider. */
export interface LogoutToken {
  readonly issuer: string
  readonly subject: string | undefined
  readonly sid: string | undefined
  readonly jti: string
  /** Milliseconds since 1970. */
  readonly issuedAt: number
}

/**
 * Validates a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), except that its `jti` is new.
 *
 * @throws {ProtocolError} `ERR_OIDC_LOGOUT_TOKEN`, and the errors of {@link verifySignature} and {@link checkCommonClaims}
 */
export async function verifyLogoutToken(
  token: string,
  keys: RemoteJWKSet,
  expected: CommonExpectation & { readonly algorithms: readonly string[] | undefined },
): Promise<LogoutToken> {
  const { header, claims } = await verifySignature(token, keys, expected.algorithms)
  if (header.typ !== 'logout+jwt') throw refused('is not a logout token')
  checkCommonClaims(claims, expected)
  const { sub, sid, jti, nonce, iat, iss } = claims
  if (!announcesLogout(claims)) throw refused('announces no logout')
  // §2.4 forbids a nonce, so that an ID token cannot pass as a logout token.
  if (nonce !== undefined) throw refused('has a nonce')
  if (typeof jti !== 'string' || jti === '') throw refused('has no jti')
  if (sub === undefined ? !isName(sid) : !isSubject(sub) || !(sid === undefined || isName(sid))) {
    throw refused('names neither a person nor a login')
  }
  const issuedAt = (iat as number) * 1000
  if (expected.now - issuedAt > (LONGEST_WAY + SKEW) * 1000) throw refused('is too old')
  return { issuer: iss as string, subject: sub as string | undefined, sid: sid as string | undefined, jti, issuedAt }
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

function announcesLogout({ events }: Claims): boolean {
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, EVENT)) return false
  const event: unknown = (events as Record<string, unknown>)[EVENT]
  return typeof event === 'object' && event !== null
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= 255
}

function refused(what: string): ProtocolError {
  return new ProtocolError('ERR_OIDC_LOGOUT_TOKEN', `A logout token ${what}`)
}

/** Remembers the logout tokens that were executed in the last minutes, so that none is executed twice. */
export class SeenTokens {
  readonly #until = new Map<string, number>()

  /** @throws {ProtocolError} `ERR_OIDC_LOGOUT_TOKEN` for a token that was executed before */
  check({ jti, issuer }: LogoutToken, now: number): void {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key)
    if (this.#until.has(`${issuer} ${jti}`)) throw refused('has been used before')
  }

  add({ jti, issuer }: LogoutToken, now: number): void {
    this.#until.set(`${issuer} ${jti}`, now + 2 * (LONGEST_WAY + SKEW) * 1000)
  }
}
