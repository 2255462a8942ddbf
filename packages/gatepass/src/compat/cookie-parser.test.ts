import type { IncomingMessage, ServerResponse } from 'node:http'
import { cookieParser, JSONCookie, JSONCookies, signedCookie, signedCookies } from 'gatepass/compat/cookie-parser'
import { expect, test } from 'vitest'
import { signingKey, signValue } from './signed-value.ts'

const current = 'the secret of today'
const retired = 'the secret of yesterday'
const signed = (value: string, secret: string): string => signValue(value, signingKey(secret))

function read(header: string | undefined, secret?: string | string[], before: object = {}): Record<string, unknown> {
  const req = { headers: { cookie: header }, ...before }
  let passed = 0
  cookieParser(secret)(req as unknown as IncomingMessage, {} as ServerResponse, () => passed++)
  expect(passed).toBe(1)
  const { cookies, signedCookies: own, secret: left } = req as Record<string, unknown>
  return { cookies: { ...(cookies as object) }, signed: { ...(own as object) }, secret: left }
}

test('cookies are read, JSON is parsed, and signed ones stand apart', () => {
  const header = `a=1; b=${encodeURIComponent('j:{"x":[1]}')}; c=${encodeURIComponent(signed('j:[2]', current))}`
  expect(read(header, current)).toEqual({ cookies: { a: '1', b: { x: [1] } }, signed: { c: [2] }, secret: current })
})

test('every secret verifies, the first is left for whoever signs', () => {
  const header = `a=${encodeURIComponent(signed('x', retired))}`
  expect(read(header, [current, retired])).toEqual({ cookies: {}, signed: { a: 'x' }, secret: current })
})

test('a forged signature is false, and its cookie is nowhere else', () => {
  const header = `a=${encodeURIComponent(signed('x', 'the secret of somebody else'))}; b=s:x.y`
  expect(read(header, current)).toEqual({ cookies: {}, signed: { a: false, b: false }, secret: current })
})

test('without a secret nothing is verified, and nothing counts as signed', () => {
  const text = signed('x', current)
  expect(read(`a=${encodeURIComponent(text)}`)).toEqual({ cookies: { a: text }, signed: {}, secret: undefined })
  expect(read(undefined)).toEqual({ cookies: {}, signed: {}, secret: undefined })
})

test('a request that has cookies already is left alone', () => {
  expect(read('a=1', current, { cookies: { b: '2' } })).toEqual({ cookies: { b: '2' }, signed: {}, secret: undefined })
})

test('the functions on it take what they are given', () => {
  expect(cookieParser.JSONCookie).toBe(JSONCookie)
  expect([JSONCookie('j:1'), JSONCookie('j:{'), JSONCookie('1'), JSONCookie(1)]).toEqual([
    1,
    undefined,
    undefined,
    undefined,
  ])
  expect(JSONCookies({ a: 'j:{"b":1}', c: 'j:0' })).toEqual({ a: { b: 1 }, c: 'j:0' })
  expect(signedCookie(signed('x', retired), [current, retired])).toBe('x')
  expect([signedCookie('plain', current), signedCookie(1, current)]).toEqual(['plain', undefined])
  const cookies = { a: signed('x', current), b: 'plain' }
  expect({ ...signedCookies(cookies, current) }).toEqual({ a: 'x' })
  expect(cookies).toEqual({ b: 'plain' })
})
