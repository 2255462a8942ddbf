import { type SessionEvent, type SessionId, SessionManager, type Timestamp } from 'gatepass/session'
import { type TestClock, type TestExchange, TestJar } from 'gatepass/testing'
import { expect } from 'vitest'
import { idOf } from '../../src/session/token.ts'
import { aroundStore } from '../../src/testing/around-store.ts'
import { settledCommit } from '../invariants/world.ts'
import type { Channel } from '../stores/announcing-store.ts'
import type { Engine, IndexedStore, Process, Shared } from './engines.ts'
import { type Data, type Opened, Oracle, PER_SUBJECT, type Standpoint, timeouts, type Visitor } from './oracle.ts'
import { Schedule } from './schedule.ts'

const COOKIE = '__Host-Http-gp'
const PROCESSES = 2
const BROWSERS = 3
/** Keys that survive a login: those with an even number. */
const carried = Array.from({ length: 200 }, (_, n) => `key${2 * n}`)

export const acts = ['read', 'change', 'count', 'rotate', 'rotate and change', 'log in', 'log in and change'] as const
export type Act = (typeof acts)[number] | 'log out'

export interface Wish {
  readonly browser: number
  readonly process: number
  readonly act: Act
  readonly who: number
}

export interface Ending {
  readonly process: number
  readonly what: 'id' | 'handle' | 'subject'
  readonly which: number
}

interface Browser extends Visitor {
  readonly jar: TestJar
}

let histories = 0

/** One history: browsers, server processes, and the requests between them. */
export class World {
  readonly clock: TestClock
  readonly schedule: Schedule
  readonly oracle: Oracle
  readonly #shared: Shared
  readonly #processes: Process[]
  readonly #browsers: Browser[]
  readonly #subjects: readonly string[]
  readonly #underWay = new Set<Request>()
  readonly #failures: unknown[] = []
  #keys = 0
  #crashes = 0

  constructor(engine: Engine, clock: TestClock) {
    const history = ++histories
    this.clock = clock
    this.schedule = new Schedule(engine.settled)
    this.#shared = engine.begin()
    this.#processes = Array.from({ length: PROCESSES }, () => this.#shared.start(this.schedule))
    this.#subjects = [`alice ${history}`, `bob ${history}`]
    this.#browsers = Array.from({ length: BROWSERS }, (_, n) => ({
      name: `browser ${n} of history ${history}`,
      subjects: new Set<string>(),
      jar: new TestJar(),
    }))
    const announced = () => this.#processes.map(({ channel }) => channel?.sent ?? 0)
    this.oracle = new Oracle(clock, { announced })
  }

  get underWay(): number {
    return this.#underWay.size
  }

  /** A request begins with the cookies that its browser has now. */
  async begin(wish: Wish): Promise<void> {
    const browser = at(this.#browsers, wish.browser)
    const subject = at(this.#subjects, wish.who)
    const request = new Request(this, { ...this.#place(browser, wish.process), act: wish.act, subject })
    this.#run(request, request.run(browser, `key${++this.#keys}`))
    await this.schedule.settle()
  }

  /** An administrator ends sessions: by id, by handle or of a subject. */
  async end({ process, what, which }: Ending): Promise<void> {
    const place = this.#place({ name: 'administrator', subjects: new Set() }, process)
    const request = new Request(this, { ...place, act: 'read', subject: at(this.#subjects, which) })
    if (what === 'subject') this.#run(request, request.revokeAll())
    else if (this.oracle.handles.length > 0) {
      if (what === 'id') this.#run(request, request.revoke(at(this.oracle.ids, which)))
      else this.#run(request, request.revokeHandle(at(this.oracle.handles, which)))
    }
    await this.schedule.settle()
  }

  /** A request ends between two calls of the store: it does nothing more, and no response leaves. */
  crash(which: number): void {
    const requests = [...this.#underWay]
    if (requests.length === 0) return
    this.#abandon([at(requests, which)])
  }

  /** A process ends with all its requests and its memory. Another process takes its place. */
  crashProcess(which: number): void {
    const process = which % PROCESSES
    this.#abandon([...this.#underWay].filter((request) => request.from.process === process))
    const before = at(this.#processes, process)
    before.close?.()
    const after = this.#shared.start(this.schedule)
    if (before.channel !== undefined && after.channel !== undefined) {
      after.channel.known = before.channel.sent
      after.channel.sent = before.channel.sent
    }
    this.#processes[process] = after
  }

  onChannel(which: number, what: 'deliver' | 'cut' | 'notice' | 'connect'): void {
    at(this.#processes, which).channel?.[what]()
  }

  /** The response reaches the browser when the schedule says so. */
  respond(request: Request, browser: Browser): Promise<void> {
    return this.schedule.turn({ response: request }, () => browser.jar.receive(request.exchange))
  }

  /** @throws the first failure of a check */
  check(): void {
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  /** Lets everything arrive. Then every browser looks once more, in every process. */
  async finish(): Promise<void> {
    await this.schedule.runAll()
    for (const { channel } of this.#processes) if (channel !== undefined) arrive(channel)
    for (const round of ['at first', 'once more']) await this.#everybodyLooks(round)
    this.check()
    await this.#checkRecords()
    for (const { close } of this.#processes) close?.()
  }

  async #everybodyLooks(round: string): Promise<void> {
    for (const browser of this.#browsers) {
      const seen: unknown[] = []
      for (let process = 0; process < PROCESSES; process++) {
        const request = new Request(this, { ...this.#place(browser, process), act: 'read', subject: '' })
        this.#run(
          request,
          request.look(browser).then((session) => seen.push([session.id, session.subject, session.data])),
        )
        await this.schedule.runAll()
      }
      this.check()
      expect(seen, `two processes differ ${round}`).toEqual(Array(PROCESSES).fill(seen[0]))
    }
  }

  /** Without a crash, no session has become two, no subject has too many sessions, and no increment counts twice. */
  async #checkRecords(): Promise<void> {
    if (this.#crashes > 0) return
    for (const subject of this.#subjects) {
      const records = await this.#shared.records.listBySubject(subject)
      const handles = records.map(({ handle }) => handle)
      expect(new Set(handles).size, 'one session has become two').toBe(handles.length)
      expect(handles.length, 'sessions of one subject').toBeLessThanOrEqual(PER_SUBJECT)
      for (const handle of handles) expect(this.oracle.hasEnded(handle), 'a session that ended is stored').toBe(false)
      for (const [n, { data }] of records.entries()) {
        const { count = 0 } = JSON.parse(data) as Data
        expect(count, 'increments').toBe(this.oracle.incrementsOf(handles[n] ?? ''))
      }
    }
  }

  #place(visitor: Visitor, n: number): Place {
    const process = n % PROCESSES
    const { store, channel } = at(this.#processes, process)
    return { store, from: this.oracle.standpoint(visitor, process, channel?.known ?? Number.POSITIVE_INFINITY) }
  }

  #run(request: Request, work: Promise<unknown>): void {
    this.#underWay.add(request)
    work.then(
      () => this.#underWay.delete(request),
      (error: unknown) => this.#failures.push(error),
    )
  }

  #abandon(requests: readonly Request[]): void {
    if (requests.length === 0) return
    this.#crashes++
    this.schedule.abandon((owner) => requests.some((request) => owner === request))
    for (const request of requests) {
      this.#underWay.delete(request)
      request.abandon()
    }
  }
}

/** Delivers all announcements. A channel that lost some reports that. */
function arrive(channel: Channel): void {
  while (channel.waiting > 0) channel.deliver()
  if (channel.connected) return
  channel.notice()
  channel.connect()
}

interface Place {
  readonly store: IndexedStore
  readonly from: Standpoint
}

interface RequestOptions extends Place {
  readonly act: Act
  readonly subject: string
}

/** One request. Its calls to the store wait for their turn. */
class Request {
  readonly from: Standpoint
  exchange: TestExchange = new TestJar().exchange()
  readonly #world: World
  readonly #act: Act
  readonly #subject: string
  readonly #sessions: SessionManager<Data>
  readonly #events: SessionEvent[] = []
  #token: SessionId | undefined
  #handles: string[] = []
  #abandoned = false

  constructor(world: World, { store, from, act, subject }: RequestOptions) {
    this.from = from
    this.#world = world
    this.#act = act
    this.#subject = subject
    this.#sessions = new SessionManager<Data>({
      ...timeouts,
      store: aroundStore((call) => this.#inTurn(() => call(store))),
      perSubject: PER_SUBJECT,
      clock: world.clock,
      onEvent: (event) => void this.#events.push(event),
    })
  }

  async run(browser: Browser, key: string): Promise<void> {
    const session = await this.#open(browser)
    const before = { ...namesOf(session), keys: keysOf(session), openedAt: this.#world.clock() }
    await this.#perform(session, key)
    if (!(await settledCommit(this.#sessions, this.exchange))) this.#oracle.discarded(key)
    this.#answered(session, before, key)
    this.left()
    await this.#world.respond(this, browser)
  }

  async look(browser: Browser): Promise<Opened> {
    const session = await this.#open(browser)
    await this.#sessions.commit(this.exchange)
    this.left()
    await this.#world.respond(this, browser)
    return session
  }

  async revoke(id: SessionId): Promise<void> {
    this.#oracle.mayEnd(id, this.#oracle.handleOf(id))
    await this.#sessions.revoke(id)
    this.#oracle.endedId(this.from, id)
  }

  async revokeHandle(handle: string): Promise<void> {
    const subject = this.#oracle.subjectOf(handle)
    if (subject === undefined) return
    this.#oracle.mayEnd(handle)
    const ended = await this.#sessions.revokeHandle(subject, handle)
    if (ended) this.#oracle.endedHandle(this.from, handle)
  }

  async revokeAll(): Promise<void> {
    this.#oracle.revokesAll(this.#subject)
    await this.#sessions.revokeAll(this.#subject)
    this.#oracle.revokedAll(this.from, this.#subject)
  }

  /** The request does nothing more, also if the store still answers. */
  abandon(): void {
    this.#abandoned = true
    this.left()
  }

  /** The request no longer uses its sessions. */
  left(): void {
    for (const handle of this.#handles) this.#oracle.left(handle)
    this.#handles = []
  }

  #inTurn<T>(call: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const unlessAbandoned =
        <R>(settle: (result: R) => void) =>
        (result: R) => {
          if (!this.#abandoned) settle(result)
        }
      this.#world.schedule.turn(this, call).then(unlessAbandoned(resolve), unlessAbandoned(reject))
    })
  }

  get #oracle(): Oracle {
    return this.#world.oracle
  }

  async #open(browser: Browser): Promise<Opened> {
    this.exchange = browser.jar.exchange()
    const token = browser.jar.get(COOKIE)
    this.#token = token === undefined ? undefined : idOf(token)
    const session = await this.#sessions.open(this.exchange)
    this.#oracle.opened(this.from, session, this.#token)
    if (session.handle !== undefined) this.#handles.push(session.handle)
    return session
  }

  async #perform(session: Opened, key: string): Promise<void> {
    const { visitor } = this.from
    switch (this.#act) {
      case 'read':
        return
      case 'change':
        return change(session, visitor, key)
      case 'count':
        return this.#count(session)
      case 'rotate':
      case 'rotate and change':
        this.#oracle.mayEnd(session.id)
        session.rotate()
        if (this.#act !== 'rotate') change(session, visitor, key)
        return
      case 'log in':
      case 'log in and change':
        this.#oracle.mayEnd(session.id)
        this.#oracle.loginBegins(visitor, this.#subject)
        session.assign(this.#subject, { at: this.#world.clock(), amr: ['pwd'] }, { carry: carried })
        if (this.#act !== 'log in') change(session, visitor, key)
        return
      case 'log out':
        // The token of a session that has just moved ends the session under its new id.
        this.#oracle.mayEnd(this.#token, session.handle ?? this.#oracle.handleOf(this.#token))
        return session.destroy()
    }
  }

  async #count(session: Opened): Promise<void> {
    try {
      await session.update((data) => {
        data.owner = this.from.visitor.name
        data.count = Number(data.count ?? 0) + 1
      })
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_SESSION_ENDED' })
      return
    }
    this.#oracle.incremented(this.from, session)
  }

  #answered(session: Opened, before: Before, key: string): void {
    for (const event of this.#events) {
      if (event.type === 'rotated') this.#oracle.endedId(this.from, event.previous)
      if (event.type !== 'created') continue
      expect(this.#mayCreate(before), 'a request outlived its session').toBe(true)
      // A login of the same subject takes all data along.
      if (this.#act.startsWith('log in')) this.#oracle.tookAlong(session.handle, Number(session.data.count ?? 0))
    }
    if (/^(rotate|log)/.test(this.#act) && before.id !== undefined) {
      expect(session.id, 'a session kept its token').not.toBe(before.id)
    }
    if (this.#act === 'log out') this.#loggedOut(before)
    else if (this.#events.some(({ type }) => type === 'rotated')) this.#checkCarried(session, before, key)
    this.#oracle.answered(this.from, session, before.openedAt)
    if (session.handle !== undefined) this.#handles.push(...this.#begunBy(session.handle))
  }

  /** Without a session before. A login may always create one, also if the session before has ended. */
  #mayCreate(before: Before): boolean {
    return before.id === undefined || this.#act.startsWith('log')
  }

  /** A session that this request began is in use until its response. */
  #begunBy(handle: string): string[] {
    if (this.#handles.includes(handle)) return []
    this.#oracle.using(handle)
    return [handle]
  }

  #loggedOut({ id, handle, subject }: Before): void {
    if (id !== undefined) this.#oracle.endedId(this.from, id)
    // The handle of an anonymous session that was rotating meanwhile is unknown.
    if (handle !== undefined && subject !== undefined) this.#oracle.endedHandle(this.from, handle)
  }

  /** A login keeps all listed data, and nothing else, because an attacker may have planted it. */
  #checkCarried(session: Opened, { subject, keys }: Before, key: string): void {
    const now = keysOf(session)
    const same = session.subject === subject
    const kept = same ? keys : keys.filter((name) => carried.includes(name))
    for (const name of kept) expect(now, 'a login or rotation lost data').toContain(name)
    if (!same)
      for (const name of now) expect([...carried, key], 'a login kept data that was not listed').toContain(name)
  }
}

interface Before {
  readonly id: SessionId | undefined
  readonly handle: string | undefined
  readonly subject: string | undefined
  readonly keys: readonly string[]
  readonly openedAt: Timestamp
}

function change(session: Opened, visitor: Visitor, key: string): void {
  session.data.owner = visitor.name
  session.data[key] = true
}

function namesOf({ id, handle, subject }: Opened): Pick<Before, 'id' | 'handle' | 'subject'> {
  return { id, handle, subject }
}

function keysOf(session: Opened): string[] {
  return Object.keys(session.data).filter((key) => key.startsWith('key'))
}

function at<T>(list: readonly T[], n: number): T {
  return list[n % list.length] as T
}
