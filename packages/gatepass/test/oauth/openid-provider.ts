import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Configuration, type Interaction, Provider } from 'oidc-provider'

/** An OpenID provider that knows nothing of Gatepass, on this machine. */
export interface OpenIdProvider extends AsyncDisposable {
  readonly issuer: string
  /** What people do at the provider. */
  readonly person: { id: string; consents: boolean }
  /** Paths that were asked for, in order. */
  readonly asked: string[]
  /** Begins to answer; until then nothing is. */
  open(configuration: Configuration): void
}

/** Everybody here is who they say they are, and consents to everything, unless `person` is told otherwise. */
export async function openIdProvider(): Promise<OpenIdProvider> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const person = { id: 'ada', consents: true }
  const asked: string[] = []
  const key = await privateKey()
  const open = (configuration: Configuration) => {
    const provider = new Provider(issuer, { ...usual, jwks: { keys: [key] }, ...configuration })
    const answer = provider.callback()
    server.removeAllListeners('request').on('request', (req, res) => {
      const path = (req.url ?? '').split('?')[0] ?? ''
      asked.push(path)
      if (!path.startsWith('/interaction/')) return void answer(req, res)
      interact(provider, person, req, res).catch((error) => res.writeHead(500).end(String(error)))
    })
  }
  return { issuer, person, asked, open, [Symbol.asyncDispose]: () => closed(server) }
}

const usual: Configuration = {
  claims: { email: ['email', 'email_verified'], profile: ['name', 'given_name', 'preferred_username'] },
  findAccount: async (_ctx, sub) => ({
    accountId: sub,
    claims: async () => ({ sub, email: `${sub}@mail.example`, email_verified: true, name: 'Ada Lovelace' }),
  }),
  interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
  cookies: { keys: ['a key of a test'] },
  // Its own refuses addresses of this machine, where the application of a test is.
  fetch: (url, { method = 'GET', headers = {}, body = null } = {}) => fetch(url, { method, headers, body }),
  features: { devInteractions: { enabled: false } },
}

async function interact(
  provider: Provider,
  person: OpenIdProvider['person'],
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res)
  if (!person.consents) {
    return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'No <b>thanks</b>' })
  }
  if (prompt.name === 'login') {
    const login = { accountId: person.id, amr: ['pwd'], acr: 'urn:test:strong' }
    return provider.interactionFinished(req, res, { login }, { mergeWithLastSubmission: false })
  }
  const grant = await grantOf(provider, grantId, session?.accountId, params)
  grant.addOIDCScope(String(params.scope))
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } })
}

async function grantOf(
  provider: Provider,
  grantId: string | undefined,
  accountId: string | undefined,
  params: Interaction['params'],
) {
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  return known ?? new provider.Grant({ accountId: accountId ?? '', clientId: String(params.client_id) })
}

async function privateKey() {
  const { exportJWK, generateKeyPair } = await import('jose')
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: 'first', alg: 'RS256', use: 'sig' }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
