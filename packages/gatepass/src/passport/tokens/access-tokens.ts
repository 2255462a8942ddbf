import { randomHandle } from '../../crypto/random.ts'
import { checkOptions, type OptionKinds, subjectText, UsageError } from '../../error.ts'
import { signCompact } from '../../protocols/jwt/jws.ts'
import type { LoginProof } from '../../session/about.ts'
import type { SessionId, Timestamp } from '../../session/store.ts'
import type { SigningKeys } from './signing-keys.ts'

export interface AccessTokenOptions {
  keys: SigningKeys
  /** Claim `iss`: the address of whoever issues, as verifiers have it. */
  issuer: string
  /** Claim `aud`: for whom tokens can be made; the first where nothing else is asked for. */
  audience: string | readonly string[]
  /** Claim `client_id` of tokens for the application's own pages and apps. Default: the issuer. */
  clientId?: string
  /** Seconds. Default 600; the `longestLifetime` of the keys must not be less. */
  lifetime?: number
  clock?: () => Timestamp
}

/** What an access token says. A `Session` that has been saved has the first three. */
export interface AccessGrant {
  /** Whose it is. */
  subject: string
  /** The session it belongs to, and ends with. */
  id?: SessionId | undefined
  /** When and how its user proved who they are. */
  login?: LoginProof | undefined
  /** One of the configured audiences. */
  audience?: string
  clientId?: string
  scope?: readonly string[]
}

/** As RFC 6749 §5.1 has it. */
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
    if (lifetime > options.keys.longestLifetime) throw outlivingItsKey(lifetime, options.keys.longestLifetime)
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
   * A signed token. Never make one from a password, or for a request that carries a token itself: from the cookie's session
   * (`requireLogin({ cookie: true })`), or from a refresh token.
   *
   * @throws {UsageError} `ERR_TOKEN_OPTIONS` for an audience that is not configured
   * @throws {StoreError} if there are no keys yet, and they cannot be read
   */
  async issue(grant: AccessGrant): Promise<IssuedToken> {
    const { kid, algorithm, key } = await this.#options.keys.current()
    const alg = algorithm === 'Ed25519' ? 'EdDSA' : algorithm
    const token = signCompact({ alg, typ: 'at+jwt', kid }, this.#claims(grant), { algorithm, key })
    return { token, expiresIn: this.#lifetime }
  }

  #claims(grant: AccessGrant): Readonly<Record<string, unknown>> {
    const { issuer, clientId } = this.#options
    const now = Math.floor(this.#clock() / 1000)
    return {
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
  }

  #audience(wanted: string | undefined): string {
    const audience = wanted ?? this.#audiences[0]
    if (audience !== undefined && this.#audiences.includes(audience)) return audience
    throw new UsageError('ERR_TOKEN_OPTIONS', 'An access token was asked for an audience that is not configured', {
      hint: 'Check what a client asks for against the list in `audience`, and refuse the rest with 400.',
    })
  }
}

function outlivingItsKey(lifetime: number, longest: number): UsageError {
  return new UsageError('ERR_TOKEN_OPTIONS', `Access tokens that live ${lifetime} seconds outlive their key`, {
    hint: `Its signingKeys() keep a key for tokens of ${longest} seconds: raise \`longestLifetime\` there.`,
  })
}

/**
 * Issues access tokens that live ten minutes and say `at+jwt`.
 *
 * @throws {UsageError} `ERR_TOKEN_OPTIONS`
 */
export function accessTokens(options: AccessTokenOptions): AccessTokens {
  return new AccessTokens(options)
}
