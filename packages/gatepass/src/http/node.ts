import type { ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { Cookies } from '../cookie/cookies.ts'
import { type AnswerHead, writeReply } from './answer.ts'
import { type Fields, readFields } from './body.ts'
import type { Reply } from './exchange.ts'
import { findOrigin, originOf } from './origin.ts'
import { type Answerer, Promises, type PromisingExchange } from './promises.ts'
import { type Client, clientBehind, plainAddress } from './proxy.ts'
import { headIsOpen, type NodeRequest, type NodeResponse, setHeaderInFinish } from './response-gate.ts'
import type { HttpSettings } from './settings.ts'

/** The exchange of a request. There is one per request, made at the first call. */
export function exchangeOf(req: NodeRequest, res: NodeResponse, settings: HttpSettings): NodeExchange {
  const request = req as NodeRequest & { [kExchange]?: NodeExchange }
  const known = request[kExchange]
  if (known !== undefined) return known
  const exchange = new NodeExchange(req, res, settings)
  request[kExchange] = exchange
  return exchange
}

const kExchange: unique symbol = Symbol('gatepass.exchange')

/** An exchange over a request of `node:http` or `node:http2`. It reads only what is asked for. */
export class NodeExchange implements PromisingExchange {
  readonly #req: NodeRequest
  readonly #res: NodeResponse
  readonly #settings: HttpSettings
  #cookies: Cookies | undefined = undefined
  #client: Client | undefined = undefined
  #origin: string | undefined = undefined
  #fields: Promise<Fields> | undefined = undefined
  readonly memory: Map<object, unknown> = new Map()
  answerer: Answerer | undefined = undefined
  promises: Promises | undefined = undefined

  constructor(req: NodeRequest, res: NodeResponse, settings: HttpSettings) {
    this.#req = req
    this.#res = res
    this.#settings = settings
  }

  /** Node's request, for third-party code that needs it. */
  get request(): NodeRequest {
    return this.#req
  }

  get response(): NodeResponse {
    return this.#res
  }

  get method(): string {
    return this.#req.method ?? 'GET'
  }

  /** Prefers `req.originalUrl`, because a router cuts its mount path off `req.url`. */
  get target(): string {
    const { originalUrl, url } = this.#req as { originalUrl?: string; url?: string }
    const target = originalUrl ?? url ?? '/'
    return target.startsWith('/') ? target : originForm(target)
  }

  get secure(): boolean {
    const { origins } = this.#settings
    return origins.length > 0 ? this.origin.startsWith('https:') : this.#scheme === 'https'
  }

  get originConfigured(): boolean {
    return this.#settings.origins.length > 0
  }

  get origin(): string {
    const { origins } = this.#settings
    this.#origin ??= findOrigin(origins, () => ({
      scheme: this.#scheme,
      hosts: [this.#behind.host, hostOf(this.#req)],
      local: () => this.#localOrigin(),
    }))
    return this.#origin
  }

  /** Host and port that the browser asked for, as sent or as trusted proxies report it; `undefined` if none or two were sent. */
  get host(): string | undefined {
    return this.#behind.host ?? hostOf(this.#req)
  }

  get remoteAddress(): string | undefined {
    return this.#settings.trust === undefined ? plainAddress(this.#req.socket?.remoteAddress) : this.#behind.address
  }

  header(name: string): string | undefined {
    const value = this.#req.headers[name]
    if (name === 'authorization') {
      // Several lines are joined. Node returns only the first, and a proxy in front may have used another one.
      const lines = linesOf(this.#req, name)
      return lines.length > 1 ? lines.join(', ') : value?.toString()
    }
    if (typeof value === 'string') return value
    if (value !== undefined) return value.join(', ')
    // HTTP/2 has `:authority` in place of HTTP/1's `Host` (RFC 9113 §8.3.1).
    const authority = name === 'host' ? this.#req.headers[':authority'] : undefined
    return typeof authority === 'string' ? authority : undefined
  }

  fields(): Promise<Fields> {
    if (this.#fields === undefined) {
      this.#fields = readFields(this.#req, this.#res, this.#settings.bodyLimit)
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

  #promising(): Promises | undefined {
    if (this.answerer !== undefined) this.promises ??= new Promises(this.answerer)
    return this.promises
  }

  get cookies(): Cookies {
    if (this.#cookies === undefined) {
      const { consent } = this.#settings
      const writable = (): boolean => headIsOpen(this.#res)
      const options = consent === undefined ? { writable } : { consent, writable }
      this.#cookies = new Cookies(this.#req.headers.cookie, options)
    }
    return this.#cookies
  }

  get #behind(): Client {
    const { trust } = this.#settings
    this.#client ??= trust
      ? clientBehind(trust, this.#req.socket?.remoteAddress, (name) => this.header(name))
      : unknownClient
    return this.#client
  }

  get #scheme(): 'http' | 'https' {
    const { encrypted } = (this.#req.socket ?? {}) as Partial<TLSSocket>
    return this.#behind.proto ?? (encrypted === true ? 'https' : 'http')
  }

  /** The origin of a request that names no host: the address that it arrived at. */
  #localOrigin(): string {
    const { localAddress = 'localhost', localPort = 0 } = this.#req.socket ?? {}
    const address = plainAddress(localAddress) ?? localAddress
    const port = localPort === 0 ? '' : `:${localPort}`
    return (
      originOf(`${this.#scheme}://${address.includes(':') ? `[${address}]` : address}${port}`) ?? 'http://localhost'
    )
  }
}

const unknownClient: Client = { address: undefined, proto: undefined, host: undefined }

/** The authority of the request (RFC 9112 §3.2.2). An absolute target overrides Host. Two Host fields count as none. */
function hostOf(req: NodeRequest): string | undefined {
  const authority = absoluteTarget.exec(req.url ?? '')?.[1] ?? req.headers[':authority']
  if (typeof authority === 'string') return authority
  return linesOf(req, 'host').length === 1 ? req.headers.host : undefined
}

/** The values of a field as they were sent, one for each line. */
function linesOf(req: NodeRequest, field: string): string[] {
  const lines: string[] = []
  for (let n = 0; n < req.rawHeaders.length; n += 2) {
    const name = req.rawHeaders[n]
    if (name?.length === field.length && name.toLowerCase() === field) lines.push(req.rawHeaders[n + 1] ?? '')
  }
  return lines
}

const absoluteTarget = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i

function originForm(target: string): string {
  const scheme = absoluteTarget.exec(target)?.[0]
  if (scheme === undefined) return target
  const rest = target.slice(scheme.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The head of a Node response. */
export class NodeHead implements AnswerHead {
  readonly #res: NodeResponse

  constructor(res: NodeResponse) {
    this.#res = res
  }

  get status(): number {
    return this.#res.statusCode
  }

  set status(status: number) {
    this.#res.statusCode = status
  }

  get(name: string): readonly string[] {
    const value = this.#res.getHeader(name)
    if (value === undefined) return []
    return Array.isArray(value) ? value : [String(value)]
  }

  set(name: string, value: string | readonly string[]): void {
    setHeaderInFinish(this.#res, name, value)
  }

  remove(name: string): void {
    if (this.#res.hasHeader(name)) this.#res.removeHeader(name)
  }

  names(): readonly string[] {
    return this.#res.getHeaderNames()
  }
}

/** Sends a reply as the whole answer. */
export function sendReply(res: NodeResponse, reply: Reply): void {
  writeReply(new NodeHead(res), reply)
  ;(res as ServerResponse).end(reply.body)
}
