import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonDecode, jsonEncode, percentDecode, percentEncode } from './encoding.ts'

const octets = /^[!#-+\--:<-[\]-~]*$/

describe('percent-encoding', () => {
  test('every well-formed text comes back, and is cookie-octets in between', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const raw = percentEncode('a', text)
        expect(raw).toMatch(octets)
        expect(percentDecode(raw)).toBe(text)
      }),
    )
  })

  test('what needs no encoding stays readable', () => {
    expect(percentEncode('a', "de-DE/x+y=z!'()*[]{}")).toBe("de-DE/x+y=z!'()*[]{}")
  })

  test('a text that looks encoded comes back as it was', () => {
    expect(percentDecode(percentEncode('a', '100%25'))).toBe('100%25')
  })

  test.each(['%', '%z', '%zz', '%E0%A4%A', '%FF', 'a%'])('%j is nothing that was written here', (raw) => {
    expect(percentDecode(raw)).toBeUndefined()
  })

  test.each(['\ud800', 'a\udc00', 7, undefined, null])('%j is no text that a cookie can hold', (text) => {
    expect(() => percentEncode('a', text as string)).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_VALUE' }))
  })
})

describe('JSON', () => {
  test('every JSON value comes back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        // Through JSON once, because of -0 and __proto__.
        const plain = JSON.parse(JSON.stringify(value), (key, member) => (key === '__proto__' ? undefined : member))
        expect(jsonDecode(jsonEncode('a', plain))).toEqual(plain)
      }),
    )
  })

  test.each([
    '{"__proto__":{"admin":true},"a":1}',
    '{"\\u005f_proto__":{"admin":true},"a":1}',
    '{"a":1,"b":{"__proto__":[]}}',
  ])('the member __proto__ of %s is left out', (text) => {
    const value = jsonDecode(text) as Record<string, unknown>
    const merged = Object.assign({}, value, value.b)
    expect(JSON.stringify(value)).not.toContain('__proto__')
    expect(merged).toMatchObject({ a: 1 })
    expect('admin' in merged).toBe(false)
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
  })

  test.each(['', '{', 'undefined', "{'a':1}", '\ufeff1'])('%j is no JSON', (text) => {
    expect(jsonDecode(text)).toBeUndefined()
  })

  test.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a bigint', 1n],
    ['a cycle', cycle()],
  ])('%s cannot be written', (_, value) => {
    expect(() => jsonEncode('a', value)).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_VALUE' }))
  })
})

function cycle(): object {
  const value: { self?: object } = {}
  value.self = value
  return value
}
