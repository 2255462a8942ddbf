import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openLog } from '../src/operation/log.ts'
import { startPretendProviders } from '../src/providers/pretend.ts'
import { type MoreProviders, type ServerOptions, type ServerPlace, startServer } from '../src/server.ts'
import { type Config, readConfig } from '../src/settings/config.ts'
import { Visitor } from './visitor.ts'

export interface TestServer {
  /** As browsers see it. */
  readonly origin: string
  readonly port: number
  readonly data: string
  /** What was logged, line by line. */
  readonly log: readonly string[]
  /** Another browser, with its own cookies. */
  visitor(options?: { userAgent?: string; localAddress?: string }): Visitor
  stop(): Promise<void>
}

export type TestOptions = Partial<Omit<Config, 'limits' | 'session'>> & {
  limits?: Partial<Config['limits']>
  session?: Partial<Config['session']>
  clock?: () => number
  /** Starts a pretend Google and a pretend Facebook. */
  pretend?: boolean
  moreProviders?: ServerOptions['moreProviders']
}

export const ADA = { email: 'ada@example.com', password: 'a battery of correct horses', name: 'Ada' }
export const BOB = { email: 'bob@example.com', password: 'seven purple umbrellas sing', name: 'Bob' }

/** A whole server on a free port with its own folder; both end with the test. */
export async function startTestServer(options: TestOptions = {}): Promise<TestServer> {
  const {
    clock,
    limits,
    session,
    pretend = false,
    moreProviders = pretend ? pretendProviders : undefined,
    ...overrides
  } = options
  const data = overrides.data ?? temporaryFolder()
  const base = defaults(data)
  const config: Config = {
    ...base,
    ...overrides,
    limits: { ...base.limits, ...limits },
    session: { ...base.session, ...session },
  }
  const log: string[] = []
  const server = await startServer({
    config,
    log: openLog({ mode: 'production', logLevel: 'debug' }, (line) => log.push(line)),
    ...(clock !== undefined && { clock }),
    ...(moreProviders !== undefined && { moreProviders }),
  })
  onTestFinished(() => server.stop())
  return {
    origin: server.origin,
    port: server.port,
    data,
    log,
    visitor: (options = {}) => new Visitor({ origin: server.origin, port: server.port, ...options }),
    stop: () => server.stop(),
  }
}

/** On any free ports, because several servers are tested at once. */
function pretendProviders({ origins }: ServerPlace): Promise<MoreProviders> {
  return startPretendProviders({ origins, port: 65_535, except: [] })
}

/** In production behind a proxy with TLS. The connection itself is plain. */
export function startHttpsServer(options: TestOptions = {}): Promise<TestServer> {
  return startTestServer({ mode: 'production', origin: 'https://login.example.test', trustProxy: 1, ...options })
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-server-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function defaults(data: string): Config {
  const result = readConfig({ mode: 'dev', environment: {}, flags: { port: '0', data }, folder: data })
  if ('problems' in result) throw new Error(JSON.stringify(result.problems))
  return result.config
}

/** A visitor who has an account and is logged in to it. */
export async function loggedIn(server: TestServer, person = ADA, options = {}): Promise<Visitor> {
  const visitor = server.visitor(options)
  await visitor.json('POST', '/auth/register', person)
  const answer = await visitor.json('POST', '/auth/login', person)
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}: ${answer.body}`)
  return visitor
}
