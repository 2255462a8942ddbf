import { UsageError } from 'gatepass'
import cookie, {
  parse,
  parseCookie,
  parseSetCookie,
  serialize,
  stringifyCookie,
  stringifySetCookie,
} from 'gatepass/compat/cookie'
import { describe, expect, test } from 'vitest'

test('parse takes quotes off, parseCookie keeps them; both decode, and keep what they cannot decode', () => {
  const header = ' a = "b%20c" ;a=d; =e; f; g=%; h="'
  expect({ ...parse(header) }).toEqual({ a: 'b c', '': 'e', g: '%', h: '' })
  expect({ ...parseCookie(header) }).toEqual({ a: '"b c"', '': 'e', g: '%', h: '"' })
})

test('a decoder of the application may throw in parse, and leave a cookie out in parseCookie', () => {
  const decode = (text: string): string | undefined => (text === 'x' ? undefined : text)
  expect({ ...parseCookie('a=x; a=y', { decode }) }).toEqual({ a: 'y' })
  const refuse = (): never => {
    throw new Error('not today')
  }
  expect({ ...parse('a="x"', { decode: refuse }) }).toEqual({ a: 'x' })
})

test('a Set-Cookie field is read with the attributes that are understood', () => {
  const field =
    'a=b%20c; Max-Age=9; max-age=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax; samesite=no; Path=/=; Secure'
  expect(parseSetCookie(field)).toEqual({
    name: 'a',
    value: 'b c',
    maxAge: 9,
    expires: new Date(0),
    sameSite: 'lax',
    path: '/=',
    secure: true,
  })
  expect(parseSetCookie('alone; =; HttpOnly=1; Partitioned; Domain; priority=HIGH')).toEqual({
    name: '',
    value: 'alone',
    httpOnly: true,
    partitioned: true,
    domain: undefined,
    priority: 'high',
  })
})

test('a name and a value are percent-encoded as 0.7 and 1 do, an object and a header only where they must be, as 2', () => {
  expect(serialize('a', 'b:c +')).toBe('a=b%3Ac%20%2B')
  expect(serialize('a', 'b:c')).toBe('a=b%3Ac')
  expect(stringifySetCookie({ name: 'a', value: 'b:c' })).toBe('a=b:c')
  expect(stringifyCookie({ a: 'b:c', d: 'e f', g: undefined, h: '%' })).toBe('a=b:c; d=e%20f; h=%25')
})

test('with name and value, a lifetime is rounded and null is none, as in 0.7', () => {
  expect(serialize('a', 'b', { maxAge: 3.9 })).toBe('a=b; Max-Age=3')
  expect(serialize('a', 'b', { maxAge: null as unknown as number })).toBe('a=b')
})

describe('what cannot be sent is refused in the words of the original, without the value:', () => {
  test.each([
    ['a name', () => serialize('a b', ''), 'ERR_COOKIE_NAME', /argument name is invalid/],
    ['a name', () => stringifyCookie({ 'a;': '' }), 'ERR_COOKIE_NAME', /cookie name is invalid/],
    ['a value', () => serialize('a', 'secret;', { encode: (x) => x }), 'ERR_COOKIE_VALUE', /argument val is invalid/],
    ['a value', () => stringifyCookie({ a: 'secret;' }, { encode: (x) => x }), 'ERR_COOKIE_VALUE', /cookie val is/],
    [
      'a lifetime',
      () => serialize('a', 'b', { maxAge: Number.POSITIVE_INFINITY }),
      'ERR_COOKIE_MAX_AGE',
      /option maxAge/,
    ],
    [
      'a lifetime',
      () => stringifySetCookie({ name: 'a', value: '', maxAge: 1.5 }),
      'ERR_COOKIE_MAX_AGE',
      /option maxAge/,
    ],
    ['a domain', () => serialize('a', 'b', { domain: 'a; b' }), 'ERR_COOKIE_DOMAIN', /option domain is invalid/],
    ['a path', () => serialize('a', 'b', { path: '/;' }), 'ERR_COOKIE_PATH', /option path is invalid/],
    ['a date', () => serialize('a', 'b', { expires: new Date(Number.NaN) }), 'ERR_COOKIE_EXPIRES', /option expires is/],
    ['a priority', () => serialize('a', 'b', { priority: 'x' as 'low' }), 'ERR_COOKIE_ATTRIBUTE', /option priority is/],
    ['a SameSite', () => serialize('a', 'b', { sameSite: 'x' as 'lax' }), 'ERR_COOKIE_ATTRIBUTE', /option sameSite is/],
    [
      'an encoder',
      () => serialize('a', 'b', { encode: 1 as never }),
      'ERR_COOKIE_ATTRIBUTE',
      /option encode is invalid/,
    ],
    ['a header', () => parse(undefined as never), 'ERR_COOKIE_VALUE', /argument str must be a string/],
  ])('%s', (_what, write, code, words) => {
    const error = thrownBy(write)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(words)
    expect(error.message).not.toContain('secret')
  })
})

test('a cookie of a dangerous name changes no prototype', () => {
  const header = '__proto__=a; constructor=b; toString=c; constructor=d'
  const decode = (value: string) => Object(value) as string
  const [plain, wrapped] = [parse(header), parse(header, { decode })]
  expect(Object.hasOwn(plain, 'constructor')).toBe(true)
  expect(Object.entries(plain)).toEqual(Object.entries({ constructor: 'b', toString: 'c' }))
  for (const cookies of [plain, wrapped]) expect(Object.getPrototypeOf(cookies)).toBe(Object.prototype)
  expect(Object.getPrototypeOf(parseCookie('a=b'))).toBeNull()
  expect(parseCookie(header)).toMatchObject({ ['__proto__']: 'a' })
})

test('the default export has all of it', () => {
  expect(Object.keys(cookie).sort()).toEqual(
    ['parse', 'parseCookie', 'parseSetCookie', 'serialize', 'stringifyCookie', 'stringifySetCookie'].sort(),
  )
})

function thrownBy(run: () => unknown): UsageError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    return error as UsageError
  }
  throw new Error('Nothing was thrown')
}
