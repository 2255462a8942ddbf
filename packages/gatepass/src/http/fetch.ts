import { unawaited } from '../awaitable.ts'
import { Cookies, type CookiesOptions } from '../cookie/cookies.ts'
import { UsageError } from '../error.ts'
import { type AnswerHead, writeReply } from './answer.ts'
import { bodilessMethods, type Fields, fieldsIn, malformed, noFields, parserFor, tooLarge } from './body.ts'
import type { Reply } from './exchange.ts'
import { findOrigin, plainAddress } from './origin.ts'
import { type Answerer, type Promises, type PromisingExchange, promisesOf } from './promises.ts'
import { type Client, clientBehind, unknownClient } from './proxy.ts'
import type { HttpSettings } from './settings.ts'

/** What a platform knows about a request besides the request itself. */
export interface FetchPlatform {
  /** The address of the peer. Without it a trusted proxy cannot be recognized, and no forwarded field is read. */
  readonly address?: string | undefined
  /** Returns the current request, if a framework lets middleware replace it. */
  readonly current?: (() => Request) | undefined
  /** Returns the body if the framework has already read and kept it. */
  readonly body?: (() => Promise<ArrayBuffer | Uint8Array>) | undefined
  /** Whether the response can still set a cookie. Default: it can. */
  readonly writable?: () => boolean
}

/** An exchange over a request of the fetch standard. It reads only what is asked for. */
export class FetchExchange implements PromisingExchange, CookiesOptions {
  readonly request: Request
  readonly #settings: HttpSettings
  readonly #platform: FetchPlatform
  readonly #url: URL
  readonly originConfigured: boolean
  readonly consent: CookiesOptions['consent']
  readonly cookies: Cookies
  readonly memory: Map<object, unknown> = new Map()
  #client: Client | undefined
  #origin: string | undefined
  #fields: Promise<Fields> | undefined
  answered = false
  answerer: Answerer | undefined
  promises: Promises | undefined

  constructor(request: Request, settings: HttpSettings, platform: FetchPlatform = {}) {
    this.request = request
    this.#settings = settings
    this.#platform = platform
    this.#url = new URL(request.url)
    this.originConfigured = settings.origins.length > 0
    this.consent = settings.consent
    this.cookies = new Cookies(this.header('cookie'), this)
  }

  /** Whether the response can still set cookies. */
  writable(): boolean {
    return this.#platform.writable?.() ?? true
  }

  get method(): string {
    return this.request.method
  }

  get target(): string {
    return this.#url.pathname + this.#url.search
  }

  get secure(): boolean {
    const address = this.#settings.origin ?? (this.originConfigured ? this.origin : this.#scheme)
    return address.startsWith('https')
  }

  get origin(): string {
    const { origin, origins } = this.#settings
    if (origin !== undefined) return origin
    this.#origin ??= findOrigin(origins, this.#scheme, [this.#behind.host, this.#url.host]) ?? this.#url.origin
    return this.#origin
  }

  /** Host and port that the browser asked for, after the trusted-proxy rule and as sent. */
  get host(): string | undefined {
    return this.#behind.host ?? this.header('host')
  }

  get remoteAddress(): string | undefined {
    return this.#settings.trust === undefined ? plainAddress(this.#platform.address) : this.#behind.address
  }

  header(name: string): string | undefined {
    return this.request.headers.get(name) ?? undefined
  }

  fields(): Promise<Fields> {
    this.#fields ??= unawaited(this.#readFields())
    return this.#fields
  }

  promised<T>(work: Promise<T>): Promise<T> {
    return promisesOf(this)?.change(work) ?? work
  }

  reading<T>(work: Promise<T>): Promise<T> {
    return promisesOf(this)?.reading(work) ?? work
  }

  get #behind(): Client {
    const { trust } = this.#settings
    const { address } = this.#platform
    this.#client ??= trust ? clientBehind(trust, address, (name) => this.header(name)) : unknownClient
    return this.#client
  }

  get #scheme(): 'http' | 'https' {
    return this.#behind.proto ?? (this.#url.protocol === 'https:' ? 'https' : 'http')
  }

  async #readFields(): Promise<Fields> {
    const request = this.#platform.current?.() ?? this.request
    if (bodilessMethods.has(request.method)) return noFields
    const { bodyLimit } = this.#settings
    const format = { type: this.header('content-type'), encoding: this.header('content-encoding') }
    const length = Number(this.header('content-length') ?? 0)
    // A body whose type is not accepted is not read. An empty body has no type to accept.
    if (length > 0 || this.header('transfer-encoding') !== undefined) parserFor(format)
    if (length > bodyLimit) throw tooLarge(bodyLimit)
    const taken = request.bodyUsed || request.body?.locked === true
    const bytes = taken ? await this.#readAgain() : await readBody(request, bodyLimit)
    if (bytes.length > bodyLimit) throw tooLarge(bodyLimit)
    return bytes.length === 0 ? noFields : fieldsIn(bytes, format)
  }

  async #readAgain(): Promise<Uint8Array> {
    const { body } = this.#platform
    if (body === undefined) throw readAlready()
    return new Uint8Array(await body())
  }
}

function readAlready(): UsageError {
  return new UsageError('ERR_BODY_READ', 'The body was read before the fields of the login could be read', {
    hint: 'Read a clone of the request: `await request.clone().formData()`.',
  })
}

/** Reads a clone, so that the application can read the body, too. */
async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = request.body === null ? undefined : request.clone().body?.getReader()
  if (reader === undefined) return new Uint8Array()
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      length += read.value.length
      if (length > limit) break
      chunks.push(read.value)
    }
  } catch {
    throw malformed('The request ended before its body did')
  }
  if (length > limit) {
    reader.cancel().catch(() => {})
    throw tooLarge(limit)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/**
 * The head of a response that was not given out yet. The first change makes a copy of the fields: the application may answer
 * other requests with the same `Response`, and they would get this one's cookies.
 */
export class FetchHead implements AnswerHead {
  statusCode: number
  readonly #given: Headers | undefined
  #headers: Headers

  constructor(response?: Response) {
    this.statusCode = response?.status ?? 200
    this.#given = response?.headers
    this.#headers = this.#given ?? new Headers()
  }

  get headers(): Headers {
    return this.#headers
  }

  get changed(): boolean {
    return this.#headers !== this.#given
  }

  getHeader(name: string): string | readonly string[] | undefined {
    const value = this.#headers.get(name) ?? undefined
    return name.toLowerCase() === 'set-cookie' && value !== undefined ? this.#headers.getSetCookie() : value
  }

  setHeader(name: string, value: string | readonly string[]): void {
    this.removeHeader(name)
    for (const line of typeof value === 'string' ? [value] : value) this.#headers.append(name, line)
  }

  removeHeader(name: string): void {
    if (!this.changed) this.#headers = new Headers(this.#headers)
    this.#headers.delete(name)
  }

  getHeaderNames(): readonly string[] {
    return [...new Set(this.#headers.keys())]
  }
}

/** Turns a reply into a response, on top of the fields that `head` already has. */
export function toResponse(reply: Reply, head: FetchHead = new FetchHead()): Response {
  writeReply(head, reply)
  return new Response(reply.body ?? null, { status: head.statusCode, headers: head.headers })
}
