import { type Awaitable, andThen } from '../awaitable.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Found, Outcome, UserObject } from '../passport/outcome.ts'
import type { Attempt, Strategy } from '../passport/strategy.ts'
import { type Jwk, type JwtAlgorithm, ownKeySet, type VerificationKeys } from '../protocols/jwt/jwk.ts'
import { RemoteKeys, type RemoteKeysEvent } from '../protocols/jwt/remote-keys.ts'
import { type JwtClaims, JwtVerifier, type TokenFault } from '../protocols/jwt/verifier.ts'
import { providerFetch } from '../protocols/oauth2/provider-fetch.ts'
import { hooksOf } from '../session/hooks.ts'
import type { SessionManager } from '../session/manager.ts'
import type { SessionRecord } from '../session/store.ts'
import { concluded, refusedToken, withToken } from './bearer/token.ts'

export type { Jwk, JwtAlgorithm, VerificationKeys } from '../protocols/jwt/jwk.ts'
export type { RemoteKeysEvent } from '../protocols/jwt/remote-keys.ts'
export type { JwtClaims } from '../protocols/jwt/verifier.ts'

/** The options for tokens that do not depend on where the keys come from. */
interface CommonOptions<User, Name extends string> {
  /** The exact `iss` claim. */
  issuer: string
  /** Our name or names at the issuer. The token's `aud` must contain one of them. */
  audience: string | readonly string[]
  /** Finds the token's user. Return `undefined` to refuse the token, or a `Failure` with your own message. */
  account(claims: JwtClaims, exchange: Exchange): Awaitable<Found<User>>
  /** The required `typ`. Default `at+jwt`, an access token (RFC 9068). `JWT` also accepts tokens without `typ`. */
  type?: 'at+jwt' | 'JWT'
  /**
   * The accepted algorithms. Default EdDSA (Ed25519) and ES256. Add RS256 or PS256 for issuers that sign with RSA, HS256 for
   * your own secret.
   */
  algorithms?: readonly JwtAlgorithm[]
  /**
   * How to use the claim `sid`. `looked-up`: it names a session of this application, which is loaded with every request, so
   * that the token ends with the session. `ignored`: it is not used. Default `looked-up` with `keys`, `ignored` with `jwks`.
   */
  sessions?: 'looked-up' | 'ignored'
  /** Name of the strategy, if you use several. Default `jwt`. */
  name?: Name
  /** The realm in WWW-Authenticate. Default `api`. */
  realm?: string
  clock?: () => number
}

/** Options with keys that the application has: JWKs, or the `signingKeys()` that sign its tokens. */
export interface OwnJwtOptions<User, Name extends string = 'jwt'> extends CommonOptions<User, Name> {
  keys: readonly Jwk[] | VerificationKeys
}

/** Options with keys that an issuer publishes. */
export interface RemoteJwtOptions<User, Name extends string = 'jwt'> extends CommonOptions<User, Name> {
  /** Address of the key set, https. It is fetched hourly, and at most once a minute for an unknown key. */
  jwks: string
  /** Set this if the issuer is in your own network: requests to private addresses are then allowed. Default false. */
  privateNetwork?: boolean
  onEvent?: (event: RemoteKeysEvent) => void
}

const jwtOptions: OptionKinds<OwnJwtOptions<unknown> | RemoteJwtOptions<unknown>> = {
  issuer: 'any',
  audience: 'any',
  account: 'needed',
  type: 'string',
  algorithms: 'list',
  sessions: 'string',
  name: 'string',
  realm: 'string',
  clock: 'function',
  keys: 'any',
  jwks: 'any',
  privateNetwork: 'boolean',
  onEvent: 'function',
}

/**
 * Reads JSON Web Tokens from `Authorization: Bearer` (RFC 6750, RFC 8725, RFC 9068).
 *
 * ```ts
 * import { jwt } from 'gatepass/strategies/jwt'
 *
 * export const api = jwt({
 *   jwks: 'https://login.example/.well-known/jwks.json',
 *   issuer: 'https://login.example',
 *   audience: 'https://api.example',
 *   account: (claims) => ({ id: claims.sub }),
 * })
 * ```
 *
 * @throws {UsageError} `ERR_TOKEN_OPTIONS`, `ERR_JWT_KEYS`
 */
export function jwt<User extends UserObject, const Name extends string = 'jwt'>(
  options: OwnJwtOptions<User, Name> | RemoteJwtOptions<User, Name>,
): Strategy<User, Name> {
  checkOptions('jwt()', options, jwtOptions, 'ERR_TOKEN_OPTIONS')
  const { issuer, audience, type, clock, realm = 'api' } = options
  const { sessions = 'keys' in options ? 'looked-up' : 'ignored' } = options
  const verifier = new JwtVerifier({
    keys: keysOf(options),
    issuer,
    audience,
    ...(type !== undefined && { type }),
    ...(clock !== undefined && { clock }),
  })
  const conclude = (exchange: Exchange, claims: JwtClaims, session?: SessionRecord): Awaitable<Outcome<User>> =>
    concluded<User>(realm, {
      callback: '`account` of jwt()',
      returned: options.account(claims, exchange),
      unknown: 'The account of this token does not exist.',
      success: (user) => ({
        type: 'success',
        user,
        amr: claims.amr ?? [],
        ...(claims.auth_time !== undefined && { at: claims.auth_time * 1000 }),
        scope: claims.scope?.split(' ') ?? [],
        persist: false,
        info: claims,
        ...(session !== undefined && { session }),
      }),
    })
  return {
    name: options.name ?? ('jwt' as Name),
    // With local keys and a synchronous store this makes no promise: a token that was verified before costs microseconds.
    authenticate: (exchange, attempt) =>
      withToken(exchange, realm, (token) =>
        andThen(verifier.verify(token), (claims): Awaitable<Outcome<User>> => {
          if (typeof claims === 'string')
            return refusedToken(realm, claims === 'expired' ? 'expired' : 'invalid', faults[claims])
          if (sessions !== 'looked-up' || claims.sid === undefined) return conclude(exchange, claims)
          return andThen(hooksOf(sessionsOf(attempt)).record(claims.sid), (session) =>
            session === undefined || session.subject !== claims.sub
              ? refusedToken(realm, 'expired', 'The session of this token has ended.')
              : conclude(exchange, claims, session),
          )
        }),
      ),
  }
}

function sessionsOf({ sessions }: Attempt): SessionManager<object> {
  if (sessions !== undefined) return sessions
  throw new UsageError(
    'ERR_PASSPORT_NO_SESSIONS',
    'A token names a session, but Passport has no `sessions` to look it up',
    {
      hint: "Give `sessions` to Passport, or set `sessions: 'ignored'` on the strategy.",
    },
  )
}

function keysOf<User, Name extends string>(
  options: OwnJwtOptions<User, Name> | RemoteJwtOptions<User, Name>,
): VerificationKeys {
  const algorithms = checkedAlgorithms(options.algorithms ?? ['EdDSA', 'ES256'])
  if ('keys' in options) return 'trusts' in options.keys ? options.keys : ownKeySet(options.keys, algorithms)
  return new RemoteKeys({
    url: checkedUrl(options.jwks),
    algorithms,
    fetch: providerFetch({ loopback: true, privateNetwork: options.privateNetwork === true }),
    clock: options.clock ?? Date.now,
    onEvent: options.onEvent,
  })
}

const knownAlgorithms: readonly JwtAlgorithm[] = ['EdDSA', 'ES256', 'RS256', 'PS256', 'HS256']

function checkedAlgorithms(algorithms: readonly JwtAlgorithm[]): readonly JwtAlgorithm[] {
  if (algorithms.length > 0 && algorithms.every((name) => knownAlgorithms.includes(name))) return algorithms
  throw new UsageError('ERR_TOKEN_OPTIONS', '`algorithms` is empty or contains an unknown algorithm', {
    hint: `Use some of: ${knownAlgorithms.join(', ')}.`,
  })
}

/** Checks only that it is a URL. Every fetch checks that it is https or on this machine. */
function checkedUrl(url: string): string {
  if (URL.canParse(url)) return url
  throw new UsageError('ERR_TOKEN_OPTIONS', '`jwks` is not a URL', {
    hint: "For example `jwks: 'https://login.example/.well-known/jwks.json'`. Use `keys` for keys that you have.",
  })
}

const faults: Readonly<Record<TokenFault, string>> = {
  malformed: 'The token is malformed.',
  unsupported: 'The signature algorithm or format of the token is not accepted.',
  'unknown-key': 'The token is not signed with a known key.',
  'bad-signature': 'The signature of the token is wrong.',
  'wrong-type': 'The token is of another type.',
  'wrong-issuer': 'The token is from another issuer.',
  'wrong-audience': 'The token is for another audience.',
  incomplete: 'The token lacks a required claim.',
  expired: 'The token has expired.',
  'not-yet-valid': 'The token is not valid yet.',
}
