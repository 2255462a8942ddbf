import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { isUint8Array } from 'node:util/types'
import { type Awaitable, andThen, settled } from '../awaitable.ts'
import { GatepassError, UsageError } from '../error.ts'
import { applyHead, checkStatus, clearHead, isHttp2, nodeError } from './head.ts'

/** A request of `node:http`, or of the compatibility layer of `node:http2`. */
export type NodeRequest = IncomingMessage | Http2ServerRequest
/** A response of `node:http`, or of the compatibility layer of `node:http2`. */
export type NodeResponse = ServerResponse | Http2ServerResponse

/**
 * Holds back everything that is sent on `res` until `finish` has succeeded. If `finish` fails, nothing was sent and
 * `failed(error)` may send a new answer. The fields that described the failed answer (Content-*, Set-Cookie, caching,
 * Location) are removed, and the status is that of the error, or 500.
 *
 * `finish` runs once, at the first `write`, `flushHeaders` or `end`. A second `beforeResponse` adds its `finish` after the
 * first. The answer that started `finish` is the one that is sent: until then, later answers and changes of the head are
 * ignored with a warning. An asynchronous `finish` sets header fields with {@link setHeaderInFinish}.
 *
 * There is no time limit: a `finish` that never settles holds the response until the client disconnects. Writes that bypass
 * the response, to `res.socket` or `res.stream`, are not held.
 *
 * @throws {UsageError} `ERR_RESPONSE_STARTED` if the answer has begun
 */
export function beforeResponse(
  res: NodeResponse,
  finish: () => Awaitable<void>,
  failed: (error: unknown) => void,
): void {
  const response = res as unknown as GatedResponse
  const gate = response[kGate]
  if (gate === undefined && !response.headersSent && !response.writableEnded) arm(response, finish, failed)
  else if (gate?.phase === 'armed') lastOf(gate).next = { finish, failed, next: undefined }
  else throw startedError()
}

function arm(res: GatedResponse, finish: Step['finish'], failed: Step['failed']): void {
  const gate = new Gate(res, finish, failed)
  res[kGate] = gate
  res.writeHead = writeHead
  res.write = write
  res.end = end
  res.flushHeaders = flushHeaders
  if (Object.hasOwn(res, 'on')) noteDrainListeners(res, gate)
}

/**
 * Delays `end()` of a streaming response until `work` settles, so that session changes made while streaming are saved.
 * `work` returns `undefined` if there is nothing to wait for, and handles its own errors.
 */
export function beforeEnd(res: NodeResponse, work: () => Promise<unknown> | undefined): void {
  const gate = gateOf(res as unknown as GatedResponse)
  gate.late = gate.late === undefined ? [work] : [...gate.late, work]
}

/**
 * Runs `work` before every `finish`. If it fails, the response fails as if `finish` had failed. A response without a gate
 * gets one that calls `failed`. A response whose answer has begun is left alone.
 */
export function beforeFinish(res: NodeResponse, work: () => Awaitable<void>, failed: (error: unknown) => void): void {
  const response = res as unknown as GatedResponse
  if (response[kGate] === undefined && !response.headersSent && !response.writableEnded) arm(response, nothing, failed)
  const gate = response[kGate]
  if (gate?.phase !== 'armed') return
  const { first } = gate
  gate.first = first === undefined ? work : () => andThen(first(), work)
}

/** Sets a header field from within `finish`, while all other code sees the head as sent. */
export function setHeaderInFinish(res: NodeResponse, name: string, value: string | readonly string[]): void {
  const response = res as unknown as GatedResponse
  const frozen = response[kGate]?.frozen
  if (frozen === undefined) response.setHeader(name, value)
  else frozen.setHeader.call(response, name, value)
}

/** Whether header fields can still be set, at least with {@link setHeaderInFinish}. */
export function headIsOpen(res: NodeResponse): boolean {
  const phase = (res as unknown as GatedResponse)[kGate]?.phase
  return phase === 'armed' || phase === 'finishing' || !res.headersSent
}

type Callback = (error?: Error | null) => void
type Encoding = BufferEncoding | Callback | undefined
type Send<Result> = (this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback) => Result
type SetField = (this: GatedResponse, name: string, value: number | string | readonly string[]) => GatedResponse

/** The response as callers may use it: more freely than its declared overloads allow. */
type GatedResponse = Omit<ServerResponse, keyof GatedMethods> & GatedMethods
interface GatedMethods {
  [kGate]?: Gate
  write: Send<boolean>
  end: Send<GatedResponse>
  writeHead: (this: GatedResponse, ...args: unknown[]) => GatedResponse
  flushHeaders: (this: GatedResponse) => void
  setHeader: SetField
  appendHeader: SetField
  removeHeader: (this: GatedResponse, name: string) => void
  on: (this: GatedResponse, type: string | symbol, listener: Listener) => GatedResponse
}
type Listener = (...args: unknown[]) => void

interface Step {
  readonly finish: () => Awaitable<void>
  readonly failed: (error: unknown) => void
  next: Step | undefined
}

interface Call {
  readonly method: 'write' | 'end' | 'flushHeaders'
  readonly chunk: unknown
  readonly encoding: Encoding
  readonly callback: Callback | undefined
}

const kGate: unique symbol = Symbol('gatepass.responseGate')

/**
 * `armed`: nothing was sent yet. `finishing`: `finish` runs, and calls are held. `open`: `finish` has succeeded, and calls
 * pass. `failed`: calls of the failed answer are dropped, and one new answer passes.
 */
type Phase = 'armed' | 'finishing' | 'open' | 'failed'

/** State of one gated response, including the methods it replaced. */
class Gate implements Step {
  phase: Phase = 'armed'
  readonly finish: () => Awaitable<void>
  readonly failed: (error: unknown) => void
  next: Step | undefined = undefined
  readonly writeHead: GatedResponse['writeHead']
  readonly write: GatedResponse['write']
  readonly end: GatedResponse['end']
  readonly flushHeaders: GatedResponse['flushHeaders']
  held: Call[] | undefined = undefined
  drainListeners: Listener[] | undefined = undefined
  late: (() => Promise<unknown> | undefined)[] | undefined = undefined
  /** Runs before every `finish`. */
  first: (() => Awaitable<void>) | undefined = undefined
  /** The `end` that waits for `late`. Another `end` call runs after it. */
  ending: Promise<unknown> | undefined = undefined
  frozen: FrozenHead | undefined = undefined
  /** Whether the warning about a change after the answer was printed. */
  warned = false
  failure: Failure | undefined = undefined

  constructor(res: GatedResponse, finish: () => Awaitable<void>, failed: (error: unknown) => void) {
    this.finish = finish
    this.failed = failed
    this.writeHead = res.writeHead
    this.write = res.write
    this.end = res.end
    this.flushHeaders = res.flushHeaders
  }
}

interface Failure {
  readonly error: Error
  /** Whether the failed answer has ended, so that nothing more of it will come. */
  abandoned: boolean
  /** Whether the new answer has ended. */
  answered: boolean
}

// ── the replaced methods of a response; never restored, because other code may have wrapped them ─────────────────────

function write(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): boolean {
  const gate = gateOf(this)
  if (gate.phase === 'armed' || gate.phase === 'finishing') checkChunk(this, chunk, encoding)
  if (gate.phase === 'armed') start(this, gate)
  if (gate.phase === 'open') {
    if (!this.writableEnded) return gate.write.call(this, chunk, encoding, callback)
    ignore(this, gate, { method: 'write', chunk, encoding, callback })
  } else if (gate.phase === 'failed') drop(this, encoding, callback)
  else hold(this, gate, { method: 'write', chunk, encoding, callback })
  return false
}

function end(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): GatedResponse {
  const gate = gateOf(this)
  if (gate.phase === 'armed' || gate.phase === 'finishing') {
    const absent = isHttp2(this) ? chunk === undefined || chunk === null : !chunk
    if (!absent && typeof chunk !== 'function') checkChunk(this, chunk, encoding)
  }
  if (gate.phase === 'armed') start(this, gate)
  if (gate.phase === 'open') return endNow(this, gate, chunk, encoding, callback)
  if (gate.failure !== undefined) abandon(this, gate.failure, chunk, encoding, callback)
  else hold(this, gate, { method: 'end', chunk, encoding, callback })
  return this
}

function flushHeaders(this: GatedResponse): void {
  const gate = gateOf(this)
  if (gate.phase === 'armed') start(this, gate)
  if (gate.phase === 'open') gate.flushHeaders.call(this)
  else if (gate.phase === 'finishing') {
    hold(this, gate, { method: 'flushHeaders', chunk: undefined, encoding: undefined, callback: undefined })
  }
}

/** Applies status and fields at once, so that `finish` can add to them. A later call sends them. */
function writeHead(this: GatedResponse, ...args: unknown[]): GatedResponse {
  const gate = gateOf(this)
  if (gate.phase === 'open') return gate.writeHead.apply(this, args)
  if (gate.frozen === undefined && gate.phase !== 'failed') applyHead(this, args)
  return this
}

// ── the first call that sends starts `finish`────────────────────────────────────────────────────────────────────────────

function start(res: GatedResponse, gate: Gate): void {
  if (!isHttp2(res)) checkStatus(res.statusCode, res.statusMessage)
  gate.phase = 'finishing'
  const steps: Steps = { current: gate }
  let finished: Awaitable<void>
  try {
    const { first } = gate
    finished = first === undefined ? finishAll(steps) : andThen(settled(first()), () => finishAll(steps))
  } catch (error) {
    fail(res, gate, steps.current, error)
    return
  }
  if (finished instanceof Promise) {
    freezeHead(res, gate)
    finished.then(() => release(res, gate)).catch((error) => failLater(res, gate, steps.current, error))
  } else release(res, gate)
}

/** The running step. If it fails, its `failed` is called. */
interface Steps {
  current: Step
}

function finishAll(steps: Steps): Awaitable<void> {
  const finished = settled(steps.current.finish())
  const { next } = steps.current
  if (next === undefined) return finished
  return andThen(finished, () => {
    steps.current = next
    return finishAll(steps)
  })
}

// ── while `finish` is running ────────────────────────────────────────────────────────────────────────────────────────

function hold(res: GatedResponse, gate: Gate, call: Call): void {
  if (answerIsHeld(gate)) ignore(res, gate, call)
  else {
    gate.held ??= []
    gate.held.push(call)
  }
}

/** Ignores a call after the answer. Node would emit an error that has no listener, which ends the process. */
function ignore(res: GatedResponse, gate: Gate, call: Call): void {
  warnLate(gate)
  callBack(res, call, nodeError(Error, 'ERR_STREAM_WRITE_AFTER_END', 'The answer has already ended'))
}

function answerIsHeld(gate: Gate): boolean {
  return gate.phase === 'finishing' && gate.held?.at(-1)?.method === 'end'
}

/** The head at the time of the first call that sends, and the methods that change it. */
interface FrozenHead {
  readonly statusCode: number
  readonly statusMessage: string | undefined
  readonly setHeader: GatedResponse['setHeader']
  readonly appendHeader: GatedResponse['appendHeader']
  readonly removeHeader: GatedResponse['removeHeader']
}

/** Makes the head look sent to the application, as it would be without a gate. Later changes do not reach the answer. */
function freezeHead(res: GatedResponse, gate: Gate): void {
  gate.frozen = {
    statusCode: res.statusCode,
    statusMessage: isHttp2(res) ? undefined : res.statusMessage,
    setHeader: res.setHeader,
    appendHeader: res.appendHeader,
    removeHeader: res.removeHeader,
  }
  res.setHeader = setHeader
  res.appendHeader = appendHeader
  res.removeHeader = removeHeader
  // Object.defineProperties takes twice as long as these two calls.
  Object.defineProperty(res, 'headersSent', headersSent)
  Object.defineProperty(res, 'writableEnded', writableEnded)
}

const headersSent: PropertyDescriptor & ThisType<GatedResponse> = {
  configurable: true,
  get() {
    return gateOf(this).phase === 'finishing' || ownState(this, 'headersSent')
  },
}
const writableEnded: PropertyDescriptor & ThisType<GatedResponse> = {
  configurable: true,
  get() {
    return answerIsHeld(gateOf(this)) || ownState(this, 'writableEnded')
  },
}

function ownState(res: GatedResponse, property: 'headersSent' | 'writableEnded'): boolean {
  return Reflect.get(Object.getPrototypeOf(res), property, res)
}

function setHeader(this: GatedResponse, name: string, value: number | string | readonly string[]): GatedResponse {
  const frozen = changeable(this)
  return frozen === undefined ? this : frozen.setHeader.call(this, name, value)
}

function appendHeader(this: GatedResponse, name: string, value: number | string | readonly string[]): GatedResponse {
  const frozen = changeable(this)
  return frozen === undefined ? this : frozen.appendHeader.call(this, name, value)
}

function removeHeader(this: GatedResponse, name: string): void {
  changeable(this)?.removeHeader.call(this, name)
}

function changeable(res: GatedResponse): FrozenHead | undefined {
  const gate = gateOf(res)
  if (gate.phase !== 'finishing') return gate.frozen
  warnLate(gate)
  return undefined
}

// A missing `return` after an answer is a common mistake. An error thrown here would make Express close the connection
// before the held answer is sent. Without a gate, that answer would already be on its way.
function warnLate(gate: Gate): void {
  if (gate.warned) return
  gate.warned = true
  process.emitWarning('A response was changed after it was answered; the change was ignored', {
    type: 'GatepassWarning',
    code: 'ERR_RESPONSE_STARTED',
    detail: 'Answer a request only once. Look for a missing `return` after the first answer.',
  })
}

// ── when `finish` succeeded ──────────────────────────────────────────────────────────────────────────────────────────

function release(res: GatedResponse, gate: Gate): void {
  gate.phase = 'open'
  const { held, frozen } = gate
  if (held === undefined) return
  gate.held = undefined
  if (frozen !== undefined) thawHead(res, frozen)
  for (const call of held) replay(res, gate, call)
  if (held.some((call) => call.method === 'write') && held.at(-1)?.method !== 'end') drainWhenDrained(res, gate)
}

function thawHead(res: GatedResponse, frozen: FrozenHead): void {
  if (res.statusCode !== frozen.statusCode) res.statusCode = frozen.statusCode
  if (frozen.statusMessage !== undefined) res.statusMessage = frozen.statusMessage
}

function replay(res: GatedResponse, gate: Gate, { method, chunk, encoding, callback }: Call): void {
  if (method === 'flushHeaders') gate.flushHeaders.call(res)
  else if (method === 'write') gate.write.call(res, chunk, encoding, callback)
  else endNow(res, gate, chunk, encoding, callback)
}

function endNow(res: GatedResponse, gate: Gate, ...args: Parameters<GatedResponse['end']>): GatedResponse {
  if (gate.late === undefined || !res.headersSent || res.writableEnded) return endOnce(res, gate, args)
  if (gate.ending === undefined) {
    const late = gate.late.map((work) => work()).filter((working) => working !== undefined)
    if (late.length === 0) return endOnce(res, gate, args)
    gate.ending = Promise.all(late)
  }
  gate.ending = gate.ending.then(() => endOnce(res, gate, args))
  return res
}

function endOnce(res: GatedResponse, gate: Gate, args: Parameters<GatedResponse['end']>): GatedResponse {
  const [chunk, encoding, callback] = args
  if (!res.writableEnded || !chunk || typeof chunk === 'function') return gate.end.apply(res, args)
  ignore(res, gate, { method: 'end', chunk, encoding, callback })
  return res
}

/** Emits `drain` for a held write, which returned `false`. Node emits it only if its own buffer was full. */
function drainWhenDrained(res: GatedResponse, gate: Gate): void {
  process.nextTick(() => {
    if (res.writableNeedDrain || res.destroyed) return
    const attached = res.rawListeners('drain')
    const elsewhere = gate.drainListeners?.filter((listener) => !attached.includes(listener)) ?? []
    for (const listener of elsewhere) listener.call(res)
    res.emit('drain')
  })
}

/**
 * Remembers the listeners of `drain`. A wrapper of `on` (compression) moves them to its own stream, which does not know that
 * a write was held.
 */
function noteDrainListeners(res: GatedResponse, gate: Gate): void {
  const { on } = res
  res.on = function (this: GatedResponse, type, listener) {
    if (type === 'drain') gate.drainListeners = [...(gate.drainListeners ?? []), listener]
    return on.call(this, type, listener)
  }
}

// ── when `finish` failed ─────────────────────────────────────────────────────────────────────────────────────────────

function fail(res: GatedResponse, gate: Gate, step: Step, error: unknown): void {
  const held = gate.held ?? []
  // `failed` must receive an error: in Express, `next(undefined)` means success.
  const failure = error instanceof Error ? error : new Error('The response could not be finished', { cause: error })
  gate.failure = { error: failure, abandoned: held.at(-1)?.method === 'end', answered: false }
  gate.phase = 'failed'
  gate.held = undefined
  for (const call of held) callBack(res, call, failure)
  if (!res.headersSent) clearHead(res, failure instanceof GatepassError ? failure.status : 500)
  useNewAnswerMethods(res)
  answering.run(gate, () => step.failed(failure))
}

/** Fails after the answering code has returned. If the new answer fails too, the connection closes. */
function failLater(res: GatedResponse, gate: Gate, step: Step, error: unknown): void {
  try {
    fail(res, gate, step, error)
  } catch {
    res.destroy()
  }
}

/** Marks code that `failed` started: its calls are the new answer. The producer of the failed answer may still be running. */
const answering = new AsyncLocalStorage<Gate>()

function isNewAnswer(gate: Gate): boolean {
  return gate.failure?.abandoned === true || answering.getStore() === gate
}

/**
 * Puts the methods of the new answer in front of all wrappers. A wrapper of the old methods (compression) has seen the failed
 * answer end and would swallow the new one. Its late calls reach the old methods and are dropped.
 */
function useNewAnswerMethods(res: GatedResponse): void {
  res.writeHead = writeNewHead
  res.write = writeNewAnswer
  res.end = endNewAnswer
  res.flushHeaders = flushNewHeaders
}

function writeNewHead(this: GatedResponse, ...args: unknown[]): GatedResponse {
  const gate = gateOf(this)
  return isNewAnswer(gate) ? gate.writeHead.apply(this, args) : this
}

function flushNewHeaders(this: GatedResponse): void {
  const gate = gateOf(this)
  if (isNewAnswer(gate)) gate.flushHeaders.call(this)
}

function writeNewAnswer(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): boolean {
  const gate = gateOf(this)
  const answered = gate.failure?.answered === true
  if (!answered && isNewAnswer(gate)) return gate.write.call(this, chunk, encoding, callback)
  drop(this, encoding, callback)
  // After the new answer a late producer may write to its end. Before it, `false` makes the producer wait.
  return answered
}

function endNewAnswer(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): GatedResponse {
  const gate = gateOf(this)
  const { failure } = gate
  if (failure === undefined) return this
  if (failure.answered || !isNewAnswer(gate)) abandon(this, failure, chunk, encoding, callback)
  else {
    gate.end.call(this, chunk, encoding, callback)
    failure.answered = true
  }
  return this
}

function abandon(res: GatedResponse, failure: Failure, ...args: unknown[]): void {
  failure.abandoned = true
  drop(res, ...args)
}

function drop(res: GatedResponse, ...args: unknown[]): void {
  const callback = args.find((argument) => typeof argument === 'function') as Callback | undefined
  const error = gateOf(res).failure?.error
  if (callback !== undefined) process.nextTick(() => callback.call(res, error))
}

function callBack(res: GatedResponse, call: Call, error: Error): void {
  const callback = [call.chunk, call.encoding, call.callback].find((argument) => typeof argument === 'function')
  if (callback !== undefined) process.nextTick(() => (callback as Callback).call(res, error))
}

// ── details ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Node would refuse these when it sends them. The caller must get the error now, as without a gate, while another answer is
// still possible.

function checkChunk(res: GatedResponse, chunk: unknown, encoding: Encoding): void {
  if (chunk === null) throw nodeError(TypeError, 'ERR_STREAM_NULL_VALUES', 'A chunk may not be null')
  if (typeof chunk !== 'string' && !(isHttp2(res) ? ArrayBuffer.isView(chunk) : isUint8Array(chunk)))
    throw nodeError(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The chunk is neither a string nor a Uint8Array: ${typeof chunk}`,
    )
  if (!encoding || typeof encoding === 'function' || Buffer.isEncoding(encoding)) return
  if (typeof chunk === 'string' || (encoding as unknown) !== 'buffer')
    throw nodeError(TypeError, 'ERR_UNKNOWN_ENCODING', 'The encoding of the chunk is unknown')
}

function lastOf(step: Step): Step {
  return step.next === undefined ? step : lastOf(step.next)
}

function nothing(): void {}

function gateOf(res: GatedResponse): Gate {
  return res[kGate] as Gate
}

function startedError(): UsageError {
  return new UsageError('ERR_RESPONSE_STARTED', 'The response was already answered', {
    hint: 'Put the session middleware before the code that answers, and open the session before you answer.',
  })
}
