import { Cookies } from '../cookie/cookies.ts'
import { UsageError } from '../error.ts'
import { type AnswerHead, writeReply } from './answer.ts'
import { bodilessMethods, type Fields, fieldsIn, malformed, noFields, parserFor, tooLarge } from './body.ts'
import type { Reply } from './exchange.ts'
import { findOrigin } from './origin.ts'
import { type Answerer, Promises, type PromisingExchange } from './promises.ts'
import { type Client, clientBehind, plainAddress } from './proxy.ts'
import type { HttpSettings } from './settings.ts'

/** What a platform knows about a request besides the request itself. */
export interface FetchPlatform {
  /** The address of the peer. Without it a trusted proxy cannot be recognized, and no forwarded field is read. */
  readonly address?: string | undefined
  /** The request as it is now, where a framework lets middleware put another in its place. */
  readonly current?: (() => Request) | undefined
  /** Returns the body if the framework has already read and kept it. */
  readonly body?: (() => Promise<ArrayBuffer | Uint8Array>) | undefined
  /** Whether the response can still get a cookie; Default: always. */
  readonly writable?: () => boolean
}

/** An exchange over a request of the fetch standard. It reads only what is asked for. */
export class FetchExchange implements PromisingExchange {
  readonly request: Request
  readonly #settings: HttpSettings
  readonly #platform: FetchPlatform
  readonly #url: URL
  #cookies: Cookies | undefined
  #client: Client | undefined
  #origin: string | undefined
  #fields: Promise<Fields> | undefined
  readonly memory: Map<object, unknown> = new Map()
  answerer: Answerer | undefined
  promises: Promises | undefined

  constructor(request: Request, settings: HttpSettings, platform: FetchPlatform = {}) {
    this.request = request
    this.#settings = settings
    this.#platform = platform
    this.#url = new URL(request.url)
  }

  get method(): string {
    return this.request.method
  }

  get target(): string {
    return this.#url.pathname + this.#url.search
  }

  get secure(): boolean {
    return this.originConfigured ? this.origin.startsWith('https:') : this.#scheme === 'https'
  }

  get originConfigured(): boolean {
    return this.#settings.origins.length > 0
  }

  get origin(): string {
    const { origins } = this.#settings
    this.#origin ??= findOrigin(origins, () => ({
      scheme: this.#scheme,
      hosts: [this.#behind.host, this.#url.host],
      local: () => this.#url.origin,
    }))
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
    if (this.#fields === undefined) {
      this.#fields = this.#readFields()
      // An application may ask for the body and not wait for it: its failure must not end the process.
      this.#fields.catch(() => {})
    }
    return this.#fields
  }

  promised<T>(work: Promise<T>): Promise<T> {
    return this.#promising()?.change(work) ?? work
  }

  reading<T>(work: Promise<T>): Promise<T> {
    return this.#promising()?.reading(work) ?? work
  }

  get cookies(): Cookies {
    if (this.#cookies === undefined) {
      const { consent } = this.#settings
      const { writable } = this.#platform
      const options = { ...(consent !== undefined && { consent }), ...(writable !== undefined && { writable }) }
      this.#cookies = new Cookies(this.header('cookie'), options)
    }
    return this.#cookies
  }

  #promising(): Promises | undefined {
    if (this.answerer !== undefined) this.promises ??= new Promises(this.answerer)
    return this.promises
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
    const bytes = request.bodyUsed ? await this.#readAgain() : await readBody(request, bodyLimit)
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

const unknownClient: Client = { address: undefined, proto: undefined, host: undefined }

/** Reads a copy: the application may read the body as well. */
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

/** The head of a response that was not given out yet. It is changed in place where the response lets that be. */
export class FetchHead implements AnswerHead {
  status: number
  headers: Headers
  /** Whether the response's own fields could not be changed, as those of one that was fetched cannot. */
  copied = false

  constructor(response?: Response) {
    this.status = response?.status ?? 200
    this.headers = response?.headers ?? new Headers()
  }

  get(name: string): readonly string[] {
    if (name.toLowerCase() === 'set-cookie') return this.headers.getSetCookie()
    const value = this.headers.get(name)
    return value === null ? [] : [value]
  }

  set(name: string, value: string | readonly string[]): void {
    this.remove(name)
    for (const line of typeof value === 'string' ? [value] : value) this.headers.append(name, line)
  }

  remove(name: string): void {
    try {
      this.headers.delete(name)
    } catch {
      this.headers = new Headers(this.headers)
      this.copied = true
      this.headers.delete(name)
    }
  }

  names(): readonly string[] {
    return [...new Set(this.headers.keys())]
  }
}

/** The response with this head. Its body is the same: a stream goes on from where it is. */
export function withHead(response: Response, { headers, copied }: FetchHead): Response {
  // A response that hands the connection over (101), or stands for a failed one, cannot be made again.
  if (!copied || response.status < 200) return response
  const { status, statusText, body } = response
  return new Response(body, { status, statusText, headers })
}

/** Turns a reply into a response, on top of the fields that `head` already has. */
export function toResponse(reply: Reply, head: FetchHead = new FetchHead()): Response {
  writeReply(head, reply)
  return new Response(reply.body ?? null, { status: head.status, headers: head.headers })
}
