import { ProtocolError } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import type { Outcome } from '../../passport/outcome.ts'
import type { Attempt, EndedLogin } from '../../passport/strategy.ts'
import { type Client, client as clientOf, type ProviderAddress } from '../../protocols/oauth2/client.ts'
import { type Identity, identityOf } from '../../protocols/oauth2/identity.ts'
import { ProviderKeys, webAddress } from '../../protocols/oauth2/metadata.ts'
import {
  type Claims,
  type IdToken,
  type IdTokenExpectation,
  isTime,
  SeenTokens,
  verifyIdToken,
  verifyLogoutToken,
} from '../../protocols/oauth2/provider-token.ts'
import { type ProviderTokens, refreshTokens, userinfo } from '../../protocols/oauth2/token-request.ts'
import { type Begun, CodeFlow, type Identified } from './code-login.ts'
import type { ProviderLoginOptions, ProviderStrategy } from './options.ts'

/** How an OpenID provider differs from others. */
export interface OpenIdProvider<Name extends string> {
  readonly name: Name
  readonly label: string
  readonly address: ProviderAddress
  /** Default `openid email profile`. */
  readonly scope?: readonly string[]
  readonly formPost?: boolean
  /** For an address that serves many issuers: returns the issuer of a token, or `undefined` to refuse it. */
  readonly issuerOf?: (claims: Claims) => string | undefined
  /** Completes the identity, or throws to refuse it. */
  readonly refine?: (identity: Identity, callback: URLSearchParams) => Identity
  /** Reads a login from the request itself, without a redirect to the provider. */
  readonly directIdToken?: (exchange: Exchange, verify: VerifyIdToken) => Promise<Identified | undefined>
}

/** Validates an ID token that did not come from the code flow. */
export type VerifyIdToken = (token: string, expected: Pick<IdTokenExpectation, 'nonce'>) => Promise<Identified>

const SCOPE = ['openid', 'email', 'profile']

/** A strategy for an OpenID provider (OpenID Connect Core §3.1). */
export function openId<User, Name extends string>(
  provider: OpenIdProvider<Name>,
  options: ProviderLoginOptions<User>,
): ProviderStrategy<User, Name> {
  const { name, label, address, formPost, directIdToken } = provider
  const client = clientOf(name, address, options)
  const scope = options.scope ?? provider.scope ?? SCOPE
  const tokens = new OpenIdTokens(client, provider, scope)
  const login = {
    name,
    label,
    client,
    scope,
    withNonce: true,
    ...(formPost !== undefined && { formPost }),
    issuers: (issuer: string) => tokens.knows(issuer),
    identify: tokens.identify.bind(tokens),
  }
  const flow = new CodeFlow<User>(login, options)
  return {
    name,
    callback: flow.callback.address,
    ...(formPost === true && { foreignPost: flow.callback.path }),
    refresh: (refreshToken) => refreshTokens(client, refreshToken),
    endedLogin: (exchange, end) => tokens.endedLogin(exchange, end),
    logoutLocation: (request) => logoutLocation(client, request),
    async authenticate(exchange: Exchange, attempt: Attempt): Promise<Outcome<User>> {
      if (directIdToken === undefined) return flow.authenticate(exchange, attempt)
      return flow.refusing(exchange, async () => {
        const identified = await directIdToken(exchange, (token, expected) => tokens.verify(token, expected))
        return identified === undefined
          ? flow.authenticate(exchange, attempt)
          : flow.conclude(exchange, attempt, identified)
      })
    },
  }
}

/** The provider's logout address (OpenID Connect RP-Initiated Logout 1.0 §2); `undefined` without one, or if it is down. */
async function logoutLocation(
  client: Client,
  { sid, returnTo }: { sid: string | undefined; returnTo: string | undefined },
): Promise<string | undefined> {
  const server = await client.metadata().catch(() => undefined)
  const url = webAddress(server?.end_session_endpoint)
  if (url === undefined) return undefined
  url.searchParams.set('client_id', client.id)
  if (sid !== undefined) url.searchParams.set('logout_hint', sid)
  if (returnTo !== undefined) url.searchParams.set('post_logout_redirect_uri', returnTo)
  return url.href
}

/** Validates the tokens of one provider and reads the identity from them. */
class OpenIdTokens {
  readonly #client: Client
  readonly #provider: OpenIdProvider<string>
  readonly #scope: readonly string[]
  readonly #keys: ProviderKeys
  readonly #seen: SeenTokens = new SeenTokens()

  constructor(client: Client, provider: OpenIdProvider<string>, scope: readonly string[]) {
    this.#client = client
    this.#provider = provider
    this.#scope = scope
    this.#keys = new ProviderKeys(client)
  }

  knows(issuer: string): boolean {
    const { issuerOf, address } = this.#provider
    return issuerOf === undefined ? issuer === address.issuer : issuerOf({ iss: issuer }) === issuer
  }

  /** Reads the identity from the tokens that a code was exchanged for. */
  async identify(tokens: ProviderTokens, begun: Begun, callback: URLSearchParams): Promise<Identified> {
    const { accessToken, idToken } = tokens
    if (idToken === undefined) throw new ProtocolError('ERR_OAUTH_TOKEN', 'The provider sent no ID token')
    const { nonce, maxAge, acrValues, code } = begun
    const expected = { nonce, maxAge, acrValues, code, accessToken, ...(await this.#common()) }
    const token = await verifyIdToken(idToken, await this.#keys.get(), expected)
    return this.#identified(token, await this.#completed(token, accessToken), callback)
  }

  /** Reads the identity from an ID token that did not come from the code flow. */
  async verify(idToken: string, expected: Pick<IdTokenExpectation, 'nonce'>): Promise<Identified> {
    const token = await verifyIdToken(idToken, await this.#keys.get(), { ...expected, ...(await this.#common()) })
    const identified = this.#identified(token, token.claims, new URLSearchParams())
    const { iat } = token.claims
    // No flow of ours has the time: without `auth_time` the user proved it when the token was issued.
    return isTime(iat) ? { at: iat * 1000, ...identified } : identified
  }

  /** Handles a logout request of the provider (OpenID Connect Back-Channel Logout 1.0 §2.5). */
  async endedLogin(exchange: Exchange, end: (ended: EndedLogin) => Promise<void>): Promise<void> {
    const { logout_token: token } = await exchange.fields()
    if (typeof token !== 'string') throw new ProtocolError('ERR_OIDC_LOGOUT_TOKEN', 'The request has no logout token')
    const logout = await verifyLogoutToken(token, await this.#keys.get(), await this.#common())
    this.#seen.check(logout, this.#client.clock())
    await end(logout)
    // Only after the logout: if our store failed, the provider sends the token again, and it must be executed then.
    this.#seen.add(logout, this.#client.clock())
  }

  /** What every token of this provider must contain. */
  async #common() {
    const { issuerOf, address } = this.#provider
    const { id_token_signing_alg_values_supported: algorithms } = await this.#client.metadata()
    return {
      issuer: issuerOf ?? address.issuer,
      clientId: this.#client.id,
      now: this.#client.clock(),
      algorithms,
    }
  }

  /** Asks the userinfo endpoint, if there is one, for requested claims that the ID token does not have. The ID token wins. */
  async #completed({ subject, claims }: IdToken, accessToken: string): Promise<Claims> {
    const lacksEmail = this.#scope.includes('email') && typeof claims.email !== 'string'
    const lacksProfile = this.#scope.includes('profile') && typeof claims.name !== 'string'
    const { userinfo_endpoint: endpoint } = await this.#client.metadata()
    if (endpoint === undefined || (!lacksEmail && !lacksProfile)) return claims
    const told = await userinfo(this.#client, accessToken, subject)
    // Address and `email_verified` come from the same answer. From two answers they could be about two addresses.
    const { email, email_verified } = typeof claims.email === 'string' ? claims : told
    const { name = told.name } = typeof claims.name === 'string' ? claims : {}
    const said = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null))
    return { ...told, ...said, name, email, email_verified }
  }

  #identified({ issuer, subject, claims }: IdToken, all: Claims, callback: URLSearchParams): Identified {
    const identity = identityOf(issuer, subject, all)
    const { amr, auth_time: time, sid } = claims
    return {
      identity: this.#provider.refine?.(identity, callback) ?? identity,
      ...(Array.isArray(amr) && { amr: amr.filter((method) => typeof method === 'string') }),
      ...(isTime(time) && { at: time * 1000 }),
      ...(typeof sid === 'string' && { sid }),
    }
  }
}
