import { randomHandle } from '../../crypto/random.ts'
import { checkOptions, type OptionKinds, subjectText, UsageError } from '../../error.ts'
import { signCompact } from '../../protocols/jwt/jws.ts'
import type { LoginProof } from '../../session/about.ts'
import type { SessionId, Timestamp } from '../../session/store.ts'
import type { SigningKeys } from './signing-keys.ts'

export interface AccessTokenOptions {
  keys: SigningKeys
  /** Claim `iss`: the address of the issuer, as verifiers know it. */
  issuer: string
  /** Claim `aud`: the audiences that tokens can be made for. A grant without an audience gets the first. */
  audience: string | readonly string[]
  /** Claim `client_id` of tokens for the application's own pages and apps. Default: the issuer. */
  clientId?: string
  /** Seconds. Default 600; the `longestLifetime` of the keys must not be less. */
  lifetime?: number
  clock?: () => Timestamp
}

/** The content of an access token. A `Session` that has been saved has the first three members. */
export interface AccessGrant {
  /** The user. */
  subject: string
  /** The session that the token belongs to and ends with. */
  id?: SessionId | undefined
  /** When and how the user logged in. */
  login?: LoginProof | undefined
  /** One of the configured audiences. */
  audience?: string
  clientId?: string
  scope?: readonly string[]
}

/** A new token (RFC 6749 §5.1). */
export interface IssuedToken {
  readonly token: string
  /** Seconds from now. */
  readonly expiresIn: number
}

const accessTokenOptions: OptionKinds<AccessTokenOptions> = {
  keys: 'object',
  issuer: 'string',
  audience: 'any',
  clientId: 'string',
  lifetime: 'any',
  clock: 'function',
}

/** Issues access tokens (RFC 9068). */
export class AccessTokens {
  readonly #options: AccessTokenOptions
  readonly #audiences: readonly string[]
  readonly #lifetime: number
  readonly #clock: () => Timestamp

  constructor(options: AccessTokenOptions) {
    checkOptions('accessTokens()', options, accessTokenOptions, 'ERR_TOKEN_OPTIONS')
    const { audience, lifetime = 600 } = options
    this.#options = options
    this.#audiences = typeof audience === 'string' ? [audience] : audience
    this.#lifetime = lifetime
    this.#clock = options.clock ?? Date.now
    const longest = options.keys.longestLifetime
    if (lifetime > longest) {
      throw new UsageError('ERR_TOKEN_OPTIONS', `Access tokens that live ${lifetime} seconds outlive their key`, {
        hint: `Its signingKeys() keep a key for tokens of ${longest} seconds: raise \`longestLifetime\` there.`,
      })
    }
    if (options.issuer !== '' && this.#audiences.length > 0 && Number.isInteger(lifetime) && lifetime > 0) return
    throw new UsageError(
      'ERR_TOKEN_OPTIONS',
      '`issuer`, `audience` or `lifetime` of access tokens is missing or wrong',
      {
        hint: "For example `issuer: 'https://login.example', audience: 'https://api.example'`; a lifetime is in whole seconds.",
      },
    )
  }

  /**
   * Makes a signed token. Make it from the cookie's session (`requireLogin({ cookie: true })`) or from a refresh token, never
   * from a password or for a request that carries a token itself.
   *
   * @throws {UsageError} `ERR_TOKEN_OPTIONS` for an audience that is not configured
   * @throws {StoreError} if the keys have never been read and cannot be read now
   */
  async issue(grant: AccessGrant): Promise<IssuedToken> {
    const { keys, issuer, clientId } = this.#options
    const { kid, algorithm, key } = await keys.current()
    const now = Math.floor(this.#clock() / 1000)
    const claims = {
      iss: issuer,
      sub: subjectText('accessTokens().issue()', grant.subject),
      aud: this.#audience(grant.audience),
      client_id: grant.clientId ?? clientId ?? issuer,
      iat: now,
      exp: now + this.#lifetime,
      jti: randomHandle(),
      ...(grant.id !== undefined && { sid: grant.id }),
      ...(grant.scope !== undefined && { scope: grant.scope.join(' ') }),
      ...(grant.login !== undefined && { auth_time: Math.floor(grant.login.at / 1000), amr: grant.login.amr }),
    }
    const alg = algorithm === 'Ed25519' ? 'EdDSA' : algorithm
    const token = signCompact({ alg, typ: 'at+jwt', kid }, claims, { algorithm, key })
    return { token, expiresIn: this.#lifetime }
  }

  #audience(wanted: string | undefined): string {
    const audience = wanted ?? this.#audiences[0]
    if (audience !== undefined && this.#audiences.includes(audience)) return audience
    throw new UsageError('ERR_TOKEN_OPTIONS', 'An access token was requested for an audience that is not configured', {
      hint: 'Check the audience that a client asks for against the list in `audience`, and refuse others with 400.',
    })
  }
}

/**
 * Makes the issuer of access tokens: `typ` is `at+jwt`, and they are valid for ten minutes.
 *
 * @throws {UsageError} `ERR_TOKEN_OPTIONS`
 */
export function accessTokens(options: AccessTokenOptions): AccessTokens {
  return new AccessTokens(options)
}
