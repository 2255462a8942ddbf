import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { createVerifier } from 'fast-jwt'
import { type Attempt, type LoginFlow, SessionManager } from 'gatepass'
import { memoryStore } from 'gatepass/stores/memory'
import { jwt } from 'gatepass/strategies/jwt'
import { TestExchange } from 'gatepass/testing'
import { accessTokens, memorySigningKeyStore, refreshTokens, signingKeys } from 'gatepass/tokens'
import { importJWK, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { type Comparison, measure, type Row, rounds } from './rows.ts'

type Algorithm = 'EdDSA' | 'ES256'

const firstTimes = 40
const againTimes = 5000
const issuer = 'https://login.example'
const audience = 'https://api.example'
const key = 'a key of more than 32 characters, for measuring'

export async function benchTokens(): Promise<Row[]> {
  const rows: Row[] = []
  for (const algorithm of ['EdDSA', 'ES256'] as const)
    for (const comparison of await comparisons(algorithm))
      rows.push(await measure({ group: algorithm, ...comparison }, 'µs'))
  return rows
}

/** Ours is the strategy with a whole request: it reads the header field, the signature, the claims, the session and the user. */
async function comparisons(algorithm: Algorithm): Promise<Omit<Comparison, 'group'>[]> {
  const world = await makeWorld(algorithm)
  const peers = await makePeers(algorithm, world.jwk)
  const [seen] = await world.tokens(1)
  const again = world.request(seen)
  if ((await world.authenticate(again)).type !== 'success') throw new Error('a right token was refused')
  const first = Object.entries(peers).map(async ([peerName, verify]) => {
    // Each side verifies each token once.
    const fresh = (await world.tokens((rounds + 1) * firstTimes)).map(world.request)
    return {
      name: 'verify a token for the first time',
      peerName,
      times: firstTimes,
      ours: () => world.authenticate(fresh.pop() ?? again),
      peer: () => verify(seen),
    }
  })
  const cached = createVerifier({ key: pem(world.jwk), allowedIss: issuer, allowedAud: audience, cache: true })
  return [
    ...(await Promise.all(first)),
    ...Object.entries({ ...peers, 'fast-jwt, cached': (token: string) => cached(token) }).map(([peerName, verify]) => ({
      name: 'verify it again, revocation check included',
      peerName: peerName === 'fast-jwt, cached' ? peerName : `${peerName}, without`,
      ...(peerName === 'fast-jwt, cached' && { goal: 'no slower' }),
      times: peerName === 'fast-jwt, cached' ? againTimes : 100,
      ours: () => world.authenticate(again),
      peer: () => verify(seen),
    })),
  ]
}

const noFlow: LoginFlow = {
  start: async () => '',
  finish: async () => undefined,
  intent: { purpose: 'login' },
  unknown: false,
  linking: async () => undefined,
}

async function makeWorld(algorithm: Algorithm) {
  const keys = signingKeys({ store: memorySigningKeyStore(), keys: [key], algorithm })
  const user = { id: '42' }
  const sessions = new SessionManager<object>({ store: memoryStore() })
  const strategy = jwt({ keys, issuer, audience, account: () => user })
  const stillStands = () => true
  const attempt: Attempt = { flow: noFlow, options: {}, alone: true, sessions, stillStands, clock: Date.now }
  const users = { find: () => user, subject: () => user.id }
  const family = await refreshTokens({ sessions, users, keys: [key] }).begin(new TestExchange(), { subject: user.id })
  const issuing = accessTokens({ keys, issuer, audience })
  const [jwk = {}] = (await keys.jwks()).keys
  return {
    jwk,
    request: (token: string) => new TestExchange({ headers: { authorization: `Bearer ${token}` } }),
    authenticate: (exchange: TestExchange) => strategy.authenticate(exchange, attempt),
    tokens: async (count: number): Promise<[string, ...string[]]> => {
      const one = async () => (await issuing.issue(family)).token
      return [await one(), ...(await Promise.all(Array.from({ length: count - 1 }, one)))]
    },
  }
}

/** jsonwebtoken does not support EdDSA. */
async function makePeers(algorithm: Algorithm, jwk: object): Promise<Record<string, (token: string) => unknown>> {
  const josekey = await importJWK(jwk, algorithm)
  const fast = createVerifier({ key: pem(jwk), allowedIss: issuer, allowedAud: audience })
  const object = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  return {
    jose: (token) => jwtVerify(token, josekey, { issuer, audience }),
    'fast-jwt': (token) => fast(token),
    ...(algorithm === 'ES256' && {
      jsonwebtoken: (token: string) => jsonwebtoken.verify(token, object, { algorithms: ['ES256'], issuer, audience }),
    }),
  }
}

function pem(jwk: object): string {
  return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string
}
