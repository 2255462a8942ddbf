import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { isUint8Array } from 'node:util/types'
import { type Awaitable, andThen } from '../awaitable.ts'
import { GatepassError, UsageError } from '../error.ts'
import { nextTick } from '../timers.ts'
import { type AnswerHead, describesAnswer } from './answer.ts'

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
 * ignored with a warning. `finish` itself changes the head through {@link headInFinish}.
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
  const { [kGate]: gate } = response as Partial<GatedResponse>
  if (gate?.phase === 'armed') {
    gate.lastStep.next = { finish, failed, next: undefined }
    gate.lastStep = gate.lastStep.next
    return
  }
  if (gate !== undefined || response.headersSent || response.writableEnded) {
    throw new UsageError('ERR_RESPONSE_STARTED', 'The response was already answered', {
      hint: 'Put the session middleware before the code that answers, and open the session before you answer.',
    })
  }
  response[kGate] = new Gate(response, finish, failed)
  response.writeHead = writeHead
  response.write = write
  response.end = end
  response.flushHeaders = flushHeaders
  if (Object.hasOwn(response, 'on')) noteDrainListeners(response)
}

/**
 * Delays `end()` of a streaming response until `work` settles, so that session changes made while streaming are saved.
 * `work` returns `undefined` if there is nothing to wait for, and handles its own errors.
 */
export function delayEnd(res: NodeResponse, work: () => Promise<unknown> | undefined): void {
  const gate = (res as unknown as GatedResponse)[kGate]
  gate.endWork = [...(gate.endWork ?? []), work]
}

/**
 * Runs `work` before every `finish`. If it fails, the response fails as if `finish` had failed. A response without a gate
 * gets one that calls `failed`. A response whose answer has begun is left alone.
 */
export function beforeFinish(res: NodeResponse, work: () => Awaitable<void>, failed: (error: unknown) => void): void {
  const response = res as unknown as Partial<GatedResponse>
  if (response[kGate] === undefined && !res.headersSent && !res.writableEnded) {
    beforeResponse(res, () => undefined, failed)
  }
  const gate = response[kGate]
  if (gate?.phase !== 'armed') return
  const { preparation } = gate
  gate.preparation = preparation === undefined ? work : () => andThen(preparation(), work)
}

/** The head for `finish` to change, while all other code sees it as sent. */
export function headInFinish(res: NodeResponse): AnswerHead {
  return (res as unknown as Partial<GatedResponse>)[kGate]?.frozen ?? res
}

/** Whether header fields can still be set, at least with {@link headInFinish}. */
export function headIsOpen(res: NodeResponse): boolean {
  const phase = (res as unknown as Partial<GatedResponse>)[kGate]?.phase
  return phase === 'armed' || phase === 'finishing' || !res.headersSent
}

type Callback = (error?: Error | null) => void
type SendArguments = [chunk?: unknown, encoding?: BufferEncoding | Callback, callback?: Callback]
type Listener = (...args: unknown[]) => void

/** The head of a Node response. HTTP/2 has no status message, and Node warns about every use of one. */
interface NodeHead extends AnswerHead {
  statusMessage: string
  setHeader(name: string, value: number | string | readonly string[]): unknown
  appendHeader(name: string, value: number | string | readonly string[]): unknown
}

/** The response as callers may use it: more freely than its declared overloads allow. */
type GatedResponse = Omit<ServerResponse, keyof GatedMethods> & GatedMethods
interface GatedMethods extends Pick<NodeHead, 'setHeader' | 'appendHeader' | 'removeHeader'> {
  [kGate]: Gate
  write(...args: SendArguments): boolean
  end(...args: SendArguments): GatedResponse
  writeHead(...args: unknown[]): GatedResponse
  flushHeaders(): void
  on(type: string | symbol, listener: Listener): GatedResponse
}

const kGate: unique symbol = Symbol('gatepass.responseGate')

/**
 * State of one gated response, including the methods it replaced, and its first step. It is a class: V8 may decide to allocate
 * an object literal of every request in the old generation, and all that it refers to stays until a major collection (row
 * “memory, node:http”: 25 µs instead of 14).
 */
class Gate implements Step {
  /**
   * `armed`: nothing was sent yet. `finishing`: `finish` runs, and calls are held. `open`: `finish` has succeeded, and calls
   * pass. `ending`: the work of {@link delayEnd} runs, and `end` is held. `failed`: calls of the failed answer are dropped,
   * and one new answer passes.
   */
  phase: 'armed' | 'finishing' | 'open' | 'ending' | 'failed' = 'armed'
  readonly http2: boolean
  readonly finish: Step['finish']
  readonly failed: Step['failed']
  next: Step | undefined = undefined
  readonly writeHead: GatedMethods['writeHead']
  readonly write: GatedMethods['write']
  readonly end: GatedMethods['end']
  readonly flushHeaders: GatedMethods['flushHeaders']
  /** The step that runs, or will run first. If it fails, its `failed` is called. */
  currentStep: Step = this
  lastStep: Step = this
  /** The work of {@link beforeFinish}. */
  preparation: (() => Awaitable<void>) | undefined = undefined
  held: Call[] | undefined = undefined
  /** Of a wrapper. */
  on: GatedMethods['on'] | undefined = undefined
  drainListeners: Listener[] | undefined = undefined
  /** The work of {@link delayEnd}. */
  endWork: (() => Promise<unknown> | undefined)[] | undefined = undefined
  /** Whether `writeHead` was called before the answer was sent. */
  hasHead = false
  /** The head at the time of the first call that sends, and the methods that change it. */
  frozen: NodeHead | undefined = undefined
  /** Whether the warning about a change after the answer was printed. */
  warned = false
  failure: Failure | undefined = undefined

  constructor(res: GatedResponse, finish: Step['finish'], failed: Step['failed']) {
    this.http2 = 'stream' in res
    this.finish = finish
    this.failed = failed
    this.writeHead = res.writeHead
    this.write = res.write
    this.end = res.end
    this.flushHeaders = res.flushHeaders
  }
}

interface Step {
  readonly finish: () => Awaitable<void>
  readonly failed: (error: unknown) => void
  next: Step | undefined
}

interface Call {
  readonly method: 'write' | 'end' | 'flushHeaders'
  readonly args: SendArguments
}

interface Failure {
  readonly error: Error
  /** Whether the failed answer has ended, so that nothing more of it will come. */
  abandoned: boolean
  /** Whether the new answer has ended. */
  answered: boolean
}

// ── the replaced methods of a response; never restored, because other code may have wrapped them ─────────────────────
// All responses share these functions. With closures of its own, a response would stay in memory until a major collection.

function write(this: GatedResponse, ...args: SendArguments): boolean {
  const gate = this[kGate]
  if (gate.phase !== 'failed') checkChunk(gate, args)
  if (gate.phase === 'armed') start(this, gate)
  if (gate.phase === 'open' && !this.writableEnded) return gate.write.apply(this, args)
  keepBack(this, gate, { method: 'write', args })
  return false
}

function end(this: GatedResponse, ...args: SendArguments): GatedResponse {
  const gate = this[kGate]
  const [chunk] = args
  const hasChunk = typeof chunk !== 'function' && (gate.http2 ? chunk !== undefined && chunk !== null : Boolean(chunk))
  const ended = this.writableEnded
  // At once, also when late work comes before the end: after it, there is no caller who could be told.
  if (hasChunk && !ended && gate.phase !== 'failed') checkChunk(gate, args)
  if (gate.phase === 'armed') start(this, gate)
  if (gate.phase === 'open' && !(ended && hasChunk)) return endNow(this, gate, args)
  const call: Call = { method: 'end', args }
  // As in Node, a second `end` without a chunk only adds its callback.
  if (ended && !hasChunk && gate.held !== undefined) gate.held.push(call)
  else keepBack(this, gate, call)
  return this
}

function flushHeaders(this: GatedResponse): void {
  const gate = this[kGate]
  if (gate.phase === 'armed') start(this, gate)
  if (gate.phase === 'open') gate.flushHeaders.call(this)
  else keepBack(this, gate, { method: 'flushHeaders', args: [] })
}

/** Applies status and fields at once, so that `finish` can add to them. A later call sends them. The first head stays. */
function writeHead(this: GatedResponse, ...args: unknown[]): GatedResponse {
  const gate = this[kGate]
  if (gate.phase === 'open' || gate.phase === 'ending') return gate.writeHead.apply(this, args)
  if (gate.phase === 'failed') return this
  if (!gate.hasHead && gate.frozen === undefined) {
    applyHead(this, gate, args)
    gate.hasHead = true
  } else if (args.length > 1 || Number(args[0]) !== this.statusCode) {
    // Node would throw. Here `headersSent` is still false, and an error handler that relies on it must not fail.
    // A wrapper (compression) repeats the status before it sends; that changes nothing.
    warnLate(gate)
  }
  return this
}

// ── the first call that sends starts `finish`────────────────────────────────────────────────────────────────────────────

function start(res: GatedResponse, gate: Gate): void {
  if (!gate.http2) checkStatus(res.statusCode, res.statusMessage)
  gate.phase = 'finishing'
  let finished: Awaitable<void>
  try {
    finished = gate.preparation === undefined ? finishAll(gate) : andThen(gate.preparation(), () => finishAll(gate))
  } catch (error) {
    fail(res, gate, error)
    return
  }
  if (finished === undefined) release(res, gate)
  else {
    freezeHead(res, gate)
    // Also an object that only has a `then`, such as the query of a database library, is waited for.
    Promise.resolve(finished)
      .then(() => release(res, gate))
      .catch((error) => failLater(res, gate, error))
  }
}

/** Runs the current step and those after it. */
function finishAll(gate: Gate): Awaitable<void> {
  const { next } = gate.currentStep
  const finished = gate.currentStep.finish()
  if (next === undefined) return finished
  const goOn = (): Awaitable<void> => {
    gate.currentStep = next
    return finishAll(gate)
  }
  return finished === undefined ? goOn() : Promise.resolve(finished).then(goOn)
}

// ── while `finish` is running ────────────────────────────────────────────────────────────────────────────────────────

/** Holds a call until `finish` has succeeded. Drops it if `finish` has failed, and ignores it if it comes after the answer. */
function keepBack(res: GatedResponse, gate: Gate, call: Call): void {
  const { failure } = gate
  if (failure !== undefined) {
    if (call.method === 'end') failure.abandoned = true
    callBack(res, call.args, failure.error)
  } else if (gate.phase === 'finishing' && !answerIsHeld(gate)) {
    gate.held ??= []
    gate.held.push(call)
  } else {
    warnLate(gate)
    // Node would emit an error that has no listener, which ends the process.
    callBack(res, call.args, nodeError(Error, 'ERR_STREAM_WRITE_AFTER_END', 'The answer has already ended'))
  }
}

function answerIsHeld(gate: Gate): boolean {
  return gate.held?.at(-1)?.method === 'end'
}

function callBack(res: GatedResponse, args: SendArguments, error: Error | undefined): void {
  const callback = args.find((argument) => typeof argument === 'function') as Callback | undefined
  if (callback !== undefined) nextTick(() => callback.call(res, error))
}

/** Makes the head look sent to the application, as it would be without a gate. Later changes do not reach the answer. */
function freezeHead(res: GatedResponse, gate: Gate): void {
  const frozen: NodeHead = {
    statusCode: res.statusCode,
    statusMessage: gate.http2 ? '' : res.statusMessage,
    getHeader: (name) => res.getHeader(name),
    getHeaderNames: () => res.getHeaderNames(),
    setHeader: res.setHeader.bind(res),
    appendHeader: res.appendHeader.bind(res),
    removeHeader: res.removeHeader.bind(res),
  }
  gate.frozen = frozen
  res.setHeader = setHeader
  res.appendHeader = appendHeader
  res.removeHeader = removeHeader
  Object.defineProperty(res, 'headersSent', headersSent)
  Object.defineProperty(res, 'writableEnded', writableEnded)
}

function setHeader(this: GatedResponse, ...field: Parameters<NodeHead['setHeader']>): GatedResponse {
  changeable(this)?.setHeader(...field)
  return this
}

function appendHeader(this: GatedResponse, ...field: Parameters<NodeHead['appendHeader']>): GatedResponse {
  changeable(this)?.appendHeader(...field)
  return this
}

function removeHeader(this: GatedResponse, name: string): void {
  changeable(this)?.removeHeader(name)
}

/** The head of a frozen response, unless it is too late to change it. */
function changeable({ [kGate]: gate }: GatedResponse): NodeHead | undefined {
  return gate.phase === 'finishing' ? warnLate(gate) : gate.frozen
}

const headersSent: PropertyDescriptor & ThisType<GatedResponse> = {
  configurable: true,
  get() {
    return this[kGate].phase === 'finishing' || ownState(this, 'headersSent')
  },
}
const writableEnded: PropertyDescriptor & ThisType<GatedResponse> = {
  configurable: true,
  get() {
    return answerIsHeld(this[kGate]) || ownState(this, 'writableEnded')
  },
}

function ownState(res: GatedResponse, property: 'headersSent' | 'writableEnded'): boolean {
  return Reflect.get(Object.getPrototypeOf(res), property, res)
}

// A missing `return` after an answer is a common mistake. An error thrown here would make Express close the connection
// before the held answer is sent. Without a gate, that answer would already be on its way.
function warnLate(gate: Gate): undefined {
  if (gate.warned) return undefined
  gate.warned = true
  process.emitWarning('A response was changed after it was answered; the change was ignored', {
    type: 'GatepassWarning',
    code: 'ERR_RESPONSE_STARTED',
    detail: 'Answer a request only once. Look for a missing `return` after the first answer.',
  })
  return undefined
}

// ── when `finish` succeeded ──────────────────────────────────────────────────────────────────────────────────────────

function release(res: GatedResponse, gate: Gate): void {
  gate.phase = 'open'
  const { held, frozen } = gate
  if (held === undefined) return
  gate.held = undefined
  if (frozen !== undefined) {
    if (res.statusCode !== frozen.statusCode) res.statusCode = frozen.statusCode
    if (!gate.http2) res.statusMessage = frozen.statusMessage
  }
  for (const { method, args } of held) {
    if (method === 'end') endNow(res, gate, args)
    else if (method === 'write') gate.write.apply(res, args)
    else gate.flushHeaders.call(res)
  }
  if (held.some((call) => call.method === 'write') && held.at(-1)?.method !== 'end') drainWhenDrained(res, gate)
}

/** Ends the answer. One that was streamed first waits for the work of {@link delayEnd}. */
function endNow(res: GatedResponse, gate: Gate, args: SendArguments): GatedResponse {
  const { endWork } = gate
  if (endWork !== undefined && res.headersSent && !res.writableEnded) {
    const pending = endWork.map((work) => work())
    if (pending.some((work) => work !== undefined)) {
      gate.phase = 'ending'
      gate.endWork = undefined
      Object.defineProperty(res, 'writableEnded', writableEnded)
      Promise.all(pending)
        .then(() => release(res, gate))
        .catch((error) => failLater(res, gate, error))
    }
  }
  if (gate.phase === 'open') return gate.end.apply(res, args)
  gate.held = [...(gate.held ?? []), { method: 'end', args }]
  return res
}

/** Emits `drain` for a held write, which returned `false`. Node emits it only if its own buffer was full. */
function drainWhenDrained(res: GatedResponse, gate: Gate): void {
  nextTick(() => {
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
function noteDrainListeners(res: GatedResponse): void {
  res[kGate].on = res.on
  res.on = on
}

function on(this: GatedResponse, type: string | symbol, listener: Listener): GatedResponse {
  const gate = this[kGate]
  if (type === 'drain') gate.drainListeners = [...(gate.drainListeners ?? []), listener]
  return gate.on?.call(this, type, listener) ?? this
}

// ── when `finish` failed ─────────────────────────────────────────────────────────────────────────────────────────────

function fail(res: GatedResponse, gate: Gate, thrown: unknown): void {
  const { held = [] } = gate
  // `failed` must receive an error: in Express, `next(undefined)` means success.
  const error = thrown instanceof Error ? thrown : new Error('The response could not be finished', { cause: thrown })
  gate.failure = { error, abandoned: held.at(-1)?.method === 'end', answered: false }
  gate.phase = 'failed'
  gate.held = undefined
  for (const { args } of held) callBack(res, args, error)
  if (!res.headersSent) {
    // Fields for all answers (security headers, CORS) stay.
    for (const name of res.getHeaderNames()) if (describesAnswer(name)) res.removeHeader(name)
    res.statusCode = error instanceof GatepassError ? error.status : 500
    if (!gate.http2) res.statusMessage = ''
  }
  useNewAnswerMethods(res)
  answering.run(gate, () => gate.currentStep.failed(error))
}

/** Fails after the answering code has returned. The connection closes if the new answer fails too, or comes too late. */
function failLater(res: GatedResponse, gate: Gate, error: unknown): void {
  const begun = ownState(res, 'headersSent')
  try {
    fail(res, gate, error)
    if (begun) res.destroy()
  } catch {
    res.destroy()
  }
}

/** Marks code that `failed` started: its calls are the new answer. The producer of the failed answer may still be running. */
const answering = new AsyncLocalStorage<Gate>()

/**
 * Puts the methods of the new answer in front of all wrappers. A wrapper of the old methods (compression) has seen the failed
 * answer end and would swallow the new one. Its late calls reach the old methods and are dropped.
 */
function useNewAnswerMethods(res: GatedResponse): void {
  res.writeHead = newWriteHead
  res.flushHeaders = newFlushHeaders
  res.write = newWrite
  res.end = newEnd
}

function newWriteHead(this: GatedResponse, ...args: unknown[]): GatedResponse {
  const gate = this[kGate]
  return isNewAnswer(gate) ? gate.writeHead.apply(this, args) : this
}

function newFlushHeaders(this: GatedResponse): void {
  const gate = this[kGate]
  if (isNewAnswer(gate)) gate.flushHeaders.call(this)
}

function newWrite(this: GatedResponse, ...args: SendArguments): boolean {
  const gate = this[kGate]
  const answered = gate.failure?.answered === true
  if (!answered && isNewAnswer(gate)) return gate.write.apply(this, args)
  callBack(this, args, gate.failure?.error)
  // After the new answer a late producer may write to its end. Before it, `false` makes the producer wait.
  return answered
}

function newEnd(this: GatedResponse, ...args: SendArguments): GatedResponse {
  const gate = this[kGate]
  if (gate.failure?.answered === true || !isNewAnswer(gate)) keepBack(this, gate, { method: 'end', args })
  else {
    gate.end.apply(this, args)
    if (gate.failure !== undefined) gate.failure.answered = true
  }
  return this
}

function isNewAnswer(gate: Gate): boolean {
  return gate.failure?.abandoned === true || answering.getStore() === gate
}

// ── the head ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Applies the arguments of `writeHead`, in all their forms. Fields replace earlier ones, and a list may repeat a name. */
function applyHead(res: GatedResponse, { http2 }: Gate, [status, ...rest]: unknown[]): void {
  const message = typeof rest[0] === 'string' ? rest[0] : undefined
  // The HTTP/2 setter checks the status itself.
  if (!http2) checkStatus(Number(status), message)
  res.statusCode = Math.trunc(Number(status))
  if (message !== undefined && !http2) res.statusMessage = message
  const fields = message === undefined ? (rest[0] ?? rest[1]) : rest[1]
  if (Array.isArray(fields)) applyFieldList(res, fields)
  else for (const [name, value] of Object.entries(fields ?? {})) if (name !== '') res.setHeader(name, value)
}

/** Applies a list of pairs, or of alternating names and values. They replace earlier fields and may repeat a name. */
function applyFieldList(res: GatedResponse, fields: readonly unknown[]): void {
  const nested = Array.isArray(fields[0])
  if (!nested && fields.length % 2 !== 0) {
    throw nodeError(TypeError, 'ERR_INVALID_ARG_VALUE', 'The headers have a name without a value')
  }
  const flatPairs = Array.from({ length: fields.length / 2 }, (_, n) => [fields[2 * n], fields[2 * n + 1]])
  const pairs = (nested ? fields : flatPairs) as [string, string | string[]][]
  for (const [name] of pairs) if (typeof name === 'string') res.removeHeader(name)
  // A copy: Node would append to the list that it was given, which the application may use for other answers.
  for (const [name, value] of pairs) res.appendHeader(name, Array.isArray(value) ? [...value] : value)
}

// ── what Node would refuse when it sends; the caller gets the error now, while another answer is still possible ──────

/** Throws for a status that Node would refuse when it writes the status line. */
function checkStatus(status: number, message: string | undefined): void {
  if (!(status >= 100 && status < 1000))
    throw nodeError(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', 'Invalid status code')
  if (message !== undefined && /[^\t\x20-\x7e\x80-\xff]/.test(message))
    throw nodeError(TypeError, 'ERR_INVALID_CHAR', 'Invalid character in the status message')
}

function checkChunk({ http2 }: Gate, [chunk, encoding]: SendArguments): void {
  if (chunk === null) throw nodeError(TypeError, 'ERR_STREAM_NULL_VALUES', 'A chunk may not be null')
  if (typeof chunk !== 'string' && !(http2 ? ArrayBuffer.isView(chunk) : isUint8Array(chunk))) {
    const message = `The chunk is neither a string nor a Uint8Array: ${typeof chunk}`
    throw nodeError(TypeError, 'ERR_INVALID_ARG_TYPE', message)
  }
  if (!encoding || typeof encoding === 'function' || Buffer.isEncoding(encoding)) return
  if (typeof chunk === 'string' || (encoding as unknown) !== 'buffer')
    throw nodeError(TypeError, 'ERR_UNKNOWN_ENCODING', 'The encoding of the chunk is unknown')
}

/** The error that Node would have thrown at this call, with Node's code. */
function nodeError(kind: new (message: string) => Error, code: string, message: string): Error {
  return Object.assign(new kind(message), { code })
}
