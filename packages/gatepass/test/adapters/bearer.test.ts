import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as nodeGatepass } from 'gatepass/node'
import type { SessionStore, SubjectIndex } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { jwt } from 'gatepass/strategies/jwt'
import { local } from 'gatepass/strategies/local'
import { TestBrowser } from 'gatepass/testing'
import { accessTokens, memorySigningKeyStore, refreshTokens, signingKeys } from 'gatepass/tokens'
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'

const issuer = 'https://login.example'
const secret = 'a key of more than 32 characters, to seal with'
const keys = signingKeys({ store: memorySigningKeyStore(), keys: [secret] })
const store = later(memoryStore())
const users = { find: async (id: string) => ({ id }), subject: (user: { id: string }) => user.id }
const verify = (name: string, password: string) => (password === 'right' ? { id: name } : undefined)
const strategies = [
  local({ verify }),
  jwt({ keys, issuer, audience: issuer, account: (claims) => ({ id: claims.sub }) }),
] as const

const auth = expressGatepass({ sessions: { store }, users, strategies, bearer: 'jwt' })
const access = accessTokens({ keys, issuer, audience: issuer })
const refresh = refreshTokens({ sessions: auth.sessions, users, keys: [secret] })

/** A store in another process answers later. */
function later(memory: SessionStore & SubjectIndex): SessionStore & SubjectIndex {
  return {
    load: async (id) => memory.load(id),
    insert: async (record) => memory.insert(record),
    replace: async (record, version) => memory.replace(record, version),
    touch: async (id, seenAt, expiresAt) => memory.touch(id, seenAt, expiresAt),
    remove: async (id, version) => memory.remove(id, version),
    listBySubject: async (subject) => memory.listBySubject(subject),
    removeBySubject: async (subject, except) => memory.removeBySubject(subject, except),
    insertWithin: async (record, limit) => memory.insertWithin(record, limit),
  }
}

const app = express()
app.set('env', 'test')
app.use(auth)
app.post('/login', auth.login('local'), (_req, res) => void res.sendStatus(204))
app.post('/logout', auth.logout())
app.post('/token', auth.requireLogin({ cookie: true }), async (req, res) => {
  const { subject = '', login } = await auth.session(req)
  const family = await refresh.begin(auth.exchange(req), { subject, login })
  res.json({ ...(await access.issue(family)), refresh: family.token })
})
app.post('/refresh', express.json(), async (req, res) => {
  const family = await refresh.refresh(auth.exchange(req), String(req.body.token))
  if (family.type === 'refused') return void res.status(400).json(family)
  res.json({ ...(await access.issue(family)), refresh: family.token })
})
app.get('/.well-known/jwks.json', async (_req, res) => {
  const { status, headers, body } = await keys.reply()
  res.status(status).set(headers).end(body)
})
app.get('/me', auth.requireLogin(), (req, res) => {
  res.json({ user: req.user, subject: req.session.subject, data: req.session.data })
})
app.post('/cart', auth.requireLogin(), (req, res) => {
  Object.assign(req.session.data, { cart: 'book' })
  res.sendStatus(204)
})
app.get('/open', (req, res) => void res.json(req.user ?? null))

const onNode = nodeGatepass({ sessions: auth.sessions, users, strategies, bearer: 'jwt' })
const servers: Server[] = []

async function listen(server: Server): Promise<string> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

let origin = ''
let nodeOrigin = ''
beforeAll(async () => {
  origin = await listen(createServer(app))
  nodeOrigin = await listen(
    createServer(onNode.handler((req, res) => void res.end(`${req.user?.id} ${req.session.subject}`))),
  )
})
afterAll(() => {
  for (const server of servers) server.close()
})

interface Pair {
  token: string
  refresh: string
}

async function loggedIn(name: string): Promise<{ browser: TestBrowser; pair: Pair }> {
  const browser = new TestBrowser(origin)
  await browser.fetch('/login', { form: { username: name, password: 'right' } })
  const pair = (await (await browser.fetch('/token', { method: 'POST' })).json()) as Pair
  return { browser, pair }
}

const bearing = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

test('over HTTP the same route serves a cookie and a token, and the token sets no cookie', async () => {
  const { browser, pair } = await loggedIn('alice')
  const byCookie = await (await browser.fetch('/me')).json()
  const response = await fetch(`${origin}/me`, bearing(pair.token))
  expect(await response.json()).toEqual(byCookie)
  expect(response.headers.getSetCookie()).toEqual([])
  const write = await fetch(`${origin}/cart`, { method: 'POST', ...bearing(pair.token) })
  expect([write.status, write.headers.getSetCookie()]).toEqual([204, []])
  expect(await (await fetch(`${origin}/me`, bearing(pair.token))).json()).toMatchObject({ data: { cart: 'book' } })
  expect(await (await fetch(nodeOrigin, bearing(pair.token))).text()).toBe('alice alice')
})

test('over HTTP a token that is refused is 401 with a challenge on guarded routes, and nobody on open ones', async () => {
  const response = await fetch(`${origin}/me`, bearing('nonsense'))
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="api", error="invalid_token"/)
  expect(await (await fetch(`${origin}/open`, bearing('nonsense'))).json()).toBeNull()
  expect((await fetch(`${origin}/me`)).headers.get('www-authenticate')).toBe('Bearer realm="api"')
})

test('over HTTP what a token without a session gets to see is kept by nobody else', async () => {
  const { token } = await access.issue({ subject: 'erin' })
  const response = await fetch(`${origin}/me`, bearing(token))
  expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'private, no-store'])
})

test('over HTTP a Bearer field that is not written as it should be is refused, and not overlooked in favour of a cookie', async () => {
  const { browser, pair } = await loggedIn('frank')
  expect((await browser.fetch('/me')).status).toBe(200)
  for (const authorization of [`Bearer\t${pair.token}`, 'Bearer', `Bearer\u00a0${pair.token}`])
    expect([400, 401]).toContain((await browser.fetch('/me', { headers: { authorization } })).status)
})

test('9.1.3, attack 57: over HTTP an address of keys in a token is never asked', async () => {
  let asked = 0
  const attacker = await listen(
    createServer((_req, res) => {
      asked++
      res.end('{"keys":[]}')
    }),
  )
  const { privateKey, publicKey } = await generateKeyPair('EdDSA')
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: issuer, sub: 'alice', client_id: issuer, jti: 'x', iat: now, exp: now + 600 }
  const [own] = (await keys.jwks()).keys
  for (const kid of [String(own?.kid), 'unknown', undefined]) {
    const offers = { jku: `${attacker}/jwks.json`, x5u: `${attacker}/certificate`, jwk: await exportJWK(publicKey) }
    const header = { alg: 'EdDSA', typ: 'at+jwt', ...offers, ...(kid !== undefined && { kid }) }
    const token = await new SignJWT(claims).setProtectedHeader(header).sign(privateKey)
    expect((await fetch(`${origin}/me`, bearing(token))).status).toBe(401)
  }
  expect(asked).toBe(0)
})

test('10.4.4: a password, or a grant that asks for one, gets no token', async () => {
  const password = { username: 'alice', password: 'right' }
  const browser = new TestBrowser(origin)
  for (const form of [password, { grant_type: 'password', ...password }, { response_type: 'token' }])
    expect((await browser.fetch('/token', { form })).status).toBe(401)
  const basic = { authorization: `Basic ${Buffer.from('alice:right').toString('base64')}` }
  expect((await fetch(`${origin}/token`, { method: 'POST', headers: basic })).status).toBe(401)
  const headers = { 'content-type': 'application/json' }
  for (const body of [password, { grant_type: 'password', ...password }, { token: 'right' }])
    expect((await fetch(`${origin}/refresh`, { method: 'POST', headers, body: JSON.stringify(body) })).status).toBe(400)
})

test('over HTTP a refresh gives a new pair, and a replay ends the session of both', async () => {
  const { pair } = await loggedIn('bob')
  const renew = async (token: string, agent: string) =>
    fetch(`${origin}/refresh`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': agent },
      body: JSON.stringify({ token }),
    })
  const next = (await (await renew(pair.refresh, 'node')).json()) as Pair
  expect((await fetch(`${origin}/me`, bearing(next.token))).status).toBe(200)
  expect((await renew(pair.refresh, 'curl/8')).status).toBe(400)
  for (const token of [pair.token, next.token]) expect((await fetch(`${origin}/me`, bearing(token))).status).toBe(401)
  expect((await renew(next.refresh, 'node')).status).toBe(400)
})

test('over HTTP others verify our tokens with our key set', async () => {
  const { pair } = await loggedIn('carol')
  const published = createRemoteJWKSet(new URL('/.well-known/jwks.json', origin))
  const { payload } = await jwtVerify(pair.token, published, { issuer, audience: issuer, typ: 'at+jwt' })
  expect(payload.sub).toBe('carol')
})

test('over HTTP a logout everywhere leaves neither cookie nor token', async () => {
  const { browser, pair } = await loggedIn('dave')
  await auth.sessions.revokeAll('dave')
  expect((await browser.fetch('/me')).status).toBe(401)
  expect((await fetch(`${origin}/me`, bearing(pair.token))).status).toBe(401)
})
