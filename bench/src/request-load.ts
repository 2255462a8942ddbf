import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon, { type Client, type Request, type Result } from 'autocannon'
import { startServer } from './engines.ts'
import type { Setup, Usage } from './request-server.ts'
import type { Engines } from './request-stores.ts'
import type { Subject } from './request-subjects.ts'

export interface Sample {
  /** Microseconds of CPU for one request: all, and those outside the kernel. */
  readonly total: number
  readonly user: number
  /** Requests per second. */
  readonly rate: number
}

export interface Amount {
  readonly requests?: number
  /** Microseconds. */
  readonly cpu?: number
}

const sessions = 200
const connections = 50
/** Milliseconds of load that are not measured: connections open, and the processor's caches fill. */
const leadIn = 60
/** Milliseconds between two looks at what was used. */
const pause = 20
/** Milliseconds within which a login is answered, and after which a load ends in any case. */
const patience = 10_000

/** A server in a process of its own, which is under load when `load` is called. */
export class LoadedServer {
  readonly #child: ChildProcess
  readonly #origin: string
  readonly #subject: Subject
  #cookies: string[] = []

  private constructor(child: ChildProcess, port: number, subject: Subject) {
    this.#child = child
    this.#origin = `http://127.0.0.1:${port}`
    this.#subject = subject
  }

  static async start(subject: Subject, engines: Engines, checkout: string): Promise<LoadedServer> {
    const { variant } = subject
    const env = { ...process.env, NODE_ENV: 'production' }
    const setup = JSON.stringify({ variant, engines, checkout } satisfies Setup)
    const { child, port } = await startServer('./request-server.ts', [setup], env)
    try {
      const server = new LoadedServer(child, port, subject)
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

  /** Lasts until the server has used as much CPU as `amount` says, or has answered so many requests. */
  async load(amount: Amount): Promise<Sample> {
    const { name, path } = this.#subject
    // Each connection asks for sessions of its own. Otherwise all would ask for the same one at the same moment.
    const each = sessions / connections
    const requests = (of: number): Request[] => {
      if (path === '/public') return [{ path }]
      return this.#cookies.slice(of * each, (of + 1) * each).map((cookie) => ({ path, headers: { cookie } }))
    }
    let begun = 0
    const options = {
      url: this.#origin + path,
      connections,
      duration: 3600,
      sampleInt: pause,
      setupClient: (client: Client) => client.setRequests(requests(begun++)),
    }
    const { promise: ended, resolve } = Promise.withResolvers<Result>()
    const load = autocannon(options, (_error, result) => resolve(result))
    try {
      await sleep(leadIn)
      return await this.#sample(amount)
    } finally {
      load.stop()
      refuseFailures(name, await ended)
    }
  }

  async #sample({ requests = Number.POSITIVE_INFINITY, cpu = Number.POSITIVE_INFINITY }: Amount): Promise<Sample> {
    const [start, before] = [performance.now(), await this.#usage()]
    for (;;) {
      await sleep(pause)
      const [end, after] = [performance.now(), await this.#usage()]
      const answered = after.requests - before.requests
      const user = after.user - before.user
      const total = user + after.system - before.system
      if (answered < requests && total < cpu && end - start < patience) continue
      return { total: total / answered, user: user / answered, rate: (answered / (end - start)) * 1000 }
    }
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
      const cookie = response.headers
        .getSetCookie()
        .map((field) => field.split(';')[0])
        .join('; ')
      if (name !== 'success' || cookie === '') throw new Error(`login answered ${response.status} ${name}`)
      this.#cookies.push(cookie)
    }
    const response = await fetch(`${this.#origin}/`, { headers: { cookie: this.#cookies[7] ?? '' } })
    const { name } = (await response.json()) as { name: string }
    if (name !== 'user 7') throw new Error(`the session of user 7 answered as ${name}`)
  }

  async #usage(): Promise<Usage> {
    this.#child.send('usage')
    const [usage] = (await once(this.#child, 'message')) as [Usage]
    return usage
  }
}

function refuseFailures(name: string, { non2xx, errors }: Result): void {
  if (non2xx > 0 || errors > 0) throw new Error(`${name}: requests failed`)
}

/** Cookies as long as those of a session, for servers that ignore them. */
function ignoredCookies(): string[] {
  return Array.from({ length: sessions }, () => `gp=${randomBytes(32).toString('base64url')}`)
}
