import { AsyncResource } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, IncomingMessage, request, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { createRequire } from 'node:module'
import { connect, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gunzipSync } from 'node:zlib'
import compression from 'compression'
import express from 'express'
import { StoreError, UsageError } from 'gatepass'
import { describe, expect, test, vi } from 'vitest'
import { listen } from '../../test/listen.ts'
import { andThen } from '../awaitable.ts'
import { beforeFinish, beforeResponse, delayEnd, headInFinish, headIsOpen } from './response-gate.ts'

type Listener = (req: IncomingMessage, res: ServerResponse) => void
interface Answer {
  status: number
  message: string
  headers: IncomingHttpHeaders
  trailers: NodeJS.Dict<string>
  body: Buffer
}

const express4 = createRequire(import.meta.url)('express4') as typeof express
async function ask(port: number, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  const sent = request({ port, host: '127.0.0.1', agent: false, ...options }).end()
  const [res] = (await once(sent, 'response')) as [IncomingMessage]
  const body = Buffer.concat(await res.toArray())
  return {
    status: res.statusCode ?? 0,
    message: res.statusMessage ?? '',
    headers: res.headers,
    trailers: res.trailers,
    body,
  }
}

async function answerOf(listener: Listener, options: Parameters<typeof ask>[1] = {}): Promise<Answer> {
  return ask(await listen(createServer(listener)), options)
}

async function http2AnswerOf(listener: Listener, options: { method?: string } = {}): Promise<Answer> {
  const server = createHttp2Server((req, res) =>
    listener(req as unknown as IncomingMessage, res as unknown as ServerResponse),
  )
  const session = connectHttp2(`http://127.0.0.1:${await listen(server)}`)
  const stream = session.request({ ':method': options.method ?? 'GET' }).end()
  const trailers = {}
  stream.on('trailers', (received: object) => Object.assign(trailers, received))
  const [headers] = await once(stream, 'response')
  const body = Buffer.concat(await stream.toArray())
  session.close()
  return { status: headers[':status'], message: '', headers: { ...headers }, trailers, body }
}

/** The same, where framing and time may differ. */
function essence({ status, message, headers, trailers, body }: Answer) {
  const {
    date,
    connection,
    'keep-alive': keep,
    'content-length': length,
    'transfer-encoding': coding,
    ...rest
  } = headers
  return { status, message, headers: { ...rest }, trailers: { ...trailers }, body: body.toString('latin1') }
}

const ignoreFailure = (error: unknown): never => {
  throw error
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const finishes: Record<string, () => void | Promise<void>> = {
  'at once': () => undefined,
  'in a microtask': async () => {},
  'turns later': () => turn().then(turn),
}

type Finish = () => void | Promise<void>

/** Fails at the moment at which `finish` would have succeeded: at once, if that is when. */
const failing =
  (finish: Finish, error: unknown): Finish =>
  () =>
    andThen(finish(), () => {
      throw error
    })

const threeMegabytes = Buffer.alloc(3 * 1024 * 1024, 'gatepass ')
const inChunks = (): Readable =>
  Readable.from(Array.from({ length: 48 }, (_, n) => threeMegabytes.subarray(n * 65536, (n + 1) * 65536)))

const answers: Record<string, Listener> = {
  'end with a text': (_, res) => res.end('hello'),
  'end with an encoding': (_, res) => res.end('ä', 'latin1'),
  'end with bytes': (_, res) => res.end(Buffer.from([1, 2, 255])),
  'end without a body': (_, res) => res.end(),
  'end with a callback': (_, res) => res.end(() => {}),
  'a status and fields, then end': (_, res) => {
    res.statusCode = 404
    res.setHeader('X-A', ['1', '2'])
    res.end('no')
  },
  'writeHead with a status': (_, res) => res.writeHead(201).end('made'),
  'writeHead with a message': (_, res) => res.writeHead(201, 'Made').end('made'),
  'writeHead with fields': (_, res) => res.writeHead(201, { 'X-A': '1', 'Set-Cookie': ['a=1', 'b=2'] }).end('made'),
  'writeHead with message and fields': (_, res) => res.writeHead(201, 'Made', { 'X-A': '1' }).end('made'),
  'writeHead with a flat array': (_, res) =>
    res.writeHead(201, ['X-A', '1', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']).end(),
  'writeHead over fields set before': (_, res) => {
    res.setHeader('X-A', 'old')
    res.setHeader('X-B', 'kept')
    res.writeHead(202, { 'x-a': 'new' }).end('x')
  },
  'writeHead with a flat array over fields set before': (_, res) => {
    res.setHeader('Set-Cookie', 'old=1')
    res.writeHead(202, ['Set-Cookie', 'a=1', 'set-cookie', 'b=2']).end('x')
  },
  'write and end': (_, res) => {
    res.write('one,')
    res.write(Buffer.from('two,'))
    res.write('tr\u00eas,', 'latin1')
    res.end('four')
  },
  'flushHeaders, write, end': (_, res) => {
    res.setHeader('X-A', '1')
    res.flushHeaders()
    res.write('one')
    res.end()
  },
  'a late end': (_, res) => {
    res.write('early')
    setImmediate(() => setImmediate(() => res.end('late')))
  },
  'no content': (_, res) => res.writeHead(204).end(),
  'not modified': (_, res) => {
    res.statusCode = 304
    res.setHeader('ETag', '"1"')
    res.end()
  },
  'a redirect': (_, res) => res.writeHead(302, { Location: '/login' }).end(),
  trailers: (_, res) => {
    res.writeHead(200, { Trailer: 'X-Sum' })
    res.write('body')
    res.addTrailers({ 'X-Sum': '4' })
    res.end()
  },
  'a pipe of 3 MB': (_, res) => void inChunks().pipe(res),
  'a pipeline of 3 MB': (_, res) => void pipeline(inChunks(), res),
  'early hints before the answer': (_, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload' })
    res.end('x')
  },
}

/** HTTP/2 has no status message, and Node warns about each. */
const http2Answers = Object.entries(answers).filter(([name]) => !name.includes('message'))

describe.each(Object.entries(finishes))('when `finish` is done %s', (_, finish) => {
  test.each(Object.entries(answers))('%s leaves as it would have without a gate', async (_name, answer) => {
    const plain = await answerOf(answer)
    const gated = await answerOf((req, res) => {
      beforeResponse(res, finish, ignoreFailure)
      answer(req, res)
    })
    expect(essence(gated)).toEqual(essence(plain))
  })

  test.each(http2Answers)('%s leaves over HTTP/2 as it would have without a gate', async (_name, answer) => {
    const plain = await http2AnswerOf(answer)
    const gated = await http2AnswerOf((req, res) => {
      beforeResponse(res, finish, ignoreFailure)
      answer(req, res)
    })
    expect(essence(gated)).toEqual(essence(plain))
  })

  test('the head of an answer to HEAD leaves without its body', async () => {
    const answer: Listener = (_, res) => res.writeHead(200, { 'Content-Length': '5' }).end('hello')
    const gated = await answerOf(
      (req, res) => {
        beforeResponse(res, finish, ignoreFailure)
        answer(req, res)
      },
      { method: 'HEAD' },
    )
    expect(gated).toMatchObject({ status: 200, headers: { 'content-length': '5' }, body: Buffer.alloc(0) })
  })

  test('callbacks of write and end are called once, in order', async () => {
    const called: string[] = []
    await answerOf((_, res) => {
      beforeResponse(res, finish, ignoreFailure)
      res.write('a', () => called.push('a'))
      res.write('b', 'utf8', () => called.push('b'))
      res.end('c', () => called.push('end'))
    })
    expect(called).toEqual(['a', 'b', 'end'])
  })

  test('what `finish` adds leaves beside what writeHead said', async () => {
    const { headers } = await answerOf((_, res) => {
      const addCookie = (): void =>
        void headInFinish(res).setHeader('Set-Cookie', [...(res.getHeader('set-cookie') as string[]), 'session=1'])
      beforeResponse(res, () => andThen(finish(), addCookie), ignoreFailure)
      res.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']).end('x')
    })
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2', 'session=1'])
  })

  test('it runs once however the answer is sent', async () => {
    const counted = vi.fn(finish)
    await answerOf((_, res) => {
      beforeResponse(res, counted, ignoreFailure)
      res.writeHead(200)
      res.flushHeaders()
      res.write('a')
      res.write('b')
      res.end('c')
    })
    expect(counted).toHaveBeenCalledTimes(1)
  })

  test('two of them run in the order they were armed, both before anything leaves', async () => {
    const order: string[] = []
    const { body } = await answerOf((_, res) => {
      const socket = res.socket
      const step =
        (name: string): Finish =>
        () =>
          andThen(finish(), () => void order.push(`${name} ${socket?.bytesWritten}`))
      beforeResponse(res, step('first'), ignoreFailure)
      beforeResponse(res, step('second'), ignoreFailure)
      res.end('done')
    })
    expect(order).toEqual(['first 0', 'second 0'])
    expect(body.toString()).toBe('done')
  })

  test('when it fails nothing of the answer has left, and another is given', async () => {
    const { status, headers, body } = await answerOf((_, res) => {
      res.setHeader('Content-Security-Policy', "default-src 'none'")
      beforeResponse(res, failing(finish, new StoreError('ERR_STORE_UNAVAILABLE', 'down')), () => res.end('sorry'))
      res.setHeader('ETag', '"1"')
      res.setHeader('Content-Encoding', 'gzip')
      res.writeHead(200, 'Fine', {
        'Content-Type': 'image/png',
        'Content-Length': '4',
        'Set-Cookie': 'a=1',
        Location: '/',
      })
      res.write('se')
      res.end('cret')
    })
    expect({ status, body: body.toString() }).toEqual({ status: 503, body: 'sorry' })
    expect(Object.keys(headers).sort()).toEqual(['connection', 'content-security-policy', 'date', 'transfer-encoding'])
  })

  test('when it fails the callbacks of what was held are told so', async () => {
    const told: unknown[] = []
    const error = new Error('down')
    await answerOf((_, res) => {
      beforeResponse(res, failing(finish, error), () => res.end('sorry'))
      res.write('a', (said) => told.push(said))
      res.end('b', (said?: unknown) => told.push(said))
    })
    expect(told).toEqual([error, error])
  })

  test('when it fails what the old producer still sends is dropped, without an error event', async () => {
    const errors: unknown[] = []
    const over = Promise.withResolvers<void>()
    const { body } = await answerOf((_, res) => {
      res.on('error', (error) => errors.push(error))
      beforeResponse(res, failing(finish, new Error('down')), () => res.end('sorry'))
      res.write('a')
      res.on('finish', () => {
        res.write('b')
        res.end('c')
        turn().then(turn).then(over.resolve)
      })
    })
    await over.promise
    expect(body.toString()).toBe('sorry')
    expect(errors).toEqual([])
  })

  test('when it fails what comes after both answers is dropped, without an error event', async () => {
    const errors: unknown[] = []
    const over = Promise.withResolvers<void>()
    await answerOf((_, res) => {
      res.on('error', (error) => errors.push(error))
      beforeResponse(res, failing(finish, new Error('down')), () => res.end('sorry'))
      res.write('a')
      res.end('b')
      res.write('c')
      turn().then(turn).then(over.resolve)
    })
    await over.promise
    expect(errors).toEqual([])
  })

  test('when it fails after the answer was given to its end, the new one may come from anywhere', async () => {
    const { body } = await answerOf((_, res) => {
      const elsewhere = AsyncResource.bind(() => res.end('sorry'))
      beforeResponse(res, failing(finish, new Error('down')), () => void setImmediate(elsewhere))
      res.end('secret')
    })
    expect(body.toString()).toBe('sorry')
  })

  test('when it fails what the old producer sends while the new answer is still being made is dropped', async () => {
    const ready = Promise.withResolvers<void>()
    const { status, body } = await answerOf(async (_, res) => {
      const answerSlowly = async (): Promise<void> => {
        await ready.promise
        res.write('sor')
        await turn()
        res.end('ry')
      }
      beforeResponse(res, failing(finish, new Error('down')), () => void answerSlowly())
      res.flushHeaders()
      res.write('a')
      for (let n = 0; n < 5; n += 1) await turn()
      res.writeHead(200)
      res.flushHeaders()
      res.write('b')
      res.end('c')
      ready.resolve()
    })
    expect({ status, body: body.toString() }).toEqual({ status: 500, body: 'sorry' })
  })

  test('a pipeline whose answer failed comes to an end', async () => {
    const outcome = Promise.withResolvers<unknown>()
    const { status, body } = await answerOf((_, res) => {
      beforeResponse(res, failing(finish, new Error('down')), () => res.end('sorry'))
      pipeline(inChunks(), res).then(outcome.resolve, outcome.resolve)
    })
    expect({ status, body: body.toString() }).toEqual({ status: 500, body: 'sorry' })
    expect(await outcome.promise).toBeInstanceOf(Error)
  })
})

test.each([undefined, null, 'route', 0])(
  'when it fails with %o, what failed is told an error all the same',
  async (thrown) => {
    const told = Promise.withResolvers<unknown>()
    await answerOf((_, res) => {
      beforeResponse(
        res,
        () => Promise.reject(thrown),
        (error) => {
          told.resolve(error)
          res.end()
        },
      )
      res.end('secret')
    })
    expect(await told.promise).toBeInstanceOf(Error)
  },
)

test('when `finish` throws at once, `end` has given the other answer by the time it returns', async () => {
  const { status, body } = await answerOf((_, res) => {
    beforeResponse(
      res,
      () => {
        throw new StoreError('ERR_STORE_UNAVAILABLE', 'down')
      },
      () => res.end('sorry'),
    )
    res.end('secret')
    expect(res.writableEnded).toBe(true)
  })
  expect({ status, body: body.toString() }).toEqual({ status: 503, body: 'sorry' })
})

test('when the first of two fails the second does not run, and the first is told', async () => {
  const second = vi.fn()
  const { body } = await answerOf((_, res) => {
    beforeResponse(
      res,
      () => Promise.reject(new Error('down')),
      () => res.end('first was told'),
    )
    beforeResponse(res, second, () => res.end('second was told'))
    res.end('secret')
  })
  expect(body.toString()).toBe('first was told')
  expect(second).not.toHaveBeenCalled()
})

test('when the second of two fails it is told', async () => {
  const { body } = await answerOf((_, res) => {
    beforeResponse(
      res,
      async () => {},
      () => res.end('first was told'),
    )
    beforeResponse(
      res,
      () => Promise.reject(new Error('down')),
      () => res.end('second was told'),
    )
    res.end('secret')
  })
  expect(body.toString()).toBe('second was told')
})

test('whatever merely has a `then` is waited for as well', async () => {
  const written: (number | undefined)[] = []
  await answerOf((_, res) => {
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: as query builders have it
      then: (resolve: () => void) => {
        written.push(res.socket?.bytesWritten)
        resolve()
      },
    }
    beforeResponse(res, () => thenable as unknown as Promise<void>, ignoreFailure)
    res.end('x')
    expect(res.socket?.bytesWritten).toBe(0)
  })
  expect(written).toEqual([0])
})

test('nested pairs in writeHead replace what was set before, and may repeat a name', async () => {
  const { headers } = await answerOf((_, res) => {
    beforeResponse(res, async () => {}, ignoreFailure)
    res.setHeader('Set-Cookie', 'old=1')
    const pairs = [
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
      ['X-A', '1'],
    ]
    res.writeHead(200, pairs as unknown as string[]).end('x')
  })
  expect(headers).toMatchObject({ 'set-cookie': ['a=1', 'b=2'], 'x-a': '1' })
})

/** A gate whose `finish` waits until told. */
async function heldAnswer(
  answer: (res: ServerResponse) => void,
  failed: (error: unknown, res: ServerResponse) => void = ignoreFailure,
) {
  const saved = Promise.withResolvers<void>()
  const held = Promise.withResolvers<ServerResponse>()
  const port = await listen(
    createServer((_, res) => {
      beforeResponse(
        res,
        () => saved.promise,
        (error) => failed(error, res),
      )
      answer(res)
      held.resolve(res)
    }),
  )
  const received = ask(port)
  return { res: await held.promise, saved, received }
}

describe('while the answer is held', () => {
  test('no byte of it is written', async () => {
    const { res, saved, received } = await heldAnswer((res) => {
      res.writeHead(200, { 'X-A': '1' })
      res.flushHeaders()
      res.write('a'.repeat(100_000))
      res.end('b')
    })
    await turn()
    expect(res.socket?.bytesWritten).toBe(0)
    saved.resolve()
    expect((await received).body.length).toBe(100_001)
  })

  test('everyone else sees an answer that has been given', async () => {
    const { res, saved, received } = await heldAnswer((res) => res.end('x'))
    expect({ headersSent: res.headersSent, ended: res.writableEnded }).toEqual({ headersSent: true, ended: true })
    expect(res.writableFinished).toBe(false)
    saved.resolve()
    await received
    expect({ headersSent: res.headersSent, ended: res.writableEnded }).toEqual({ headersSent: true, ended: true })
  })

  test('after writeHead alone nothing counts as sent, and fields can be set', async () => {
    const { headers } = await answerOf((_, res) => {
      beforeResponse(res, async () => {}, ignoreFailure)
      res.writeHead(200, { 'X-A': '1' })
      expect(res.headersSent).toBe(false)
      res.setHeader('X-B', '2')
      res.end('x')
    })
    expect(headers).toMatchObject({ 'x-a': '1', 'x-b': '2' })
  })

  test('a second answer is ignored with a warning, and the first one leaves', async () => {
    const warning = once(process, 'warning')
    const { saved, received } = await heldAnswer((res) => {
      res.statusCode = 302
      res.setHeader('Location', '/login')
      res.setHeader('X-B', 'first')
      res.end('first')
      res.statusCode = 200
      res.removeHeader('Location')
      res.setHeader('Content-Length', '6')
      res.appendHeader('X-B', 'second')
      res.writeHead(200, { 'X-A': '1' })
      res.write('second')
      res.end('second')
    })
    saved.resolve()
    const { status, headers, body } = await received
    expect({ status, body: body.toString() }).toEqual({ status: 302, body: 'first' })
    expect(headers).toMatchObject({ location: '/login', 'content-length': '5', 'x-b': 'first' })
    expect(headers['x-a']).toBeUndefined()
    expect((await warning)[0]).toMatchObject({ name: 'GatepassWarning', code: 'ERR_RESPONSE_STARTED' })
  })

  test('the callback of a write after its end is told so', async () => {
    const told = Promise.withResolvers<unknown>()
    const { saved, received } = await heldAnswer((res) => {
      res.end('first')
      res.write('second', told.resolve)
    })
    expect(await told.promise).toMatchObject({ code: 'ERR_STREAM_WRITE_AFTER_END' })
    saved.resolve()
    await received
  })

  test('write asks its writer to wait, and `drain` tells it to go on', async () => {
    let accepted: boolean | undefined
    const { res, saved, received } = await heldAnswer((res) => {
      accepted = res.write('a')
    })
    expect(accepted).toBe(false)
    const drained = once(res, 'drain')
    saved.resolve()
    await drained
    res.end('b')
    expect((await received).body.toString()).toBe('ab')
  })

  test('a chunk that is no chunk is reported to whoever sends it', async () => {
    const { res, saved, received } = await heldAnswer((res) => void res.write('a'))
    expect(() => res.write(5 as unknown as string)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    expect(() => res.end({} as unknown as string)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
    saved.resolve()
    res.end()
    await received
  })

  test('a response that the application destroys sends nothing', async () => {
    const { res, saved, received } = await heldAnswer((res) => {
      res.end('x')
      res.destroy()
    })
    await expect(received).rejects.toMatchObject({ code: 'ECONNRESET' })
    saved.resolve()
    await turn()
    expect(res.writableFinished).toBe(false)
  })

  test('an error in sending it is answered like a failure', async () => {
    const { saved, received } = await heldAnswer(
      (res) => {
        res.setHeader('Trailer', 'x')
        res.setHeader('Content-Length', 1)
        res.end('x')
      },
      (error, res) => res.end((error as { code: string }).code),
    )
    saved.resolve()
    expect(await received).toMatchObject({ status: 500, body: Buffer.from('ERR_HTTP_TRAILER_INVALID') })
  })

  test('an error of the new answer breaks the connection, and ends no process', async () => {
    const { saved, received } = await heldAnswer(
      (res) => void res.end('x'),
      () => {
        throw new Error('broken on purpose')
      },
    )
    saved.reject(new Error('the store is away'))
    await expect(received).rejects.toMatchObject({ code: 'ECONNRESET' })
  })
})

/** A response as JavaScript calls it: with anything. */
type Loose = Record<'end' | 'write' | 'writeHead' | 'setHeader' | 'flushHeaders', (...args: unknown[]) => unknown>
const refusedCalls: Record<string, (res: Loose) => void> = {
  'end(5)': (res) => res.end(5),
  'end({})': (res) => res.end({}),
  'end(true)': (res) => res.end(true),
  'end(a list of words)': (res) => res.end(new Uint16Array(2)),
  'write(5)': (res) => res.write(5),
  'write()': (res) => res.write(),
  'write(null)': (res) => res.write(null),
  'write(a function)': (res) => res.write(() => {}),
  'writeHead without a status': (res) => res.writeHead(),
  'writeHead(99)': (res) => res.writeHead(99),
  'writeHead with a line break in the message': (res) => res.writeHead(200, 'a\r\nb'),
  'writeHead with a line break in a field': (res) => res.writeHead(200, { 'X-A': 'a\r\nb' }),
  'writeHead with a field without a value': (res) => res.writeHead(200, ['X-A']),
  'writeHead with a list of numbers': (res) => res.writeHead(200, [5, 5]),
  'setHeader without a value': (res) => res.setHeader('X-A'),
  'a status of its own that there is not, and end': (res) => Object.assign(res, { statusCode: 1000 }).end('x'),
  'a status of its own that there is not, and write': (res) => Object.assign(res, { statusCode: 'abc' }).write('x'),
  'a status of its own that there is not, and flushHeaders': (res) =>
    Object.assign(res, { statusCode: 99 }).flushHeaders(),
  'a message of its own with a line break, and end': (res) => Object.assign(res, { statusMessage: 'a\nb' }).end(),
}
/** Refused by Node as well, when it is too late for another answer. */
const refusedLate: typeof refusedCalls = {
  'end in an unknown encoding': (res) => res.end('x', 'utf-9'),
  'end of bytes in an unknown encoding': (res) => res.end(Buffer.from('x'), 'utf-9'),
  'end of a text as a buffer': (res) => res.end('x', 'buffer'),
  'write in an unknown encoding': (res) => res.write('x', 5),
}

describe('what Node refuses is refused to the caller, who can still answer:', () => {
  const caught = (call: (res: Loose) => void, res: ServerResponse): void => {
    try {
      call(res as unknown as Loose)
    } catch (error) {
      Object.assign(res, { statusCode: 500, statusMessage: '' }).end((error as { code: string }).code)
    }
  }

  test.each(Object.entries(refusedCalls))('%s, as without a gate', async (_name, call) => {
    const bare = await answerOf((_, res) => caught(call, res))
    expect(bare.body.toString()).toMatch(/^ERR_/)
    for (const finish of Object.values(finishes)) {
      const gated = await answerOf((_, res) => {
        beforeResponse(res, finish, ignoreFailure)
        caught(call, res)
      })
      expect(essence(gated)).toEqual(essence(bare))
    }
  })

  test.each(Object.entries(refusedLate))('%s, sooner than without a gate', async (_name, call) => {
    for (const finish of Object.values(finishes)) {
      const gated = await answerOf((_, res) => {
        beforeResponse(res, finish, ignoreFailure)
        caught(call, res)
      })
      expect(gated).toMatchObject({ status: 500, body: Buffer.from('ERR_UNKNOWN_ENCODING') })
    }
  })

  test.each([
    ['end(0)', (res: Loose) => res.end(0), 'ERR_INVALID_ARG_TYPE'],
    ['write(5)', (res: Loose) => res.write(5), 'ERR_INVALID_ARG_TYPE'],
    ['write(null)', (res: Loose) => res.write(null), 'ERR_STREAM_NULL_VALUES'],
    ['writeHead(99)', (res: Loose) => res.writeHead(99), 'ERR_HTTP2_STATUS_INVALID'],
  ])('%s in HTTP/2', async (_name, call, code) => {
    for (const finish of Object.values(finishes)) {
      const gated = await http2AnswerOf((_, res) => {
        beforeResponse(res, finish, ignoreFailure)
        try {
          call(res as unknown as Loose)
        } catch (error) {
          res.statusCode = 500
          res.end((error as { code: string }).code)
        }
      })
      expect(gated).toMatchObject({ status: 500, body: Buffer.from(code) })
    }
  })

  test('bytes of another realm are bytes, and views of HTTP/2 are', async () => {
    const foreign = runInNewContext('new Uint8Array([104, 105])')
    const gate = (res: ServerResponse): ServerResponse => {
      beforeResponse(res, () => turn(), ignoreFailure)
      return res
    }
    expect((await answerOf((_, res) => gate(res).end(foreign))).body.toString()).toBe('hi')
    const words = new Uint16Array(Uint8Array.from([104, 105]).buffer)
    expect((await http2AnswerOf((_, res) => gate(res).end(words))).body.toString()).toBe('hi')
  })
})

test('a status that writeHead would have refused is refused at once', async () => {
  await answerOf((_, res) => {
    beforeResponse(res, async () => {}, ignoreFailure)
    expect(() => res.writeHead(42)).toThrow(expect.objectContaining({ code: 'ERR_HTTP_INVALID_STATUS_CODE' }))
    expect(() => res.writeHead(200, { 'X-A': 'a\r\nb' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_CHAR' }))
    expect(() => res.writeHead(200, ['X-A'])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    res.end()
  })
})

test('a client that goes away while the answer is held does not keep `finish` from succeeding', async () => {
  const saved = Promise.withResolvers<void>()
  const held = Promise.withResolvers<ServerResponse>()
  const failed = vi.fn()
  const port = await listen(
    createServer((_, res) => {
      beforeResponse(res, () => saved.promise, failed)
      res.write('a')
      res.end('b')
      held.resolve(res)
    }),
  )
  const client = connect(port, '127.0.0.1').on('error', () => {})
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const res = await held.promise
  client.destroy()
  await once(res, 'close')
  saved.resolve()
  await turn()
  expect(failed).not.toHaveBeenCalled()
})

test('an answer to a client that has gone is still finished', async () => {
  const finish = vi.fn(async () => {})
  const begun = Promise.withResolvers<ServerResponse>()
  const port = await listen(
    createServer((_, res) => {
      beforeResponse(res, finish, ignoreFailure)
      begun.resolve(res)
    }),
  )
  const client = connect(port, '127.0.0.1').on('error', () => {})
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const res = await begun.promise
  client.destroy()
  await once(res, 'close')
  res.end('nobody reads this')
  expect(finish).toHaveBeenCalledTimes(1)
})

test('an answer that has begun cannot be armed', async () => {
  await answerOf((_, res) => {
    res.write('a')
    const arm = () => beforeResponse(res, () => {}, ignoreFailure)
    expect(arm).toThrow(UsageError)
    expect(arm).toThrow(expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' }))
    res.end()
    expect(arm).toThrow(expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' }))
  })
})

test('an answer that is held cannot be armed again', async () => {
  const { res, saved, received } = await heldAnswer((res) => res.end('x'))
  expect(() => beforeResponse(res, () => {}, ignoreFailure)).toThrow(UsageError)
  saved.resolve()
  await received
})

test('the head is open until `finish` has succeeded', async () => {
  const { res, saved, received } = await heldAnswer((res) => {
    expect(headIsOpen(res)).toBe(true)
    res.end('x')
  })
  expect(headIsOpen(res)).toBe(true)
  saved.resolve()
  await received
  expect(headIsOpen(res)).toBe(false)
})

test('100 Continue and an upgrade pass by the gate', async () => {
  const server = createServer((_, res) => {
    beforeResponse(res, () => turn(), ignoreFailure)
    res.end('answer')
  })
  server.on('checkContinue', (_, res) => {
    beforeResponse(res, () => turn(), ignoreFailure)
    res.writeContinue()
    res.end('continued')
  })
  server.on('upgrade', (_, socket) =>
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\nupgraded'),
  )
  const port = await listen(server)
  const talk = async (head: string): Promise<string> => {
    const client = connect(port, '127.0.0.1')
    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)
    return Buffer.concat(await client.toArray()).toString()
  }
  expect(await talk('Connection: Upgrade\r\nUpgrade: x')).toMatch(/^HTTP\/1.1 101 .*upgraded$/s)
  expect(await talk('Expect: 100-continue\r\nConnection: close')).toMatch(/^HTTP\/1.1 100 .*HTTP\/1.1 200 .*continued/s)
})

test('two answers pipelined on one connection keep their order', async () => {
  const slow = Promise.withResolvers<void>()
  let asked = 0
  const port = await listen(
    createServer((req, res) => {
      asked += 1
      beforeResponse(res, () => (req.url === '/1' ? slow.promise : undefined), ignoreFailure)
      res.end(`answer to ${req.url}`)
      if (asked === 2) slow.resolve()
    }),
  )
  const client = connect(port, '127.0.0.1')
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const received = Buffer.concat(await client.toArray()).toString()
  expect(received.match(/answer to .\d/g)).toEqual(['answer to /1', 'answer to /2'])
})

const frameworks = { 'Express 5': express, 'Express 4': express4 }

describe.each(Object.entries(frameworks))('in %s', (_, framework) => {
  const big = JSON.stringify({ text: 'x'.repeat(50_000) })
  const gate: express.RequestHandler = (_req, res, next) => {
    beforeResponse(res, () => turn().then(() => void headInFinish(res).setHeader('X-Saved', 'yes')), next)
    next()
  }
  const failingGate: express.RequestHandler = (_req, res, next) => {
    beforeResponse(res, () => turn().then(() => Promise.reject(new StoreError('ERR_STORE_UNAVAILABLE', 'down'))), next)
    next()
  }
  const routes = (app: express.Express): express.Express => {
    app.get('/redirect', (_req, res) => res.redirect('/login'))
    app.get('/file', (_req, res) => res.sendFile(import.meta.filename))
    app.get('/big', (_req, res) => void res.type('json').send(big))
    app.get('/stream', (_req, res) => {
      res.type('text')
      inChunks().pipe(res)
    })
    app.get('/lines', async (_req, res) => {
      res.type('text')
      for (const line of ['one,', 'two,']) if (!res.write(line)) await once(res, 'drain')
      Readable.from(['th', 'ree'], { objectMode: false }).pipe(res)
    })
    app.get('/twice', (_req, res) => {
      res.json({ first: true })
      res.json({ second: 'longer than the first' })
    })
    return app
  }
  const start = async (
    ...middleware: express.RequestHandler[]
  ): Promise<(path: string, headers?: object) => Promise<Answer>> => {
    const app = framework().set('env', 'test')
    for (const handler of middleware) app.use(handler)
    const port = await listen(createServer(routes(app)))
    return (path, headers = {}) => ask(port, { path, headers } as object)
  }

  test('redirect and sendFile wait for `finish`', async () => {
    const get = await start(gate)
    expect(await get('/redirect')).toMatchObject({ status: 302, headers: { location: '/login', 'x-saved': 'yes' } })
    const file = await get('/file')
    expect(file.headers['x-saved']).toBe('yes')
    expect(file.body.toString()).toContain('redirect and sendFile wait')
    expect((await get('/file', { range: 'bytes=0-5' })).body.toString()).toBe('import')
    expect(await get('/file', { 'if-none-match': String(file.headers.etag) })).toMatchObject({ status: 304 })
  })

  test('the first of two answers leaves', async () => {
    const get = await start(gate)
    expect((await get('/twice')).body.toString()).toBe('{"first":true}')
  })

  test.each([
    ['before', [gate, compression()]],
    ['after', [compression(), gate]],
  ])('the gate works %s compression', async (_order, middleware) => {
    const get = await start(...middleware)
    const json = await get('/big', { 'accept-encoding': 'gzip' })
    expect(json.headers).toMatchObject({ 'content-encoding': 'gzip', 'x-saved': 'yes' })
    expect(gunzipSync(json.body).toString()).toBe(big)
    const stream = await get('/stream', { 'accept-encoding': 'gzip' })
    expect(gunzipSync(stream.body).equals(threeMegabytes)).toBe(true)
    const lines = await get('/lines', { 'accept-encoding': 'gzip' })
    expect(gunzipSync(lines.body).toString()).toBe('one,two,three')
    expect((await get('/lines')).body.toString()).toBe('one,two,three')
  })

  test.each([
    ['before', [failingGate, compression()]],
    ['after', [compression(), failingGate]],
  ])('a failure is answered with the gate %s compression', async (_order, middleware) => {
    const get = await start(...middleware)
    for (const path of ['/big', '/stream', '/redirect', '/file']) {
      const { status, headers } = await get(path, { 'accept-encoding': 'gzip' })
      expect({ path, status }).toEqual({ path, status: 503 })
      expect(headers['content-encoding']).toBeUndefined()
    }
  })
})

describe('what has to be done before an answer ends', () => {
  test('an answer that began before its end waits for it', async () => {
    const done: string[] = []
    const { body } = await answerOf((_req, res) => {
      beforeResponse(
        res,
        () => {},
        () => {},
      )
      delayEnd(res, async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        done.push('first')
      })
      delayEnd(res, () => undefined)
      res.on('finish', () => done.push('sent'))
      res.write('one ')
      res.end('two')
    })
    expect(String(body)).toBe('one two')
    expect(done).toEqual(['first', 'sent'])
  })

  test('an answer that is sent at once is not asked', async () => {
    const work = vi.fn()
    const { body } = await answerOf((_req, res) => {
      beforeResponse(
        res,
        () => {},
        () => {},
      )
      delayEnd(res, work)
      res.end('all')
    })
    expect(String(body)).toBe('all')
    expect(work).not.toHaveBeenCalled()
  })

  test('whoever ends the answer a second time cuts nothing off', async () => {
    const { body } = await answerOf((_req, res) => {
      beforeResponse(
        res,
        () => {},
        () => {},
      )
      delayEnd(res, () => new Promise((resolve) => setTimeout(resolve, 5)))
      res.write('one ')
      res.end('two')
      res.end()
    })
    expect(String(body)).toBe('one two')
  })

  /** A response that has begun, with work of a few turns before its end. */
  const streamed = (res: ServerResponse, work: () => Promise<unknown> = () => turn().then(turn)): ServerResponse => {
    beforeResponse(
      res,
      () => {},
      () => {},
    )
    delayEnd(res, work)
    res.write('one ')
    return res
  }

  test.each(Object.entries({ 'HTTP/1': answerOf, 'HTTP/2': http2AnswerOf }))(
    'a chunk that is not a chunk is refused before the work, and the response can still end (%s)',
    async (_, answer) => {
      const { body } = await answer((_req, res) => {
        const work = vi.fn(turn)
        streamed(res, work)
        expect(() => res.end(42)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
        expect(() => res.end('x', 'utf-9' as 'utf8')).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_ENCODING' }))
        expect(work).not.toHaveBeenCalled()
        res.end('two')
        expect(work).toHaveBeenCalledTimes(1)
      })
      expect(String(body)).toBe('one two')
    },
  )

  test.each(Object.entries({ 'HTTP/1': answerOf, 'HTTP/2': http2AnswerOf }))(
    'the response counts as ended while it waits, and what is written then is not sent (%s)',
    async (_, answer) => {
      const told: unknown[] = []
      const { body } = await answer((_req, res) => {
        streamed(res).end('two', () => told.push('ended'))
        expect(res.writableEnded).toBe(true)
        res.write(' late', (error) => told.push(error))
        expect(() => res.write(42)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
        res.end(' later', (error?: Error | null) => told.push(error))
      })
      expect(String(body)).toBe('one two')
      const error = expect.objectContaining({ code: 'ERR_STREAM_WRITE_AFTER_END' })
      expect(told).toEqual([error, error, 'ended'])
    },
  )

  test('work that fails in spite of its promise closes the connection, and ends no process', async () => {
    const asked = answerOf((_req, res) => streamed(res, () => Promise.reject(new Error('on purpose'))).end('two'))
    await expect(asked).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('an end that Node refuses after the work is told to `failed`, and closes the connection', async () => {
    const failed = vi.fn()
    const asked = answerOf((_req, res) => {
      const { end } = res
      res.end = ((...args: unknown[]) => {
        if (args[0] === 'two') throw new Error('refused')
        return end.apply(res, args as Parameters<typeof end>)
      }) as typeof end
      beforeResponse(res, () => {}, failed)
      delayEnd(res, turn)
      res.write('one ')
      res.end('two')
    })
    await expect(asked).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ message: 'refused' }))
  })
})

describe('work that comes before `finish`', () => {
  test.each([true, false])('is done before it, on a response that has a gate (%s)', async (gated) => {
    const done: string[] = []
    const work = Promise.withResolvers<void>()
    const { body } = await answerOf((_req, res) => {
      if (gated) {
        beforeResponse(
          res,
          () => void done.push('finish'),
          () => {},
        )
      }
      for (const name of ['one', 'two']) {
        beforeFinish(
          res,
          () => work.promise.then(() => void done.push(name)),
          () => {},
        )
      }
      res.end('all')
      done.push('answered')
      work.resolve()
    })
    expect(String(body)).toBe('all')
    expect(done).toEqual(['answered', 'one', 'two', ...(gated ? ['finish'] : [])])
  })

  test('fails the response when it fails', async () => {
    const finish = vi.fn()
    const { status, body } = await answerOf((_req, res) => {
      beforeResponse(res, finish, (error) => res.end((error as Error).message))
      beforeFinish(
        res,
        () => {
          throw new Error('no store')
        },
        () => {},
      )
      res.end('all')
    })
    expect([status, String(body)]).toEqual([500, 'no store'])
    expect(finish).not.toHaveBeenCalled()
  })

  test('is not done for an answer that was given', async () => {
    const work = vi.fn()
    await answerOf((_req, res) => {
      res.end('all')
      beforeFinish(res, work, () => {})
    })
    expect(work).not.toHaveBeenCalled()
  })
})

describe.each(Object.entries(finishes))('a second writeHead, when `finish` is done %s,', (_, finish) => {
  test.each(Object.entries({ 'HTTP/1': answerOf, 'HTTP/2': http2AnswerOf }))(
    'is ignored with a warning, as Node sends the first (%s)',
    async (_name, answer) => {
      const warning = once(process, 'warning')
      const { status, headers } = await answer((_req, res) => {
        beforeResponse(res, finish, ignoreFailure)
        res.writeHead(201, { 'X-A': 'first' })
        res.writeHead(404, { 'X-A': 'second', 'X-B': 'second' }).end('x')
      })
      expect({ status, a: headers['x-a'], b: headers['x-b'] }).toEqual({ status: 201, a: 'first', b: undefined })
      expect((await warning)[0]).toMatchObject({ name: 'GatepassWarning', code: 'ERR_RESPONSE_STARTED' })
    },
  )

  test('may repeat the status, as wrappers do, and is the first if the one before was refused', async () => {
    const warned = vi.fn()
    process.on('warning', warned)
    const { status, headers } = await answerOf((_req, res) => {
      beforeResponse(res, finish, ignoreFailure)
      expect(() => res.writeHead(200, { 'X-A': 'a\r\nb' })).toThrow()
      res.writeHead(202, { 'X-A': 'a' })
      res.writeHead(202).end('x')
    })
    await turn()
    process.off('warning', warned)
    expect({ status, a: headers['x-a'] }).toEqual({ status: 202, a: 'a' })
    expect(warned).not.toHaveBeenCalled()
  })
})

describe('a second answer, and what is written after the first', () => {
  test.each([
    ['at once', () => undefined],
    ['later', () => new Promise<void>(setImmediate)],
  ])('is ignored where `finish` ends %s, on every server', async (_, finish) => {
    const told: unknown[] = []
    const listener: Listener = (_req, res) => {
      beforeResponse(res, finish as () => undefined, () => {})
      res.end('one')
      res.end('two', (error?: Error | null) => told.push(error))
      res.write('three')
      setImmediate(() => setImmediate(() => res.end('four')))
    }
    const escaped = vi.fn()
    process.on('uncaughtException', escaped)
    for (const answer of [answerOf, http2AnswerOf]) expect(String((await answer(listener)).body)).toBe('one')
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    process.off('uncaughtException', escaped)
    expect(escaped).not.toHaveBeenCalled()
    const error = expect.objectContaining({ code: 'ERR_STREAM_WRITE_AFTER_END' })
    expect(told).toEqual([error, error])
  })

  test.each(Object.entries(finishes))(
    'may be one without a chunk; its callback hears no error (%s)',
    async (_, finish) => {
      for (const answer of [answerOf, http2AnswerOf]) {
        const told: unknown[] = []
        await answer((_req, res) => {
          beforeResponse(res, finish, () => {})
          res.end('one')
          res.end((error?: Error | null) => told.push(error ?? 'no error'))
        })
        expect(told).toEqual(['no error'])
      }
    },
  )

  test('may be one without a chunk after late work, too', async () => {
    const told: unknown[] = []
    const { body } = await answerOf((_req, res) => {
      beforeResponse(
        res,
        () => {},
        () => {},
      )
      delayEnd(res, turn)
      res.write('one ')
      res.end('two', () => told.push('first'))
      res.end(() => told.push('second'))
    })
    expect(String(body)).toBe('one two')
    expect(told).toEqual(['first', 'second'])
  })

  test('asks nothing for what is late', async () => {
    const work = vi.fn()
    await answerOf((_req, res) => {
      beforeResponse(
        res,
        () => {},
        () => {},
      )
      delayEnd(res, work)
      res.end('one')
      res.end('two')
      res.end()
    })
    expect(work).not.toHaveBeenCalled()
  })

  test('is ignored after what was late, too', async () => {
    const { body } = await answerOf((_req, res) => {
      beforeResponse(
        res,
        () => {},
        () => {},
      )
      delayEnd(res, () => new Promise(setImmediate))
      res.write('one ')
      res.end('two')
      res.end('three')
    })
    expect(String(body)).toBe('one two')
  })
})

describe('a response leaves memory when it is done', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void

  /** Bytes in use after a minor collection, which leaves what an older object holds, dead or alive. */
  async function inUseAfter(responses: number, finish: () => Promise<void>): Promise<number> {
    for (let n = 0; n < responses; n++) {
      const res = new ServerResponse(new IncomingMessage(new Socket()))
      beforeResponse(res, finish, () => void res.end('failed'))
      Object.assign(res, { ballast: new Array(2000).fill(n) })
      res.end('answer')
      await new Promise((resolve) => setImmediate(resolve))
    }
    collect({ type: 'minor' })
    collect({ type: 'minor' })
    return process.memoryUsage().heapUsed
  }

  test.each([
    ['that waited', async () => {}],
    ['that failed', () => Promise.reject(new Error('away'))],
  ])('also one %s', async (_which, finish) => {
    await inUseAfter(200, finish)
    collect()
    const before = await inUseAfter(20, finish)
    const grown = (await inUseAfter(200, finish)) - before
    expect(grown / 200).toBeLessThan(4000)
  })
})
