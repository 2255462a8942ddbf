import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import autocannon from 'autocannon'

/** CPU added per request over the bare framework, divided by what a bare `node:http` request costs in the same run. */
export interface RequestRow {
  readonly name: string
  readonly b: number
  readonly microseconds: number
  readonly requestsPerSecond: number
  readonly goal: number | undefined
}

interface Subject {
  readonly name: string
  readonly variant: string
  readonly path: '/' | '/public'
  readonly cookies: boolean
  /** The variant over which the added CPU is counted. */
  readonly over: string
  readonly goal?: number
}

const peer = 'express-session + passport memory'
const subjects: readonly Subject[] = [
  // The bare servers get requests of the same size: the cookie they ignore has to be parsed as a header field all the same.
  { name: 'node:http bare', variant: 'node bare', path: '/', cookies: true, over: 'node:http bare' },
  { name: 'Express bare', variant: 'express bare', path: '/', cookies: true, over: 'Express bare' },
  {
    name: 'Express bare, no cookie',
    variant: 'express bare',
    path: '/public',
    cookies: false,
    over: 'Express bare, no cookie',
  },
  {
    name: 'gatepass, memory, node:http',
    variant: 'node memory',
    path: '/',
    cookies: true,
    over: 'node:http bare',
    goal: 0.25,
  },
  {
    name: 'gatepass, memory, Express',
    variant: 'express memory',
    path: '/',
    cookies: true,
    over: 'Express bare',
    goal: 0.65,
  },
  {
    name: 'express-session + passport, memory, Express',
    variant: peer,
    path: '/',
    cookies: true,
    over: 'Express bare',
  },
  {
    name: 'gatepass, SQLite, node:http',
    variant: 'node sqlite',
    path: '/',
    cookies: true,
    over: 'node:http bare',
    goal: 1,
  },
  { name: 'gatepass, SQLite, Express', variant: 'express sqlite', path: '/', cookies: true, over: 'Express bare' },
  {
    name: 'gatepass, anonymous, Express',
    variant: 'express memory',
    path: '/public',
    cookies: false,
    over: 'Express bare, no cookie',
    goal: 0.4,
  },
  {
    name: 'express-session + passport, anonymous, Express',
    variant: peer,
    path: '/public',
    cookies: false,
    over: 'Express bare, no cookie',
  },
  {
    name: 'sealed cookie, node:http',
    variant: 'node sealed cookie',
    path: '/',
    cookies: true,
    over: 'node:http bare',
    goal: 1.2,
  },
  {
    name: 'signed cookie, node:http',
    variant: 'node signed cookie',
    path: '/',
    cookies: true,
    over: 'node:http bare',
    goal: 0.6,
  },
]

const sessions = 200
const connections = 50

/**
 * @param seconds of load for each subject and round
 * @param rounds of which the least disturbed counts: what else the machine does only ever adds to the CPU of a request
 */
export async function benchRequests(seconds = 1.5, rounds = 8): Promise<RequestRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'))
  const servers = new Map<string, Server>()
  try {
    for (const { variant } of subjects) {
      if (!servers.has(variant)) servers.set(variant, await Server.start(variant, join(folder, `${servers.size}.db`)))
    }
    return await measure(servers, seconds, rounds)
  } finally {
    for (const server of servers.values()) server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measure(servers: ReadonlyMap<string, Server>, seconds: number, rounds: number): Promise<RequestRow[]> {
  const samples = new Map<string, { cpu: number[]; rate: number[] }>()
  for (let round = -1; round < rounds; round++) {
    for (const subject of subjects) {
      const server = servers.get(subject.variant)
      if (server === undefined) continue
      const sample = await server.load(subject, seconds)
      if (round < 0) continue // warm-up
      const kept = samples.get(subject.name) ?? { cpu: [], rate: [] }
      kept.cpu.push(sample.cpu)
      kept.rate.push(sample.rate)
      samples.set(subject.name, kept)
    }
  }
  const cpu = (name: string): number => Math.min(...(samples.get(name)?.cpu ?? []))
  return subjects.map(({ name, over, goal }) => ({
    name,
    b: (cpu(name) - cpu(over)) / cpu('node:http bare'),
    microseconds: cpu(name),
    requestsPerSecond: Math.round(Math.max(...(samples.get(name)?.rate ?? []))),
    goal,
  }))
}

class Server {
  readonly #child: ChildProcess
  readonly #origin: string
  #cookies: string[] = []

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.#origin = `http://127.0.0.1:${port}`
  }

  static async start(variant: string, file: string): Promise<Server> {
    const child = fork(new URL('./request-server.ts', import.meta.url), [variant, file], {
      execArgv: ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning'],
      env: { ...process.env, NODE_ENV: 'production' },
    })
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    const server = new Server(child, port)
    if (variant.endsWith('bare')) server.#cookies = ignoredCookies()
    else await server.#logIn()
    return server
  }

  stop(): void {
    this.#child.disconnect()
  }

  /** @returns microseconds of CPU per request, and requests per second */
  async load(subject: Subject, seconds: number): Promise<{ cpu: number; rate: number }> {
    const before = await this.#cpu()
    const result = await autocannon({
      url: this.#origin + subject.path,
      connections,
      duration: seconds,
      requests: subject.cookies
        ? this.#cookies.map((cookie) => ({ path: subject.path, headers: { cookie } }))
        : [{ path: subject.path }],
    })
    const used = (await this.#cpu()) - before
    const answered = result['2xx']
    if (answered === 0 || result.non2xx > 0 || result.errors > 0) throw new Error(`${subject.name}: requests failed`)
    return { cpu: used / answered, rate: answered / result.duration }
  }

  async #logIn(): Promise<void> {
    for (let n = 0; n < sessions; n++) {
      const response = await fetch(`${this.#origin}/`, {
        method: 'POST',
        headers: { 'sec-fetch-site': 'same-origin' },
        body: new URLSearchParams({ username: String(n), password: 'a long enough password' }),
      })
      const { name } = (await response.json()) as { name: string }
      const cookie = response.headers.getSetCookie()[0]?.split(';')[0]
      if (name !== 'success' || cookie === undefined) throw new Error(`login answered ${response.status} ${name}`)
      this.#cookies.push(cookie)
    }
    const response = await fetch(`${this.#origin}/`, { headers: { cookie: this.#cookies[7] ?? '' } })
    const { name } = (await response.json()) as { name: string }
    if (name !== 'user 7') throw new Error(`the session of user 7 answered as ${name}`)
  }

  async #cpu(): Promise<number> {
    this.#child.send('cpu')
    const [{ cpu }] = (await once(this.#child, 'message')) as [{ cpu: number }]
    return cpu
  }
}

/** Cookies as long as those of a session, for servers that do not look at them. */
function ignoredCookies(): string[] {
  return Array.from({ length: sessions }, () => `gp=${randomBytes(32).toString('base64url')}`)
}
