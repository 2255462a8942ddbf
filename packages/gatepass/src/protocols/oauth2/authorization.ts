import { processPushedAuthorizationResponse, pushedAuthorizationRequest, ResponseBodyError } from 'oauth4webapi'
import { sha256Base64url } from '../../crypto/random.ts'
import { GatepassError, ProtocolError, UsageError } from '../../error.ts'
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
