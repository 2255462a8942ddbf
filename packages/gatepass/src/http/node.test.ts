import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { createRequire } from 'node:module'
import { connect, type Socket } from 'node:net'
import express from 'express'
import { UsageError } from 'gatepass'
import { Cookies, consentTo, plainCookie } from 'gatepass/cookie'
import type { NodeOptions as HttpOptions } from 'gatepass/node'
import type { Reply } from 'gatepass/passport'
import { describe, expect, test } from 'vitest'
import { listen } from '../../test/listen.ts'
import { addVary, keepFromCaches, writeCookies } from './answer.ts'
import { NodeExchange, sendReply } from './node.ts'
import { beforeResponse, headInFinish } from './response-gate.ts'
import { httpSettings } from './settings.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express
/** The exchange of a request written byte by byte, looked at while it is there. */
async function look<T>(
  text: string,
  options: HttpOptions,
  see: (exchange: NodeExchange, req: IncomingMessage) => T,
): Promise<T> {
  const seen = Promise.withResolvers<T>()
  const settings = httpSettings(options)
  const port = await listen(
    createServer({ requireHostHeader: false }, (req, res) => {
      try {
        seen.resolve(see(new NodeExchange(req, res, settings), req))
      } catch (error) {
        seen.reject(error)
      }
      res.end()
    }),
  )
  const client = connect(port, '127.0.0.1').resume()
  client.end(`${text}\r\nConnection: close\r\n\r\n`)
  await once(client, 'close')
  return seen.promise
}

const get = (lines: string, target = '/'): string => `GET ${target} HTTP/1.1${lines && `\r\n${lines}`}`

describe('the target', () => {
  test.each([
    ['/login?next=%2Fcart', '/login?next=%2Fcart'],
    ['//evil.example/x', '//evil.example/x'],
    ['http://evil.example/x?y', '/x?y'],
    ['http://evil.example', '/'],
    ['http://evil.example?x', '/?x'],
    ['*', '*'],
  ])('%j is %j', async (target, expected) => {
    expect(await look(get('Host: a', target).replace('GET *', 'OPTIONS *'), {}, ({ target }) => target)).toBe(expected)
  })

  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('is the whole one in a mounted router of %s', async (_name, framework) => {
    const router = framework.Router()
    router.get('/inner', (req, res) => void res.send(new NodeExchange(req, res, httpSettings()).target))
    const port = await listen(createServer(framework().use('/mounted', router)))
    const response = await fetch(`http://127.0.0.1:${port}/mounted/inner?a=1`)
    expect(await response.text()).toBe('/mounted/inner?a=1')
  })
})

describe('header fields', () => {
  test('are found by lower-case name, and absent ones are undefined', async () => {
    const seen = await look(get('Host: a\r\nX-A: 1\r\nx-a: 2'), {}, (exchange) => [
      exchange.header('x-a'),
      exchange.header('x-b'),
      exchange.header('host'),
    ])
    expect(seen).toEqual(['1, 2', undefined, 'a'])
  })

  test('several Cookie fields are one', async () => {
    const cookie = await look(get('Host: a\r\nCookie: a=1\r\nCookie: b=2; a=3'), {}, ({ cookies }) => [
      cookies.raw('b'),
      cookies.count('a'),
    ])
    expect(cookie).toEqual(['2', 2])
  })

  test('a cookie the visitor has not agreed to is not read', async () => {
    const counter = plainCookie('counter', { purpose: 'statistics' })
    const read = (options: HttpOptions): Promise<string | undefined> =>
      look(get('Host: a\r\nCookie: counter=1'), options, ({ cookies }) => cookies.get(counter))
    expect(await read({})).toBe('1')
    expect(await read({ consent: consentTo() })).toBeUndefined()
    expect(await read({ consent: consentTo('statistics') })).toBe('1')
  })

  test('several Origin fields are no origin', async () => {
    const lines = 'Host: a\r\nOrigin: https://a.example\r\nOrigin: https://b.example'
    expect(await look(get(lines), {}, (exchange) => exchange.header('origin'))).toBe(
      'https://a.example, https://b.example',
    )
  })
})

describe('the origin', () => {
  const originOf = (lines: string, options: HttpOptions = {}, target = '/'): Promise<string> =>
    look(get(lines, target), options, ({ origin }) => origin)

  test.each([
    ['Host: app.example', 'http://app.example'],
    ['Host: APP.Example:80', 'http://app.example'],
    ['Host: app.example:8080', 'http://app.example:8080'],
    ['Host: [::1]:3000', 'http://[::1]:3000'],
  ])('of %j is %s', async (lines, origin) => {
    expect(await originOf(lines)).toBe(origin)
  })

  test.each([
    'Host: a b',
    'Host: a/b',
    'Host: a@b',
    'Host: a,b',
    'Host: a\\b',
    'Host: a?b',
    'Host: <b>',
    'Host:',
    'X-A: 1',
    'Host: a\r\nHost: b',
    'Host: a\r\nhost: a',
  ])('of %j is the address it came to', async (lines) => {
    expect(await originOf(lines)).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  })

  test('of an absolute target is the target\u2019s, whatever Host says', async () => {
    expect(await originOf('Host: other.example', {}, 'http://app.example/x')).toBe('http://app.example')
  })

  test('that is configured is not asked of the request', async () => {
    const options = { origin: 'https://app.example', trustProxy: 1 }
    const hostile =
      'Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.example'
    expect(await originOf(hostile, options)).toBe('https://app.example')
    expect(await originOf('X-A: 1', options, 'http://evil.example/')).toBe('https://app.example')
  })

  test('among several configured is the one the request names, or else the first', async () => {
    const options = { origin: ['http://a.example', 'http://b.example:8080'] }
    expect(await originOf('Host: b.example:8080', options)).toBe('http://b.example:8080')
    expect(await originOf('Host: evil.example', options)).toBe('http://a.example')
  })

  test('is not told by forwarded fields unless a proxy is trusted', async () => {
    const lines =
      'Host: app.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.example;proto=https'
    expect(await originOf(lines)).toBe('http://app.example')
    expect(await originOf(lines, { trustProxy: ['10.0.0.0/8'] })).toBe('http://app.example')
    expect(await originOf(lines, { trustProxy: ['loopback'] })).toBe('https://evil.example')
  })

  test('a forwarded host that is none is as if absent', async () => {
    const lines = 'Host: app.example\r\nX-Forwarded-Host: a b\r\nX-Forwarded-Proto: https'
    expect(await originOf(lines, { trustProxy: 1 })).toBe('https://app.example')
  })
})

describe('whether the connection is secure', () => {
  const secure = (lines: string, options: HttpOptions = {}): Promise<boolean> =>
    look(get(lines), options, (exchange) => exchange.secure)

  test('is what it is, and not what the browser says', async () => {
    expect(await secure('Host: a')).toBe(false)
    expect(await secure('Host: a\r\nX-Forwarded-Proto: https')).toBe(false)
    expect(await secure('Host: a\r\nX-Forwarded-Proto: https', { trustProxy: ['10.0.0.0/8'] })).toBe(false)
  })

  test('is what a trusted proxy says', async () => {
    expect(await secure('Host: a\r\nX-Forwarded-Proto: https', { trustProxy: 1 })).toBe(true)
    expect(await secure('Host: a\r\nX-Forwarded-Proto: http', { trustProxy: 1 })).toBe(false)
    expect(await secure('Host: a', { trustProxy: 1 })).toBe(false)
  })

  test('is what the configured origin says', async () => {
    expect(await secure('Host: a', { origin: 'https://app.example' })).toBe(true)
    expect(
      await secure('Host: a\r\nX-Forwarded-Proto: https', { origin: 'http://localhost:3000', trustProxy: 1 }),
    ).toBe(false)
  })

  test('is true of an encrypted connection', () => {
    const req = { socket: { encrypted: true }, headers: {} } as unknown as IncomingMessage
    expect(new NodeExchange(req, {} as ServerResponse, httpSettings()).secure).toBe(true)
  })
})

describe('the address', () => {
  const spoofed =
    'Host: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6'

  test('is the connection\u2019s, whatever the fields say', async () => {
    expect(await look(get(spoofed), {}, ({ remoteAddress }) => remoteAddress)).toBe('127.0.0.1')
    expect(await look(get(spoofed), { trustProxy: ['10.0.0.0/8'] }, ({ remoteAddress }) => remoteAddress)).toBe(
      '127.0.0.1',
    )
  })

  test('is the nearest that no trusted proxy vouches to be one of us', async () => {
    const lines = 'Host: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7, 127.0.0.2'
    expect(await look(get(lines), { trustProxy: ['loopback'] }, ({ remoteAddress }) => remoteAddress)).toBe(
      '203.0.113.7',
    )
  })

  test('is an IPv4 address also where IPv6 carries it, and undefined once the socket is gone', () => {
    const at = (remoteAddress?: string): string | undefined =>
      new NodeExchange(
        { socket: { remoteAddress } as Socket, headers: {} } as IncomingMessage,
        {} as ServerResponse,
        httpSettings(),
      ).remoteAddress
    expect(at('::ffff:192.0.2.1')).toBe('192.0.2.1')
    expect(at()).toBeUndefined()
  })
})

test('two Authorization fields are both seen: whatever stands before us may have gone by either', async () => {
  const field = (...lines: string[]) =>
    look(get(lines.join('\r\n')), {}, (exchange) => exchange.header('authorization'))
  expect(await field('Authorization: Bearer a', 'authorization: Bearer b')).toBe('Bearer a, Bearer b')
  expect(await field('Authorization: Bearer a')).toBe('Bearer a')
  expect(await field('X-Authorization: Bearer a')).toBeUndefined()
})

test('HTTP/2 requests are exchanges too', async () => {
  const seen = Promise.withResolvers<unknown>()
  const server = createHttp2Server((req, res) => {
    const exchange = new NodeExchange(req, res, httpSettings())
    const { method, target, origin, remoteAddress, cookies } = exchange
    seen.resolve({
      method,
      target,
      origin,
      remoteAddress,
      host: exchange.header('host'),
      cookie: cookies.raw('b'),
    })
    sendReply(res, { status: 200, headers: { 'Set-Cookie': ['a=1', 'b=2'], Vary: 'Origin' }, body: 'x' })
  })
  const session = connectHttp2(`http://127.0.0.1:${await listen(server)}`)
  const stream = session
    .request({ ':path': '/x?y', ':authority': 'app.example', cookie: ['a=1', 'b=2'] as unknown as string })
    .end()
  const [headers] = await once(stream, 'response')
  session.destroy()
  expect(await seen.promise).toEqual({
    method: 'GET',
    target: '/x?y',
    origin: 'http://app.example',
    remoteAddress: '127.0.0.1',
    host: 'app.example',
    cookie: '2',
  })
  expect(headers).toMatchObject({ ':status': 200, 'set-cookie': ['a=1', 'b=2'], vary: 'Origin' })
})

test('what an exchange remembers is made once', async () => {
  await look(get('Host: a'), {}, (_exchange, req) => {
    const res = {} as ServerResponse
    const exchange = new NodeExchange(req, res, httpSettings())
    expect(exchange.memory).toBe(exchange.memory)
    expect(exchange.cookies).toBe(exchange.cookies)
    expect(exchange.fields()).toBe(exchange.fields())
  })
})

// ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────────

async function rawAnswer(
  listener: (req: IncomingMessage, res: ServerResponse) => void,
  method = 'GET',
): Promise<string[]> {
  const client = connect(await listen(createServer(listener)), '127.0.0.1')
  client.write(`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  return Buffer.concat(await client.toArray())
    .toString('latin1')
    .split('\r\n')
}

async function answer(listener: (req: IncomingMessage, res: ServerResponse) => void): Promise<IncomingMessage> {
  const sent = request({ port: await listen(createServer(listener)), host: '127.0.0.1', agent: false }).end()
  const [res] = (await once(sent, 'response')) as [IncomingMessage]
  res.resume()
  return res
}

describe('a reply', () => {
  const reply: Reply = {
    status: 303,
    headers: { Location: '/account', 'Set-Cookie': 'b=2', Vary: 'Cookie' },
    body: 'moved',
  }

  test('leaves with status, fields and body, beside the cookies and Vary that were there', async () => {
    const lines = await rawAnswer((_, res) => {
      res.setHeader('Set-Cookie', 'a=1')
      res.setHeader('vary', 'Accept')
      res.setHeader('Content-Length', '999')
      res.setHeader('ETag', '"old"')
      sendReply(res, reply)
    })
    expect(lines[0]).toBe('HTTP/1.1 303 See Other')
    expect(lines).toEqual(
      expect.arrayContaining([
        'Location: /account',
        'Set-Cookie: a=1',
        'Set-Cookie: b=2',
        'Vary: Accept, Cookie',
        'moved',
      ]),
    )
    expect(lines.join()).not.toMatch(/999|old/)
  })

  test('to HEAD leaves without its body', async () => {
    const lines = await rawAnswer(
      (_, res) => sendReply(res, { status: 200, headers: { 'Content-Type': 'text/plain' }, body: 'secret' }),
      'HEAD',
    )
    expect(lines.join()).not.toContain('secret')
  })

  test.each(['/a\r\nSet-Cookie: evil=1', '/a\u0000', '/\u010a', '/\u2028'])(
    'never has %j in a field: nothing is sent',
    async (location) => {
      const lines = await rawAnswer((_, res) => {
        expect(() => sendReply(res, { status: 303, headers: { Location: location } })).toThrow()
        res.destroy()
      })
      expect(lines).toEqual([''])
    },
  )

  test('is held by the gate like any answer', async () => {
    const lines = await rawAnswer((_, res) => {
      beforeResponse(
        res,
        async () => writeCookies(headInFinish(res), drafted('session', '1')),
        () => {},
      )
      sendReply(res, reply)
    })
    expect(lines).toEqual(
      expect.arrayContaining([
        'Set-Cookie: b=2',
        `Set-Cookie: ${drafted('session', '1').setCookieFields()}`,
        'Vary: Cookie',
        'Cache-Control: no-store',
      ]),
    )
  })
})

function drafted(...pairs: string[]): Cookies {
  const cookies = new Cookies(undefined)
  for (let n = 0; n < pairs.length; n += 2) cookies.set(plainCookie(pairs[n] ?? ''), pairs[n + 1] ?? '')
  return cookies
}

describe('cookies that are written', () => {
  test('stand beside those of others, each in a field of its own', async () => {
    const res = await answer((_, res) => {
      res.setHeader('Set-Cookie', 'theirs=1; Path=/')
      writeCookies(headInFinish(res), drafted('a', '1', 'b', '2'))
      res.end()
    })
    expect(res.headers['set-cookie']).toEqual(['theirs=1; Path=/', ...drafted('a', '1', 'b', '2').setCookieFields()])
    expect(res.headers.vary).toBe('Cookie')
  })

  test('twice are there once', async () => {
    const res = await answer((_, res) => {
      const cookies = drafted('a', '1')
      writeCookies(headInFinish(res), cookies)
      writeCookies(headInFinish(res), cookies)
      res.end()
    })
    expect(res.headers['set-cookie']).toEqual(drafted('a', '1').setCookieFields())
  })

  test.each([
    [undefined, 'no-store'],
    ['public, max-age=3600', 'no-store'],
    ['max-age=0', 'no-store'],
    ['no-cache', 'no-store'],
    ['private="x", max-age=60', 'no-store'],
    ['x-private', 'no-store'],
    ['private, max-age=60', 'private, max-age=60'],
    ['max-age=60, Private', 'max-age=60, Private'],
    ['no-store', 'no-store'],
  ])('make Cache-Control %j %j', async (before, after) => {
    const res = await answer((_, res) => {
      if (before !== undefined) res.setHeader('Cache-Control', before)
      res.setHeader('CDN-Cache-Control', 'max-age=60')
      res.setHeader('Surrogate-Control', 'max-age=60')
      writeCookies(headInFinish(res), drafted('a', '1'))
      res.end()
    })
    expect(res.headers['cache-control']).toBe(after)
    expect(res.headers['cdn-cache-control']).toBe('no-store')
    expect(res.headers['surrogate-control']).toBe('no-store')
  })

  test('that are none change nothing', async () => {
    const res = await answer((_, res) => {
      res.setHeader('Cache-Control', 'public')
      writeCookies(headInFinish(res), new Cookies('a=1'))
      res.end()
    })
    expect(res.headers).toMatchObject({ 'cache-control': 'public' })
    expect(res.headers.vary).toBeUndefined()
    expect(res.headers['set-cookie']).toBeUndefined()
  })

  test('can be drafted until the response leaves, and not after', async () => {
    const outcome = Promise.withResolvers<void>()
    await answer((req, res) => {
      const { cookies } = new NodeExchange(req, res, httpSettings())
      beforeResponse(
        res,
        async () => {
          cookies.set(plainCookie('a'), '1')
          writeCookies(headInFinish(res), cookies)
        },
        outcome.reject,
      )
      res.end(() => {
        try {
          expect(() => cookies.set(plainCookie('a'), '2')).toThrow(
            expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' }),
          )
          outcome.resolve()
        } catch (error) {
          outcome.reject(error)
        }
      })
    })
    await outcome.promise
  })
})

test.each([
  [undefined, 'private, no-store'],
  ['public', 'public'],
])('an answer for one person with Cache-Control %j has %j', async (before, after) => {
  const res = await answer((_, res) => {
    if (before !== undefined) res.setHeader('Cache-Control', before)
    beforeResponse(
      res,
      async () => keepFromCaches(headInFinish(res)),
      () => {},
    )
    res.end()
  })
  expect(res.headers['cache-control']).toBe(after)
})

test.each([
  [undefined, 'Cookie', 'Cookie'],
  ['Accept', 'Cookie', 'Accept, Cookie'],
  [['Accept', 'Origin'], 'Sec-Fetch-Site, Origin', 'Accept, Origin, Sec-Fetch-Site'],
  ['accept , COOKIE', 'Cookie', 'accept , COOKIE'],
  ['*', 'Cookie', '*'],
  ['', 'Cookie', 'Cookie'],
])('Vary %j with %j added is %j', async (before, added, after) => {
  const res = await answer((_, res) => {
    if (before !== undefined) res.setHeader('Vary', before)
    addVary(headInFinish(res), added)
    res.end()
  })
  expect(res.headers.vary).toBe(after)
})

describe('settings', () => {
  test('have defaults that believe nobody', () => {
    expect(httpSettings()).toEqual({ origins: [], trust: undefined, bodyLimit: 16_384, consent: undefined })
  })

  test('write origins as browsers do', () => {
    expect(httpSettings({ origin: ['https://APP.example:443/', 'http://localhost:3000'] }).origins).toEqual([
      'https://app.example',
      'http://localhost:3000',
    ])
  })

  test.each([
    '',
    'app.example',
    'https://',
    'https://a/b',
    'https://a?b',
    'https://a#b',
    'https://user:secret@a',
    'ftp://a',
    'null',
    '*',
    'https://*.a',
    'https://a,https://b',
    5,
    null,
  ])('%j is no origin', (origin) => {
    const parse = () => httpSettings({ origin } as HttpOptions)
    expect(parse).toThrow(UsageError)
    expect(parse).toThrow(
      expect.objectContaining({ code: 'ERR_HTTP_ORIGIN', message: expect.stringContaining('`origin`') }),
    )
    expect(parse).not.toThrow(/secret/)
  })

  test.each([0, -1, 1.5, Number.NaN, '16kb'])('%j is no body limit', (bodyLimit) => {
    expect(() => httpSettings({ bodyLimit } as HttpOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_HTTP_OPTIONS' }),
    )
  })
})

describe('hostile requests', () => {
  const everything = (exchange: NodeExchange, req: IncomingMessage): unknown => {
    const { method, target, origin, secure, remoteAddress, cookies } = exchange
    const sent = Object.keys(req.headers).map((name) => exchange.header(name))
    return [method, target, origin, secure, remoteAddress, cookies.raw('a'), cookies.count('a'), sent]
  }

  async function statusOf(bytes: string | Buffer): Promise<string> {
    const settings = httpSettings({ trustProxy: 1 })
    const server = createServer(async (req, res) => {
      const exchange = new NodeExchange(req, res, settings)
      everything(exchange, req)
      const refused = await exchange.fields().then(
        () => undefined,
        (error) => error,
      )
      sendReply(res, { status: refused?.status ?? 200, headers: {} })
    })
    const client = connect(await listen(server), '127.0.0.1')
    client.write(bytes)
    return Buffer.concat(await client.toArray())
      .toString('latin1')
      .slice(9, 12)
  }

  const post = (head: string, body: string): string =>
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const ask = (lines: string, target = '/'): string =>
    `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n\r\n`

  test.each([
    ['an encoded lone surrogate in the target', ask('X: 1', '/%ed%a0%80?%E0%A4%A=%'), '200'],
    ['bytes that are no UTF-8 in the target', Buffer.from(ask('X: 1', '/\xff\xfe'), 'latin1'), '400'],
    ['a cookie header of separators', ask(`Cookie: ${';'.repeat(15_000)}`), '200'],
    ['a cookie header of equals signs', ask(`Cookie: ${'='.repeat(15_000)}`), '200'],
    ['a cookie header of spaces', ask(`Cookie: a=1${' '.repeat(14_000)};b`), '200'],
    ['3,000 cookies', ask(`Cookie: ${'a=1;'.repeat(3000)}`), '200'],
    ['200 cookie fields', ask(Array.from({ length: 200 }, (_, n) => `Cookie: a${n}=1`).join('\r\n')), '200'],
    ['a cookie header of 64 kB', ask(`Cookie: ${'a=1;'.repeat(16_000)}`), '431'],
    [
      'forwarded fields of separators',
      ask(`X-Forwarded-For: ${','.repeat(7000)}\r\nForwarded: ${';'.repeat(7000)}`),
      '200',
    ],
    [
      'forwarded fields of brackets',
      ask(`X-Forwarded-For: ${'['.repeat(7000)}\r\nX-Forwarded-Host: ${'['.repeat(7000)}`),
      '200',
    ],
    ['a host of dots', 'GET / HTTP/1.1\r\nConnection: close\r\nHost: '.concat('.'.repeat(8000), '\r\n\r\n'), '200'],
    ['an odd port', 'GET / HTTP/1.1\r\nConnection: close\r\nHost: a:99999999\r\n\r\n', '200'],
    ['nested lists', post('Content-Type: application/json', `{"a":${'['.repeat(8000)}`), '400'],
    ['NaN', post('Content-Type: application/json', 'NaN'), '400'],
    ['a byte order mark', post('Content-Type: application/json', '\ufeff{"a":1}'), '400'],
    [
      'a huge Content-Type',
      post(`Content-Type: application/json;${' '.repeat(7000)}a=${'"'.repeat(7000)}`, '{}'),
      '415',
    ],
    ['a percent sign', post('Content-Type: application/x-www-form-urlencoded', '%'), '400'],
    ['10,000 fields of one name', post('Content-Type: application/x-www-form-urlencoded', 'a&'.repeat(8000)), '200'],
  ])('%s: answered with its status', async (_name, bytes, status) => {
    expect(await statusOf(bytes)).toBe(status)
  })
})
