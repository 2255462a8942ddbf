import fc from 'fast-check'
import { UsageError } from 'gatepass'
import { describe, expect, test } from 'vitest'
import { plainAddress } from './origin.ts'
import { type Client, clientBehind, type ProxyOptions, parseForwarded, proxyTrust } from './proxy.ts'

function clientOf(options: ProxyOptions, peer: string, headers: Record<string, string> = {}): Client {
  const trust = proxyTrust(options)
  if (trust === undefined) throw new Error('nobody is trusted')
  return clientBehind(trust, peer, (name) => headers[name])
}

const addressOf = (options: ProxyOptions, peer: string, forwardedFor?: string): string | undefined =>
  clientOf(options, peer, forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }).address

describe('by count', () => {
  test.each([
    [1, undefined, '10.0.0.1'],
    [1, '', '10.0.0.1'],
    [1, '203.0.113.7', '203.0.113.7'],
    [1, '6.6.6.6, 203.0.113.7', '203.0.113.7'],
    [2, '203.0.113.7, 10.0.0.2', '203.0.113.7'],
    [2, '6.6.6.6, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
    [2, '203.0.113.7', '10.0.0.1'],
    [3, '6.6.6.6, 203.0.113.7', '10.0.0.1'],
    [1, '203.0.113.7:4711', '203.0.113.7'],
    [1, '[2001:db8::7]:4711', '2001:db8::7'],
    [1, '2001:DB8::7', '2001:db8::7'],
    [1, '::ffff:203.0.113.7', '203.0.113.7'],
    [1, 'unknown', '10.0.0.1'],
    [1, '6.6.6.6, unknown', '10.0.0.1'],
    [1, '203.0.113.7,', '10.0.0.1'],
    [1, '203.0.113.7.example', '10.0.0.1'],
    [1, '<script>', '10.0.0.1'],
  ])('%d in front and X-Forwarded-For %j: the client is %s', (trustProxy, forwardedFor, address) => {
    expect(addressOf({ trustProxy }, '10.0.0.1', forwardedFor)).toBe(address)
  })
})

describe('by address', () => {
  const trustProxy = ['10.0.0.0/8', '2001:db8:1::/48', '192.0.2.1', 'loopback']
  test.each([
    ['203.0.113.9', '6.6.6.6', '203.0.113.9'],
    ['11.0.0.1', '6.6.6.6', '11.0.0.1'],
    ['10.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['::ffff:10.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['::ffff:a00:1', '203.0.113.7', '203.0.113.7'],
    ['2001:db8:1::5', '203.0.113.7', '203.0.113.7'],
    ['2001:db8:2::5', '203.0.113.7', '2001:db8:2::5'],
    ['192.0.2.1', '203.0.113.7', '203.0.113.7'],
    ['192.0.2.2', '203.0.113.7', '192.0.2.2'],
    ['::1', '203.0.113.7', '203.0.113.7'],
    ['10.0.0.1', '6.6.6.6, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
    ['10.0.0.1', '10.6.6.6, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
    ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['10.0.0.1', '6.6.6.6, unknown, 10.0.0.2', '10.0.0.2'],
  ])('a connection from %s with X-Forwarded-For %j: the client is %s', (peer, forwardedFor, address) => {
    expect(addressOf({ trustProxy }, peer, forwardedFor)).toBe(address)
  })

  test('an answer is the same the second time', () => {
    const trust = proxyTrust({ trustProxy })
    const asked = Array.from({ length: 3000 }, (_, n) => `${n % 2 ? 10 : 11}.0.${n >> 8}.${n & 255}`)
    const answers = (): (boolean | undefined)[] => asked.map((address) => trust?.trusts(address, 0))
    expect(answers()).toEqual(asked.map((address) => address.startsWith('10.')))
    expect(answers()).toEqual(asked.map((address) => address.startsWith('10.')))
  })

  test.each([
    ['linklocal', '169.254.1.1', 'fe80::1', '169.253.1.1'],
    ['uniquelocal', '172.31.255.255', 'fd00::1', '172.32.0.0'],
    ['loopback', '127.9.9.9', '::1', '128.0.0.1'],
  ])('%s covers %s and %s, and not %s', (name, v4, v6, other) => {
    const trust = proxyTrust({ trustProxy: [name] })
    expect([v4, v6, other].map((address) => trust?.trusts(address, 0))).toEqual([true, true, false])
  })
})

describe('scheme and host', () => {
  const said = (trustProxy: number, proto?: string, host?: string): Omit<Client, 'address'> => {
    const { proto: scheme, host: name } = clientOf({ trustProxy }, '10.0.0.1', {
      'x-forwarded-for': '203.0.113.7, 10.0.0.3, 10.0.0.2',
      ...(proto !== undefined && { 'x-forwarded-proto': proto }),
      ...(host !== undefined && { 'x-forwarded-host': host }),
    })
    return { proto: scheme, host: name }
  }

  test.each([
    [1, 'https', 'https'],
    [1, 'HTTPS', 'https'],
    [1, 'http, https', 'https'],
    [1, 'https, http', 'http'],
    [2, 'https, http', 'https'],
    [2, 'http, https, http', 'https'],
    [2, 'https', 'https'],
    [1, 'wss', undefined],
    [1, 'https,', undefined],
    [1, 'javascript', undefined],
    [1, '', undefined],
    [1, undefined, undefined],
  ])('%d in front and X-Forwarded-Proto %j: %s', (trustProxy, field, proto) => {
    expect(said(trustProxy, field).proto).toBe(proto)
  })

  test.each([
    [1, 'app.example', 'app.example'],
    [1, 'evil.example, app.example', 'app.example'],
    [2, 'evil.example, app.example, inner', 'app.example'],
    [1, undefined, undefined],
  ])('%d in front and X-Forwarded-Host %j: %s', (trustProxy, field, host) => {
    expect(said(trustProxy, undefined, field).host).toBe(host)
  })

  test('are not believed of a connection that is no proxy of ours', () => {
    const headers = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example' }
    expect(clientOf({ trustProxy: ['10.0.0.0/8'] }, '203.0.113.9', headers)).toEqual({
      address: '203.0.113.9',
      proto: undefined,
      host: undefined,
    })
  })
})

describe('of the two families of fields', () => {
  const both = {
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'app.example',
    forwarded: 'for=198.51.100.1;proto=http;host=other.example',
  }
  test('X-Forwarded-* is read, and Forwarded is not', () => {
    expect(clientOf({ trustProxy: 1 }, '10.0.0.1', both)).toEqual({
      address: '203.0.113.7',
      proto: 'https',
      host: 'app.example',
    })
    expect(clientOf({ trustProxy: 1 }, '10.0.0.1', { forwarded: both.forwarded }).address).toBe('10.0.0.1')
  })
  test('Forwarded is read if so configured, and X-Forwarded-* is not', () => {
    const options: ProxyOptions = { trustProxy: 1, proxyHeaders: 'forwarded' }
    expect(clientOf(options, '10.0.0.1', both)).toEqual({
      address: '198.51.100.1',
      proto: 'http',
      host: 'other.example',
    })
    expect(clientOf(options, '10.0.0.1', { ...both, forwarded: '' })).toEqual({
      address: '10.0.0.1',
      proto: undefined,
      host: undefined,
    })
  })
  test('each hop in Forwarded speaks for itself', () => {
    const forwarded =
      'for=6.6.6.6;proto=https;host=evil.example, for="[2001:db8::7]:47";proto=https, for=10.0.0.2;proto=http'
    expect(clientOf({ trustProxy: 2, proxyHeaders: 'forwarded' }, '10.0.0.1', { forwarded })).toEqual({
      address: '2001:db8::7',
      proto: 'https',
      host: undefined,
    })
  })
  test.each(['for=unknown', 'for=_hidden', 'for="_SEVKISEK"', 'proto=https'])('%s names no address', (forwarded) => {
    expect(clientOf({ trustProxy: 1, proxyHeaders: 'forwarded' }, '10.0.0.1', { forwarded }).address).toBe('10.0.0.1')
  })
})

describe('of a list that is longer than any chain of proxies, its end is read', () => {
  const trusted = Array.from({ length: 40 }, (_, n) => `10.0.1.${n}`)
  const junk = [',', ', ', 'x,', '10.0.0.9,', '"a",', '"a,b", '].map((element) => element.repeat(3000))

  test('and no more addresses than there can be proxies', () => {
    expect(addressOf({ trustProxy: ['10.0.0.0/8'] }, '10.0.0.1', trusted.join())).toBe('10.0.1.8')
    const forwarded = trusted.map((address) => `for=${address}`).join()
    const options: ProxyOptions = { trustProxy: ['10.0.0.0/8'], proxyHeaders: 'forwarded' }
    expect(clientOf(options, '10.0.0.1', { forwarded }).address).toBe('10.0.1.8')
  })

  test.each(junk)('whatever stands before it', (before) => {
    const headers = {
      'x-forwarded-for': `${before}203.0.113.7`,
      'x-forwarded-proto': `${before}https`,
      'x-forwarded-host': `${before}app.example`,
    }
    const client = { address: '203.0.113.7', proto: 'https', host: 'app.example' }
    expect(clientOf({ trustProxy: 1 }, '10.0.0.1', headers)).toEqual(client)
    const hops = Array.from({ length: 31 }, () => 'for=10.0.0.2')
    const forwarded = `${before}for=203.0.113.7;proto=https;host=app.example,${hops}`
    expect(clientOf({ trustProxy: 32, proxyHeaders: 'forwarded' }, '10.0.0.1', { forwarded })).toEqual(client)
  })

  test.each(['for="a', 'for="a\\",'])('and an open quote before it leaves nothing to read: %j', (before) => {
    const forwarded = `${before},${'for=10.0.0.2,'.repeat(50)}for=203.0.113.7`
    expect(clientOf({ trustProxy: 1, proxyHeaders: 'forwarded' }, '10.0.0.1', { forwarded }).address).toBe('10.0.0.1')
  })
})

describe('RFC 7239', () => {
  const parsed = (field: string) => parseForwarded(field)?.map((element) => Object.fromEntries(element))
  test('§4: the examples', () => {
    expect(parsed('for="_gazonk"')).toEqual([{ for: '_gazonk' }])
    expect(parsed('For="[2001:db8:cafe::17]:4711"')).toEqual([{ for: '[2001:db8:cafe::17]:4711' }])
    expect(parsed('for=192.0.2.60;proto=http;by=203.0.113.43')).toEqual([
      { for: '192.0.2.60', proto: 'http', by: '203.0.113.43' },
    ])
    expect(parsed('for=192.0.2.43, for=198.51.100.17')).toEqual([{ for: '192.0.2.43' }, { for: '198.51.100.17' }])
  })
  test('§4: a quoted value may hold separators and escapes', () => {
    expect(parsed('for="a,b;c=d";host="x\\"y"')).toEqual([{ for: 'a,b;c=d', host: 'x"y' }])
  })
  test.each([
    'for',
    'for=',
    'for=[2001:db8::1]',
    'for=192.0.2.1:80',
    'for="192.0.2.1',
    'for=a;for=b',
    'for=a,',
    'for=a;',
    'for=a b',
    ',for=a',
    'for = a',
    'for="a"b',
    Array.from({ length: 33 }, (_, n) => `p${n}=1`).join(';'),
  ])('%j is malformed, so nothing of it is read', (field) => {
    expect(parsed(field)).toBeUndefined()
  })
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1:80', '192.0.2.1'],
  ['[::1]', '::1'],
  ['[::1]:80', '::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:0201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:c000:201', '192.0.2.1'],
  ['2001:DB8::1', '2001:db8::1'],
  ['2001:0db8:0:0:0::1', '2001:db8::1'],
  ['2001:db8::0.0.0.1', '2001:db8::1'],
  ['192.0.2.256', undefined],
  ['192.0.2.1:', undefined],
  ['192.0.2.1:123456', undefined],
  ['0300.0.2.1', undefined],
  ['localhost', undefined],
  ['[192.0.2.1', undefined],
  ['', undefined],
])('%j is the address %s', (text, address) => {
  expect(plainAddress(text)).toBe(address)
})

test('whatever is sent in the fields, the answer is an address or the connection it came by', () => {
  const text = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: fc.constantFrom(...'0.1:f[]",;=%for ') }))
  fc.assert(
    fc.property(text, text, fc.constantFrom('x-forwarded', 'forwarded'), (one, other, proxyHeaders) => {
      const headers = { 'x-forwarded-for': one, forwarded: one, 'x-forwarded-proto': other, 'x-forwarded-host': other }
      const { address, proto } = clientOf({ trustProxy: 1, proxyHeaders } as ProxyOptions, '10.0.0.1', headers)
      expect(plainAddress(address)).toBe(address)
      expect(['http', 'https', undefined]).toContain(proto)
    }),
  )
})

test('without proxies, or with none of them, nothing is trusted', () => {
  expect(proxyTrust({})).toBeUndefined()
  expect(proxyTrust({ trustProxy: 0 })).toBeUndefined()
  expect(proxyTrust({ trustProxy: [] })).toBeUndefined()
})

test.each([
  [{ trustProxy: -1 }, 'trustProxy'],
  [{ trustProxy: 1.5 }, 'trustProxy'],
  [{ trustProxy: 1000 }, 'trustProxy'],
  [{ trustProxy: Number.NaN }, 'trustProxy'],
  [{ trustProxy: true }, 'trustProxy'],
  [{ trustProxy: 'loopback' }, 'trustProxy'],
  [{ trustProxy: ['10.0.0.1', 'nginx'] }, 'trustProxy[1]'],
  [{ trustProxy: ['10.0.0.0/33'] }, 'trustProxy[0]'],
  [{ trustProxy: ['10.0.0.0/'] }, 'trustProxy[0]'],
  [{ trustProxy: ['0.0.0.0/0'] }, 'trustProxy[0]'],
  [{ trustProxy: ['::/0'] }, 'trustProxy[0]'],
  [{ trustProxy: ['10.0.0.0/8/8'] }, 'trustProxy[0]'],
  [{ trustProxy: ['constructor'] }, 'trustProxy[0]'],
  [{ trustProxy: [5] }, 'trustProxy[0]'],
  [{ trustProxy: 1, proxyHeaders: 'both' }, 'proxyHeaders'],
])('%j is refused, naming %s', (options, key) => {
  const parse = () => proxyTrust(options as ProxyOptions)
  expect(parse).toThrow(UsageError)
  expect(parse).toThrow(expect.objectContaining({ code: 'ERR_HTTP_PROXY', message: expect.stringContaining(key) }))
})
