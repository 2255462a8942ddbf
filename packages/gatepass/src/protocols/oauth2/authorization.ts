import { processPushedAuthorizationResponse, pushedAuthorizationRequest } from 'oauth4webapi'
import { sha256Base64url } from '../../crypto/sha256.ts'
import { type ErrorCode, ProtocolError, UsageError } from '../../error.ts'
import { type Client, registration, transport } from './client.ts'
import { usable } from './token-request.ts'

/** A request for a code (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1). */
export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly scope: readonly string[]
  readonly state: string
  /** 43 to 128 characters (RFC 7636 §4.1); only its hash is sent. */
  readonly verifier: string
  /** `undefined` where the provider knows no ID token. */
  readonly nonce: string | undefined
  readonly prompt?: string | undefined
  readonly maxAge?: number | undefined
  readonly loginHint?: string | undefined
  readonly acrValues?: readonly string[] | undefined
  /** Further ones, of the provider's own. */
  readonly parameters?: Readonly<Record<string, string>> | undefined
  /** Hands the request to the provider first (RFC 9126); it is done anyway where the provider requires it. */
  readonly pushed?: boolean | undefined
}

/** Where the browser is to go. */
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

async function push(client: Client, parameters: URLSearchParams): Promise<URLSearchParams> {
  const server = await client.metadata()
  const authentication = await client.authentication(server)
  const known = registration(client)
  const answer = pushedAuthorizationRequest(server, known, authentication, parameters, transport(client)).then(
    (response) => processPushedAuthorizationResponse(server, known, response),
  )
  const { request_uri } = await usable(server.issuer, 'ERR_OAUTH_PROVIDER', answer)
  return new URLSearchParams({ client_id: client.id, request_uri })
}

/** What holds a login together belongs to us. */
const reserved: ReadonlySet<string> = new Set([
  ...[
    'response_type',
    'client_id',
    'redirect_uri',
    'scope',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
  ],
  ...['request', 'request_uri', 'prompt', 'max_age', 'login_hint', 'acr_values', 'client_secret', 'client_assertion'],
])

/** @throws {UsageError} `ERR_OAUTH_OPTIONS` */
export function checkParameters(parameters: Readonly<Record<string, string>> = {}): void {
  const taken = Object.keys(parameters).find((name) => reserved.has(name))
  if (taken === undefined) return
  throw new UsageError('ERR_OAUTH_OPTIONS', `\`parameters\` must not set ${taken}`, {
    hint: 'What may be chosen of it has an option of its own: scope, prompt, maxAge, loginHint, acrValues.',
  })
}

/** What came back with the browser. */
export interface Callback {
  readonly state: string
  readonly parameters: URLSearchParams
}

/**
 * Reads the parameters of a callback, without believing any.
 *
 * @throws {ProtocolError} `ERR_OAUTH_CALLBACK`, `ERR_OAUTH_STATE`
 */
export function readCallback(parameters: URLSearchParams): Callback {
  for (const name of ['state', 'code', 'iss', 'error']) {
    if (parameters.getAll(name).length > 1) throw refused('ERR_OAUTH_CALLBACK', `has ${name} twice`)
  }
  const state = parameters.get('state') ?? ''
  if (!/^[\w-]{43}$/.test(state)) throw refused('ERR_OAUTH_STATE', 'has no state of ours')
  return { state, parameters }
}

/**
 * The code in a callback whose state is known (RFC 6749 §4.1.2, RFC 9207 §2.4).
 *
 * @param issuers whether the provider goes by this name
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

/** What the provider says besides (`error_description`) is anybody's text: it is not repeated. */
function errorOf(error: string): ProtocolError {
  if (error === 'access_denied') return refused('ERR_OAUTH_DENIED', 'says that the login was cancelled')
  const busy = error === 'server_error' || error === 'temporarily_unavailable'
  if (busy) return new ProtocolError('ERR_OAUTH_UNAVAILABLE', `The provider says ${error}`, { status: 502 })
  const known = /^[a-z_]{1,64}$/.test(error) ? error : 'an unknown error'
  return refused('ERR_OAUTH_PROVIDER', `says ${known}`)
}

function refused(code: ErrorCode, what: string): ProtocolError {
  return new ProtocolError(code, `The provider's callback ${what}`)
}
