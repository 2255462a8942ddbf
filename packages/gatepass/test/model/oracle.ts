import type { Session, SessionId, Timestamp } from 'gatepass/session'
import { expect } from 'vitest'

export type Data = Record<string, unknown>
export type Opened = Session<Data>

/** Short, so that they pass within histories. In seconds. */
export const timeouts = { idleTimeout: 600, absoluteTimeout: 2400, touchInterval: 60 }
/** Sessions a subject may have. */
export const PER_SUBJECT = 3

/** One browser. */
export interface Visitor {
  readonly name: string
  /** The subjects that it has tried to log in as. */
  readonly subjects: Set<string>
}

/** Where and when a request began. It decides what the request must know. */
export interface Standpoint {
  readonly visitor: Visitor
  readonly process: number
  readonly moment: number
  /** The last announcement that had reached its process, or did not need to. */
  readonly known: number
}

/** A fact that an answered request has made certain. */
interface Fact {
  readonly process: number
  readonly moment: number
  /** The number of announcements to each process by then. */
  readonly announced: readonly number[]
}

/** The facts about one session under all its ids. A session keeps its handle. */
interface Known {
  readonly subject: string | undefined
  readonly fact: Fact
  readonly keys: Map<string, Fact>
  readonly increments: Fact[]
  ended: Fact | undefined
}

interface Found {
  readonly id: SessionId
  readonly handle: string
  readonly expected: SessionId | undefined
}

/** The number of announcements to each process. */
export interface Progress {
  announced(): readonly number[]
}

/**
 * Knows what must be true in every order: no acknowledged change is lost, no ended session comes back, and no browser sees the
 * session of another. It knows the answers that browsers got, and asks no store.
 */
export class Oracle {
  readonly #clock: () => Timestamp
  readonly #progress: Progress
  #moment = 0
  readonly #sessions = new Map<string, Known>()
  readonly #endedIds = new Map<SessionId, Fact>()
  /** Until when a session must be found under this id, unless it is ended. Later times come last. */
  readonly #lifetimes = new Map<SessionId, { readonly until: Timestamp; readonly fact: Fact }[]>()
  readonly #idsOf = new Map<string, Set<SessionId>>()
  /** Keys whose request was answered that they are not saved. */
  readonly #discarded = new Set<string>()
  /** Ids, handles and subjects whose sessions a request may have ended. */
  readonly #mayHaveEnded = new Set<string>()
  readonly #revoked = new Map<string, number>()
  readonly #logins = new Map<string, number>()
  readonly #tookAlong = new Map<string, number>()
  readonly #inUse = new Map<string, number>()
  readonly #lastUse = new Map<string, Timestamp>()
  /** How often each kind of check was made. */
  readonly checked = { found: 0, absent: 0, saved: 0, idle: 0 }

  constructor(clock: () => Timestamp, progress: Progress) {
    this.#clock = clock
    this.#progress = progress
  }

  standpoint(visitor: Visitor, process: number, known: number): Standpoint {
    return { visitor, process, known, moment: ++this.#moment }
  }

  /** The sessions that appeared in answers. */
  get handles(): string[] {
    return [...this.#sessions.keys()]
  }

  get ids(): SessionId[] {
    return [...this.#lifetimes.keys()]
  }

  /** The handle of the session that is, or was, under this id. */
  handleOf(id: SessionId | undefined): string | undefined {
    return [...this.#idsOf].find(([, ids]) => id !== undefined && ids.has(id))?.[0]
  }

  subjectOf(handle: string): string | undefined {
    return this.#sessions.get(handle)?.subject
  }

  hasEnded(handle: string): boolean {
    return this.#sessions.get(handle)?.ended !== undefined
  }

  incrementsOf(handle: string): number {
    return (this.#sessions.get(handle)?.increments.length ?? 0) + (this.#tookAlong.get(handle) ?? 0)
  }

  // ── what requests ask ──────────────────────────────────────────────────────────────────────────

  mayEnd(...names: (string | undefined)[]): void {
    for (const name of names) if (name !== undefined) this.#mayHaveEnded.add(name)
  }

  loginBegins(visitor: Visitor, subject: string): void {
    visitor.subjects.add(subject)
    const logins = (this.#logins.get(subject) ?? 0) + 1
    this.#logins.set(subject, logins)
    // Beyond the limit, any session of the subject may end. A rotation counts as one session, though it has two records.
    if (logins > PER_SUBJECT) this.mayEnd(subject)
  }

  // ── what requests see ──────────────────────────────────────────────────────────────────────────

  /** @param expected the id of the token in the browser's cookie */
  opened(from: Standpoint, session: Opened, expected: SessionId | undefined): void {
    const { id, handle } = session
    if (id === undefined || handle === undefined) this.#notFound(from, expected)
    else this.#found(from, session, { id, handle, expected })
  }

  using(handle: string): void {
    this.#use(handle, 1)
  }

  /** A request has ended or was abandoned. */
  left(handle: string): void {
    this.#use(handle, -1)
    this.#lastUse.set(handle, this.#clock())
  }

  #found(from: Standpoint, session: Opened, { id, handle, expected }: Found): void {
    this.checked.found++
    expect(id, 'the session of another token').toBe(expected)
    this.#belongs(from, session)
    this.#lives(from, session, id, handle)
    this.#keeps(from, session, handle)
    this.using(handle)
  }

  #notFound(from: Standpoint, expected: SessionId | undefined): void {
    if (expected === undefined || !this.#mustLive(from, expected)) return
    this.checked.absent++
    const handle = this.handleOf(expected) ?? ''
    const subject = this.subjectOf(handle) ?? ''
    if ([expected, handle, subject].some((name) => this.#mayHaveEnded.has(name))) return
    expect.fail(`the session of ${from.visitor.name} is lost: no request has ended it`)
  }

  #mustLive(from: Standpoint, id: SessionId): boolean {
    const lifetimes = this.#lifetimes.get(id) ?? []
    return lifetimes.some(({ until, fact }) => until > this.#clock() && certain(fact, from))
  }

  #belongs({ visitor }: Standpoint, session: Opened): void {
    if (session.data.owner !== undefined) expect(session.data.owner, 'the session of another').toBe(visitor.name)
    if (session.subject !== undefined) expect([...visitor.subjects], "another's login").toContain(session.subject)
  }

  #lives(from: Standpoint, session: Opened, id: SessionId, handle: string): void {
    const endings = [this.#endedIds.get(id), this.#sessions.get(handle)?.ended]
    for (const fact of endings) {
      expect(
        fact !== undefined && certain(fact, from),
        `a session that had ended is seen by ${from.visitor.name}`,
      ).toBe(false)
    }
    const now = this.#clock()
    expect(session.expiresAt, 'an expired session is seen').toBeGreaterThan(now)
    expect(now - (session.createdAt ?? 0), 'the absolute timeout has passed').toBeLessThan(
      timeouts.absoluteTimeout * 1000,
    )
    const lastUse = this.#lastUse.get(handle)
    if (lastUse === undefined || (this.#inUse.get(handle) ?? 0) > 0) return
    this.checked.idle++
    expect(now - lastUse, 'the idle timeout has passed').toBeLessThan(timeouts.idleTimeout * 1000)
  }

  #keeps(from: Standpoint, session: Opened, handle: string): void {
    for (const key of Object.keys(session.data)) {
      expect(this.#discarded.has(key), `${key} is there although its request was told otherwise`).toBe(false)
    }
    const known = this.#sessions.get(handle)
    if (known === undefined) return
    for (const [key, fact] of known.keys) {
      if (!certain(fact, from)) continue
      this.checked.saved++
      expect(Object.keys(session.data), `${key} was saved and is lost`).toContain(key)
    }
    const increments = known.increments.filter((fact) => certain(fact, from)).length
    expect(Number(session.data.count ?? 0), 'an increment is lost').toBeGreaterThanOrEqual(increments)
  }

  #use(handle: string, by: 1 | -1): void {
    this.#inUse.set(handle, (this.#inUse.get(handle) ?? 0) + by)
  }

  // ── what requests were told ────────────────────────────────────────────────────────────────────

  /** The response leaves: from now on the session's data must stay, and its use must count. */
  answered(from: Standpoint, session: Opened, openedAt: Timestamp): void {
    const { id, handle, subject, expiresAt } = session
    if (id === undefined || handle === undefined || expiresAt === undefined) return
    const known = this.#known(from, handle, subject)
    for (const key of Object.keys(session.data)) if (key.startsWith('key')) this.#note(known.keys, key, from)
    const until = Math.max(expiresAt, this.#seenUntil(session, openedAt))
    this.#lifetimes.set(id, [...(this.#lifetimes.get(id) ?? []), { until, fact: this.#fact(from.process) }])
    const ids = this.#idsOf.get(handle) ?? new Set()
    this.#idsOf.set(handle, ids.add(id))
    // The session may have begun before a logout everywhere that was answered meanwhile.
    if (subject !== undefined && (this.#revoked.get(subject) ?? 0) >= from.moment) this.mayEnd(id)
  }

  /** Until when its use has prolonged a session at least. 0 if it may have expired meanwhile. */
  #seenUntil({ createdAt = 0, expiresAt = 0 }: Opened, openedAt: Timestamp): Timestamp {
    if (expiresAt <= this.#clock()) return 0
    const { idleTimeout, touchInterval, absoluteTimeout } = timeouts
    return Math.min(openedAt + (idleTimeout - touchInterval) * 1000, createdAt + absoluteTimeout * 1000)
  }

  /** A login began a session with so many increments of the one before. */
  tookAlong(handle: string | undefined, increments: number): void {
    if (handle !== undefined) this.#tookAlong.set(handle, increments)
  }

  incremented(from: Standpoint, session: Opened): void {
    if (session.handle === undefined) return
    this.#known(from, session.handle, session.subject).increments.push(this.#fact(from.process))
  }

  discarded(key: string): void {
    this.#discarded.add(key)
  }

  endedId(from: Standpoint, id: SessionId): void {
    this.mayEnd(id)
    this.#note(this.#endedIds, id, from)
  }

  endedHandle(from: Standpoint, handle: string): void {
    this.mayEnd(handle)
    const known = this.#sessions.get(handle)
    if (known !== undefined) known.ended ??= this.#fact(from.process)
  }

  revokesAll(subject: string): void {
    this.mayEnd(...this.ids.filter((id) => this.#belongsTo(id, subject)))
    this.#revoked.set(subject, Number.POSITIVE_INFINITY)
  }

  /** Sessions that began before the logout everywhere have ended. */
  revokedAll(from: Standpoint, subject: string): void {
    for (const [handle, known] of this.#sessions) {
      if (known.subject === subject && known.fact.moment < from.moment) this.endedHandle(from, handle)
    }
    this.mayEnd(...this.ids.filter((id) => this.#belongsTo(id, subject)))
    this.#revoked.set(subject, ++this.#moment)
  }

  #belongsTo(id: SessionId, subject: string): boolean {
    return [...this.#idsOf].some(([handle, ids]) => ids.has(id) && this.subjectOf(handle) === subject)
  }

  #known(from: Standpoint, handle: string, subject: string | undefined): Known {
    const known = this.#sessions.get(handle) ?? {
      subject,
      fact: this.#fact(from.process),
      keys: new Map(),
      increments: [],
      ended: undefined,
    }
    this.#sessions.set(handle, known)
    return known
  }

  #note<Name>(facts: Map<Name, Fact>, name: Name, from: Standpoint): void {
    if (!facts.has(name)) facts.set(name, this.#fact(from.process))
  }

  #fact(process: number): Fact {
    return { process, moment: ++this.#moment, announced: this.#progress.announced() }
  }
}

/** Whether a request must know the fact: its own process made it certain, or the announcement had arrived there. */
function certain(fact: Fact, { moment, process, known }: Standpoint): boolean {
  if (fact.moment > moment) return false
  return fact.process === process || (fact.announced[process] ?? 0) <= known
}
