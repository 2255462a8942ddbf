import { randomToken } from '../../crypto/random.ts'
import { GatepassError, ProtocolError } from '../../error.ts'
import { type Exchange, pathOf, queryOf } from '../../http/exchange.ts'
import { isFailure, type Outcome, userFrom } from '../../passport/outcome.ts'
import { type Attempt, LONGEST_LOGIN } from '../../passport/strategy.ts'
import { authorizationUrl } from '../../protocols/oauth2/authorization.ts'
import { codeOf, readCallback, saidBy } from '../../protocols/oauth2/callback.ts'
import type { Client } from '../../protocols/oauth2/client.ts'
import type { Identity } from '../../protocols/oauth2/identity.ts'
import { exchangeCode, type ProviderTokens } from '../../protocols/oauth2/token-request.ts'
import { report } from '../../report.ts'
import {
  type CallbackAddress,
  callbackAddress,
  callOptions,
  type OAuthEvent,
  type ProviderLoginOptions,
} from './options.ts'
import { confirmPage, relayPage } from './pages.ts'
import { failureOf, linkEnded } from './refusals.ts'

/** What differs between providers in a login by authorization code. */
export interface CodeLogin {
  readonly name: string
  /** The provider's name in messages. */
  readonly label: string
  readonly client: Client
  readonly scope: readonly string[]
  readonly withNonce: boolean
  /** Requests the callback as a POST from the provider's page, which carries no session cookie. */
  readonly formPost?: boolean
  /** Whether this is an issuer of the provider. */
  issuers(issuer: string): boolean
  /** Reads the identity from the tokens that the code was exchanged for. */
  identify(tokens: ProviderTokens, begun: Begun, callback: URLSearchParams): Promise<Identified>
}

/** What the provider says about a user and about this login. */
export interface Identified {
  readonly identity: Identity
  readonly amr?: readonly string[]
  /** Milliseconds since 1970. */
  readonly at?: number
  readonly sid?: string
}

/** What is remembered until the browser comes back. */
export interface Begun {
  readonly verifier: string
  readonly nonce?: string
  readonly redirectUri: string
  readonly code?: string
  readonly maxAge?: number
  readonly acrValues?: readonly string[]
}

/** Runs the authorization code flow of a strategy (RFC 6749 §4.1 with RFC 7636, RFC 9207, RFC 9700). */
export class CodeFlow<User> {
  readonly #login: CodeLogin
  readonly #options: ProviderLoginOptions<User>
  readonly callback: CallbackAddress

  /** @throws {UsageError} `ERR_OAUTH_OPTIONS` */
  constructor(login: CodeLogin, options: ProviderLoginOptions<User>) {
    this.#login = login
    this.#options = options
    this.callback = callbackAddress(login.name, options)
  }

  /** Redirects to the provider, or finishes the login at the callback. */
  async authenticate(exchange: Exchange, attempt: Attempt): Promise<Outcome<User>> {
    const outcome = await this.refusing(exchange, () =>
      pathOf(exchange) === this.callback.path ? this.#finish(exchange, attempt) : this.#start(exchange, attempt),
    )
    return outcome.type === 'failure' && attempt.flow.unknown ? { ...outcome, over: true } : outcome
  }

  /** Asks the application for the account of an identity. */
  async conclude(
    exchange: Exchange,
    attempt: Attempt,
    { identity, ...proof }: Identified,
    tokens?: ProviderTokens,
  ): Promise<Outcome<User>> {
    const { purpose, subject } = attempt.flow.intent
    // The session may have ended, or the account's credentials may have changed, while the user was at the provider.
    const linking = purpose === 'link' ? await attempt.flow.linking() : undefined
    if (purpose === 'link' && linking === undefined) throw linkEnded()
    const kept = this.#options.tokens === true ? tokens : undefined
    const user = userFrom(
      `\`account\` of ${this.#login.name}`,
      await this.#options.account(identity, { purpose, subject, linking, tokens: kept, exchange }),
    )
    if (user === undefined) {
      throw new ProtocolError('ERR_OAUTH_ACCOUNT', 'The application has no account for this identity')
    }
    return isFailure(user) ? user : { type: 'success', user, ...proof }
  }

  /** Turns an error of the provider or the browser into a failure, and reports it to `onEvent`. */
  async refusing(exchange: Exchange, act: () => Promise<Outcome<User>>): Promise<Outcome<User>> {
    try {
      return await act()
    } catch (error) {
      const failure = failureOf(error, this.#login.label)
      if (failure === undefined || !(error instanceof GatepassError)) throw error
      const { name: strategy } = this.#login
      const event: OAuthEvent = { type: 'login_refused', strategy, code: error.code, error }
      report(`the strategy "${strategy}"`, () => this.#options.onEvent?.(event, exchange))
      return failure
    }
  }

  async #start(exchange: Exchange, attempt: Attempt): Promise<Outcome<User>> {
    const { client, label, formPost } = this.#login
    if (isForeign(exchange)) return { type: 'respond', reply: confirmPage(label, exchange.origin + exchange.target) }
    const wishes = callOptions(attempt)
    const { maxAge, acrValues } = wishes
    const begun: Begun = {
      verifier: randomToken(),
      ...(this.#login.withNonce && { nonce: randomToken() }),
      redirectUri: this.callback.redirectUri(exchange),
      ...(maxAge !== undefined && { maxAge }),
      ...(acrValues !== undefined && { acrValues }),
    }
    // Before the flow starts, so that a provider that is down leaves no session behind.
    await client.metadata()
    const state = await attempt.flow.start(begun, LONGEST_LOGIN)
    const location = await authorizationUrl(client, {
      ...wishes,
      ...begun,
      nonce: begun.nonce,
      state,
      scope: this.#login.scope,
      pushed: this.#options.pushed,
      parameters: {
        ...this.#options.parameters,
        ...wishes.parameters,
        ...(formPost === true && { response_mode: 'form_post' }),
      },
    })
    return { type: 'redirect', location }
  }

  async #finish(exchange: Exchange, attempt: Attempt): Promise<Outcome<User>> {
    if (exchange.method !== 'GET' && exchange.method !== 'POST') return METHOD_NOT_ALLOWED
    const posted = exchange.method === 'POST' ? textFields(await exchange.fields()) : undefined
    if (posted !== undefined && posted.relayed === undefined) {
      const fields = { ...posted, relayed: 'true' }
      return { type: 'respond', reply: relayPage(this.#login.label, this.callback.path, fields) }
    }
    const { state, parameters } = readCallback(new URLSearchParams(posted ?? queryOf(exchange)))
    // Taken before the first request to the provider, so that a callback is used only once, also if it fails.
    const begun = await attempt.flow.finish<Begun>(state)
    if (begun === undefined) {
      const error = parameters.get('error')
      const said = error === null ? '' : `, and says ${saidBy(error)}`
      throw new ProtocolError('ERR_OAUTH_STATE', `The callback belongs to no pending login of this browser${said}`)
    }
    const { client, issuers } = this.#login
    const server = await client.metadata()
    const announced = server.authorization_response_iss_parameter_supported === true
    const code = codeOf(parameters, { issuers, announced })
    const tokens = await exchangeCode(client, { code, ...begun })
    const identified = await this.#login.identify(tokens, { ...begun, code }, parameters)
    return this.conclude(exchange, attempt, identified, tokens)
  }
}

const METHOD_NOT_ALLOWED: Outcome<never> = {
  type: 'respond',
  reply: { status: 405, headers: { allow: 'GET, POST', 'cache-control': 'no-store' } },
}

/** Whether a page of another site sent the browser here (Fetch Metadata §2.4). Unsafe methods were checked before. */
function isForeign(exchange: Exchange): boolean {
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') return false
  const site = exchange.header('sec-fetch-site')
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

/** @throws {ProtocolError} `ERR_OAUTH_CALLBACK` if a field was sent twice or is not a string */
function textFields(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  for (const value of Object.values(fields)) {
    if (typeof value !== 'string')
      throw new ProtocolError('ERR_OAUTH_CALLBACK', 'The provider’s callback has a field twice')
  }
  return { ...fields } as Record<string, string>
}
