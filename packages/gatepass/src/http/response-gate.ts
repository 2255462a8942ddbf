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
 * From here on nothing of `res` leaves before `finish` has succeeded. If it fails, nothing has left and `failed(error)`
 * may answer anew: what described the failed answer (Content-*, Set-Cookie, caching, Location) is gone, and the status is
 * the error's own, or 500.
 *
 * `finish` runs once, at the first `write`, `flushHeaders` or `end`; armed again, the second runs after the first. The
 * answer given then is the one that leaves: until it does, later answers and later changes of its head are ignored with a
 * warning. Within a `finish` that takes its time, header fields are set with {@link setHeaderInFinish}.
 *
 * There is no time limit here: a `finish` that never settles holds the response until the client goes. What is written
 * past the response, to `res.socket` or `res.stream`, is not held.
 *
 * @throws {UsageError} `ERR_RESPONSE_STARTED` if the answer was given already
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
 * Has an answer that began before its end wait for `work`, if that has anything to do when the end comes: of what changes
 * while a body streams, only the head can know nothing. `work` sees to its own failures.
 */
export function beforeEnd(res: NodeResponse, work: () => Promise<unknown> | undefined): void {
  const gate = gateOf(res as unknown as GatedResponse)
  gate.late = gate.late === undefined ? [work] : [...gate.late, work]
}

/**
 * Has `work` run before every `finish`; if it fails, the response fails as it does with `finish`. A response without a gate
 * gets one, which tells `failed`. One whose answer was given already is left alone.
 */
export function beforeFinish(res: NodeResponse, work: () => Awaitable<void>, failed: (error: unknown) => void): void {
  const response = res as unknown as GatedResponse
  if (response[kGate] === undefined && !response.headersSent && !response.writableEnded) arm(response, nothing, failed)
  const gate = response[kGate]
  if (gate?.phase !== 'armed') return
  const { first } = gate
  gate.first = first === undefined ? work : () => andThen(first(), work)
}

/** Sets a header field from within `finish`, when to everyone else the head counts as sent. */
export function setHeaderInFinish(res: NodeResponse, name: string, value: string | readonly string[]): void {
  const response = res as unknown as GatedResponse
  const frozen = response[kGate]?.frozen
  if (frozen === undefined) response.setHeader(name, value)
  else frozen.setHeader.call(response, name, value)
}

/** Whether header fields can still be set, if only by {@link setHeaderInFinish}. */
export function headIsOpen(res: NodeResponse): boolean {
  const phase = (res as unknown as GatedResponse)[kGate]?.phase
  return phase === 'armed' || phase === 'finishing' || !res.headersSent
}

type Callback = (error?: Error | null) => void
type Encoding = BufferEncoding | Callback | undefined
type Send<Result> = (this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback) => Result
type SetField = (this: GatedResponse, name: string, value: number | string | readonly string[]) => GatedResponse

/** The response as its callers may use it, which is more freely than its declared overloads say. */
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
 * `armed`: nothing was sent yet. `finishing`: `finish` runs, and what is sent is held. `open`: it has succeeded, calls go
 * through. `failed`: what its producer still sends is dropped, and one new answer goes through.
 */
type Phase = 'armed' | 'finishing' | 'open' | 'failed'

/** What one response's gate remembers, the methods below it among it. */
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
  /** What comes before every `finish`. */
  first: (() => Awaitable<void>) | undefined = undefined
  /** The end that waits for what was late; whatever ends the answer again comes after it. */
  ending: Promise<unknown> | undefined = undefined
  frozen: FrozenHead | undefined = undefined
  /** Whether a change that came after the answer was told. */
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
  /** Whether the failed answer was given to its end, so that nothing more can come of it. */
  abandoned: boolean
  /** Whether the new answer was given to its end. */
  answered: boolean
}

// ── what the response's methods are from then on; never restored, because others may have wrapped them ──────────────

function write(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): boolean {
  const gate = gateOf(this)
  if (gate.phase === 'armed' || gate.phase === 'finishing') checkChunk(this, chunk, encoding)
  pass(this, gate)
  if (gate.phase === 'open') {
    if (!this.writableEnded) return gate.write.call(this, chunk, encoding, callback)
    ignore(this, gate, { method: 'write', chunk, encoding, callback })
  } else if (gate.phase === 'failed') drop(this, encoding, callback)
  else hold(this, gate, { method: 'write', chunk, encoding, callback })
  return false
}

function end(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): GatedResponse {
  const gate = gateOf(this)
  if (gate.phase === 'armed' || gate.phase === 'finishing') checkLastChunk(this, chunk, encoding)
  pass(this, gate)
  if (gate.phase === 'open') return endNow(this, gate, chunk, encoding, callback)
  if (gate.failure !== undefined) abandon(this, gate.failure, chunk, encoding, callback)
  else hold(this, gate, { method: 'end', chunk, encoding, callback })
  return this
}

function flushHeaders(this: GatedResponse): void {
  const gate = gateOf(this)
  pass(this, gate)
  if (gate.phase === 'open') gate.flushHeaders.call(this)
  else if (gate.phase === 'finishing') {
    hold(this, gate, { method: 'flushHeaders', chunk: undefined, encoding: undefined, callback: undefined })
  }
}

/** Applies status and fields at once, so that `finish` can add to them, and leaves the sending to what follows. */
function writeHead(this: GatedResponse, ...args: unknown[]): GatedResponse {
  const gate = gateOf(this)
  if (gate.phase === 'open') return gate.writeHead.apply(this, args)
  if (gate.frozen === undefined && gate.phase !== 'failed') applyHead(this, args)
  return this
}

// ── the first thing sent starts `finish` ─────────────────────────────────────────────────────────────────────────────

function pass(res: GatedResponse, gate: Gate): void {
  if (gate.phase === 'armed') start(res, gate)
}

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

/** The step that is running: the one to be told if it fails. */
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

// ── while `finish` takes its time ────────────────────────────────────────────────────────────────────────────────────

function hold(res: GatedResponse, gate: Gate, call: Call): void {
  if (answerIsHeld(gate)) ignore(res, gate, call)
  else {
    gate.held ??= []
    gate.held.push(call)
  }
}

/** What comes after the answer. Node would emit an error that no code listens to, and end the process. */
function ignore(res: GatedResponse, gate: Gate, call: Call): void {
  warnLate(gate)
  callBack(res, call, nodeError(Error, 'ERR_STREAM_WRITE_AFTER_END', 'The answer was given already'))
}

function answerIsHeld(gate: Gate): boolean {
  return gate.phase === 'finishing' && gate.held?.at(-1)?.method === 'end'
}

/** The head as it was when the first thing was sent, and the methods that changed it. */
interface FrozenHead {
  readonly statusCode: number
  readonly statusMessage: string | undefined
  readonly setHeader: GatedResponse['setHeader']
  readonly appendHeader: GatedResponse['appendHeader']
  readonly removeHeader: GatedResponse['removeHeader']
}

/** To the application the head has left, as it would have without a gate: what it sets now belongs to no answer. */
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
  // One at a time: Object.defineProperties takes twice as long.
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

// A missing `return` after an answer is a common mistake. Thrown here, its error would make Express cut the connection
// before the held answer has left; without a gate that answer was already on its way.
function warnLate(gate: Gate): void {
  if (gate.warned) return
  gate.warned = true
  process.emitWarning('A response was changed after its answer was given; the change was ignored', {
    type: 'GatepassWarning',
    code: 'ERR_RESPONSE_STARTED',
    detail: 'Answer a request once: look for a missing `return` after the first answer.',
  })
}

// ── when it has succeeded ────────────────────────────────────────────────────────────────────────────────────────────

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

/** A held write has answered `false`, so its writer waits for `drain`; Node emits it only where its own buffer was full. */
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
 * Below a wrapper of `on` (compression) the listeners of `drain` move to the wrapper's own stream, which does not know that
 * a write was held: so the gate remembers them.
 */
function noteDrainListeners(res: GatedResponse, gate: Gate): void {
  const { on } = res
  res.on = function (this: GatedResponse, type, listener) {
    if (type === 'drain') gate.drainListeners = [...(gate.drainListeners ?? []), listener]
    return on.call(this, type, listener)
  }
}

// ── when it has failed ───────────────────────────────────────────────────────────────────────────────────────────────

function fail(res: GatedResponse, gate: Gate, step: Step, error: unknown): void {
  const held = gate.held ?? []
  // What `failed` is told must be an error: to Express, `next(undefined)` means that all is well.
  const failure = error instanceof Error ? error : new Error('The response could not be finished', { cause: error })
  gate.failure = { error: failure, abandoned: held.at(-1)?.method === 'end', answered: false }
  gate.phase = 'failed'
  gate.held = undefined
  for (const call of held) callBack(res, call, failure)
  if (!res.headersSent) clearHead(res, failure instanceof GatepassError ? failure.status : 500)
  answerAnew(res)
  answering.run(gate, () => step.failed(failure))
}

/** The one who answered has gone on, so an error of the new answer can be told to the client only: the connection breaks. */
function failLater(res: GatedResponse, gate: Gate, step: Step, error: unknown): void {
  try {
    fail(res, gate, step, error)
  } catch {
    res.destroy()
  }
}

/** Whatever comes of `failed` is the new answer; on the same response the producer of the failed one may still be at work. */
const answering = new AsyncLocalStorage<Gate>()

function isNewAnswer(gate: Gate): boolean {
  return gate.failure?.abandoned === true || answering.getStore() === gate
}

/**
 * Puts the new answer's methods in front of everything: a wrapper around the old ones (compression) has seen the failed
 * answer end and would swallow the new one. What such a wrapper still sends arrives at the old methods, and is dropped.
 */
function answerAnew(res: GatedResponse): void {
  res.writeHead = writeHeadAnew
  res.write = writeAnew
  res.end = endAnew
  res.flushHeaders = flushHeadersAnew
}

function writeHeadAnew(this: GatedResponse, ...args: unknown[]): GatedResponse {
  const gate = gateOf(this)
  return isNewAnswer(gate) ? gate.writeHead.apply(this, args) : this
}

function flushHeadersAnew(this: GatedResponse): void {
  const gate = gateOf(this)
  if (isNewAnswer(gate)) gate.flushHeaders.call(this)
}

function writeAnew(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): boolean {
  const gate = gateOf(this)
  const answered = gate.failure?.answered === true
  if (!answered && isNewAnswer(gate)) return gate.write.call(this, chunk, encoding, callback)
  drop(this, encoding, callback)
  // A late producer is let run dry; before the new answer it is made to wait.
  return answered
}

function endAnew(this: GatedResponse, chunk?: unknown, encoding?: Encoding, callback?: Callback): GatedResponse {
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

// Node refuses these when it sends. Who sends must hear it now, as without a gate: while another answer can be given.

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

function checkLastChunk(res: GatedResponse, chunk: unknown, encoding: Encoding): void {
  const absent = isHttp2(res) ? chunk === undefined || chunk === null : !chunk
  if (!absent && typeof chunk !== 'function') checkChunk(res, chunk, encoding)
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
    hint: 'Put the session middleware before whatever answers, and ask for the session before you answer.',
  })
}
