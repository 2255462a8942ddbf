import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type ClientHttp2Session, connect, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { beforeResponse, delayEnd } from '../../src/http/response-gate.ts'

/** What a handler does with its response, one call after another. */
type Call =
  | { readonly do: 'turn' | 'flushHeaders' | 'destroy' | 'removeHeader' }
  | { readonly do: 'setHeader'; readonly value: string }
  | { readonly do: 'statusCode'; readonly status: number }
  | { readonly do: 'writeHead'; readonly status: number; readonly value: string | undefined }
  | { readonly do: 'write' | 'end'; readonly chunk: string | number | undefined }

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const down = new Error('down')
const failed = (res: ServerResponse) => () => void res.end('sorry')

/** What stands between the handler and Node. */
const gates = {
  none: () => {},
  'finish at once': (res) => beforeResponse(res, () => {}, failed(res)),
  'finish in a microtask': (res) => beforeResponse(res, async () => {}, failed(res)),
  'finish turns later': (res) => beforeResponse(res, () => turn().then(turn), failed(res)),
  'late work': (res) => {
    beforeResponse(res, () => {}, failed(res))
    delayEnd(res, () => turn().then(turn))
  },
  'finish and late work': (res) => {
    beforeResponse(res, turn, failed(res))
    delayEnd(res, turn)
  },
  'finish fails at once': (res) =>
    beforeResponse(
      res,
      () => {
        throw down
      },
      failed(res),
    ),
  'finish fails later': (res) => beforeResponse(res, () => turn().then(() => Promise.reject(down)), failed(res)),
} satisfies Record<string, (res: ServerResponse) => void>

interface Run {
  readonly calls: readonly Call[]
  readonly gate: keyof typeof gates
  readonly http2: boolean
  /** What each call threw, or told its callback. */
  readonly told: Record<number, string>
  /** Settles when the handler has made its calls, and the response is closed. */
  done: Promise<unknown> | undefined
}

/** Makes the calls, without those that Node and the gate treat differently on purpose. */
async function handle(res: ServerResponse, { calls, gate, told }: Run): Promise<void> {
  res.on('error', () => {})
  gates[gate](res)
  /** Node sends the head with `writeHead`; the gate keeps it open until something is sent. */
  let headed = false
  let ended = false
  const send = (n: number, method: 'write' | 'end', chunk: unknown): void => {
    if (gate === 'none' && ended && (method === 'end' ? chunk !== undefined : typeof chunk === 'string')) {
      // Node may reset an HTTP/2 stream whose answer is complete, and tells nothing once an HTTP/1 response has closed.
      told[n] = 'ERR_STREAM_WRITE_AFTER_END'
      return
    }
    const hear = (error?: Error | null): void => {
      const code = codeOf(error)
      told[n] = code === 'ERR_STREAM_ALREADY_FINISHED' ? 'done' : code
    }
    if (chunk === undefined) res.end(hear)
    else res[method](chunk as string, hear)
    headed = true
    ended ||= method === 'end'
  }
  const perform = (call: Call, n: number): void => {
    if (call.do === 'write' || call.do === 'end') send(n, call.do, call.chunk)
    else if (call.do === 'flushHeaders') {
      if (!ended) res.flushHeaders()
      headed = true
    } else if (call.do === 'destroy') res.destroy()
    else if (call.do === 'writeHead') {
      try {
        if (call.value === undefined) res.writeHead(call.status)
        else res.writeHead(call.status, { 'X-A': call.value })
        headed = true
      } catch (error) {
        // A second one throws in Node, and is ignored with a warning behind the gate.
        if (!headed) throw error
      }
    } else if (headed) return
    else if (call.do === 'setHeader') res.setHeader('X-A', call.value)
    else if (call.do === 'removeHeader') res.removeHeader('X-A')
    else if (call.do === 'statusCode') res.statusCode = call.status
  }
  for (const [n, call] of calls.entries()) {
    if (call.do === 'turn') await turn()
    else {
      try {
        perform(call, n)
      } catch (error) {
        told[n] = `threw ${codeOf(error)}`
      }
    }
  }
  if (!ended) res.end()
}

function codeOf(error: unknown): string {
  if (!error) return 'done'
  const { code, message } = error as { code?: string; message: string }
  return code ?? message
}

const runs: Run[] = []
const servers: Server[] = []
let http2Session: ClientHttp2Session
let port = 0

beforeAll(async () => {
  const listener = (req: { headers: NodeJS.Dict<string | string[]> }, response: unknown): void => {
    const res = response as ServerResponse
    const run = runs[Number(req.headers['x-run'])] as Run
    run.done = Promise.all([once(res, 'close'), handle(res, run)])
  }
  servers.push(createServer(listener), createHttp2Server(listener))
  const [http1Port = 0, http2Port = 0] = await Promise.all(
    servers.map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return (server.address() as AddressInfo).port
    }),
  )
  port = http1Port
  http2Session = connect(`http://127.0.0.1:${http2Port}`)
})
afterAll(() => {
  http2Session.destroy()
  for (const server of servers) server.close()
})

interface Answer {
  readonly status: unknown
  readonly field: unknown
  readonly body: string
}

async function ask({ http2 }: Run, id: number): Promise<Answer | 'cut off'> {
  const headers = { 'x-run': String(id) }
  try {
    if (http2) {
      const stream = http2Session.request({ ':path': '/', ...headers })
      // A stream that was reset may close without an error.
      const closed = once(stream, 'close').then(() => Promise.reject(new Error('closed')))
      const [head] = await Promise.race([once(stream, 'response'), closed])
      return { status: head[':status'], field: head['x-a'], body: Buffer.concat(await stream.toArray()).toString() }
    }
    const sent = request({ port, host: '127.0.0.1', agent: false, headers }).end()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    const body = Buffer.concat(await res.toArray()).toString()
    return { status: res.statusCode, field: res.headers['x-a'], body }
  } catch {
    return 'cut off'
  }
}

async function answerOf(calls: readonly Call[], gate: Run['gate'], http2: boolean) {
  const run: Run = { calls, gate, http2, told: {}, done: undefined }
  const answer = await ask(run, runs.push(run) - 1)
  // The client may have the answer before the handler has done all, and before the callbacks are called.
  await run.done
  await turn()
  return { answer, told: run.told }
}

/**
 * The calls of a handler. Only on HTTP/1 some are refused: on HTTP/2, Node sends the head before it refuses a chunk. No status
 * forbids a body: the client would leave as soon as it has the head.
 */
function callsFor(http2: boolean): fc.Arbitrary<Call[]> {
  const headStatus = fc.constantFrom(200, 201, 404, ...(http2 ? [] : [99]))
  const value = fc.constantFrom('1', '2')
  const chunk = fc.constantFrom('one,', 'two,', ...(http2 ? [] : [42]))
  const call: fc.Arbitrary<Call> = fc.oneof(
    { weight: 3, arbitrary: fc.constant<Call>({ do: 'turn' }) },
    { weight: 1, arbitrary: fc.constantFrom<Call>({ do: 'flushHeaders' }, { do: 'removeHeader' }) },
    { weight: 1, arbitrary: value.map((value): Call => ({ do: 'setHeader', value })) },
    { weight: 1, arbitrary: fc.constantFrom(200, 201, 404).map((status): Call => ({ do: 'statusCode', status })) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('writeHead'),
        status: headStatus,
        value: fc.option(value, { nil: undefined }),
      }),
    },
    { weight: 3, arbitrary: chunk.map((chunk): Call => ({ do: 'write', chunk })) },
    { weight: 3, arbitrary: fc.option(chunk, { nil: undefined }).map((chunk): Call => ({ do: 'end', chunk })) },
  )
  return fc.array(call, { maxLength: 8 })
}

const gated = (Object.keys(gates) as Run['gate'][]).filter((gate) => gate !== 'none')

test.each([
  ['HTTP/1', false],
  ['HTTP/2', true],
])('any calls leave behind a gate what they leave without one (%s)', async (_, http2) => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const property = fc.asyncProperty(callsFor(http2), async (calls) => {
    const [bare, ...others] = await Promise.all(
      (['none', ...gated] as const).map((gate) => answerOf(calls, gate, http2)),
    )
    for (const [n, gate] of gated.entries()) {
      const { answer, told } = others[n] as NonNullable<typeof bare>
      if (!gate.includes('fails')) expect({ gate, answer, told }).toEqual({ gate, ...bare })
      else if (answer !== 'cut off') expect({ gate, ...answer }).toMatchObject({ gate, status: 500, body: 'sorry' })
    }
  })
  await fc.assert(property, { seed: 11, numRuns: 120 })
  warn.mockRestore()
})

test.each([
  ['HTTP/1', false],
  ['HTTP/2', true],
])('no calls around `destroy` leave a client waiting, or end the process (%s)', async (_, http2) => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const property = fc.asyncProperty(callsFor(http2), callsFor(http2), async (before, after) => {
    const calls: Call[] = [...before, { do: 'destroy' }, ...after]
    await Promise.all(gated.map((gate) => answerOf(calls, gate, http2)))
  })
  await fc.assert(property, { seed: 11, numRuns: 50 })
  warn.mockRestore()
})
