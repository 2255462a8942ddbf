import { type } from 'arktype'
import fc from 'fast-check'
import { UsageError } from 'gatepass'
import {
  type Cookie,
  jsonCookie,
  plainCookie,
  type SignedCookieOptions,
  sealedCookie,
  serializeSetCookie,
  signedCookie,
} from 'gatepass/cookie'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as z from 'zod'

const first = 'first-key-first-key-first-key-first-key'
const second = 'second-key-second-key-second-key-second'
const keys = [first] as const
const text = fc.string({ unit: 'grapheme', maxLength: 200 })
const junk = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('%', '.', 'v1', 's', 'p', '1', '{', '"', 'A'), maxLength: 80 }),
)

const themes = z.object({ theme: z.enum(['light', 'dark']) })
type Readable = Pick<Cookie, 'attributes' | 'purpose' | 'outdated'> & { decode(raw: string): unknown }
const everyKind: [string, Readable][] = [
  ['plainCookie', plainCookie('a')],
  ['plainCookie without encoding', plainCookie('a', { encoding: 'none' })],
  ['jsonCookie', jsonCookie('a', { schema: themes })],
  ['signedCookie', signedCookie('a', { keys })],
  ['sealedCookie', sealedCookie('a', { keys })],
]

describe.each(everyKind)('%s', (_, cookie) => {
  test('has Path=/, Secure, HttpOnly and SameSite=Lax, and is necessary', () => {
    expect(cookie.attributes).toEqual({ path: '/', secure: true, httpOnly: true, sameSite: 'lax' })
    expect(cookie.purpose).toBe('necessary')
  })

  test('never throws at what a browser sends', () => {
    fc.assert(
      fc.property(junk, (raw) => {
        cookie.decode(raw)
        if (cookie.decode(raw) !== undefined) cookie.outdated?.(raw)
      }),
    )
  })
})

test.each([
  ['plainCookie', (name: string, options: object) => plainCookie(name, options)],
  ['jsonCookie', (name: string, options: object) => jsonCookie(name, { schema: themes, ...options })],
  ['signedCookie', (name: string, options: object) => signedCookie(name, { keys, ...options })],
  ['sealedCookie', (name: string, options: object) => sealedCookie(name, { keys, ...options })],
] as const)('%s refuses a mistake when it is declared, not when it is sent', (_, declare) => {
  expect(() => declare('a b', {})).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_NAME' }))
  expect(() => declare('__Host-a', { domain: 'a.example' })).toThrow(
    expect.objectContaining({ code: 'ERR_COOKIE_PREFIX' }),
  )
  expect(() => declare('a', { maxAge: -1 })).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_MAX_AGE' }))
  expect(() => declare('a', { MaxAge: 1 })).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_ATTRIBUTE' }))
})

test('attributes of a declared cookie cannot be changed any more', () => {
  expect(Object.isFrozen(plainCookie('a').attributes)).toBe(true)
})

describe('plainCookie', () => {
  test('every well-formed text comes back', () => {
    const cookie = plainCookie('a')
    fc.assert(
      fc.property(text, (value) => {
        expect(cookie.decode(cookie.encode(value))).toBe(value)
      }),
    )
  })

  test('without encoding a value is read as it was sent, and has one spelling', () => {
    const cookie = plainCookie('a', { encoding: 'none' })
    expect(cookie.decode('%41"')).toBe('%41"')
    expect(() => serializeSetCookie('a', cookie.encode('a b'))).toThrow(UsageError)
  })
})

describe('jsonCookie', () => {
  const schemas = [
    ['zod', jsonCookie('theme', { schema: themes })],
    ['valibot', jsonCookie('theme', { schema: v.object({ theme: v.picklist(['light', 'dark']) }) })],
    ['arktype', jsonCookie('theme', { schema: type({ theme: "'light'|'dark'" }) })],
  ] as const

  test.each(schemas)('with %s it gives what the schema accepts and nothing else', (_, cookie) => {
    expect(cookie.decode(cookie.encode({ theme: 'dark' }))).toEqual({ theme: 'dark' })
    for (const raw of ['%7B%22theme%22:%22pink%22%7D', '%7B%7D', '7', 'null', '{', '%', '']) {
      expect(cookie.decode(raw)).toBeUndefined()
    }
  })

  test('the type of its value is the type of the schema', () => {
    const [[, withZod], [, withValibot], [, withArktype]] = schemas
    type Theme = { theme: 'light' | 'dark' }
    expectTypeOf(withZod).toEqualTypeOf<Cookie<Theme>>()
    expectTypeOf(withValibot).toEqualTypeOf<Cookie<Theme>>()
    expectTypeOf(withArktype).toEqualTypeOf<Cookie<Theme>>()
  })

  test('a schema may transform what it reads', () => {
    const cookie = jsonCookie('since', { schema: z.iso.datetime().transform((date) => new Date(date)) })
    expect(cookie.decode(cookie.encode(new Date(0)))).toEqual(new Date(0))
  })

  test.each([
    ['zod', z.string().refine(async () => true)],
    [
      'valibot',
      v.pipeAsync(
        v.string(),
        v.checkAsync(async () => true),
      ),
    ],
  ])('an asynchronous schema of %s is a usage error', (_, schema) => {
    const cookie = jsonCookie('a', { schema })
    expect(() => cookie.decode('%22x%22')).toThrow(
      expect.objectContaining({
        name: 'UsageError',
        code: 'ERR_COOKIE_SCHEMA',
        hint: expect.stringContaining('synchronous'),
      }),
    )
  })

  test('an asynchronous schema that fails leaves no unhandled rejection behind', async () => {
    const seen: unknown[] = []
    const note = (reason: unknown) => seen.push(reason)
    process.on('unhandledRejection', note)
    const validate = () => Promise.reject(new Error('late'))
    const cookie = jsonCookie('a', { schema: { '~standard': { version: 1, vendor: 'test', validate } } })
    expect(() => cookie.decode('1')).toThrow(UsageError)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(seen).toEqual([])
  })

  test('a schema that throws refuses', () => {
    const validate = () => {
      throw new TypeError('stumbled')
    }
    const cookie = jsonCookie('a', { schema: { '~standard': { version: 1, vendor: 'test', validate } } })
    expect(cookie.decode('1')).toBeUndefined()
  })

  test('__proto__ in the JSON reaches nobody', () => {
    const cookie = jsonCookie('a', { schema: z.looseObject({}) })
    const value = cookie.decode('{%22__proto__%22:{%22admin%22:true}}')
    expect(value).toEqual({})
    expect(Object.assign({}, value)).not.toHaveProperty('admin')
  })
})

const start = Date.UTC(2026, 0, 1)
const protectedKinds: [string, (name: string, options: SignedCookieOptions) => Cookie][] = [
  ['signedCookie', signedCookie],
  ['sealedCookie', (name, options) => sealedCookie<string>(name, options)],
]

describe.each(protectedKinds)('%s', (_, declare) => {
  test('every well-formed text comes back', () => {
    const cookie = declare('a', { keys })
    fc.assert(
      fc.property(text, (value) => {
        expect(cookie.decode(cookie.encode(value))).toBe(value)
      }),
    )
  })

  test('what it writes needs no encoding', () => {
    const cookie = declare('a', { keys, maxAge: 60 })
    fc.assert(
      fc.property(text, (value) => {
        expect(serializeSetCookie('a', cookie.encode(value))).toContain('a=')
      }),
    )
  })

  test('a value changed in any one place, cut or lengthened is absent', () => {
    const cookie = declare('a', { keys, maxAge: 60 })
    const raw = cookie.encode('value')
    for (let i = 0; i < raw.length; i++) {
      for (const other of ['A', 'B', '.', '0', '%41']) {
        if (raw[i] !== other) expect(cookie.decode(raw.slice(0, i) + other + raw.slice(i + 1))).toBeUndefined()
      }
      expect(cookie.decode(raw.slice(0, i))).toBeUndefined()
      expect(cookie.decode(raw.slice(i + 1))).toBeUndefined()
    }
    expect(cookie.decode(`${raw}A`)).toBeUndefined()
    expect(cookie.decode(` ${raw}`)).toBeUndefined()
  })

  test('the value of one cookie is absent under the name of another', () => {
    const raw = declare('a', { keys }).encode('value')
    expect(declare('b', { keys }).decode(raw)).toBeUndefined()
  })

  test('the value written for one usage is absent for another', () => {
    const raw = declare('a', { keys, usage: 'one' }).encode('value')
    expect(declare('a', { keys, usage: 'other' }).decode(raw)).toBeUndefined()
    expect(declare('a', { keys }).decode(raw)).toBeUndefined()
  })

  test('a value under a retired key is read and known to be outdated; under a dropped one it is absent', () => {
    const raw = declare('a', { keys: [first] }).encode('value')
    const rotated = declare('a', { keys: [second, first] })
    expect(rotated.decode(raw)).toBe('value')
    expect(rotated.outdated?.(raw)).toBe(true)
    expect(rotated.outdated?.(rotated.encode('value'))).toBe(false)
    expect(declare('a', { keys: [second] }).decode(raw)).toBeUndefined()
    expect(declare('a', { keys: [first] }).outdated?.(raw)).toBe(false)
  })

  test('a value ends with Max-Age, also where the browser goes on sending it', () => {
    let now = start
    const cookie = declare('a', { keys, maxAge: 60, clock: () => now })
    const raw = cookie.encode('value')
    now = start + 59_999
    expect(cookie.decode(raw)).toBe('value')
    now = start + 60_000
    expect(cookie.decode(raw)).toBeUndefined()
  })

  test('a value ends with Expires where there is no Max-Age', () => {
    let now = start
    const cookie = declare('a', { keys, expires: new Date(start + 60_000), clock: () => now })
    const raw = cookie.encode('value')
    now = start + 60_000
    expect(cookie.decode(raw)).toBeUndefined()
  })

  test('a lifetime shorter than Max-Age ends it earlier', () => {
    let now = start
    const cookie = declare('a', { keys, maxAge: 60, lifetime: 10, clock: () => now })
    const raw = cookie.encode('value')
    now = start + 9999
    expect(cookie.decode(raw)).toBe('value')
    now = start + 10_000
    expect(cookie.decode(raw)).toBeUndefined()
  })

  // The last but one: a day and a half, in milliseconds.
  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 129_600_000, Number.MAX_VALUE])(
    'a lifetime of %s is refused',
    (lifetime) => {
      expect(() => declare('a', { keys, lifetime })).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_MAX_AGE' }))
    },
  )

  test('short keys are refused', () => {
    expect(() => declare('a', { keys: ['secret'] })).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_KEYS' }))
  })
})

describe('signedCookie', () => {
  test('the text stays readable and no expiry is added where nothing ends it', () => {
    expect(signedCookie('a', { keys }).encode('de-DE')).toMatch(/^de-DE\.s\.[A-Za-z0-9_-]{43}$/)
  })

  test('a value without an end is read for ever', () => {
    let now = start
    const cookie = signedCookie('a', { keys, clock: () => now })
    const raw = cookie.encode('value')
    now = start + 1e13
    expect(cookie.decode(raw)).toBe('value')
  })

  test('a dot in the text does not confuse it with the expiry', () => {
    const cookie = signedCookie('a', { keys, maxAge: 60 })
    expect(cookie.decode(cookie.encode('1.2.p3'))).toBe('1.2.p3')
    expect(cookie.decode(cookie.encode(''))).toBe('')
  })

  test('a signature by another kind, on the same text, is not accepted', () => {
    const [version, id, body] = sealedCookie('a', { keys }).encode('value').split('.')
    expect(signedCookie('a', { keys }).decode(`${version}.${id}.${body?.slice(0, 43)}`)).toBeUndefined()
  })
})

describe('sealedCookie', () => {
  test('every JSON value comes back', () => {
    const cookie = sealedCookie<unknown>('a', { keys })
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2 }), (value) => {
        const plain = JSON.parse(JSON.stringify(value))
        if (JSON.stringify(plain).length > 2000 || JSON.stringify(plain).includes('__proto__')) return
        expect(cookie.decode(cookie.encode(plain))).toEqual(plain)
      }),
    )
  })

  test('without Max-Age a value ends after 24 hours', () => {
    let now = start
    const cookie = sealedCookie('a', { keys, clock: () => now })
    const raw = cookie.encode({ user: 'ada' })
    now = start + 86_399_999
    expect(cookie.decode(raw)).toEqual({ user: 'ada' })
    now = start + 86_400_000
    expect(cookie.decode(raw)).toBeUndefined()
  })

  test('nothing of the value can be read in the cookie', () => {
    const raw = sealedCookie('a', { keys }).encode({ user: 'ada.lovelace' })
    expect(Buffer.from(raw, 'base64url').toString('latin1') + raw).not.toMatch(/ada|user|lovelace/)
  })

  test('a schema refuses what an earlier version of the program wrote', () => {
    const raw = sealedCookie('a', { keys }).encode({ colour: 'dark' })
    expect(sealedCookie('a', { keys, schema: themes }).decode(raw)).toBeUndefined()
    expect(sealedCookie('a', { keys }).decode(raw)).toEqual({ colour: 'dark' })
  })

  test('more than 3,800 bytes are refused rather than lost in the browser', () => {
    const cookie = sealedCookie<string>('a', { keys })
    expect(cookie.encode('x'.repeat(2700)).length).toBeLessThanOrEqual(3800)
    expect(() => cookie.encode('x'.repeat(2900))).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_TOO_LARGE' }))
  })

  test('a value that has no form in JSON is refused', () => {
    const cookie = sealedCookie<unknown>('a', { keys })
    expect(() => cookie.encode(undefined)).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_VALUE' }))
  })
})
