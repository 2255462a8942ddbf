import { describe, expect, test } from 'vitest'
import { hosts, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown, info?: unknown) => void
const KEY = 'a key of at least thirty-two characters'

const local: MakeStrategy = ({ known }) => {
  const { Strategy } = require('passport-local')
  return new Strategy((name: string, password: string, done: Done) =>
    done(null, password === 'sesame' && known({ id: name }), { message: 'Wrong password.' }),
  )
}

const jwt: MakeStrategy = ({ known }) => {
  const { Strategy, ExtractJwt } = require('passport-jwt')
  const options = { secretOrKey: KEY, jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), algorithms: ['HS256'] }
  return new Strategy(options, (claims: { sub: string }, done: Done) => done(null, known({ id: claims.sub })))
}

const basic: MakeStrategy = ({ known }) => {
  const { BasicStrategy } = require('passport-http')
  return new BasicStrategy({ realm: 'here' }, (name: string, password: string, done: Done) =>
    done(null, password === 'sesame' && known({ id: name })),
  )
}

const digest: MakeStrategy = ({ known }) => {
  const { DigestStrategy } = require('passport-http')
  return new DigestStrategy({ realm: 'here', qop: 'auth' }, (name: string, done: Done) =>
    done(null, known({ id: name }), 'sesame'),
  )
}

const bearer: MakeStrategy = ({ known }) => {
  const { Strategy } = require('passport-http-bearer')
  return new Strategy((token: string, done: Done) =>
    done(null, token === 'good' && known({ id: 'ada' }), { scope: 'all' }),
  )
}

const custom: MakeStrategy = ({ known }) => {
  const { Strategy } = require('passport-custom')
  return new Strategy((req: { headers: Record<string, string> }, done: Done) =>
    done(null, req.headers['x-badge'] === '7' && known({ id: 'agent' })),
  )
}

const anonymous: MakeStrategy = () => new (require('passport-anonymous').Strategy)()

describe.each(hosts)('%s', (_, host) => {
  test('passport-local logs in by a form, keeps the login, and refuses a wrong password', async () => {
    const browser = await host(local)
    expect((await browser.fetch('/login', { form: { username: 'ada', password: 'no' } })).status).toBe(401)
    expect((await browser.fetch('/login', { form: { username: 'ada' } })).status).toBe(400)
    expect(await (await browser.fetch('/me')).json()).toBeNull()
    const login = await browser.fetch('/login', { form: { username: 'ada', password: 'sesame' } })
    expect(await login.json()).toEqual({ id: 'ada' })
    expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'ada' })
  })

  test('passport-jwt lets a signed token in and keeps nothing', async () => {
    const browser = await host(jwt)
    const token = require('jsonwebtoken').sign({ sub: 'ada' }, KEY)
    const call = (authorization: string) => browser.fetch('/api', { headers: { authorization } })
    expect(await (await call(`Bearer ${token}`)).json()).toEqual({ id: 'ada' })
    expect((await call(`Bearer ${require('jsonwebtoken').sign({ sub: 'ada' }, 'another key')}`)).status).toBe(401)
    expect((await browser.fetch('/api')).status).toBe(401)
    expect(browser.jar.size).toBe(0)
  })

  test('passport-http (basic) challenges, and lets credentials in', async () => {
    const browser = await host(basic)
    const refused = await browser.fetch('/api')
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toBe('Basic realm="here"')
    const authorization = `Basic ${Buffer.from('ada:sesame').toString('base64')}`
    expect(await (await browser.fetch('/api', { headers: { authorization } })).json()).toEqual({ id: 'ada' })
  })

  test('passport-http (digest) accepts the answer to its challenge', async () => {
    const browser = await host(digest)
    const challenge = (await browser.fetch('/api')).headers.get('www-authenticate') ?? ''
    const nonce = /nonce="([^"]+)"/.exec(challenge)?.[1] ?? ''
    const authorization = digestAnswer(nonce, 'sesame')
    expect(await (await browser.fetch('/api', { headers: { authorization } })).json()).toEqual({ id: 'ada' })
    const wrong = await browser.fetch('/api', { headers: { authorization: digestAnswer(nonce, 'no') } })
    expect(wrong.status).toBe(401)
  })

  test('passport-http-bearer takes a token from the header and from a form, and says why it refuses', async () => {
    const browser = await host(bearer)
    const call = (token: string) => browser.fetch('/api', { headers: { authorization: `Bearer ${token}` } })
    expect(await (await call('good')).json()).toEqual({ id: 'ada' })
    expect((await call('bad')).headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect(await (await browser.fetch('/api', { form: { access_token: 'good' } })).json()).toEqual({ id: 'ada' })
  })

  test('passport-custom decides by the request', async () => {
    const browser = await host(custom)
    expect(await (await browser.fetch('/login', { headers: { 'x-badge': '7' } })).json()).toEqual({ id: 'agent' })
    expect((await browser.fetch('/api')).status).toBe(401)
  })
})

// gatepass() guards with `requireLogin`. A strategy that lets all requests pass does not guard, and refuses there.
test.each(hosts.slice(0, 2))('%s: passport-anonymous passes without a user', async (_, host) => {
  const browser = await host(anonymous)
  const response = await browser.fetch('/api')
  expect(response.status).toBe(200)
  expect(await response.text()).toBe('')
})

function digestAnswer(nonce: string, password: string): string {
  const md5 = (text: string): string => require('node:crypto').createHash('md5').update(text).digest('hex')
  const response = md5(`${md5(`ada:here:${password}`)}:${nonce}:00000001:c:auth:${md5('GET:/api')}`)
  const fields = `realm="here", nonce="${nonce}", uri="/api", qop=auth, nc=00000001, cnonce="c", response="${response}"`
  return `Digest username="ada", ${fields}`
}
