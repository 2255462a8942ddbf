import { createServer } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { UsageError } from 'gatepass'
import {
  type CookieAttributes,
  Cookies,
  countCookie,
  parseCookie,
  parseSetCookie,
  plainCookie,
  readCookie,
  sealedCookie,
  serializeCookie,
  serializeSetCookie,
  signedCookie,
} from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'
import { CookieJar } from './cookie-jar.ts'
import { readVectors, vectorsNote, vectorsPresent } from './vectors.ts'

const keys = ['a key of at least 32 characters, for tests'] as const
const home = new URL('https://app.example/account/sessions')
const days = 86_400
const everyUnit = Array.from({ length: 65_536 }, (_, unit) => String.fromCharCode(unit))

const thrownCode = (code: string) => expect.objectContaining({ name: 'UsageError', code })
const writing =
  (attributes: object, name = 'a') =>
  () =>
    serializeSetCookie(name, 'b', attributes as CookieAttributes)

// Rows that need a running server are tested where the server is: CK-5 over a login (one Set-Cookie per name in a whole
// response; here for one exchange), CK-9's budget of 8 KiB for all configured cookies, CK-10 over HTTP/2, CK-11's answer of
// the session (here: the count it is decided by), CK-17's 431 above 16 KiB (Node's own limit, before any of this runs).
describe('protocol rows', () => {
  test('CK-1: the cookie name is a token and never empty', () => {
    const tokens = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/
    const wrong = everyUnit.filter((name) => {
      const written = attemptOrUndefined(() => serializeSetCookie(name, ''))
      return written !== (tokens.test(name) ? `${name}=` : undefined)
    })
    expect(wrong).toEqual([])
    for (const name of ['', undefined, null, 7, {}, ['a']]) {
      expect(() => serializeSetCookie(name as string, '')).toThrow(thrownCode('ERR_COOKIE_NAME'))
    }
  })

  test('CK-2: the value is cookie-octets, or encoded into them; nothing is dropped or cut', () => {
    const octets = /^[!#-+\--:<-[\]-~]*$/
    const plain = plainCookie('a')
    const writtenWrong = everyUnit.filter((value) => {
      const written = attemptOrUndefined(() => serializeSetCookie('a', `x${value}y`))
      return written !== (octets.test(value) ? `a=x${value}y` : undefined)
    })
    const encodedWrong = everyUnit.filter((value) => {
      const raw = attemptOrUndefined(() => plain.encode(`x${value}y`))
      if (!value.isWellFormed()) return raw !== undefined
      return raw === undefined || !octets.test(raw) || plain.decode(raw) !== `x${value}y`
    })
    expect([writtenWrong, encodedWrong]).toEqual([[], []])
  })

  test('CK-3: Path has no CTL or semicolon, Domain is an A-label host name without port', () => {
    for (const path of ['/a;b', '/a\r\nSet-Cookie: x=y', '/\0', '/\x7f', '/ä', 'a', '/a; Domain=evil.example']) {
      expect(writing({ path })).toThrow(thrownCode('ERR_COOKIE_PATH'))
    }
    const hosts = ['example.com:80', 'bücher.example', 'a;b', 'a\r\nb', '-a', 'a-', 'a..b', '::1', 'a; HttpOnly', '']
    for (const domain of hosts) expect(writing({ domain })).toThrow(thrownCode('ERR_COOKIE_DOMAIN'))
    // CVE-2024-47764: attributes through the name.
    const name = 'userName=<script>alert(1)</script>; Max-Age=2592000; a'
    expect(() => serializeSetCookie(name, 'v')).toThrow(thrownCode('ERR_COOKIE_NAME'))
  })

  test('CK-4: an attribute name stands at most once in a cookie', () => {
    const keysOf = fc.constantFrom(
      'domain',
      'Domain',
      'PATH',
      'path',
      'secure',
      'Secure',
      'httpOnly',
      'HttpOnly',
      'httponly',
    )
    const values = fc.constantFrom(true, '/', 'a.example')
    fc.assert(
      fc.property(fc.dictionary(keysOf, values), (attributes) => {
        const field = attemptOrUndefined(writing(attributes)) ?? ''
        const names = field.split('; ').map((part) => part.split('=')[0]?.toLowerCase())
        expect(new Set(names).size).toBe(names.length)
      }),
    )
    for (const key of ['Domain', 'PATH', 'httponly', 'max-age', 'SameSite']) {
      expect(writing({ [key]: '/' })).toThrow(thrownCode('ERR_COOKIE_ATTRIBUTE'))
    }
  })

  test('CK-5: there is at most one Set-Cookie per name in an exchange', () => {
    const cookies = new Cookies('sid=1')
    const sid = plainCookie('sid')
    for (const value of ['login', 'rotate', 'touch']) cookies.set(sid, value)
    cookies.delete(sid)
    cookies.set(sid, 'last')
    expect(cookies.setCookieFields()).toEqual(['sid=last; Path=/; Secure; HttpOnly; SameSite=Lax'])
  })

  test('CK-6: Expires is an IMF-fixdate from 1601 to 9999 and Max-Age is digits', () => {
    const imf =
      /^a=b; Expires=(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/
    const [earliest, latest] = [new Date('1601-01-01T00:00:00Z'), new Date('9999-12-31T23:59:59.999Z')]
    fc.assert(
      fc.property(fc.date({ min: earliest, max: latest, noInvalidDate: true }), (expires) => {
        expect(serializeSetCookie('a', 'b', { expires })).toMatch(imf)
      }),
    )
    for (const expires of [new Date(earliest.getTime() - 1), new Date(latest.getTime() + 1), new Date(Number.NaN)]) {
      expect(writing({ expires })).toThrow(thrownCode('ERR_COOKIE_EXPIRES'))
    }
    expect(writing({ maxAge: 0 })()).toBe('a=b; Max-Age=0')
    for (const maxAge of [Number.NaN, Number.POSITIVE_INFINITY, 1.5, -1, 1e21, '1']) {
      expect(writing({ maxAge })).toThrow(thrownCode('ERR_COOKIE_MAX_AGE'))
    }
  })

  test('CK-7: the prefix rules hold in every spelling of a prefix', () => {
    const host = { secure: true, path: '/' }
    const rules = [
      ['__Secure-', { secure: true }, [{}, { path: '/' }]],
      ['__Host-', host, [{ secure: true }, { path: '/' }, { ...host, path: '/a' }, { ...host, domain: 'a.example' }]],
      ['__Http-', { secure: true, httpOnly: true }, [{ secure: true }, { httpOnly: true }]],
      [
        '__Host-Http-',
        { ...host, httpOnly: true },
        [host, { ...host, httpOnly: true, domain: 'a.example' }, { secure: true, httpOnly: true }],
      ],
    ] as const
    for (const [prefix, right, wrongs] of rules) {
      const upper = prefix.toUpperCase()
      for (const spelling of [prefix, prefix.toLowerCase(), upper, `__${upper.slice(2, 4)}${prefix.slice(4)}`]) {
        expect(writing(right, `${spelling}a`)).not.toThrow()
        for (const wrong of wrongs) expect(writing(wrong, `${spelling}a`)).toThrow(thrownCode('ERR_COOKIE_PREFIX'))
      }
    }
    expect(writing({}, '__Hostile')).not.toThrow()
  })

  test('CK-8: SameSite=None and Partitioned need Secure', () => {
    expect(writing({ sameSite: 'none' })).toThrow(thrownCode('ERR_COOKIE_SECURE_REQUIRED'))
    expect(writing({ partitioned: true, secure: false })).toThrow(thrownCode('ERR_COOKIE_SECURE_REQUIRED'))
    expect(writing({ sameSite: 'none', partitioned: true, secure: true })).not.toThrow()
  })

  test('CK-9: name and value take 4,096 bytes at most, an attribute 1,024', () => {
    expect(() => serializeSetCookie('abcd', 'v'.repeat(4092))).not.toThrow()
    expect(() => serializeSetCookie('abcd', 'v'.repeat(4093))).toThrow(thrownCode('ERR_COOKIE_TOO_LARGE'))
    expect(() => new Cookies(undefined).set(plainCookie('abcd'), 'ä'.repeat(683))).toThrow(
      thrownCode('ERR_COOKIE_TOO_LARGE'),
    )
    expect(writing({ path: `/${'p'.repeat(1023)}` })).not.toThrow()
    expect(writing({ path: `/${'p'.repeat(1024)}` })).toThrow(thrownCode('ERR_COOKIE_PATH'))
    expect(writing({ domain: `${'a.'.repeat(600)}example` })).toThrow(thrownCode('ERR_COOKIE_DOMAIN'))
  })

  test('CK-10: several Cookie fields are tolerated', async () => {
    const header = await receivedHeader(['Cookie: a=1; b=2', 'Cookie: c=3', 'Cookie: a=4'])
    expect({ ...parseCookie(header) }).toEqual({ a: '1', b: '2', c: '3' })
    expect([readCookie(header, 'c'), countCookie(header, 'a')]).toEqual(['3', 2])
  })

  test('CK-11: order is not trusted: a security cookie sent twice is seen as such, and a protected one is absent', () => {
    const cookie = signedCookie('__Host-sid', { keys })
    const [victim, attacker] = [cookie.encode('victim'), cookie.encode('attacker')]
    for (const [one, other] of [
      [victim, attacker],
      [attacker, victim],
      [victim, victim],
    ]) {
      const cookies = new Cookies(`__Host-sid=${one}; theme=dark; __Host-sid=${other}`)
      expect(cookies.count('__Host-sid')).toBe(2)
      expect(cookies.get(cookie)).toBeUndefined()
    }
    expect(new Cookies(`__Host-sid=${victim}`).get(cookie)).toBe('victim')
  })

  test('CK-12: only SP and HTAB are trimmed', () => {
    const others = [0x0b, 0x0c, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff]
    for (let code = 0x2000; code <= 0x200b; code++) others.push(code)
    for (const space of others.map((code) => String.fromCharCode(code))) {
      for (const name of [`${space}__Host-sid`, `__Host-sid${space}`]) {
        const header = `${name}=planted; __Host-sid=mine`
        expect(Object.keys(parseCookie(header))).toEqual([name, '__Host-sid'])
        expect([readCookie(header, '__Host-sid'), countCookie(header, '__Host-sid')]).toEqual(['mine', 1])
      }
      expect(readCookie(`a=${space}b${space}`, 'a')).toBe(`${space}b${space}`)
    }
    expect(readCookie(' \t a\t =\t b \t', 'a')).toBe('b')
  })

  test('CK-13: DQUOTE is part of the value', () => {
    expect(parseCookie('a="b"; c="d')).toEqual({ a: '"b"', c: '"d' })
    expect(readCookie(serializeSetCookie('a', '"b"'), 'a')).toBe('"b"')
  })

  test('CK-14: there is no syntax of RFC 2109 or RFC 2965', () => {
    const header = '$Version=1; a="1; 2"; $Path="/", b=3; Comment="x=y"'
    expect({ ...parseCookie(header) }).toEqual({ $Version: '1', a: '"1', $Path: '"/", b=3', Comment: '"x=y"' })
    expect(readCookie(header, 'b')).toBeUndefined()
  })

  test('CK-15: the result has no prototype', () => {
    const header = '__proto__=1; constructor=2; toString=3; hasOwnProperty=4; valueOf=5'
    const cookies = parseCookie(header)
    expect(Object.getPrototypeOf(cookies)).toBeNull()
    expect(Object.values(cookies)).toEqual(['1', '2', '3', '4', '5'])
    for (const name of Object.keys(cookies)) {
      expect(readCookie(header, name)).toBe(cookies[name])
      expect(parseCookie('a=1')[name]).toBeUndefined()
      expect(new Cookies('a=1').get(plainCookie(name))).toBeUndefined()
    }
  })

  test('CK-16: decoding never throws, and is off for security cookies', () => {
    for (const raw of ['%', '%zz', '%E0%A4%A', '%00', '%FF%FE']) {
      expect(new Cookies(`a=${raw}`).raw('a')).toBe(raw)
      expect(new Cookies(`a=${raw}`).get(plainCookie('a', { encoding: 'none' }))).toBe(raw)
      expect([undefined, '\0']).toContain(new Cookies(`a=${raw}`).get(plainCookie('a')))
      expect(new Cookies(`a=${raw}`).get(signedCookie('a', { keys }))).toBeUndefined()
      expect(new Cookies(`a=${raw}`).get(sealedCookie('a', { keys }))).toBeUndefined()
    }
    const signed = signedCookie('a', { keys })
    const sealed = sealedCookie('a', { keys })
    for (const cookie of [signed, sealed]) {
      const raw = cookie.encode('text')
      expect(cookie.decode(raw)).toBe('text')
      expect(cookie.decode(raw.replace(/^./, (first) => `%${first.charCodeAt(0).toString(16)}`))).toBeUndefined()
    }
  })

  test('CK-17: time is linear: a million of any character, and three thousand pairs, are read to their end', () => {
    for (const unit of [';', '=', ' ', '\t', '"', '%', 'a', 'sid', ' ;', '=;', 'sid ', '; sid']) {
      const header = `${unit.repeat(1_000_000 / unit.length)}; sid=1`
      expect(readCookie(header, 'sid')).toBeDefined()
      expect(countCookie(header, 'sid')).toBeGreaterThan(0)
      expect(Object.keys(parseCookie(header)).length).toBeLessThan(3)
    }
    const pairs = Array.from({ length: 3000 }, (_, i) => `n${i}=v${i}`)
    expect(Object.keys(parseCookie(pairs.join('; ')))).toHaveLength(3000)
  })

  test('CK-18: clearing repeats name, path, domain and what the prefix demands', () => {
    const attributes = [{}, { path: '/account' }, { domain: 'app.example', path: '/' }, { maxAge: 400 * days }]
    const declared = attributes.map((given, i) => plainCookie(`c${i}`, given))
    for (const cookie of [
      ...declared,
      plainCookie('__Host-Http-gp'),
      plainCookie('__Secure-x', { domain: 'app.example' }),
    ]) {
      const jar = new CookieJar(Date.now())
      const [login, logout] = [new Cookies(undefined), new Cookies(undefined)]
      login.set(cookie, 'v')
      logout.delete(cookie)
      jar.receive(home, login.setCookieFields()[0] ?? '')
      expect(jar.header(home)).toBe(`${cookie.name}=v`)
      jar.receive(home, logout.setCookieFields()[0] ?? '')
      expect(jar.header(home)).toBe('')
    }
  })

  test('CK-19: a lifetime is 400 days at most', () => {
    expect(writing({ maxAge: 400 * days })).not.toThrow()
    expect(writing({ maxAge: 400 * days + 1 })).toThrow(thrownCode('ERR_COOKIE_MAX_AGE'))
    expect(() => plainCookie('a', { maxAge: 401 * days })).toThrow(thrownCode('ERR_COOKIE_MAX_AGE'))
    expect(parseSetCookie(`a=b; Max-Age=${500 * days}`)?.attributes.maxAge).toBe(400 * days)
  })

  test('CK-20: a nameless cookie never matches a name', () => {
    for (const header of [
      '=__Host-sid=x',
      '__Host-sid',
      '; =x',
      '=x',
      ' = __Host-sid=x',
      '__Host-sid; =__Host-sid=x',
    ]) {
      expect(Object.keys(parseCookie(header))).toEqual([])
      for (const name of ['__Host-sid', '', 'x']) {
        expect([readCookie(header, name), countCookie(header, name)]).toEqual([undefined, 0])
      }
    }
    expect(readCookie('=__Host-sid=x; __Host-sid=mine', '__Host-sid')).toBe('mine')
  })
})

interface HttpStateCase {
  test: string
  received: string[]
  'sent-to'?: string
  sent: { name: string; value: string }[]
}

/** What a jar after RFC 6265bis sends in the cases whose table holds an older answer. */
const answersOf6265bis: Readonly<Record<string, string>> = {
  // A pair without a name was ignored; it is now a cookie with an empty name (§5.6), replaced by the next such pair.
  '0004': 'foo',
  '0021': 'a=b; x; c=d',
  '0023': 'foo',
  '0024': 'foo',
  '0025': 'foo',
  '0026': 'foo',
  '0027': 'bar',
  '0028': 'foo',
  CHROMIUM0009: 'BLAHHH',
  CHROMIUM0010: '"BLA\\"HHH"',
  CHROMIUM0012: 'ABC',
  MOZILLA0012: 'test="fubar! = foo; five',
  MOZILLA0014: 'six',
  MOZILLA0015: 'seven',
  MOZILLA0016: 'eight',
  MOZILLA0017: 'eight; test=six',
  NAME0017: 'a=bar',
  NAME0023: 'foo',
  NAME0025: '==a=bar',
  NAME0028: 'a',
  NAME0031: '"foo',
  NAME0032: '"foo\\"bar',
  NAME0033: 'aaa',
  // A control character made the value end; now it makes the whole field void (§5.6).
  DISABLED_CHROMIUM0022: '',
  DISABLED_CHROMIUM0023: '',
  // Percent-encoded and plain letters are different paths (§5.1.4).
  DISABLED_PATH0029: '',
  // The last Domain counts, and an empty one means the exact host (§5.7).
  OPTIONAL_DOMAIN0042: 'foo=bar',
}

describe.skipIf(!vectorsPresent)(`IETF http-state${vectorsNote}`, () => {
  const origin = 'http://home.example.org:8888'

  test('every Set-Cookie of the suite is understood as its table, or RFC 6265bis where that differs, says', () => {
    const cases = readVectors<HttpStateCase[]>('cookies/ietf-http-state-parser.json')
    for (const { test: id, received, 'sent-to': target, sent } of cases) {
      const jar = new CookieJar(Date.UTC(2026, 10, 23))
      for (const field of received) jar.receive(new URL(`${origin}/cookie-parser?${id}`), field)
      const expected = answersOf6265bis[id] ?? sent.map(({ name, value }) => `${name}=${value}`).join('; ')
      expect(jar.header(new URL(target ?? `/cookie-parser-result?${id}`, origin)), id).toBe(expected)
    }
    expect(cases).toHaveLength(222)
  })

  test('the cases answered by RFC 6265bis are those the derived table names, and no others', () => {
    const { differsFrom6265bis } = readVectors<{ differsFrom6265bis: string[] }>('cookies/ietf-http-state-derived.json')
    expect(Object.keys(answersOf6265bis).sort()).toEqual(differsFrom6265bis.toSorted())
  })

  test('every Cookie header of the suite is parsed into its pairs', () => {
    const { cookieHeaders } = readVectors<{ cookieHeaders: { cookieHeader: string; pairs: [string, string][] }[] }>(
      'cookies/ietf-http-state-derived.json',
    )
    for (const { cookieHeader, pairs } of cookieHeaders) {
      const firstOfEach = new Map(pairs.toReversed())
      expect(Object.fromEntries(Object.entries(parseCookie(cookieHeader)))).toEqual(Object.fromEntries(firstOfEach))
      for (const [name, value] of firstOfEach) expect(readCookie(cookieHeader, name)).toBe(value)
      for (const [name] of pairs) {
        expect(countCookie(cookieHeader, name)).toBe(pairs.filter(([other]) => other === name).length)
      }
    }
    expect(cookieHeaders).toHaveLength(65)
  })

  test('headers inside the server grammar are written as they were sent', () => {
    const { cookieHeaders } = readVectors<{
      cookieHeaders: { cookieHeader: string; pairs: [string, string][]; strict: boolean }[]
    }>('cookies/ietf-http-state-derived.json')
    const unique = cookieHeaders.filter(
      ({ strict, pairs }) => strict && new Set(pairs.map(([name]) => name)).size === pairs.length,
    )
    for (const { cookieHeader, pairs } of unique) {
      expect(serializeCookie(Object.fromEntries(pairs)).split('; ').sort()).toEqual(cookieHeader.split('; ').sort())
    }
    expect(unique.length).toBeGreaterThan(30)
  })

  test('no malformed field of the suite can be written: each throws, or is written otherwise', () => {
    const cases = readVectors<HttpStateCase[]>('cookies/ietf-http-state-parser.json')
    for (const field of cases.flatMap(({ received }) => received)) {
      const equals = field.indexOf('=')
      const written = attemptOrUndefined(() => serializeSetCookie(field.slice(0, equals), field.slice(equals + 1)))
      if (written !== undefined) expect(written).toMatch(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+=("?)[!#-+\--:<-[\]-~]*\1$/)
    }
  })

  test('every date of the suite is read as its table says', () => {
    type Dates = Record<'examples' | 'bsd_examples', { test: string; expected: string | null }[]>
    const { examples, bsd_examples: bsdExamples } = readVectors<Dates>('cookies/ietf-http-state-dates.json')
    for (const { test: text, expected } of [...examples, ...bsdExamples]) {
      const date = parseSetCookie(`a=b; Expires=${text}`)?.attributes.expires
      expect(date?.toUTCString() ?? null, text).toBe(expected === null ? null : new Date(expected).toUTCString())
    }
    expect([examples.length, bsdExamples.length]).toEqual([15, 55])
  })
})

interface GoWriteCase {
  name: string
  value: string
  attrs: { domain?: string; path?: string; maxAge?: number; expires?: string; sameSite?: string }
  goOutput: string
}
interface GoTables {
  readCookies: { headers: string[]; cookies: [string, string][] }[]
  parseCookieStrict: { line: string; cookies?: [string, string][]; error?: string }[]
  writeSetCookie: GoWriteCase[]
  sanitizeValue: [string, string][]
  sanitizePath: [string, string][]
  valid: [
    { name: string; value?: string; path?: string; domain?: string; expires?: string; maxAge?: number },
    boolean,
  ][]
}

describe.skipIf(!vectorsPresent)(`Go net/http${vectorsNote}`, () => {
  const tables = () => readVectors<GoTables>('cookies/go-net-http-cookie.json')
  const unquoted = (value: string | undefined) => value?.replace(/^"(.*)"$/, '$1')

  test('Cookie headers are read into the pairs of the table', () => {
    for (const { headers, cookies } of tables().readCookies) {
      const read = Object.entries(parseCookie(headers.join('; ')))
      // Exception: Go takes quotes off, RFC 6265bis §5.6 leaves them on.
      expect(read.map(([name, value]) => [name, unquoted(value)])).toEqual(cookies)
    }
  })

  test('strict lines are read into their pairs; lines Go refuses give no cookie with a name', () => {
    for (const { line, cookies = [], error } of tables().parseCookieStrict) {
      const read = Object.entries(parseCookie(line))
      // Exception: a backslash is nothing we would write, but what a browser sends is read as it is (§5.6).
      if (error === 'invalid cookie value') expect(read).toEqual([['k1', '\\']])
      else expect(read.map(([name, value]) => [name, unquoted(value)])).toEqual(cookies)
    }
  })

  test('Set-Cookie is written as Go writes it, and refused where Go leaves something out', () => {
    const refused: string[] = []
    for (const { name, value, attrs, goOutput } of tables().writeSetCookie) {
      const written = attemptOrUndefined(() => serializeSetCookie(name, value, fromGo(attrs)))
      if (written === undefined) refused.push(name)
      else expect(written).toBe(goOutput)
    }
    // Exception: cookie-15 is SameSite=None without Secure, which Go writes and browsers drop (§4.1.2.7).
    expect(refused).toEqual([
      'cookie-5',
      'cookie-6',
      'cookie-8',
      'cookie-11',
      'cookie-15',
      '',
      '\t',
      '\r',
      'a\nb',
      'a\rb',
    ])
  })

  test('values and paths that Go repairs are refused', () => {
    const { sanitizeValue, sanitizePath } = tables()
    for (const [value, repaired] of sanitizeValue) {
      const written = attemptOrUndefined(() => serializeSetCookie('a', value))
      // Exception: quotes around a value are inside the grammar and stay.
      expect(written).toBe(value === repaired || value === '"withquotes"' ? `a=${value}` : undefined)
    }
    for (const [path, repaired] of sanitizePath) {
      const written = attemptOrUndefined(() => serializeSetCookie('a', 'b', { path }))
      expect(written).toBe(path === repaired ? `a=b; Path=${path}` : undefined)
    }
  })

  test('what Go calls valid can be written, and nothing else', () => {
    for (const [{ name, value = '', ...attrs }, valid] of tables().valid) {
      const written = attemptOrUndefined(() => serializeSetCookie(name, value, fromGo(attrs)))
      expect(written !== undefined, name).toBe(valid)
    }
  })

  function fromGo({ expires, sameSite, ...attributes }: GoWriteCase['attrs']): CookieAttributes {
    return {
      ...attributes,
      ...(expires !== undefined && { expires: new Date(expires) }),
      ...(sameSite !== undefined && { sameSite: sameSite.toLowerCase() as 'strict' | 'lax' | 'none' }),
    }
  }
})

/** What was written, or nothing where it was refused; anything else that is thrown fails the test. */
function attemptOrUndefined(write: () => string): string | undefined {
  try {
    return write()
  } catch (error) {
    if (error instanceof UsageError && error.code.startsWith('ERR_COOKIE_')) return undefined
    throw error
  }
}

/** The Cookie header that Node makes of these lines. */
async function receivedHeader(lines: readonly string[]): Promise<string | undefined> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const received = new Promise<string | undefined>((resolve) => {
    server.once('request', (request, response) => {
      resolve(request.headers.cookie)
      response.end()
    })
  })
  const socket = connect(port, '127.0.0.1')
  socket.end(`GET / HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n`)
  const header = await received
  socket.destroy()
  await new Promise((resolve) => server.close(resolve))
  return header
}
