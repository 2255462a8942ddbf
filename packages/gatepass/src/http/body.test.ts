import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import express from 'express'
import fc from 'fast-check'
import { ProtocolError } from 'gatepass'
import { describe, expect, test } from 'vitest'
import { listen } from '../../test/listen.ts'
import { parseContentType, readFields } from './body.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express
/** Answers with the fields it has read, or with what was wrong with them. */
async function echo(req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    const fields = await readFields(req, res, 1000)
    res.end(JSON.stringify({ fields, prototype: Object.getPrototypeOf(fields) }))
  } catch (error) {
    const { status, code, message } = error as ProtocolError
    res.statusCode = error instanceof ProtocolError ? status : 500
    res.end(JSON.stringify({ code, message }))
  }
}

interface Sent {
  method?: string
  type?: string
  body?: string | Buffer
  headers?: Record<string, string>
}
interface Received {
  status: number
  fields?: Record<string, unknown>
  prototype?: unknown
  code?: string
  message?: string
  connection?: string | undefined
}

async function send(port: number, { method = 'POST', type, body, headers = {} }: Sent): Promise<Received> {
  const sent = request({
    port,
    host: '127.0.0.1',
    agent: false,
    method,
    headers: { ...headers, ...(type !== undefined && { 'content-type': type }) },
  })
  sent.end(body)
  const [res] = (await once(sent, 'response')) as [IncomingMessage]
  const text = Buffer.concat(await res.toArray()).toString()
  return { status: res.statusCode ?? 0, connection: res.headers.connection, ...JSON.parse(text) }
}

const post = async (sent: Sent): Promise<Received> => send(await listen(createServer(echo)), sent)
const form = (body: string | Buffer, type = 'application/x-www-form-urlencoded'): Promise<Received> =>
  post({ type, body })
const json = (body: string | Buffer, type = 'application/json'): Promise<Received> => post({ type, body })

describe('a form', () => {
  test('is read, percent-encoding and plus signs decoded', async () => {
    const { fields, prototype } = await form('name=J%C3%BCrgen+K%2B&empty=&bare&=x&a=b=c')
    expect(fields).toEqual({ name: 'J\u00fcrgen K+', empty: '', bare: '', '': 'x', a: 'b=c' })
    expect(prototype).toBeNull()
  })

  test('that names a field twice shows it as a list', async () => {
    expect((await form('user=a&user=b&user=c&other=d')).fields).toEqual({ user: ['a', 'b', 'c'], other: 'd' })
  })

  test('can name a field like a property of all objects', async () => {
    const { fields } = await form('__proto__=a&constructor=b&toString=c&__proto__=d')
    expect(Object.entries(fields ?? {})).toEqual([
      ['__proto__', ['a', 'd']],
      ['constructor', 'b'],
      ['toString', 'c'],
    ])
  })

  test.each(['%', 'a=%', 'a=%zz', 'a=%e4', 'a=%ff%fe', '%c3=1', 'a=%ed%a0%80'])('%j is malformed', async (body) => {
    expect(await form(body)).toMatchObject({ status: 400, code: 'ERR_BODY_MALFORMED' })
  })

  test('in another encoding than UTF-8 is malformed', async () => {
    expect(await form(Buffer.from([0x61, 0x3d, 0xff]))).toMatchObject({ status: 400, code: 'ERR_BODY_MALFORMED' })
  })
})

describe('a JSON object', () => {
  test('is read', async () => {
    const { fields, prototype } = await json('{"name":"J\u00fcrgen","n":5,"list":[{"a":null}]}')
    expect(fields).toEqual({ name: 'J\u00fcrgen', n: 5, list: [{ a: null }] })
    expect(prototype).toBeNull()
  })

  test.each([
    '[]',
    '[{"a":1}]',
    '"text"',
    '5',
    'null',
    'NaN',
    '{',
    '{"a":1}}',
    "{'a':1}",
    '\ufeff{}',
    'undefined',
    ' ',
  ])('is not what %j is', async (body) => {
    expect(await json(body)).toMatchObject({ status: 400, code: 'ERR_BODY_MALFORMED' })
  })

  test('that would change a prototype when it is copied loses that key below its top, and keeps it as a name there', async () => {
    const { fields } = await json('{"__proto__":{"admin":true},"a":[{"__proto__":{"admin":true},"b":1}]}')
    expect(Object.keys(fields ?? {})).toEqual(['__proto__', 'a'])
    expect(JSON.stringify(fields?.a)).toBe('[{"b":1}]')
  })

  test.each(['[', '{"a":'])('nested too deeply with %j is malformed', async (open) => {
    const close = open === '[' ? ']' : '}'
    const nested = (depth: number): string => `{"x":${open.repeat(depth)}1${close.repeat(depth)}}`
    expect((await json(nested(30))).status).toBe(200)
    expect(await json(nested(80))).toMatchObject({ status: 400, code: 'ERR_BODY_MALFORMED' })
  })

  test.each([
    '{"password":"a","password":"b"}',
    '{"password":"a","p\\u0061ssword":"a"}',
    '{"username":"a","__proto__":1,"__proto__":2}',
    '{"a":{"b":1,"b":2}}',
    '{"a":[{"b":1,"c":{},"b":2}]}',
    '{"a" : 1,\n"a" : 1}',
  ])('that names a member twice is malformed: %s', async (body) => {
    expect(await json(body)).toMatchObject({ status: 400, code: 'ERR_BODY_MALFORMED' })
  })

  test('may have one name in several objects, and as a text', async () => {
    const body = '{"a":"a","b":{"a":["a","a"],"b":"\\"a\\":1,"},"c":[{"a":1},{"a":1}]}'
    expect((await json(body)).fields).toEqual(JSON.parse(body))
  })

  test('with a lone surrogate is malformed', async () => {
    expect(await json('{"password":"\\ud800"}')).toMatchObject({ status: 400, code: 'ERR_BODY_MALFORMED' })
  })
})

describe('the Content-Type is read whole', () => {
  test.each([
    'application/json',
    'APPLICATION/JSON',
    'application/json;charset=UTF-8',
    'application/json; charset="utf-8"; x=y',
    'application/json; charset=UTF8',
    'application/json; charset="utf8"',
    "application/json; charset='utf-8'",
    'application/json; charset=" utf-8 "',
    'application/json; charset=unicode-1-1-utf-8',
    'application/json; charset=csUTF8',
    'application/json;',
  ])('%j is JSON', async (type) => {
    expect((await json('{"a":1}', type)).fields).toEqual({ a: 1 })
  })

  test.each([
    undefined,
    'text/plain',
    'text/plain;application/json',
    'text/plain; x="application/json"',
    'APPLICATION/JSON;x',
    'application/json, text/plain',
    'application/jsonp',
    'application/json;charset=utf-16',
    'application/json;charset=latin1',
    'application/json;charset=utf-16le',
    'application/json;charset=utf-7',
    'application/json;charset=utf',
    'application/json;charset="utf-8, utf-16"',
    'application/json;charset=utf-8;charset=utf-16',
    'application/x-www-form-urlencoded;charset=',
    'multipart/form-data; boundary=x',
    'multipart/form-data',
  ])('%j is neither JSON nor a form', async (type) => {
    expect(await post({ ...(type !== undefined && { type }), body: '{"a":1}' })).toMatchObject({
      status: 415,
      code: 'ERR_BODY_TYPE',
    })
  })

  test.each(['identity', 'Identity'])('a body in the coding %s is not compressed', async (coding) => {
    const plain = { type: 'application/json', body: '{"a":1}', headers: { 'content-encoding': coding } }
    expect((await post(plain)).fields).toEqual({ a: 1 })
  })

  test('a compressed body is not read', async () => {
    const compressed = { type: 'application/json', body: '{}', headers: { 'content-encoding': 'gzip' } }
    expect(await post(compressed)).toMatchObject({ status: 415, code: 'ERR_BODY_TYPE' })
  })
})

describe('too many bytes', () => {
  const body = `{"a":"${'x'.repeat(1000)}"}`

  test('by their announced length are refused before any is read', async () => {
    const client = connect(await listen(createServer(echo)), '127.0.0.1')
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1001\r\n\r\n')
    const answer = Buffer.concat(await client.toArray()).toString()
    expect(answer).toMatch(/^HTTP\/1.1 413 .*\r\nConnection: close\r\n.*ERR_BODY_TOO_LARGE/s)
  })

  test('without an announced length are refused when they have come', async () => {
    const headers = { 'transfer-encoding': 'chunked' }
    expect(await post({ type: 'application/json', body, headers })).toMatchObject({ status: 413, connection: 'close' })
  })

  test('that never end are not read on', async () => {
    const outcome = Promise.withResolvers<unknown>()
    let bytesRead = 0
    let paused = false
    const port = await listen(
      createServer(async (req, res) => {
        await readFields(req, res, 1000).catch(outcome.resolve)
        paused = req.isPaused()
        res.end()
        bytesRead = req.socket.bytesRead
      }),
    )
    const client = connect(port, '127.0.0.1').on('error', () => {})
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = `400\r\n${'x'.repeat(1024)}\r\n`
    const flood = (): void => {
      while (client.writable && client.write(chunk));
    }
    client.on('drain', flood)
    flood()
    await new Promise((resolve) => client.on('close', resolve))
    expect(await outcome.promise).toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(paused).toBe(true)
    expect(bytesRead).toBeLessThan(1024 * 1024)
  })

  test('are one more than the limit', async () => {
    const exactly = `{"a":"${'x'.repeat(1000 - 8)}"}`
    expect((await json(exactly)).status).toBe(200)
    expect((await json(exactly.replace('"a"', '"ab"'))).status).toBe(413)
  })
})

describe('no fields', () => {
  test.each(['GET', 'HEAD'])('are in a %s, whatever it carries', async (method) => {
    const port = await listen(
      createServer(async (req, res) => {
        res.setHeader('X-Fields', JSON.stringify(await readFields(req, res, 1000)))
        res.end()
      }),
    )
    const sent = request({
      port,
      host: '127.0.0.1',
      agent: false,
      method,
      path: '/?a=1',
      headers: { 'content-type': 'application/json', 'content-length': 7 },
    })
    sent.end('{"a":1}')
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    res.resume()
    expect(res.headers['x-fields']).toBe('{}')
  })

  test('are in a request without a body, with a Content-Type or without', async () => {
    expect((await post({})).fields).toEqual({})
    expect((await post({ type: 'application/json', body: '' })).fields).toEqual({})
    expect((await post({ type: 'multipart/form-data', headers: { 'content-length': '0' } })).fields).toEqual({})
    expect((await post({ type: 'application/json', headers: { 'transfer-encoding': 'chunked' } })).fields).toEqual({})
  })
})

test('a request that ends before its body does is malformed', async () => {
  const outcome = Promise.withResolvers<unknown>()
  const begun = Promise.withResolvers<void>()
  const port = await listen(
    createServer((req, res) => {
      readFields(req, res, 1000).then(outcome.resolve, outcome.resolve)
      begun.resolve()
    }),
  )
  const client = connect(port, '127.0.0.1')
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"a":')
  await begun.promise
  client.destroy()
  expect(await outcome.promise).toMatchObject({ code: 'ERR_BODY_MALFORMED', status: 400 })
})

test('HTTP/2 bodies are read as well, and counted', async () => {
  const server = createHttp2Server(
    (req, res) => void echo(req as unknown as IncomingMessage, res as unknown as ServerResponse),
  )
  const session = connectHttp2(`http://127.0.0.1:${await listen(server)}`)
  const ask = async (body?: string): Promise<unknown> => {
    const stream = session.request(
      { ':method': 'POST', 'content-type': 'application/json' },
      { endStream: body === undefined },
    )
    if (body !== undefined) stream.end(body)
    return JSON.parse(Buffer.concat(await stream.toArray()).toString())
  }
  expect(await ask('{"a":1}')).toMatchObject({ fields: { a: 1 } })
  expect(await ask()).toMatchObject({ fields: {} })
  expect(await ask(`{"a":"${'x'.repeat(2000)}"}`)).toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
  session.close()
})

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
])('behind the parsers of %s', (_name, framework) => {
  const behind = async (parser: express.RequestHandler | undefined, sent: Sent): Promise<Received> => {
    const app = framework()
    if (parser !== undefined) app.use(parser)
    app.use((req, res) => void echo(req, res))
    return send(await listen(createServer(app)), sent)
  }
  const object = { type: 'application/json', body: '{"a":1,"__proto__":{"b":2}}' }
  const login = { type: 'application/x-www-form-urlencoded', body: 'a=1&b=2&b=3' }

  test('what they have read is taken', async () => {
    expect((await behind(framework.json(), object)).fields?.a).toBe(1)
    expect((await behind(framework.urlencoded({ extended: false }), login)).fields).toEqual({ a: '1', b: ['2', '3'] })
    expect((await behind(framework.text({ type: '*/*' }), login)).fields).toEqual({ a: '1', b: ['2', '3'] })
    expect((await behind(framework.raw({ type: '*/*' }), object)).fields?.a).toBe(1)
  })

  test('what they have left is read', async () => {
    expect((await behind(framework.json(), login)).fields).toEqual({ a: '1', b: ['2', '3'] })
    expect((await behind(framework.urlencoded({ extended: false }), object)).fields?.a).toBe(1)
    expect((await behind(undefined, login)).fields).toEqual({ a: '1', b: ['2', '3'] })
  })

  test('a JSON list is no object', async () => {
    expect(await behind(framework.json(), { type: 'application/json', body: '[1]' })).toMatchObject({ status: 400 })
  })

  test('a body that was read and not kept has no fields', async () => {
    const discard: express.RequestHandler = (req, _res, next) => void req.resume().on('end', next)
    expect((await behind(discard, login)).fields).toEqual({})
  })
})

test('any bytes are fields or a refusal', async () => {
  const port = await listen(createServer(echo))
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('application/json', 'application/x-www-form-urlencoded'),
      async (bytes, type) => {
        expect([200, 400]).toContain((await send(port, { type, body: Buffer.from(bytes) })).status)
      },
    ),
  )
})

describe('a Content-Type', () => {
  test.each([
    ['application/json', 'application/json', {}],
    ['APPLICATION/JSON', 'application/json', {}],
    ['text/html; charset=UTF-8', 'text/html', { charset: 'UTF-8' }],
    ['text/html;Charset="utf-8"', 'text/html', { charset: 'utf-8' }],
    ['text/plain ;\ta=1 ; b="x;\\"y"', 'text/plain', { a: '1', b: 'x;"y' }],
    ['text/plain;a=""', 'text/plain', { a: '' }],
    ['application/json;', 'application/json', {}],
    ['application/json; ;a=1; ', 'application/json', { a: '1' }],
  ])('%j is read whole', (field, type, parameters) => {
    const parsed = parseContentType(field)
    expect(parsed?.type).toBe(type)
    expect(Object.fromEntries(parsed?.parameters ?? [])).toEqual(parameters)
  })

  test.each([
    '',
    'json',
    'application/',
    '/json',
    ' application/json',
    'application/json, text/plain',
    'application/json;x',
    'application/json;;x',
    'application/json;x=',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; CHARSET=utf-8; charset=utf-8',
    'text/plain;application/json',
    'application/json charset=utf-8',
    'application/json;a="x',
    'application/json;a="x"y',
    'application /json',
    'application/json\n',
  ])('%j is malformed', (field) => {
    expect(parseContentType(field)).toBeUndefined()
  })

  test('a long malformed field is refused', () => {
    expect(parseContentType(`a/b${' '.repeat(60_000)}`)).toBeUndefined()
    expect(parseContentType(`a/b;c="${'\\\\'.repeat(30_000)}`)).toBeUndefined()
    expect(parseContentType(`a/b${'; '.repeat(30_000)}x`)).toBeUndefined()
  })
})
