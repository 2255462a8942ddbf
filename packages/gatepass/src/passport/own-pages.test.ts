import { TestExchange, TestJar } from 'gatepass/testing'
import { expect, test } from 'vitest'
import { CsrfTokens } from './own-pages.ts'

const key = 'a-key-of-at-least-thirty-two-characters'
const other = 'another-key-of-thirty-two-characters-or-more'
const tokens = new CsrfTokens([key])
const exchange = new TestExchange()

test('a token is accepted from the session it was issued to, and from no other', () => {
  const token = tokens.issue(exchange, 'session-a')
  expect(tokens.accepts(exchange, 'session-a', token)).toBe(true)
  expect(tokens.accepts(exchange, 'session-b', token)).toBe(false)
  expect(tokens.accepts(exchange, undefined, token)).toBe(false)
  expect(new CsrfTokens([other]).accepts(exchange, 'session-a', token)).toBe(false)
  expect(exchange.cookies.changed).toBe(false)
})

test('before there is a session, a token is bound to a cookie of this browser', () => {
  const jar = new TestJar()
  const first = jar.exchange()
  const token = tokens.issue(first, undefined)
  expect(first.cookies.setCookieFields()).toEqual([
    expect.stringMatching(/^__Host-gp-csrf=[\w-]{22}; Path=\/; Secure; HttpOnly; SameSite=Strict$/),
  ])
  jar.receive(first)
  const next = jar.exchange()
  expect(tokens.accepts(next, undefined, token)).toBe(true)
  expect(tokens.accepts(next, undefined, tokens.issue(next, undefined))).toBe(true)
  expect(next.cookies.changed).toBe(false)
  expect(tokens.accepts(new TestJar().exchange(), undefined, token)).toBe(false)
  expect(tokens.accepts(next, 'session-a', token)).toBe(false)
})

test('a cookie that was sent twice, or that we cannot have set, is not believed', () => {
  const jar = new TestJar()
  const first = jar.exchange()
  const token = tokens.issue(first, undefined)
  jar.receive(first)
  const value = jar.get('__Host-gp-csrf')
  const twice = new TestExchange({ headers: { cookie: `__Host-gp-csrf=${value}; __Host-gp-csrf=${value}` } })
  expect(tokens.accepts(twice, undefined, token)).toBe(false)
  const odd = new TestExchange({ headers: { cookie: '__Host-gp-csrf=short' } })
  tokens.issue(odd, undefined)
  expect(odd.cookies.changed).toBe(true)
})

test('on plain http the cookie has neither prefix nor Secure', () => {
  const local = new TestExchange({ origin: 'http://localhost:3000' })
  tokens.issue(local, undefined)
  expect(local.cookies.setCookieFields()[0]).toMatch(/^gp-csrf=[\w-]{22}; Path=\/; HttpOnly; SameSite=Strict$/)
})

test('a token is accepted after its key was retired', () => {
  const token = tokens.issue(exchange, 'session-a')
  expect(new CsrfTokens([other, key]).accepts(exchange, 'session-a', token)).toBe(true)
})

test('a token differs each time, and says nothing of its session', () => {
  const issued = Array.from({ length: 100 }, () => tokens.issue(exchange, 'session-a'))
  expect(new Set(issued.flatMap((token) => token.split('.'))).size).toBe(200)
  expect(issued.join()).not.toContain('session-a')
})

test('every change to a token is noticed', () => {
  const token = tokens.issue(exchange, 'session-a')
  for (let at = 0; at < token.length; at += 1) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
    expect(tokens.accepts(exchange, 'session-a', changed)).toBe(false)
  }
})

test('nothing may stand behind a token', () => {
  const token = tokens.issue(exchange, 'session-a')
  for (const more of ['.', '.x', ' ', '\n']) expect(tokens.accepts(exchange, 'session-a', token + more)).toBe(false)
})

test.each([undefined, null, 5, '', '.', 'a.b', ['x'], {}, 'x'.repeat(100_000)])('%o is no token', (presented) => {
  expect(tokens.accepts(exchange, 'session-a', presented)).toBe(false)
})

test('moving text between the nonce and the binding makes no other token', () => {
  const token = tokens.issue(exchange, 'a')
  const [nonce = '', signature] = token.split('.')
  expect(tokens.accepts(exchange, `${nonce.slice(-1)}.a`, `${nonce.slice(0, -1)}.${signature}`)).toBe(false)
})
