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

/** How old a logout token may be when it comes, in seconds. */
const LONGEST_WAY = 120

/** What a logout token says: whose login, or which one, has ended at the provider. */
export interface LogoutToken {
  readonly issuer: string
  readonly subject: string | undefined
  readonly sid: string | undefined
  readonly jti: string
  /** Milliseconds since 1970. */
  readonly issuedAt: number
}

/**
 * Validates a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), but for having seen its `jti` before.
 *
 * @throws {ProtocolError} `ERR_OIDC_LOGOUT_TOKEN`, and what the common claims and the signature are refused with
 */
export async function verifyLogoutToken(
  token: string,
  keys: RemoteJWKSet,
  expected: CommonExpectation & { readonly algorithms: readonly string[] | undefined },
): Promise<LogoutToken> {
  const { header, claims } = await verifySignature(token, keys, expected.algorithms)
  if (header.typ !== 'logout+jwt') throw refused('is no logout token')
  checkCommonClaims(claims, expected)
  const { sub, sid, jti, nonce, iat, iss } = claims
  if (!announcesLogout(claims)) throw refused('announces no logout')
  // §2.4: what has a nonce is an ID token in disguise.
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

/** Remembers the tokens of the last minutes that were obeyed, so that none counts twice. */
export class SeenTokens {
  readonly #until = new Map<string, number>()

  /** @throws {ProtocolError} `ERR_OIDC_LOGOUT_TOKEN` for one that was here before */
  check({ jti, issuer }: LogoutToken, now: number): void {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key)
    if (this.#until.has(`${issuer} ${jti}`)) throw refused('has been used before')
  }

  add({ jti, issuer }: LogoutToken, now: number): void {
    this.#until.set(`${issuer} ${jti}`, now + 2 * (LONGEST_WAY + SKEW) * 1000)
  }
}
