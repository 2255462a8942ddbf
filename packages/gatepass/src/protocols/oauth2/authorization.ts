import { processPushedAuthorizationResponse, pushedAuthorizationRequest, ResponseBodyError } from 'oauth4webapi'
import { sha256Base64url } from '../../crypto/random.ts'
import { type ErrorCode, GatepassError, ProtocolError, UsageError } from '../../error.ts'
import { type Client, registration, transport } from './client.ts'

/** An authorization request for a code (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1). */
export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly scope: readonly string[]
  readonly state: string
  /** The PKCE verifier: 43 to 128 characters (RFC 7636 §4.1). Only its hash is sent. */
  readonly verifier: string
  /** `undefined` if the provider issues no ID tokens. */
  readonly nonce: string | undefined
  readonly prompt?: string | undefined
  readonly maxAge?: number | undefined
  readonly loginHint?: string | undefined
  readonly acrValues?: readonly string[] | undefined
  /** Additional parameters that are specific to the provider. */
  readonly parameters?: Readonly<Record<string, string>> | undefined
  /** Pushes the request to the provider first (RFC 9126). Default: only if the provider requires it. */
  readonly pushed?: boolean | undefined
}

/** The address at the provider that the browser is sent to. */
export async function authorizationUrl(client: Client, request: AuthorizationRequest): Promise<string> {
  const server = await client.metadata()
  const parameters = parametersOf(client, request)
  const url = new URL(server.authorization_endpoint ?? '')
  const pushed = request.pushed ?? server.require_pushed_authorization_requests === true
  for (const [name, value] of pushed ? await push(client, parameters) : parameters) url.searchParams.set(name, value)
  return url.href
}

function parametersOf(client: Client, request: AuthorizationRequest): URLSearchParams {
  checkParameters(request.parameters)
  const named: Record<string, string | undefined> = {
    ...request.parameters,
    response_type: 'code',
    client_id: client.id,
    redirect_uri: request.redirectUri,
    scope: request.scope.join(' '),
    state: request.state,
    nonce: request.nonce,
    code_challenge: sha256Base64url(request.verifier),
    code_challenge_method: 'S256',
    prompt: request.prompt,
    max_age: request.maxAge?.toString(),
    login_hint: request.loginHint,
    acr_values: request.acrValues?.join(' '),
  }
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(named)) if (value !== undefined) parameters.set(name, value)
  return parameters
}

/** Pushes the parameters to the provider (RFC 9126). The error has no part of the answer, which may contain a token. */
async function push(client: Client, parameters: URLSearchParams): Promise<URLSearchParams> {
  const server = await client.metadata()
  const authentication = await client.authentication(server)
  const known = registration(client)
  try {
    const response = await pushedAuthorizationRequest(server, known, authentication, parameters, transport(client))
    const { request_uri } = await processPushedAuthorizationResponse(server, known, response)
    return new URLSearchParams({ client_id: client.id, request_uri })
  } catch (error) {
    if (error instanceof GatepassError) throw error
    const said = error instanceof ResponseBodyError && /^[a-z_]{1,64}$/.test(error.error) ? `: ${error.error}` : ''
    throw new ProtocolError('ERR_OAUTH_PROVIDER', `The provider at ${server.issuer} gave no usable answer${said}`, {
      status: 502,
    })
  }
}

/** Parameters that Gatepass sets itself, because the login depends on them. */
const reserved: ReadonlySet<string> = new Set([
  ...['response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'nonce'],
  ...['code_challenge', 'code_challenge_method'],
  ...['request', 'request_uri', 'prompt', 'max_age', 'login_hint', 'acr_values', 'client_secret', 'client_assertion'],
])

/** @throws {UsageError} `ERR_OAUTH_OPTIONS` */
export function checkParameters(parameters: Readonly<Record<string, string>> = {}): void {
  const taken = Object.keys(parameters).find((name) => reserved.has(name))
  if (taken === undefined) return
  throw new UsageError('ERR_OAUTH_OPTIONS', `\`parameters\` must not set ${taken}`, {
    hint: 'Use the options scope, prompt, maxAge, loginHint and acrValues. The other reserved parameters cannot be changed.',
  })
}

/** The parameters that the browser brought back from the provider. */
export interface Callback {
  readonly state: string
  readonly parameters: URLSearchParams
}

/**
 * Reads the parameters of a callback. They are not verified yet.
 *
 * @throws {ProtocolError} `ERR_OAUTH_CALLBACK`, `ERR_OAUTH_STATE`
 */
export function readCallback(parameters: URLSearchParams): Callback {
  for (const name of ['state', 'code', 'iss', 'error']) {
    if (parameters.getAll(name).length > 1) throw refused('ERR_OAUTH_CALLBACK', `has ${name} twice`)
  }
  const state = parameters.get('state') ?? ''
  if (/^[\w-]{43}$/.test(state)) return { state, parameters }
  const error = parameters.get('error')
  if (error === null) throw refused('ERR_OAUTH_STATE', 'has no state of ours')
  // An attacker can send this, so it ends no login. It is reported as the provider's error, not as a login that took too long.
  throw refused(
    isCancelled(error) ? 'ERR_OAUTH_DENIED' : 'ERR_OAUTH_PROVIDER',
    `has no state of ours, and says ${saidBy(error)}`,
  )
}

/**
 * The code in a callback with a known state (RFC 6749 §4.1.2, RFC 9207 §2.4).
 *
 * @param issuers whether this is a name of the provider
 * @throws {ProtocolError} `ERR_OAUTH_ISSUER`, `ERR_OAUTH_DENIED`, `ERR_OAUTH_PROVIDER`, `ERR_OAUTH_CALLBACK`
 */
export function codeOf(
  { parameters }: Callback,
  { issuers, announced }: { issuers: (issuer: string) => boolean; announced: boolean },
): string {
  const issuer = parameters.get('iss')
  if (issuer === null ? announced : !issuers(issuer)) throw refused('ERR_OAUTH_ISSUER', 'is not from this provider')
  const error = parameters.get('error')
  if (error !== null) throw errorOf(error)
  const code = parameters.get('code') ?? ''
  if (code === '' || parameters.has('response')) throw refused('ERR_OAUTH_CALLBACK', 'has neither a code nor an error')
  return code
}

/**
 * Whether the user has cancelled the login: `access_denied` (RFC 6749 §4.1.2.1), or what Apple, LinkedIn
 * (`user_cancelled_authorize`, `user_cancelled_login`) and others send in its place.
 */
export function isCancelled(error: string): boolean {
  return /^(?:access_denied|user_(?:cancell?ed|denied|declined)(?:_[a-z_]{1,40})?)$/.test(error)
}

/** An error's code, for a message. `error_description` is never repeated, because an attacker can write it. */
export function saidBy(error: string): string {
  return /^[a-z_]{1,64}$/.test(error) ? error : 'an unknown error'
}

function errorOf(error: string): ProtocolError {
  if (isCancelled(error)) return refused('ERR_OAUTH_DENIED', `has the error ${saidBy(error)}: the login was cancelled`)
  const busy = error === 'server_error' || error === 'temporarily_unavailable'
  if (busy)
    return new ProtocolError('ERR_OAUTH_UNAVAILABLE', `The provider answered with the error ${error}`, { status: 502 })
  return refused('ERR_OAUTH_PROVIDER', `has the error ${saidBy(error)}`)
}

function refused(code: ErrorCode, what: string): ProtocolError {
  return new ProtocolError(code, `The provider's callback ${what}`)
}
