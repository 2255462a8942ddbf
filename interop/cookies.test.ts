import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import express from 'express'
import fc from 'fast-check'
import {
  parse,
  parseCookie,
  parseSetCookie,
  serialize,
  stringifyCookie,
  stringifySetCookie,
} from 'gatepass/compat/cookie'
import cookieParser from 'gatepass/compat/cookie-parser'
import cookieSession from 'gatepass/compat/cookie-session'
import { TestBrowser } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { listen } from './strategies/site.ts'

const require = createRequire(import.meta.url)
const cookie07 = require('cookie07')
const cookie1 = require('cookie1')
const cookie2 = require('cookie')
const { sign } = require('cookie-signature')
const originalParser: typeof cookieParser = require('cookie-parser')
const originalSession: typeof cookieSession = require('cookie-session')

const octets = fc.string({ unit: fc.constantFrom(...'ab=; ,"%25\\\té+') })
const texts = fc.string({ unit: 'grapheme' })
const own = (object: object): unknown => ({ ...object })

test('parse reads as cookie 0.7, parseCookie as 1 and 2, parseSetCookie as 2', () => {
  fc.assert(
    fc.property(octets, (header) => {
      expect(parse(header)).toStrictEqual(cookie07.parse(header))
      expect(own(parseCookie(header))).toEqual(own(cookie1.parse(header)))
      expect(own(parseCookie(header))).toEqual(own(cookie2.parseCookie(header)))
    }),
  )
  const attributes = fc.constantFrom('Max-Age=9', 'max-age=x', 'Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'SameSite=Lax')
  const more = fc.constantFrom(
    'samesite=no',
    'Secure',
    'HttpOnly=1',
    'Domain',
    'Path=/=',
    'priority=HIGH',
    'Partitioned',
  )
  fc.assert(
    fc.property(octets, fc.array(fc.oneof(attributes, more, octets)), (pair, parts) => {
      const field = [pair, ...parts].join(';')
      expect(parseSetCookie(field)).toEqual(cookie2.parseSetCookie(field))
    }),
  )
})

test('a name and a value are written as by 0.7 and 1, an object as by 2', () => {
  fc.assert(
    fc.property(texts, (value) => {
      expect(serialize('a', value)).toBe(cookie07.serialize('a', value))
      expect(serialize('a', value)).toBe(cookie1.serialize('a', value))
      expect(stringifySetCookie({ name: 'a', value })).toBe(cookie2.stringifySetCookie({ name: 'a', value }))
      expect(stringifyCookie({ a: value })).toBe(cookie2.stringifyCookie({ a: value }))
    }),
  )
})

test('attributes are written in the order of the original', () => {
  const attributes = {
    maxAge: 1,
    domain: 'example.com',
    path: '/',
    expires: new Date(0),
    httpOnly: true,
    secure: true,
    partitioned: true,
    priority: 'high',
    sameSite: true,
  } as const
  expect(serialize('a', 'b', attributes)).toBe(cookie07.serialize('a', 'b', attributes))
  expect(stringifySetCookie({ name: 'a', value: 'b', ...attributes })).toBe(serialize('a', 'b', attributes))
})

type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void
type Request = IncomingMessage & { session: Record<string, unknown> | null } & Record<string, unknown>

describe('cookie-parser', () => {
  const secrets = ['tobiiscool', 'luna']
  const read = (middleware: Middleware, header: string): unknown => {
    const req = { headers: { cookie: header } } as unknown as Request
    middleware(req, {} as ServerResponse, () => {})
    return { cookies: own(req.cookies as object), signed: own(req.signedCookies as object), secret: req.secret }
  }

  test('reads what the original reads, signed, forged or neither', () => {
    const value = fc.oneof(
      texts.map((text) => `s:${sign(text, 'tobiiscool')}`),
      texts.map((text) => `s:${sign(text, 'luna')}`),
      texts.map((text) => `s:${sign(text, 'mallory')}`),
      fc.json().map((json) => `j:${json}`),
      fc.json().map((json) => `s:${sign(`j:${json}`, 'luna')}`),
      fc.constantFrom('s:', 'j:', 's:.', 'j:{', 's:a.b'),
      texts,
    )
    const pairs = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value.map(encodeURIComponent))
    fc.assert(
      fc.property(pairs, fc.constantFrom(undefined, 'luna', secrets), (cookies, secret) => {
        const header = Object.entries(cookies)
          .map((pair) => pair.join('='))
          .join('; ')
        expect(read(cookieParser(secret), header)).toEqual(read(originalParser(secret), header))
      }),
    )
  })

  test('is a function to require(), as the original is', () => {
    const required = require('gatepass/compat/cookie-parser')
    expect(typeof required).toBe('function')
    expect(Object.keys(required).sort()).toEqual(Object.keys(originalParser).sort())
  })
})

describe('cookie-session', () => {
  const keys = ['a key of the day', 'a key of yesterday']

  async function site(middleware: Middleware): Promise<TestBrowser> {
    const origin = await listen((request, res) => {
      const req = request as Request
      middleware(req, res, (error) => {
        if (error) return void res.writeHead(500).end()
        const { pathname, searchParams } = new URL(req.url ?? '', 'http://localhost')
        if (pathname === '/set' && req.session) Object.assign(req.session, Object.fromEntries(searchParams))
        if (pathname === '/end') req.session = null
        if (pathname === '/replace') req.session = { replaced: true }
        res.end(JSON.stringify(pathname === '/ignore' ? 0 : req.session))
      })
    })
    return new TestBrowser(origin)
  }

  test('sends what the original sends, attributes in an order of its own', async () => {
    for (const options of [
      { keys },
      { secret: 'one key', name: 'other', sameSite: 'lax' as const, path: '/', priority: 'high' as const },
      { signed: false, httpOnly: false, domain: 'localhost' },
      { keys, secure: true },
      { keys, secureProxy: true, partitioned: true },
    ]) {
      const [ours, theirs] = [await site(cookieSession({ ...options })), await site(originalSession({ ...options }))]
      for (const path of ['/', '/set?a=1', '/', '/ignore', '/set?a=1', '/set?b=2', '/replace', '/', '/end', '/']) {
        const [answer, expected] = [await ours.fetch(path), await theirs.fetch(path)]
        expect(await answer.text(), path).toBe(await expected.text())
        expect(fields(answer), `${path} with ${JSON.stringify(options)}`).toEqual(fields(expected))
      }
    }
  })

  test('goes on with a session of the original, and the original with one of ours', async () => {
    const [ours, theirs] = [await site(cookieSession({ keys })), await site(originalSession({ keys }))]
    for (const [from, to] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      await from.fetch('/set?cart=pen')
      for (const [name, value] of from.jar) to.jar.set(name, value)
      await to.fetch('/set?more=ink')
      expect(await (await to.fetch('/')).json()).toEqual({ cart: 'pen', more: 'ink' })
    }
  })

  test('signs anew what a retired key signed, and forgets a bad signature, as the original does', async () => {
    const old = await site(originalSession({ keys: ['a key of yesterday'] }))
    await old.fetch('/set?a=1')
    const forged = new Map([...old.jar].map(([name, value]) => [name, name.endsWith('.sig') ? 'forged' : value]))
    for (const jar of [old.jar, forged]) {
      const sites = [await site(cookieSession({ keys })), await site(originalSession({ keys }))]
      const answers = await Promise.all(
        sites.map(async (browser) => {
          for (const [name, value] of jar) browser.jar.set(name, value)
          const answer = await browser.fetch('/')
          return [await answer.text(), fields(answer)]
        }),
      )
      expect(answers[0]).toEqual(answers[1])
    }
  })

  test('carries a login of Passport 0.7 through login, request and logout', async () => {
    const passport = new (require('passport').Passport)()
    const Custom = require('passport-custom').Strategy
    passport.use(
      'custom',
      new Custom((_req: unknown, done: (error: null, user: object) => void) => done(null, { id: 'ada' })),
    )
    passport.serializeUser((user: { id: string }, done: (error: null, id: string) => void) => done(null, user.id))
    passport.deserializeUser((id: string, done: (error: null, user: object) => void) => done(null, { id }))
    const app = express()
    app.use(cookieSession({ keys }))
    app.use(passport.session())
    app.get('/login', passport.authenticate('custom'), (_req, res) => void res.send('in'))
    app.get('/logout', (req, res, next) => req.logout((error) => (error ? next(error) : res.send('out'))))
    app.get('/', (req, res) => void res.send((req.user as { id?: string } | undefined)?.id ?? 'nobody'))
    const browser = new TestBrowser(await listen(app))
    const answers: string[] = []
    for (const path of ['/', '/login', '/', '/logout', '/']) answers.push(await (await browser.fetch(path)).text())
    expect(answers).toEqual(['nobody', 'in', 'ada', 'out', 'nobody'])
  })

  test('is a function to require(), as the original is', () => {
    expect(typeof require('gatepass/compat/cookie-session')).toBe('function')
  })
})

/** Set-Cookie fields in one order and case of their attributes. */
function fields(response: Response): string[][] {
  return response.headers.getSetCookie().map((field) => {
    const [pair = '', ...attributes] = field.split('; ')
    return [pair, ...attributes.map((attribute) => attribute.toLowerCase()).sort()]
  })
}
