import fc from 'fast-check'
import { UsageError } from 'gatepass'
import {
  type CookieAttributes,
  parseCookie,
  parseSetCookie,
  serializeCookie,
  serializeSetCookie,
} from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'
import { maxAttributeSize, maxLifetime, maxPairSize } from './serialize.ts'

const code = (wanted: string) => expect.objectContaining({ code: wanted, hint: expect.stringMatching(/\w{3}/) })
const attempt =
  (name: unknown, value: unknown, attributes?: unknown): (() => string) =>
  () =>
    serializeSetCookie(name as string, value as string, attributes as CookieAttributes)

describe('serializeSetCookie', () => {
  test('all attributes are written, each once', () => {
    const attributes = {
      domain: 'example.com',
      path: '/app',
      maxAge: 60,
      expires: new Date(0),
      secure: true,
      httpOnly: true,
      sameSite: 'none',
      partitioned: true,
      priority: 'high',
    } as const
    expect(serializeSetCookie('a', 'b', attributes)).toBe(
      'a=b; Domain=example.com; Path=/app; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=None; Partitioned; Priority=High',
    )
  })

  test('nothing is added that was not asked for, and false or undefined is not asking', () => {
    expect(serializeSetCookie('a', '')).toBe('a=')
    const attributes = {
      secure: false,
      httpOnly: false,
      partitioned: false,
      path: undefined,
    } as unknown as CookieAttributes
    expect(serializeSetCookie('a', 'b', attributes)).toBe('a=b')
  })

  test('a dot in front of the Domain is left out, since browsers ignore it', () => {
    expect(serializeSetCookie('a', 'b', { domain: '.example.com' })).toBe('a=b; Domain=example.com')
  })

  test('quotes around a value are part of it and stay', () => {
    expect(serializeSetCookie('a', '"b"')).toBe('a="b"')
  })

  test.each([
    ['', 'ERR_COOKIE_NAME'],
    ['a b', 'ERR_COOKIE_NAME'],
    ['a=b', 'ERR_COOKIE_NAME'],
    ['a;b', 'ERR_COOKIE_NAME'],
    ['a\r\nb', 'ERR_COOKIE_NAME'],
    ['ä', 'ERR_COOKIE_NAME'],
    [undefined, 'ERR_COOKIE_NAME'],
    [7, 'ERR_COOKIE_NAME'],
  ])('the name %j is refused', (name, wanted) => {
    expect(attempt(name, 'v')).toThrow(code(wanted))
  })

  test.each(['a b', 'a"b', 'a,b', 'a;b', 'a\\b', 'a\nb', '"', '"a', 'a"', '""a"', 'ä', '\u2028', undefined, null, 7])(
    'the value %j is refused, and not repeated in the message',
    (value) => {
      expect(attempt('name', value)).toThrow(code('ERR_COOKIE_VALUE'))
      if (typeof value === 'string' && value.length > 1) {
        expect(attempt('name', `secret${value}`)).not.toThrow(/secret/)
      }
    },
  )

  test.each([
    ['example.com:80', /port/],
    ['bücher.example', /A-label/],
    ['a b', /host name/],
    ['a;b', /host name/],
    ['-a.example', /host name/],
    ['a-.example', /host name/],
    ['a..example', /host name/],
    ['..example', /host name/],
    ['example.', /host name/],
    ['.', /host name/],
    ['', /host name/],
    ['[::1]', /host name/],
    ['my_host.example', /host name/],
    [`${'a'.repeat(64)}.example`, /host name/],
    [`${'a.'.repeat(127)}example`, /host name/],
    ['https://example.com', /host name/],
    [7, /host name/],
    [null, /host name/],
  ])('the Domain %j is refused with a remedy', (domain, hint) => {
    expect(attempt('a', 'b', { domain })).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_DOMAIN', hint: expect.stringMatching(hint) }),
    )
  })

  test.each([
    'example.com',
    'EXAMPLE.com',
    'xn--bcher-kva.example',
    'localhost',
    '127.0.0.1',
    '1a.example',
    `${'a'.repeat(63)}.de`,
  ])('the Domain %j is written', (domain) => {
    expect(serializeSetCookie('a', 'b', { domain })).toBe(`a=b; Domain=${domain}`)
  })

  test.each(['', 'a', '/a;b', '/a\n', '/a\0', '/ä', '/\u007f', '/\u2028', 7, null])(
    'the Path %j is refused',
    (path) => {
      expect(attempt('a', 'b', { path })).toThrow(code('ERR_COOKIE_PATH'))
    },
  )

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1.5, -1, -0.5, '60', null, maxLifetime + 1, 2 ** 53])(
    'a Max-Age of %s is refused',
    (maxAge) => {
      expect(attempt('a', 'b', { maxAge })).toThrow(code('ERR_COOKIE_MAX_AGE'))
    },
  )

  test.each([
    new Date(Number.NaN),
    new Date(Date.UTC(1600, 11, 31)),
    new Date(Date.UTC(10_000, 0, 1)),
    0,
    '2030-01-01',
    null,
  ])('Expires %s is refused', (expires) => {
    expect(attempt('a', 'b', { expires })).toThrow(code('ERR_COOKIE_EXPIRES'))
  })

  test.each([
    [{ HttpOnly: true }, /httpOnly/],
    [{ httponly: true, httpOnly: true }, /httpOnly/],
    [{ 'max-age': 1 }, /maxAge/],
    [{ Domain: 'a.example', domain: 'a.example' }, /domain/],
    [{ encode: String }, /There are/],
    [{ toString: true }, /There are/],
    [JSON.parse('{"__proto__": true}'), /There are/],
  ])('the attributes %j are refused', (attributes, hint) => {
    expect(attempt('a', 'b', attributes)).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_ATTRIBUTE', hint: expect.stringMatching(hint) }),
    )
  })

  test.each([
    { secure: 'true' },
    { httpOnly: 1 },
    { partitioned: null },
    { sameSite: 'Lax' },
    { sameSite: true },
    { sameSite: 'toString' },
    { priority: 'High' },
  ])('the attributes %j are refused', (attributes) => {
    expect(attempt('a', 'b', attributes)).toThrow(code('ERR_COOKIE_ATTRIBUTE'))
  })

  test('SameSite=None and Partitioned need Secure', () => {
    for (const attributes of [{ sameSite: 'none' }, { partitioned: true }]) {
      expect(attempt('a', 'b', attributes)).toThrow(code('ERR_COOKIE_SECURE_REQUIRED'))
      expect(attempt('a', 'b', { ...attributes, secure: true })()).toContain('Secure')
    }
  })

  test('name and value together take 4,096 bytes and not one more', () => {
    expect(serializeSetCookie('name', 'v'.repeat(maxPairSize - 4))).toHaveLength(maxPairSize + 1)
    expect(attempt('name', 'v'.repeat(maxPairSize - 3))).toThrow(code('ERR_COOKIE_TOO_LARGE'))
  })

  test('a Path takes 1,024 bytes and not one more', () => {
    expect(serializeSetCookie('a', 'b', { path: '/'.repeat(maxAttributeSize) })).toHaveLength(maxAttributeSize + 10)
    expect(attempt('a', 'b', { path: '/'.repeat(maxAttributeSize + 1) })).toThrow(code('ERR_COOKIE_PATH'))
  })

  test('frozen attributes that suit one name are checked again for another', () => {
    const attributes = Object.freeze({ path: '/app', secure: true })
    expect(serializeSetCookie('__Secure-a', 'b', attributes)).toBe('__Secure-a=b; Path=/app; Secure')
    expect(serializeSetCookie('__Secure-a', 'c', attributes)).toBe('__Secure-a=c; Path=/app; Secure')
    expect(attempt('__Host-a', 'b', attributes)).toThrow(code('ERR_COOKIE_PREFIX'))
  })

  test('attributes changed between two calls are read anew', () => {
    const attributes: CookieAttributes = { path: '/a' }
    serializeSetCookie('a', 'b', attributes)
    attributes.path = '/b'
    expect(serializeSetCookie('a', 'b', attributes)).toBe('a=b; Path=/b')
    const expires = new Date(0)
    const frozen = Object.freeze({ expires })
    serializeSetCookie('a', 'b', frozen)
    expires.setTime(1000)
    expect(serializeSetCookie('a', 'b', frozen)).toContain('00:00:01')
  })

  test('an error names the cookie and the offender and is a UsageError', () => {
    expect(attempt('theme', 'b', { domain: 'a:1' })).toThrow(UsageError)
    expect(attempt('theme', 'b', { domain: 'a:1' })).toThrow(/theme.*"a:1"/)
    expect(attempt('theme', 'a;b')).toThrow(/U\+003B/)
  })

  test('control characters of a refused name stay out of the message', () => {
    expect(attempt('a\r\nInjected: b', 'v')).not.toThrow(/[\r\n]/)
  })
})

const token = fc.string({ unit: fc.constantFrom(..."!#$%&'*+-.^_`|~09azAZ"), minLength: 1, maxLength: 20 })
const octets = fc.string({ unit: fc.constantFrom(..."!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"), maxLength: 40 })
const attributes = fc.record(
  {
    domain: fc.domain(),
    path: fc.webPath().map((path) => `/${path.replaceAll(';', '')}`),
    maxAge: fc.integer({ min: 0, max: maxLifetime }),
    expires: fc.date({
      min: new Date('1601-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    }),
    secure: fc.constant(true),
    httpOnly: fc.constant(true),
    sameSite: fc.constantFrom('strict', 'lax', 'none'),
    partitioned: fc.constant(true),
    priority: fc.constantFrom('low', 'medium', 'high'),
  },
  { requiredKeys: ['secure'] },
)

test('what is written is read back: name, value and every attribute', () => {
  fc.assert(
    fc.property(token, octets, attributes, (name, value, given) => {
      fc.pre(!name.startsWith('__') && (given.domain?.length ?? 0) < 200)
      const read = parseSetCookie(serializeSetCookie(name, value, given))
      const expires = given.expires && new Date(Math.floor(given.expires.getTime() / 1000) * 1000)
      expect(read).toEqual({
        name,
        value,
        attributes: { ...given, ...(expires && { expires }), ...lowerDomain(given) },
      })
    }),
  )
})

function lowerDomain({ domain }: { domain?: string }): { domain?: string } {
  return domain === undefined ? {} : { domain: domain.toLowerCase() }
}

test('whatever is given, the result is a single field with the attributes asked for, or a UsageError', () => {
  const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), octets, fc.constant('a; Domain=evil\r\nX: y'))
  fc.assert(
    fc.property(anything, anything, anything, anything, (name, value, domain, path) => {
      const field = fieldOrUndefined(() => serializeSetCookie(name, value, { domain, path }))
      if (field === undefined) return
      expect(field).toMatch(/^[^;\r\n\0]*; Domain=[^;\r\n\0]*; Path=[^;\r\n\0]*$/)
    }),
    { numRuns: 2000 },
  )
})

function fieldOrUndefined(write: () => string): string | undefined {
  try {
    return write()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    return undefined
  }
}

describe('serializeCookie', () => {
  test('what is written is read back', () => {
    fc.assert(
      fc.property(fc.dictionary(token, octets, { maxKeys: 8 }), (cookies) => {
        expect({ ...parseCookie(serializeCookie(cookies)) }).toEqual({ ...cookies })
      }),
    )
  })

  test('cookies that are undefined are left out', () => {
    expect(serializeCookie({ a: '1', b: undefined, c: '3' })).toBe('a=1; c=3')
  })

  test('what no cookie can hold is refused', () => {
    expect(() => serializeCookie({ a: '1; b=2' })).toThrow(code('ERR_COOKIE_VALUE'))
    expect(() => serializeCookie({ 'a b': '1' })).toThrow(code('ERR_COOKIE_NAME'))
  })
})
