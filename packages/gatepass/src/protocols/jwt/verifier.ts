import { type Awaitable, andThen } from '../../awaitable.ts'
import { sha256Base64url } from '../../crypto/random.ts'
import { Recent } from '../../crypto/recent.ts'
import { UsageError } from '../../error.ts'
import { type ClaimsFault, type Expectation, type JwtClaims, readClaims, timeFault } from './claims.ts'
import { parseJsonObject } from './json-object.ts'
import type { VerificationKey } from './jwk.ts'
import { type JwsFault, type Verified, verifyCompact } from './jws.ts'
import type { VerificationKeys } from './key-set.ts'

export interface JwtVerifierOptions {
  readonly keys: VerificationKeys
  /** The exact `iss` of the tokens. */
  readonly issuer: string
  /** The token's `aud` must contain exactly one of these texts, compared character by character. */
  readonly audience: string | readonly string[]
  /** The required `typ`. Default `at+jwt`, an access token (RFC 9068). `JWT` also accepts tokens without `typ`. */
  readonly type?: Expectation['type']
  readonly clock?: () => number
}

/** Why a token is refused. */
export type TokenFault = JwsFault | ClaimsFault

/** Verifies tokens of one issuer for one audience. A token that was verified before costs only a hash. */
export class JwtVerifier {
  readonly #keys: VerificationKeys
  readonly #expected: Expectation
  readonly #clock: () => number
  /**
   * Tokens with a valid signature, by the SHA-256 of the whole token: the cache contains no tokens, and look-ups leak nothing
   * by timing. In the bench, `tokens`: "verify it again" takes longer than a bare request without it.
   */
  readonly #verified = new Recent<{ readonly claims: JwtClaims; readonly key: VerificationKey }>(MOST_TOKENS)

  /** @throws {UsageError} `ERR_TOKEN_OPTIONS` */
  constructor(options: JwtVerifierOptions) {
    const { audience, issuer, type = 'at+jwt' } = options
    this.#keys = options.keys
    this.#expected = { issuer, audiences: typeof audience === 'string' ? [audience] : [...audience], type }
    this.#clock = options.clock ?? Date.now
    checkExpectation(this.#expected)
  }

  /**
   * Returns the token's claims, or why it is refused. The caller must check that its session still exists.
   *
   * @throws {StoreError} if the keys cannot be loaded
   */
  verify(token: string): Awaitable<JwtClaims | TokenFault> {
    const name = sha256Base64url(token)
    const known = this.#verified.get(name)
    if (known !== undefined) {
      if (this.#keys.trusts(known.key)) return this.#atThisTime(name, known.claims)
      this.#verified.drop(name)
    }
    return andThen(verifyCompact(token, this.#keys), (result) =>
      typeof result === 'string' ? result : this.#first(name, result),
    )
  }

  #first(name: string, { header, payload, key }: Verified): JwtClaims | TokenFault {
    const members = parseJsonObject(payload)
    const claims = members === undefined ? 'malformed' : readClaims(header, members, this.#expected)
    if (typeof claims === 'string') return claims
    this.#verified.keep(name, { claims: deepFrozen(claims), key })
    return this.#atThisTime(name, claims)
  }

  #atThisTime(name: string, claims: JwtClaims): JwtClaims | TokenFault {
    const fault = timeFault(claims, this.#clock())
    if (fault === undefined) return claims
    this.#verified.drop(name)
    return fault
  }
}

/** How many tokens are kept in each of two generations. */
const MOST_TOKENS = 1024

function checkExpectation({ issuer, audiences, type }: Expectation): void {
  const named = [issuer, ...audiences].every((text) => typeof text === 'string' && text !== '')
  if (named && audiences.length > 0 && (type === 'at+jwt' || type === 'JWT')) return
  throw new UsageError('ERR_TOKEN_OPTIONS', '`issuer`, `audience` or `type` of a token is missing or not a string', {
    hint: "For example `issuer: 'https://login.example', audience: 'https://api.example'`. `type` is 'at+jwt' or 'JWT'.",
  })
}

/** Freezes claims, because every request with the token gets the same object. */
function deepFrozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFrozen(member)
  return Object.freeze(value)
}
