import fc from 'fast-check'
import { parseSetCookie } from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'
import { parseCookieDate } from './parse-set-cookie.ts'

describe('parseSetCookie', () => {
  test('name, value and attributes are read, in any case and with any space', () => {
    expect(
      parseSetCookie('a = "b c" ;SECURE; httponly=x ; SameSite= sTrict; priority=LOW; Partitioned; Max-Age = 60'),
    ).toEqual({
      name: 'a',
      value: '"b c"',
      attributes: { secure: true, httpOnly: true, sameSite: 'strict', priority: 'low', partitioned: true, maxAge: 60 },
    })
  })

  test('without an equals sign all of it is the value', () => {
    expect(parseSetCookie('text; Secure')).toEqual({ name: '', value: 'text', attributes: { secure: true } })
    expect(parseSetCookie('=text')).toEqual({ name: '', value: 'text', attributes: {} })
  })

  test.each([
    '',
    '=',
    ' = ; Secure',
    'a=b\0',
    'a=b\r',
    'a=b\x7f',
    'a=b; Path=/\n',
    `a=${'b'.repeat(4096)}`,
    'ä'.repeat(2049),
  ])('a browser ignores a field like %j', (field) => {
    expect(parseSetCookie(field)).toBeUndefined()
  })

  test('a tab is no control character here', () => {
    expect(parseSetCookie('a=b\tc')).toMatchObject({ value: 'b\tc' })
  })

  test.each([
    ['Max-Age=x', {}],
    ['Max-Age=1.5', {}],
    ['Max-Age=+1', {}],
    ['Max-Age=', {}],
    ['Max-Age=-1', { maxAge: 0 }],
    ['Max-Age=99999999999999999999', { maxAge: 34_560_000 }],
    ['Expires=soon', {}],
    ['Domain=', {}],
    ['Domain=a.example; Domain=', {}],
    ['Domain=.A.Example', { domain: 'a.example' }],
    ['Path=a', {}],
    ['Path=/a; Path=', {}],
    ['SameSite=maybe', {}],
    ['SameSite=Strict; SameSite=maybe', {}],
    ['SameSite=Strict; SameSite=Lax', { sameSite: 'lax' }],
    ['Priority=urgent', {}],
    [`Path=/${'a'.repeat(1024)}`, {}],
    ['Unknown=1; toString; __proto__=1', {}],
  ])('%s means %j', (attribute, attributes) => {
    expect(parseSetCookie(`a=b; ${attribute}`)).toEqual({ name: 'a', value: 'b', attributes })
  })

  test('no text makes it throw', () => {
    const part = fc.constantFrom('a', '=', ';', ' ', 'expires', 'max-age', 'domain', 'path', '1', ':', 'jan', '2000')
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: part })), (field) => {
        expect(['object', 'undefined']).toContain(typeof parseSetCookie(field))
      }),
    )
  })
})

describe('parseCookieDate', () => {
  test.each([
    'Sat, 31 Feb 2026 00:00:00 GMT',
    '1 Jan 1600 00:00:00',
    '1 Jan 2026 24:00:00',
    '1 Jan 2026 00:60:00',
    '1 Jan 2026 00:00:60',
  ])('%j is no date', (text) => {
    expect(parseCookieDate(text)).toBeUndefined()
  })

  test('two digits of a year mean 1970 to 2069', () => {
    expect(parseCookieDate('1 Jan 70 00:00:00')?.getUTCFullYear()).toBe(1970)
    expect(parseCookieDate('1 Jan 69 00:00:00')?.getUTCFullYear()).toBe(2069)
  })
})
