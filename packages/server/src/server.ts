import { mkdirSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions as ServerLimits,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { openStores, type Stores } from './accounts/stores.ts'
import { type App, createApp } from './app.ts'
import type { Log } from './operation/log.ts'
import type { Config } from './settings/config.ts'
import { loopbackOrigins } from './settings/origin.ts'
import type { ProviderConfig } from './settings/provider-config.ts'
import { type Keys, ownKeys } from './settings/secrets.ts'
import { page } from './web/answer.ts'
import { assetAt } from './web/assets.ts'
import { answerTunnel, UnreadableRequests } from './web/client-error.ts'
import { errorPage } from './web/error-page.ts'
import { send } from './web/node.ts'
import { problemHeaders, problemJson, starting } from './web/problem.ts'
import { LARGEST_READABLE_HEAD } from './web/request-check.ts'
import { securityHeaders, setHeaders } from './web/security-headers.ts'

export interface ServerOptions {
  readonly config: Config
  readonly log: Log
  /** Starts providers besides those of the configuration, once it is known where this server listens. */
  readonly moreProviders?: (place: ServerPlace) => Promise<MoreProviders>
  /** Epoch milliseconds. Default `Date.now`. */
  readonly clock?: () => number
}

/** Where a server listens. */
export interface ServerPlace {
  /** As browsers see it, the main one first. */
  readonly origins: readonly [string, ...string[]]
  readonly port: number
}

export interface MoreProviders {
  readonly providers: readonly ProviderConfig[]
  close(): Promise<void>
}

/** A server that listens. */
export interface RunningServer {
  /** As browsers see it. */
  readonly origin: string
  readonly port: number
  /** Takes no more requests, lets those that run finish for ten seconds at most, and closes the database. */
  stop(): Promise<void>
}

/** Longest that a request in flight may hold up the end. Milliseconds. */
const GRACE = 10_000

/** Opens data folder, database and socket; nothing is left open if one of them fails. */
export async function startServer({
  config,
  log,
  moreProviders,
  clock = Date.now,
}: ServerOptions): Promise<RunningServer> {
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const keys = keysOf(config)
  const stores = await openStores(config, clock)
  const server = createServer(limits)
  const end = new End(server, stores)
  const https = config.origin?.startsWith('https:') === true
  let app: App = (req, res) => {
    answerStarting(req, res, { https, name: config.name }).catch(() => res.destroy())
  }
  try {
    connect(server, (req, res) => app(req, res), { https })
    await listen(server, config)
    const { port } = server.address() as AddressInfo
    const origins: readonly [string, ...string[]] =
      config.origin === undefined ? loopbackOrigins(port) : [config.origin]
    const more = await moreProviders?.({ origins, port })
    if (more !== undefined) end.closes(more)
    const providers = [...config.providers, ...(more?.providers ?? [])]
    app = createApp({ config, keys, origins, stores, providers, log, clock, stopping: () => end.begun })
    return { origin: origins[0], port, stop: () => end.begin() }
  } catch (error) {
    await end.begin()
    throw error
  }
}

const limits: ServerLimits = {
  maxHeaderSize: LARGEST_READABLE_HEAD,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 2000,
  // Checked by us, so that the refusal carries the header fields of every other answer.
  requireHostHeader: false,
}

function keysOf(config: Config): Keys {
  if (config.keys !== undefined) return config.keys
  const own = ownKeys(config.data)
  if ('keys' in own) return own.keys
  throw new Error(
    `The keys in ${config.data}/secrets.json cannot be used: they ${own.refusal}. Remove the file, and new ones are made; everybody logs in again.`,
  )
}

function listen(server: Server, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function connect(server: Server, app: App, { https }: { https: boolean }): void {
  // Beyond a number of fields Node leaves out the rest; their size is limit enough.
  server.maxHeadersCount = 0
  const unreadable = new UnreadableRequests({ https })
  const answer: App = (req, res) => {
    unreadable.read(req, res)
    return app(req, res)
  }
  server.on('connection', (socket) => unreadable.watch(socket))
  server.on('request', answer)
  // Without a listener Node answers by itself, without our header fields.
  server.on('checkExpectation', answer)
  server.on('clientError', (error, socket) => unreadable.answer(error, socket))
  // Without a listener Node hangs up without a word.
  server.on('connect', (_req, socket) => answerTunnel(socket, { https }))
}

/** The port is there before the routes are, since pretend providers must know it. A browser asks again by itself. */
async function answerStarting(
  req: IncomingMessage,
  res: ServerResponse,
  { https, name }: { https: boolean; name: string },
): Promise<void> {
  const frame = { siteName: name, registration: false, providers: [], account: undefined, formToken: undefined }
  const wantsPage = req.headers.accept?.includes('text/html') === true
  setHeaders(res, { ...securityHeaders({ https }), Connection: 'close' })
  const view = { problem: starting, requestId: undefined, path: '/', nextSteps: [] }
  const refusal = wantsPage
    ? page(503, errorPage(frame, view), { ...problemHeaders(starting), Refresh: '1' })
    : problemJson(starting)
  await send(res, assetAt(req.url) ?? (await refusal))
}

/** The end of a server: once begun it cannot be called off. */
class End {
  readonly #server: Server
  readonly #stores: Stores
  #more: MoreProviders | undefined
  #done: Promise<void> | undefined

  constructor(server: Server, stores: Stores) {
    this.#server = server
    this.#stores = stores
  }

  /** They end with the server. */
  closes(more: MoreProviders): void {
    this.#more = more
  }

  get begun(): boolean {
    return this.#done !== undefined
  }

  begin(): Promise<void> {
    this.#done ??= this.#close()
    return this.#done
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    // A connection that falls idle after its last answer would be kept for a next request.
    const idle = setInterval(() => this.#server.closeIdleConnections(), 50)
    const late = setTimeout(() => this.#server.closeAllConnections(), GRACE)
    await closed
    await this.#more?.close()
    clearInterval(idle)
    clearTimeout(late)
    await this.#stores.close()
  }
}
