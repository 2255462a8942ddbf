import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'

/** How a provider may lie; each on top of an honest answer. */
export interface Lies {
  header?: Record<string, unknown>
  /** Over the ID token's honest claims; `undefined` leaves one out. */
  claims?: Record<string, unknown>
  /** Signs with another key than the published one. */
  key?: CryptoKey
  /** The whole token, instead of a signed one. */
  token?: (honest: string) => string | Promise<string>
  /** Over the token endpoint's honest body. */
  body?: Record<string, unknown>
  /** Answers instead of an honest endpoint. */
  answer?: Record<string, (req: IncomingMessage, res: ServerResponse) => unknown>
  metadata?: Record<string, unknown>
  userinfo?: Record<string, unknown>
}

/** A provider that answers every code, at once, and says what a test wants it to say. */
export interface LyingProvider extends AsyncDisposable {
  readonly issuer: string
  readonly lies: Lies
  /** What was asked for, in order: method and path. */
  readonly asked: string[]
  /** What the token endpoint was sent. */
  readonly exchanges: { fields: URLSearchParams; authorization: string | undefined }[]
  /** Signs an ID token as it would with these lies. */
  idToken(claims: Record<string, unknown>): Promise<string>
  rotateKey(kid: string): Promise<void>
  /** Answers with the published keys. */
  keys(res: ServerResponse): Promise<void>
}

export const CLIENT_ID = 'shop'
export const CLIENT_SECRET = 'a-secret-that-provider-and-application-share'

/** Shared by all of them: to find one takes longer than most tests. */
const usualPair = await generateKeyPair('RS256')

export async function lyingProvider(clock: () => number): Promise<LyingProvider> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const lies: Lies = {}
  const asked: string[] = []
  const exchanges: LyingProvider['exchanges'] = []
  let published = { pair: usualPair, kid: 'first' }

  const idToken = async (claims: Record<string, unknown>) => {
    const now = Math.floor(clock() / 1000)
    const honest = { iss: issuer, aud: CLIENT_ID, sub: 'ada', iat: now, exp: now + 300, email: 'ada@mail.example' }
    const payload = JSON.parse(
      JSON.stringify({ ...honest, email_verified: true, name: 'Ada', ...claims, ...lies.claims }),
    )
    for (const [name, value] of Object.entries(lies.claims ?? {})) if (value === undefined) delete payload[name]
    const token = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', kid: published.kid, ...lies.header })
      .sign(lies.key ?? published.pair.privateKey)
    return lies.token === undefined ? token : lies.token(token)
  }
  const keys = async (res: ServerResponse): Promise<void> => {
    json(res, { keys: [{ ...(await exportJWK(published.pair.publicKey)), kid: published.kid, use: 'sig' }] })
  }
  const endpoints: Record<string, (req: IncomingMessage, res: ServerResponse) => unknown> = {
    '/.well-known/openid-configuration': (_req, res) =>
      json(res, {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        userinfo_endpoint: `${issuer}/userinfo`,
        end_session_endpoint: `${issuer}/logout`,
        id_token_signing_alg_values_supported: ['RS256', 'ES256'],
        ...lies.metadata,
      }),
    '/jwks': (_req, res) => keys(res),
    '/token': async (req, res) => {
      const fields = new URLSearchParams(await textOf(req))
      exchanges.push({ fields, authorization: req.headers.authorization })
      const nonce = Buffer.from(fields.get('code') ?? '', 'base64url').toString()
      const body = { access_token: 'an-access-token', token_type: 'Bearer', expires_in: 60 }
      const answer = { ...body, id_token: await idToken({ nonce }), ...lies.body }
      json(res, JSON.parse(JSON.stringify(answer)))
    },
    '/userinfo': (_req, res) => json(res, { sub: 'ada', email: 'ada@mail.example', name: 'Ada', ...lies.userinfo }),
  }
  server.on('request', async (req, res) => {
    const path = (req.url ?? '').split('?')[0] ?? ''
    asked.push(`${req.method} ${path}`)
    const answer = lies.answer?.[path] ?? endpoints[path]
    if (answer === undefined) res.writeHead(404).end()
    else await answer(req, res)
  })
  return {
    ...{ issuer, lies, asked, exchanges, idToken, keys },
    rotateKey: async (kid) => {
      published = { pair: await generateKeyPair('RS256'), kid }
    },
    [Symbol.asyncDispose]: () => closed(server),
  }
}

/** The code that this provider gives for a request: the nonce that it has to repeat. */
export function codeFor(authorization: URL): string {
  return Buffer.from(authorization.searchParams.get('nonce') ?? 'none').toString('base64url')
}

export function json(res: ServerResponse, body: unknown, status = 200): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function textOf(req: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of req) text += chunk
  return text
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
