import { inspect } from 'node:util'
import { GatepassError } from 'gatepass'
import {
  hasSubjectIndex,
  type Session,
  type SessionEvent,
  SessionManager,
  type SessionOptions,
  type SessionRecord,
  type SessionStore,
  type SubjectIndex,
} from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { type TestClock, type TestExchange, TestJar, type TestRequest, testClock } from 'gatepass/testing'
import { SteppingStore } from './interleave.ts'

export type Data = Record<string, unknown>
type AnyStore = SessionStore & SubjectIndex & { close(): void }
export type StoreMaker = (clock: TestClock) => AnyStore

export const storeMakers: Readonly<Record<'memory' | 'sqlite', StoreMaker>> = {
  memory: (clock) => memoryStore({ clock }),
  sqlite: (clock) => sqliteStore(':memory:', { clock }),
}

/** One store, a browser that is logged in, and a manager whose store calls take effect one by one. */
export class World {
  readonly clock: TestClock = testClock()
  readonly store: AnyStore
  readonly stepping: SteppingStore
  readonly events: SessionEvent[] = []
  readonly jar = new TestJar()
  /** Answers at once: for what happens before and after. */
  readonly plain: SessionManager<Data>
  readonly #options: SessionOptions
  readonly #oneProcess: SessionManager<Data> | undefined

  /** @param processes whether requests at the same time are answered by one process, or each by one of its own */
  constructor(makeStore: StoreMaker, options: Partial<SessionOptions> = {}, processes: 'one' | 'several' = 'several') {
    this.store = makeStore(this.clock)
    this.stepping = new SteppingStore(this.store)
    const common = { ...options, clock: this.clock, onEvent: (event: SessionEvent) => void this.events.push(event) }
    this.plain = new SessionManager<Data>({ ...common, store: this.store })
    this.#options = { ...common, store: this.stepping }
    this.#oneProcess = processes === 'one' ? this.process() : undefined
  }

  /** One request from beginning to end, answered before anything else happens; its cookies reach the browser. */
  async visit(act: (session: Session<Data>) => unknown = () => {}, request: TestRequest = {}): Promise<TestExchange> {
    const exchange = this.jar.exchange(request)
    await act(await this.plain.open(exchange))
    await this.plain.commit(exchange)
    this.jar.receive(exchange)
    return exchange
  }

  /** A manager whose store calls wait to be let through: for what happens at the same time. */
  process(): SessionManager<Data> {
    return new SessionManager<Data>(this.#options)
  }

  /** A request with the cookies the browser has now, whose store calls wait to be let through. */
  concurrently(act: (session: Session<Data>) => unknown): () => Promise<void> {
    const exchange = this.jar.exchange()
    const manager = this.#oneProcess ?? this.process()
    return async () => {
      const session = await manager.open(exchange)
      const arrivedLive = session.id !== undefined
      await act(session)
      const saved = await settledCommit(manager, exchange)
      this.answers.push({ exchange, arrivedLive, status: saved ? 200 : 409 })
    }
  }

  /** Concurrent requests that were answered, in that order. */
  readonly answers: Answer[] = []

  /** What a request with this browser's cookie finds. */
  async found(jar: TestJar = this.jar): Promise<Session<Data>> {
    return await this.plain.open(jar.exchange())
  }

  login(subject = 'alice', data: Data = {}): Promise<TestExchange> {
    return this.visit((session) => {
      session.assign(subject, { at: this.clock(), amr: ['pwd'] })
      Object.assign(session.data, data)
    })
  }

  close(): void {
    this.store.close()
  }
}

export interface Answer {
  readonly exchange: TestExchange
  /** Whether the session was live when the request looked it up. */
  readonly arrivedLive: boolean
  /** 409: the session had ended, and what the request changed was saved nowhere. */
  readonly status: 200 | 409
}

export async function settledCommit(manager: SessionManager<Data>, exchange: TestExchange): Promise<boolean> {
  try {
    await manager.commit(exchange)
    return true
  } catch (error) {
    if (error instanceof GatepassError && error.code === 'ERR_SESSION_ENDED') return false
    throw error
  }
}

/** A copy of the browser's cookies as they are now: a stolen one, or a tab that never hears of a change. */
export function copyOf(jar: TestJar): TestJar {
  const copy = new TestJar()
  for (const name of jar.names) copy.set(name, jar.get(name) ?? '')
  return copy
}

/** A store that counts its calls and keeps everything it was ever given. */
export function watched(store: SessionStore): { store: SessionStore; calls: string[]; given: unknown[] } {
  const calls: string[] = []
  const given: unknown[] = []
  const watching = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...parameters: unknown[]) => {
        calls.push(String(name))
        given.push(parameters)
        return Reflect.apply(member, target, parameters)
      }
    },
  })
  return { store: watching, calls, given }
}

/** Everything that can be seen of a value by printing it. */
export function printed(value: unknown): string {
  return (
    inspect(value, { depth: 20, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null }) +
    JSON.stringify(value)
  )
}

export function recordsOf(store: SessionStore, subject: string): readonly SessionRecord[] {
  if (!hasSubjectIndex(store)) return []
  return store.listBySubject(subject) as SessionRecord[]
}
