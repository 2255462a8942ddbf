import type { ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { unawaited } from '../awaitable.ts'
import { Cookies, type CookiesOptions } from '../cookie/cookies.ts'
import { writeReply } from './answer.ts'
import { type Fields, readFields } from './body.ts'
import { absoluteTarget, originForm, type Reply } from './exchange.ts'
import { findOrigin, originOf, plainAddress } from './origin.ts'
import { type Answerer, type Promises, type PromisingExchange, promisesOf } from './promises.ts'
import { type Client, clientBehind, unknownClient } from './proxy.ts'
import { headIsOpen, type NodeRequest, type NodeResponse } from './response-gate.ts'
import type { HttpSettings } from './settings.ts'

/** An exchange over a request of `node:http` or `node:http2`. It reads only what is asked for. */
export class NodeExchange implements PromisingExchange, CookiesOptions {
  /** Node's request, for third-party code that needs it. */
  readonly request: NodeRequest
  readonly response: NodeResponse
  readonly #settings: HttpSettings
  readonly originConfigured: boolean
  readonly consent: CookiesOptions['consent']
  readonly cookies: Cookies
  readonly memory: Map<object, unknown> = new Map()
  #client: Client | undefined = undefined
  #origin: string | undefined = undefined
  #fields: Promise<Fields> | undefined = undefined
  answerer: Answerer | undefined = undefined
  promises: Promises | undefined = undefined

  constructor(req: NodeRequest, res: NodeResponse, settings: HttpSettings) {
    this.request = req
    this.response = res
    this.#settings = settings
    this.originConfigured = settings.origins.length > 0
    this.consent = settings.consent
    this.cookies = new Cookies(req.headers.cookie, this)
  }

  /** Whether the response can still set cookies. */
  writable(): boolean {
    return headIsOpen(this.response)
  }

  /** Middleware may put another method in place of the one that was sent. */
  get method(): string {
    return this.request.method ?? 'GET'
  }

  /** Prefers `req.originalUrl`, because a router cuts its mount path off `req.url`. */
  get target(): string {
    const { originalUrl, url } = this.request as { originalUrl?: string; url?: string }
    const target = originalUrl ?? url ?? '/'
    return target.startsWith('/') ? target : originForm(target)
  }

  get secure(): boolean {
    const address = this.#settings.origin ?? (this.originConfigured ? this.origin : this.#scheme)
    return address.startsWith('https')
  }

  get origin(): string {
    const { origin, origins } = this.#settings
    if (origin !== undefined) return origin
    this.#origin ??= findOrigin(origins, this.#scheme, [this.#behind.host, hostOf(this.request)]) ?? this.#localOrigin()
    return this.#origin
  }

  /** Host and port that the browser asked for, as sent or as trusted proxies report it; `undefined` if none or two were sent. */
  get host(): string | undefined {
    return this.#behind.host ?? hostOf(this.request)
  }

  get remoteAddress(): string | undefined {
    return this.#settings.trust === undefined ? plainAddress(this.request.socket?.remoteAddress) : this.#behind.address
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name]
    if (name === 'authorization' && value !== undefined) {
      // Several lines are joined. Node returns only the first, and a proxy in front may have used another one.
      const lines = rawLinesOf(this.request, name)
      return lines.length > 1 ? lines.join(', ') : value.toString()
    }
    if (typeof value === 'string') return value
    if (value !== undefined) return value.join(', ')
    // HTTP/2 has `:authority` in place of HTTP/1's `Host` (RFC 9113 §8.3.1).
    const authority = name === 'host' ? this.request.headers[':authority'] : undefined
    return typeof authority === 'string' ? authority : undefined
  }

  fields(): Promise<Fields> {
    this.#fields ??= unawaited(readFields(this.request, this.response, this.#settings.bodyLimit))
    return this.#fields
  }

  get answered(): boolean {
    return this.response.headersSent
  }

  promised<T>(work: Promise<T>): Promise<T> {
    return promisesOf(this)?.change(work) ?? work
  }

  reading<T>(work: Promise<T>): Promise<T> {
    return promisesOf(this)?.reading(work) ?? work
  }

  get #behind(): Client {
    const { trust } = this.#settings
    this.#client ??= trust
      ? clientBehind(trust, this.request.socket?.remoteAddress, (name) => this.header(name))
      : unknownClient
    return this.#client
  }

  get #scheme(): 'http' | 'https' {
    const { encrypted } = (this.request.socket ?? {}) as Partial<TLSSocket>
    return this.#behind.proto ?? (encrypted === true ? 'https' : 'http')
  }

  /** The origin of a request that names no host: the address that it arrived at. */
  #localOrigin(): string {
    const { localAddress = 'localhost', localPort = 0 } = this.request.socket ?? {}
    const address = plainAddress(localAddress) ?? localAddress
    const port = localPort === 0 ? '' : `:${localPort}`
    return (
      originOf(`${this.#scheme}://${address.includes(':') ? `[${address}]` : address}${port}`) ?? 'http://localhost'
    )
  }
}

/** The authority of the request (RFC 9112 §3.2.2). An absolute target overrides Host. Two Host fields count as none. */
function hostOf(req: NodeRequest): string | undefined {
  const authority = absoluteTarget.exec(req.url ?? '')?.[1] ?? req.headers[':authority']
  if (typeof authority === 'string') return authority
  return rawLinesOf(req, 'host').length === 1 ? req.headers.host : undefined
}

/** The values of a field as they were sent, one for each line. */
function rawLinesOf(req: NodeRequest, field: string): string[] {
  const lines: string[] = []
  for (let n = 0; n < req.rawHeaders.length; n += 2) {
    const name = req.rawHeaders[n]
    if (name?.length === field.length && name.toLowerCase() === field) lines.push(req.rawHeaders[n + 1] ?? '')
  }
  return lines
}

/** Sends a reply as the whole answer. */
export function sendReply(res: NodeResponse, reply: Reply): void {
  writeReply(res, reply)
  ;(res as ServerResponse).end(reply.body)
}
