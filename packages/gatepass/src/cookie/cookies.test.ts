import fc from 'fast-check'
import {
  type Cookie,
  Cookies,
  consentCookie,
  consentTo,
  countCookie,
  jsonCookie,
  parseCookie,
  parseSetCookie,
  plainCookie,
  readCookie,
  sealedCookie,
  signedCookie,
} from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'

const first = 'first-key-first-key-first-key-first-key'
const second = 'second-key-second-key-second-key-second'
const start = Date.UTC(2026, 0, 1)
const day = 86_400

describe('Cookies', () => {
  test('a cookie the browser sent is decoded by its kind', () => {
    const theme = jsonCookie('theme', { schema: z.object({ dark: z.boolean() }) })
    expect(new Cookies('a=1; theme=%7B%22dark%22:true%7D').get(theme)).toEqual({ dark: true })
  })

  test('a cookie the browser did not send, or sent broken, is undefined', () => {
    const cookies = new Cookies('a=%zz')
    expect(cookies.get(plainCookie('a'))).toBeUndefined()
    expect(cookies.get(plainCookie('b'))).toBeUndefined()
    expect(new Cookies(undefined).get(plainCookie('a'))).toBeUndefined()
  })

  test('raw is the first value as sent, and count says how many there are', () => {
    const cookies = new Cookies('a="%41"; a=2; b=')
    expect(cookies.raw('a')).toBe('"%41"')
    expect([cookies.count('a'), cookies.count('b'), cookies.count('c')]).toEqual([2, 1, 0])
    expect(cookies.raw('c')).toBeUndefined()
  })

  test('a plain cookie sent twice is the first, a signed or sealed one is absent', () => {
    const signed = signedCookie('s', { keys: [first] })
    const sealed = sealedCookie<string>('e', { keys: [first] })
    const header = `p=1; p=2; s=${signed.encode('1')}; s=${signed.encode('2')}; e=${sealed.encode('1')}; e=x`
    const cookies = new Cookies(header)
    expect(cookies.get(plainCookie('p'))).toBe('1')
    expect(cookies.get(signed)).toBeUndefined()
    expect(cookies.get(sealed)).toBeUndefined()
  })

  test('nothing is set where nothing was drafted', () => {
    const cookies = new Cookies('a=1')
    cookies.get(plainCookie('a'))
    expect(cookies.changed).toBe(false)
    expect(cookies.setCookieFields()).toEqual([])
  })

  test('there is one field per name, the last, in the order the names came up first', () => {
    const [a, b] = [plainCookie('a'), plainCookie('b')]
    const cookies = new Cookies(undefined)
    cookies.set(a, '1')
    cookies.set(b, '2')
    cookies.set(a, '3')
    expect(cookies.changed).toBe(true)
    expect(cookies.setCookieFields()).toEqual([
      'a=3; Path=/; Secure; HttpOnly; SameSite=Lax',
      'b=2; Path=/; Secure; HttpOnly; SameSite=Lax',
    ])
  })

  test('what was drafted is what is read from then on; raw stays what was sent', () => {
    const cookie = plainCookie('a')
    const cookies = new Cookies('a=old')
    cookies.set(cookie, 'new one')
    expect(cookies.get(cookie)).toBe('new one')
    cookies.delete(cookie)
    expect(cookies.get(cookie)).toBeUndefined()
    expect(cookies.raw('a')).toBe('old')
  })

  test('attributes for this time go over those of the cookie, and are checked together with them', () => {
    const cookies = new Cookies(undefined)
    cookies.set(plainCookie('__Host-a'), '1', { maxAge: 60, sameSite: 'strict' })
    expect(cookies.setCookieFields()).toEqual(['__Host-a=1; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Strict'])
    expect(() => cookies.set(plainCookie('__Host-a'), '1', { path: '/app' })).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_PREFIX' }),
    )
  })

  test('a cookie made by hand is checked like any other', () => {
    const cookie: Cookie = { ...plainCookie('a', { encoding: 'none' }), name: '__Host-b', attributes: { path: '/' } }
    expect(() => new Cookies(undefined).set(cookie, '1')).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_PREFIX' }),
    )
    expect(() => new Cookies(undefined).set({ ...cookie, name: 'b' }, '1; Path=/x')).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_VALUE' }),
    )
  })

  test('a refused value leaves the earlier draft as it was', () => {
    const cookie = plainCookie('a', { encoding: 'none' })
    const cookies = new Cookies(undefined)
    cookies.set(cookie, '1')
    expect(() => cookies.set(cookie, ';')).toThrow()
    expect(cookies.setCookieFields()).toEqual(['a=1; Path=/; Secure; HttpOnly; SameSite=Lax'])
  })

  test('removal repeats path, domain and everything else that says which cookie is meant', () => {
    const cookies = new Cookies(undefined)
    cookies.delete(plainCookie('a', { domain: 'example.com', path: '/app', partitioned: true, maxAge: day }))
    cookies.delete(plainCookie('__Host-b'))
    expect(cookies.setCookieFields()).toEqual([
      'a=; Domain=example.com; Path=/app; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax; Partitioned',
      '__Host-b=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax',
    ])
  })

  test('deletions in other scopes are kept for each cookie', () => {
    const cookies = new Cookies('a=1; b=2')
    cookies.deleteElsewhere(plainCookie('a'), [{ path: '/app' }])
    cookies.deleteElsewhere(plainCookie('b'), [{ path: '/app' }])
    expect(cookies.setCookieFields().map((field) => field.slice(0, 2))).toEqual(['a=', 'b='])
  })

  test('once the response has left, setting and removing is a usage error', () => {
    const cookies = new Cookies('a=1', { writable: () => false })
    const late = expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' })
    expect(() => cookies.set(plainCookie('a'), '1')).toThrow(late)
    expect(() => cookies.delete(plainCookie('a'))).toThrow(late)
    expect(cookies.get(plainCookie('a'))).toBe('1')
  })

  test('a protected value set with its own Max-Age ends with that', () => {
    let now = start
    const clock = () => now
    const cookie = sealedCookie<string>('a', { keys: [first], clock })
    const cookies = new Cookies(undefined, { clock })
    cookies.set(cookie, 'value', { maxAge: 30 * day })
    const raw = parseSetCookie(cookies.setCookieFields()[0] ?? '')?.value ?? ''
    now = start + 30 * day * 1000 - 1
    expect(cookie.decode(raw)).toBe('value')
    now++
    expect(cookie.decode(raw)).toBeUndefined()
  })
})

const kinds: [string, typeof signedCookie][] = [
  ['signed', signedCookie],
  ['sealed', (name, options) => sealedCookie<string>(name, options)],
]

describe.each(kinds)('key rotation of a %s cookie', (_, declare) => {
  const set = (cookie: Cookie, clock: () => number, override?: { maxAge: number }): string => {
    const cookies = new Cookies(undefined, { clock })
    cookies.set(cookie, 'value', override)
    return (cookies.setCookieFields()[0] ?? '').split(';', 1)[0] ?? ''
  }

  test('a value under the retired key is written again under the new one, and then the old key can be dropped', () => {
    const header = set(declare('a', { keys: [first] }), Date.now)
    const during = new Cookies(header)
    expect(during.get(declare('a', { keys: [second, first] }))).toBe('value')
    const [renewed = ''] = during.setCookieFields()
    const after = new Cookies(renewed.split(';', 1)[0])
    expect(after.get(declare('a', { keys: [second] }))).toBe('value')
    expect(after.changed).toBe(false)
  })

  test('a value under the current key is left alone', () => {
    const cookie = declare('a', { keys: [second, first] })
    const cookies = new Cookies(set(cookie, Date.now))
    expect(cookies.get(cookie)).toBe('value')
    expect(cookies.changed).toBe(false)
  })

  test('it ends when it would have ended: Max-Age is what is left of it, in the browser and inside', () => {
    let now = start
    const clock = () => now
    const header = set(declare('a', { keys: [first], maxAge: 30 * day, clock }), clock)
    now = start + 29 * day * 1000
    const rotated = declare('a', { keys: [second, first], maxAge: 30 * day, clock })
    const cookies = new Cookies(header, { clock })
    cookies.get(rotated)
    const renewed = parseSetCookie(cookies.setCookieFields()[0] ?? '')
    expect(renewed?.attributes).toEqual({ ...rotated.attributes, maxAge: day })
    now = start + 30 * day * 1000 - 1
    expect(rotated.decode(renewed?.value ?? '')).toBe('value')
    now++
    expect(rotated.decode(renewed?.value ?? '')).toBeUndefined()
  })

  test('a cookie kept by an override stays kept, for the rest of that time', () => {
    let now = start
    const clock = () => now
    const header = set(declare('a', { keys: [first], clock }), clock, { maxAge: 10 * day })
    now = start + 4 * day * 1000
    const cookies = new Cookies(header, { clock })
    cookies.get(declare('a', { keys: [second, first], clock }))
    expect(cookies.setCookieFields()[0]).toContain(`; Max-Age=${6 * day};`)
  })

  test('a cookie that ends with the browser still does', () => {
    const cookies = new Cookies(set(declare('a', { keys: [first], lifetime: 60 }), Date.now))
    cookies.get(declare('a', { keys: [second, first], lifetime: 60 }))
    expect(cookies.setCookieFields()[0]).toMatch(/; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
    expect(cookies.setCookieFields()[0]).not.toMatch(/Max-Age|Expires/)
  })

  test('nothing is written again when the response has left, and the value is still read', () => {
    const header = set(declare('a', { keys: [first] }), Date.now)
    const cookies = new Cookies(header, { writable: () => false })
    expect(cookies.get(declare('a', { keys: [second, first] }))).toBe('value')
    expect(cookies.changed).toBe(false)
  })

  test('a value that was set on this response is not overwritten by the old one', () => {
    const rotated = declare('a', { keys: [second, first] })
    const cookies = new Cookies(set(declare('a', { keys: [first] }), Date.now))
    cookies.set(rotated, 'new')
    expect(cookies.get(rotated)).toBe('new')
    expect(rotated.decode(parseSetCookie(cookies.setCookieFields()[0] ?? '')?.value ?? '')).toBe('new')
  })
})

describe('consent', () => {
  const consent = consentCookie()
  const necessary = plainCookie('cart')
  const visits = plainCookie('visits', { purpose: 'statistics', path: '/shop' })
  const ads = plainCookie('ads', { purpose: 'marketing' })
  const known = [consent, necessary, visits, ads]

  test('before the visitor has chosen, only necessary cookies are set and read', () => {
    const cookies = new Cookies('cart=1; visits=2; ads=3', { consent })
    expect([cookies.get(necessary), cookies.get(visits), cookies.get(ads)]).toEqual(['1', undefined, undefined])
    expect([cookies.set(necessary, '4'), cookies.set(visits, '5')]).toEqual([true, false])
    expect(cookies.setCookieFields()).toEqual(['cart=4; Path=/; Secure; HttpOnly; SameSite=Lax'])
  })

  test('what the visitor agreed to is set and read, and nothing else', () => {
    const header = `visits=2; ads=3; __Host-consent=${consent.encode(consentTo('statistics'))}`
    const cookies = new Cookies(header, { consent })
    expect([cookies.get(visits), cookies.get(ads)]).toEqual(['2', undefined])
    expect([cookies.set(visits, '3'), cookies.set(ads, '4')]).toEqual([true, false])
  })

  test('a fixed consent takes the place of the cookie', () => {
    const cookies = new Cookies('visits=2; ads=3', { consent: consentTo('marketing') })
    expect([cookies.get(visits), cookies.get(ads)]).toEqual([undefined, '3'])
  })

  test('setting or deleting the consent cookie itself takes effect at once', () => {
    const cookies = new Cookies('__Host-consent=v1.marketing; ads=3', { consent })
    expect(cookies.get(ads)).toBe('3')
    cookies.delete(consent)
    expect(cookies.get(ads)).toBeUndefined()
    cookies.set(consent, consentTo('marketing'))
    expect(cookies.get(ads)).toBe('3')
  })

  test('a choice holds for the exchange also where no cookie keeps it', () => {
    const cookies = new Cookies('ads=3; visits=2', { consent: consentTo('marketing') })
    cookies.setConsent(consentTo('statistics'), [])
    expect([cookies.get(visits), cookies.get(ads)]).toEqual(['2', undefined])
    expect(cookies.changed).toBe(false)
  })

  test('a consent cookie of your own may say of itself what it likes', () => {
    const own = { ...consent, name: 'choice', purpose: 'preferences' } as const
    const cookies = new Cookies('choice=v1.marketing; ads=3', { consent: own })
    expect(cookies.get(ads)).toBe('3')
    cookies.setConsent(consentTo(), known)
    expect(cookies.setCookieFields()[0]).toMatch(/^choice=v1;/)
    expect(cookies.get(ads)).toBeUndefined()
  })

  test('without the option nobody asks and everything is allowed', () => {
    expect(new Cookies('ads=3').get(ads)).toBe('3')
    expect(() => new Cookies('ads=3').setConsent(consentTo(), known)).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_CONSENT' }),
    )
  })

  test('a choice is remembered and holds from then on', () => {
    const cookies = new Cookies('visits=2', { consent })
    cookies.setConsent(consentTo('statistics'), known)
    expect(cookies.get(visits)).toBe('2')
    const fields = cookies.setCookieFields()
    expect(fields).toEqual([
      `__Host-consent=v1.statistics; Path=/; Max-Age=${180 * day}; Secure; HttpOnly; SameSite=Lax`,
    ])
    expect(new Cookies((fields[0] ?? '').split(';', 1)[0], { consent }).get(consent)).toEqual(consentTo('statistics'))
  })

  test('withdrawal removes the cookies the browser sent that are no longer agreed to, and drafts of them', () => {
    const cookies = new Cookies('__Host-consent=v1.statistics.marketing; visits=2; cart=1', { consent })
    cookies.set(ads, 'drafted')
    cookies.setConsent(consentTo(), known)
    const removed = cookies.setCookieFields().map((field) => field.split(';', 3).join(';'))
    expect(removed).toEqual(['__Host-consent=v1; Path=/; Max-Age=15552000', 'visits=; Path=/shop; Max-Age=0'])
    expect([cookies.get(visits), cookies.get(ads), cookies.get(necessary)]).toEqual([undefined, undefined, '1'])
  })

  test('cookies left over from a choice that has run out can be removed', () => {
    const cookies = new Cookies('visits=2; cart=1', { consent })
    cookies.deleteRefused(known)
    expect(cookies.setCookieFields()).toHaveLength(1)
    expect(cookies.setCookieFields()[0]).toContain('visits=; ')
  })

  test('where nothing is refused, nothing is drafted', () => {
    const cookies = new Cookies('cart=1', { consent })
    cookies.deleteRefused(known)
    expect(cookies.changed).toBe(false)
  })

  test('a choice made under another wording counts as none', () => {
    const reworded = consentCookie({ version: 2 })
    expect(new Cookies('__Host-consent=v1.statistics', { consent: reworded }).get(reworded)).toBeUndefined()
  })

  test.each(['v1', 'v1.', 'v1.x', 'v1.necessary'])('%j is a no to everything optional', (raw) => {
    expect(consent.decode(raw)).toEqual({ purposes: [] })
  })

  test.each(['', 'statistics', 'v2.statistics', '.statistics', 'v1 .statistics'])('%j is no choice', (raw) => {
    expect(consent.decode(raw)).toBeUndefined()
  })
})

const header = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '=', ';', ' ', '\t', '"', '\u00a0', '%', ','), maxLength: 40 }),
)
const name = fc.string({ unit: fc.constantFrom('a', 'b', '=', ';', ' ', '\t', '"'), maxLength: 4 })

describe('parseCookie', () => {
  test('pairs are parted at semicolons and at their first equals sign', () => {
    expect(parseCookie('a=1; b=x=y;c=;  d = e ;')).toEqual({ a: '1', b: 'x=y', c: '', d: 'e' })
  })

  test.each([undefined, '', ' ', ';', ';;; ;', 'a', 'a; b', '=', '=a', '; =a', ' =a', 'a;b;=c'])(
    '%j holds no cookie that has a name',
    (text) => {
      expect(Object.keys(parseCookie(text))).toEqual([])
    },
  )

  test('pairs without a name are left out wherever they stand', () => {
    expect(parseCookie('x; a=1; y; z;=v; b=2; w')).toEqual({ a: '1', b: '2' })
  })

  test('the first value of a name sent twice is kept', () => {
    expect(parseCookie('a=1; b=2; a=3')).toEqual({ a: '1', b: '2' })
    expect(parseCookie('a=; a=3')).toEqual({ a: '' })
  })

  test('only space and tab are trimmed', () => {
    expect(parseCookie('\t a \t=\t 1 \t; b=2')).toEqual({ a: '1', b: '2' })
    expect(parseCookie('\u00a0a=1; b=2\u00a0')).toEqual({ '\u00a0a': '1', b: '2\u00a0' })
  })

  test('nothing is decoded and quotes stay', () => {
    expect(parseCookie('a="1"; b=%41')).toEqual({ a: '"1"', b: '%41' })
  })

  test('the result has no prototype, and names of its members are cookies like others', () => {
    const cookies = parseCookie('__proto__=1; constructor=2; toString=3')
    expect(Object.getPrototypeOf(cookies)).toBeNull()
    expect(Object.entries(cookies)).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
      ['toString', '3'],
    ])
    expect(parseCookie('a=1').toString).toBeUndefined()
  })

  test('it reads what a plain model of the format reads, in any text', () => {
    fc.assert(
      fc.property(header, (text) => {
        expect(Object.entries(parseCookie(text))).toEqual(Object.entries(model(text)))
      }),
    )
  })
})

describe('readCookie', () => {
  test('one cookie is found at the start, in the middle and at the end', () => {
    for (const wanted of ['a', 'b', 'c'])
      expect(readCookie('a=1; b=2; c=3', wanted)).toBe({ a: '1', b: '2', c: '3' }[wanted])
  })

  test('a name inside another name or inside a value is not that cookie', () => {
    expect(readCookie('xsid=1; sidx=2; v=sid=3; w=sid; x=a sid=4', 'sid')).toBeUndefined()
    expect(readCookie('xsid=1; sid=2', 'sid')).toBe('2')
  })

  test('it gives what parseCookie gives, for any header and any name', () => {
    fc.assert(
      fc.property(header, name, (text, wanted) => {
        expect(readCookie(text, wanted)).toBe(parseCookie(text)[wanted])
      }),
      { numRuns: 3000 },
    )
  })

  test('every name that parseCookie finds is found alone', () => {
    fc.assert(
      fc.property(header, (text) => {
        for (const [found, value] of Object.entries(parseCookie(text))) expect(readCookie(text, found)).toBe(value)
      }),
    )
  })
})

describe('countCookie', () => {
  test('it counts pairs of the name, and nothing that looks like one', () => {
    expect(countCookie('sid=1; xsid=2; sid=; v=sid=3; sid ; sid =4', 'sid')).toBe(3)
    expect(countCookie('sid=1', 'other')).toBe(0)
    expect(countCookie(undefined, 'sid')).toBe(0)
  })

  test('it counts what a plain model counts, for any header and any name', () => {
    fc.assert(
      fc.property(header, name, (text, wanted) => {
        const counted = pairs(text).filter(([found]) => found === wanted && found !== '').length
        expect(countCookie(text, wanted)).toBe(counted)
      }),
      { numRuns: 3000 },
    )
  })
})

test('headers of a million hostile characters are read to their end', () => {
  // Anything but linear time would run into the limit of the test.
  for (const unit of [
    ';',
    '=',
    ' ',
    '\t',
    'a',
    'sid',
    'sid ',
    ';sid',
    '; sid',
    '=sid',
    'sid;',
    ' ;',
    'sid =;',
    'a=b;',
  ]) {
    const text = unit.repeat(1_000_000 / unit.length)
    parseCookie(text)
    readCookie(text, 'sid')
    countCookie(text, 'sid')
    expect(readCookie(`${text};sid=found`, 'sid')).toBeDefined()
  }
})

function pairs(text: string): [name: string, value: string][] {
  return text
    .split(';')
    .filter((part) => part.includes('='))
    .map((part) => [trim(part.slice(0, part.indexOf('='))), trim(part.slice(part.indexOf('=') + 1))])
}

function model(text: string): Record<string, string> {
  const result: Record<string, string> = Object.create(null)
  for (const [found, value] of pairs(text)) if (found !== '' && !(found in result)) result[found] = value
  return result
}

function trim(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}
