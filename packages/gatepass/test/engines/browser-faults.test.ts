import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ProtocolError } from 'gatepass'
import { gatepass } from 'gatepass/node'
import type { Session, SessionStore } from 'gatepass/session'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { engines } from './engines.ts'
import { eventually } from './until.ts'

type Data = Record<string, unknown>

const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

/** An application that logs in every user by name, and keeps what it gets. */
async function serve(store: SessionStore): Promise<string> {
  const users = { find: (id: string) => ({ id }), subject: (user: { id: string }) => user.id }
  const auth = gatepass({ sessions: { store }, users, onError: () => {} })
  const listener = auth.handler(async (req: IncomingMessage, res: ServerResponse) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://here')
    const session = (await auth.session(req)) as Session<Data>
    if (pathname === '/login') session.assign(searchParams.get('user') ?? '', { at: Date.now(), amr: ['pwd'] })
    else if (session.subject === undefined) {
      throw new ProtocolError('ERR_LOGIN_REQUIRED', 'nobody is logged in', { status: 401 })
    }
    if (pathname === '/change') session.data[searchParams.get('key') ?? ''] = true
    if (pathname === '/rotate') session.rotate()
    // So that a crash finds requests that have loaded their session and not saved it yet.
    await sleep(5)
    res.end(JSON.stringify({ subject: session.subject, keys: Object.keys(session.data) }))
  })
  const server: Server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.push(async () => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Somebody who goes on whatever happens, and knows what they were told. */
class Person {
  readonly #browser: TestBrowser
  readonly #name: string
  readonly #saved: string[] = []
  /** Answers by their status. */
  readonly answers = new Map<number, number>()
  #keys = 0
  stopped = false

  constructor(origin: string, name: string) {
    this.#browser = new TestBrowser(origin)
    this.#name = name
  }

  get saved(): number {
    return this.#saved.length
  }

  async goOn(): Promise<void> {
    while ((await this.#ask(`/login?user=${this.#name}`)) !== 200);
    while (!this.stopped) await this.#step()
  }

  async #step(): Promise<void> {
    const key = `key${++this.#keys}`
    const status = await this.#ask(`/change?key=${key}`)
    if (status === 200) this.#saved.push(key)
    // A token that was replaced has ended, also if the answer was lost. The user logs in again.
    if (status === 401) await this.#logInAgain()
    if (this.#keys % 5 === 0) await this.#ask('/rotate')
    if (status !== 200) await sleep(10)
  }

  async #logInAgain(): Promise<void> {
    expect(this.answers.get(503) ?? 0).toBeGreaterThan(0)
    this.#saved.length = 0
    await this.#ask(`/login?user=${this.#name}`)
  }

  async #ask(path: string): Promise<number> {
    const response = await this.#browser.fetch(path, { method: 'POST' })
    const text = await response.text()
    this.answers.set(response.status, (this.answers.get(response.status) ?? 0) + 1)
    if (response.status === 503) {
      expect(response.headers.get('retry-after')).toBe('1')
      expect(response.headers.get('set-cookie')).toBeNull()
    } else if (response.status === 200) this.#check(JSON.parse(text))
    else expect(response.status).toBe(401)
    return response.status
  }

  #check({ subject, keys }: { subject: string; keys: string[] }): void {
    expect(subject).toBe(this.#name)
    expect(keys).toEqual(expect.arrayContaining(this.#saved))
  }

  async look(): Promise<void> {
    const response = await this.#browser.fetch('/me')
    expect(response.status).toBe(200)
    this.#check((await response.json()) as { subject: string; keys: string[] })
  }
}

for (const [name, { installed, start }] of Object.entries(engines)) {
  if (!installed && process.env.CI) throw new Error(`${name} is not installed`)
  const note = installed ? '' : ` (SKIPPED: ${name} is not installed)`
  describe.skipIf(!installed)(`browsers of an application whose ${name} crashes${note}`, () => {
    test('get 503 with Retry-After, nothing unsaved that says 2xx, nobody else’s session; and are served again', async () => {
      const engine = await start()
      cleanup.push(() => engine.close())
      const origin = await serve(engine.store)
      const people = Array.from({ length: 12 }, (_, n) => new Person(origin, `user${n}`))
      const going = Promise.all(people.map((person) => person.goOn()))
      const everybody = (condition: (person: Person, n: number) => boolean) =>
        Promise.race([going, eventually(() => expect(people.every(condition)).toBe(true))])
      await everybody(({ saved }) => saved > 5)
      for (let crashes = 0; crashes < 3; crashes++) {
        const refused = people.map(({ answers }) => answers.get(503) ?? 0)
        await engine.crash()
        await everybody(({ answers }, n) => (answers.get(503) ?? 0) > (refused[n] ?? 0) + 2)
        const served = people.map(({ answers }) => answers.get(200) ?? 0)
        await engine.restart()
        await everybody(({ answers }, n) => (answers.get(200) ?? 0) > (served[n] ?? 0) + 10)
      }
      for (const person of people) person.stopped = true
      await going
      for (const person of people) await person.look()
    })
  })
}
