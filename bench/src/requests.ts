import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import autocannon from 'autocannon'
import { addresses, ownSchema, startRedis, startServer } from './engines.ts'
import type { Engines } from './request-stores.ts'
import { chosen, type Goal, type Subject, unit } from './request-subjects.ts'

/** CPU added per request over the bare framework, divided by what a bare `node:http` request costs in the same run. */
export interface RequestRow {
  readonly name: string
  readonly b: number
  readonly microseconds: number
  readonly requestsPerSecond: number
  readonly goal: number | undefined
}

const sessions = 200
const connections = 50
/** Milliseconds within which a login must be answered. */
const patience = 10_000

/**
 * @param words selects the rows whose name contains one of them. Default: all rows
 * @param seconds of load for each subject and round
 * @param rounds the cheapest counts, because other work on the machine only adds to the CPU of a request
 */
export async function benchRequests(words: readonly string[] = [], seconds = 1, rounds = 8): Promise<RequestRow[]> {
  const subjects = chosen(words)
  const bench = await RequestBench.prepare(subjects)
  try {
    return await bench.measure(seconds, rounds)
  } finally {
    await bench.tidyUp()
  }
}

/** The servers of one run, and the engines behind them. */
class RequestBench {
  readonly #subjects: readonly Subject[]
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'))
  readonly #servers = new Map<string, Server>()
  readonly #undo: (() => unknown)[] = [() => rmSync(this.#folder, { recursive: true, force: true })]

  private constructor(subjects: readonly Subject[]) {
    this.#subjects = subjects
  }

  static async prepare(subjects: readonly Subject[]): Promise<RequestBench> {
    const bench = new RequestBench(subjects)
    try {
      await bench.#prepare()
      return bench
    } catch (error) {
      await bench.tidyUp()
      throw error
    }
  }

  async measure(seconds: number, rounds: number): Promise<RequestRow[]> {
    const samples = new Map<Subject, Sample[]>(this.#subjects.map((subject) => [subject, []]))
    for (let round = -1; round < rounds; round++) {
      for (const [subject, kept] of samples) {
        const sample = await this.#servers.get(subject.variant)?.load(subject, seconds)
        const warmUp = round < 0
        if (sample !== undefined && !warmUp) kept.push(sample)
      }
    }
    return rowsOf(samples)
  }

  async tidyUp(): Promise<void> {
    for (const server of this.#servers.values()) await server.stop()
    for (const undo of this.#undo.toReversed()) await undo()
  }

  async #prepare(): Promise<void> {
    const variants = new Set(this.#subjects.map(({ variant }) => variant))
    const uses = (engine: string) => [...variants].some((variant) => variant.includes(engine))
    const redis = uses('redis') ? await this.#redis() : ''
    const { schema, create, drop } = ownSchema('requests', { max: 1 })
    if (uses('postgres')) {
      await create()
      this.#undo.push(drop)
    }
    const { postgres } = addresses
    for (const variant of variants) {
      const file = join(this.#folder, `${this.#servers.size}.db`)
      this.#servers.set(variant, await Server.start(variant, { file, redis, postgres, schema }))
    }
  }

  async #redis(): Promise<string> {
    const redis = await startRedis()
    this.#undo.push(() => redis.stop())
    return redis.url
  }
}

interface Sample {
  /** Microseconds of CPU for one request. */
  readonly cpu: number
  /** Requests per second. */
  readonly rate: number
}

function rowsOf(samples: ReadonlyMap<Subject, readonly Sample[]>): RequestRow[] {
  const byName = new Map([...samples].map(([subject, kept]) => [subject.name, { subject, kept }]))
  const cpu = (name: string): number => Math.min(...(byName.get(name)?.kept ?? []).map((sample) => sample.cpu))
  const b = (name: string): number => (cpu(name) - cpu(byName.get(name)?.subject.over ?? name)) / cpu(unit)
  const figure = (goal: Goal | undefined) => {
    if (typeof goal !== 'object') return goal
    return 'part' in goal ? b(goal.of) * goal.part : b(goal.of) + goal.within
  }
  return [...samples].map(([{ name, goal }, kept]) => ({
    name,
    b: b(name),
    microseconds: cpu(name),
    requestsPerSecond: Math.round(Math.max(...kept.map((sample) => sample.rate))),
    goal: figure(goal),
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

  static async start(variant: string, engines: Engines): Promise<Server> {
    const env = { ...process.env, NODE_ENV: 'production' }
    const { child, port } = await startServer('./request-server.ts', [variant, JSON.stringify(engines)], env)
    try {
      const server = new Server(child, port)
      if (variant.endsWith('bare')) server.#cookies = ignoredCookies()
      else await server.#logIn()
      return server
    } catch (error) {
      child.kill()
      throw error
    }
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.disconnect()
    await exit
  }

  async load(subject: Subject, seconds: number): Promise<Sample> {
    const requests = subject.cookies
      ? this.#cookies.map((cookie) => ({ path: subject.path, headers: { cookie } }))
      : [{ path: subject.path }]
    let begun = 0
    const before = await this.#cpu()
    const result = await autocannon({
      url: this.#origin + subject.path,
      connections,
      duration: seconds,
      requests,
      // Each connection begins with another session. Otherwise all would ask for the same one at the same moment.
      setupClient: (client) => client.setRequests(from(requests, (begun++ * requests.length) / connections)),
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
        signal: AbortSignal.timeout(patience),
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

/** The list, rotated to begin at `start`. */
function from<T>(list: readonly T[], start: number): T[] {
  return [...list.slice(start), ...list.slice(0, start)]
}

/** Cookies as long as those of a session, for servers that ignore them. */
function ignoredCookies(): string[] {
  return Array.from({ length: sessions }, () => `gp=${randomBytes(32).toString('base64url')}`)
}
