import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Jwk, RemoteKeysEvent } from 'gatepass/strategies/jwt'
import { testClock } from 'gatepass/testing'
import { afterEach, expect, test } from 'vitest'
import { generateSigningJwk } from '../../crypto/signature.ts'
import { providerFetch } from '../oauth2/provider-fetch.ts'
import { publicJwk, thumbprint } from './jwk.ts'
import { RemoteKeys } from './remote-keys.ts'

function published(): { kid: string; jwk: Jwk } {
  const pair = generateSigningJwk('Ed25519')
  const kid = thumbprint(pair) ?? ''
  return { kid, jwk: { ...publicJwk(pair), kid, use: 'sig', alg: 'EdDSA' } }
}

/** An issuer that publishes these keys, and can be down. */
function issuer() {
  const clock = testClock()
  const events: RemoteKeysEvent[] = []
  const state = { keys: [published()], down: false, asked: 0 }
  const keys = new RemoteKeys({
    url: 'https://login.example/jwks.json',
    algorithms: ['EdDSA', 'ES256'],
    clock,
    onEvent: (event) => void events.push(event),
    fetch: async () => {
      state.asked++
      if (state.down) throw new Error('unreachable')
      return Response.json({ keys: state.keys.map(({ jwk }) => jwk) })
    },
  })
  return { clock, events, state, keys, first: state.keys[0]?.kid ?? '' }
}

test('keys are fetched when first needed, once for all who need them', async () => {
  const { keys, state, first } = issuer()
  const found = await Promise.all([keys.find(first), keys.find(first), keys.find('unknown')])
  expect(found.map((key) => key?.kid)).toEqual([first, first, undefined])
  expect(state.asked).toBe(1)
  expect(keys.find(first)).not.toBeInstanceOf(Promise)
})

test('an unknown name makes us ask again, once a minute at most', async () => {
  const { keys, state, clock, first } = issuer()
  await keys.find(first)
  const next = published()
  state.keys.push(next)
  for (let n = 0; n < 100; n++) expect(await keys.find(next.kid)).toBeUndefined()
  expect(state.asked).toBe(1)
  clock.advance(60)
  expect((await keys.find(next.kid))?.kid).toBe(next.kid)
  for (let n = 0; n < 100; n++) await keys.find(`invented ${n}`)
  expect(state.asked).toBe(2)
})

test('a key that is withdrawn counts for an hour at most, and what it verified no longer', async () => {
  const { keys, state, clock, first } = issuer()
  const key = await keys.find(first)
  if (key === undefined) throw new Error('not found')
  state.keys = [published()]
  expect(keys.trusts(key)).toBe(true)
  clock.advance(3600)
  expect(await keys.find(first)).toBe(key)
  await expect.poll(() => keys.trusts(key)).toBe(false)
})

test('a key that is withdrawn is forgotten even if nothing is asked for but a token seen before', async () => {
  const { keys, state, clock, first } = issuer()
  const key = await keys.find(first)
  if (key === undefined) throw new Error('not found')
  state.keys = [published()]
  clock.advance(3600)
  await expect.poll(() => keys.trusts(key)).toBe(false)
  expect(state.asked).toBe(2)
})

test('while the issuer does not answer, the keys known go on counting, and somebody is told', async () => {
  const { keys, state, clock, events, first } = issuer()
  const key = await keys.find(first)
  state.down = true
  clock.advance(24 * 3600)
  expect(await keys.find(first)).toBe(key)
  expect(await keys.find('unknown')).toBeUndefined()
  expect(events).toMatchObject([{ type: 'keys_unavailable', url: 'https://login.example/jwks.json' }])
})

test('without any keys nothing is refused and nothing accepted: the answer is 503, and soon we ask again', async () => {
  const { keys, state, clock, first } = issuer()
  state.down = true
  await expect(keys.find(first)).rejects.toMatchObject({ code: 'ERR_JWKS_UNAVAILABLE', status: 503 })
  expect(() => keys.find(first)).toThrowError(expect.objectContaining({ code: 'ERR_JWKS_UNAVAILABLE' }))
  expect(state.asked).toBe(1)
  state.down = false
  clock.advance(5)
  expect((await keys.find(first))?.kid).toBe(first)
})

test('of a key set only what can be used counts: no secrets, no private use, no other algorithm', async () => {
  const { keys, state, first } = issuer()
  const secret = { kid: 'secret', jwk: { kty: 'oct', kid: 'secret', k: Buffer.alloc(32).toString('base64url') } }
  const encrypting = published()
  const doubled = published()
  const broken: Jwk[] = [null, 'text', { kty: 'XYZ', kid: 'x' }] as never
  state.keys.push(secret, { ...encrypting, jwk: { ...encrypting.jwk, use: 'enc' } }, doubled, doubled)
  state.keys.push(...broken.map((jwk) => ({ kid: 'x', jwk })))
  expect((await keys.find(first))?.kid).toBe(first)
  for (const kid of ['secret', encrypting.kid, doubled.kid, 'x']) expect(await keys.find(kid), kid).toBeUndefined()
})

test('a document without keys is not taken for one in which all are withdrawn', async () => {
  const { keys, state, clock, first } = issuer()
  const key = await keys.find(first)
  state.keys = []
  clock.advance(3600)
  await keys.find('unknown')
  expect(await keys.find(first)).toBe(key)
})

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function serve(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(answer as never)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
}

function over(url: string, loopback = true): RemoteKeys {
  const fetch = providerFetch({ loopback, privateNetwork: false })
  return new RemoteKeys({ url, algorithms: ['EdDSA'], clock: testClock(), fetch })
}

test('1.3.6: over the network, redirects, large documents and addresses inside are not followed', async () => {
  const { kid, jwk } = published()
  const document = JSON.stringify({ keys: [jwk] })
  let inside = 0
  const target = await serve((_req, res) => {
    inside++
    res.end(document)
  })
  const refused = [
    over(await serve((_req, res) => void res.writeHead(302, { location: target }).end())),
    over(await serve((_req, res) => void res.end(`{"keys":[],"padding":"${'x'.repeat(1024 * 1024)}"}`))),
    over(await serve((_req, res) => void res.writeHead(404).end(document))),
    over(await serve((_req, res) => void res.end('<html>'))),
    over(target, false),
    over('http://10.0.0.1/jwks.json'),
    over('https://10.0.0.1/jwks.json'),
    over('https://[::ffff:192.168.0.1]/jwks.json'),
    over('file:///etc/passwd'),
  ]
  for (const keys of refused) await expect(keys.find(kid)).rejects.toMatchObject({ code: 'ERR_JWKS_UNAVAILABLE' })
  expect(inside).toBe(0)
  expect((await over(target).find(kid))?.kid).toBe(kid)
})
