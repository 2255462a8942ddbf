import { once } from 'node:events'
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
import { page, securityHeaders, setHeaders } from './web/answer.ts'
import { assetResponse, assets } from './web/assets.ts'
import { LARGEST_READABLE_HEAD, send } from './web/node.ts'
import { bareContext, errorPage } from './web/pages.ts'
import { problemHeaders, problemJson, starting } from './web/problem.ts'
import { answerTunnel, UnreadableRequests } from './web/unreadable-requests.ts'

export interface ServerOptions {
  readonly config: Config
  readonly log: Log
  /** Starts further providers, when it is known where this server listens. */
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
  /** Takes no more requests, waits at most ten seconds for running ones, and closes the database. */
  stop(): Promise<void>
}

/** How long running requests may delay the end. Milliseconds. */
const GRACE = 10_000

/** Opens data folder, database and socket. Nothing is left open if one of them fails. */
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
  const https = config.origin?.startsWith('https:') === true
  let more: MoreProviders | undefined
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= close(server, stores, () => more?.close())
    return stopped
  }
  let app: App = (req, res) => {
    answerStarting(req, res, { https, name: config.name }).catch(() => res.destroy())
  }
  try {
    connect(server, (req, res) => app(req, res), { https })
    server.listen({ host: config.host, port: config.port })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const origins: readonly [string, ...string[]] =
      config.origin === undefined ? loopbackOrigins(port) : [config.origin]
    more = await moreProviders?.({ origins, port })
    const providers = [...config.providers, ...(more?.providers ?? [])]
    app = createApp({ config, keys, origins, stores, providers, log, clock, stopping: () => stopped !== undefined })
    return { origin: origins[0], port, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const limits: ServerLimits = {
  maxHeaderSize: LARGEST_READABLE_HEAD,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 2000,
  // We check it, so that the refusal has the header fields of every other answer.
  requireHostHeader: false,
}

function keysOf(config: Config): Keys {
  if (config.keys !== undefined) return config.keys
  const own = ownKeys(config.data)
  if ('keys' in own) return own.keys
  throw new Error(
    `The keys in ${config.data}/secrets.json cannot be used: they ${own.refusal}. Remove the file to get new ones; everyone must log in again then.`,
  )
}

function connect(server: Server, app: App, { https }: { https: boolean }): void {
  // Otherwise Node would leave out fields beyond a number. Their size is limited already.
  server.maxHeadersCount = 0
  const unreadable = new UnreadableRequests({ https })
  const answer: App = (req, res) => {
    unreadable.read(req, res)
    return app(req, res)
  }
  server.on('connection', (socket) => unreadable.watch(socket))
  server.on('request', answer)
  // Without a listener Node would answer by itself, without our header fields.
  server.on('checkExpectation', answer)
  server.on('clientError', (error, socket) => unreadable.answer(error, socket))
  // Without a listener Node would close the connection without an answer.
  server.on('connect', (_req, socket) => answerTunnel(socket, { https }))
}

/** The port is open before the routes are ready, because pretend providers must know it. A browser tries again by itself. */
async function answerStarting(
  req: IncomingMessage,
  res: ServerResponse,
  { https, name }: { https: boolean; name: string },
): Promise<void> {
  setHeaders(res, { ...securityHeaders({ https }), Connection: 'close' })
  const asset = assets.find(({ path }) => path === req.url)
  if (asset !== undefined) return send(res, assetResponse(asset))
  if (req.headers.accept?.includes('text/html') !== true) return send(res, problemJson(starting))
  const body = errorPage(bareContext(name), { problem: starting, requestId: undefined, path: '/', nextSteps: [] })
  await send(res, await page(503, body, { ...problemHeaders(starting), Refresh: '1' }))
}

async function close(server: Server, stores: Stores, closeMore: () => Promise<void> | undefined): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // Otherwise a connection would be kept for a next request after its last answer.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const late = setTimeout(() => server.closeAllConnections(), GRACE)
  await closed
  await closeMore()
  clearInterval(idle)
  clearTimeout(late)
  await stores.close()
}
