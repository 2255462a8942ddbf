/** Gatepass's rules for which operations a request makes on the store. A test compares them with Gatepass. */

export type Act = 'read' | 'change' | 'logout'
export type Operation = 'load' | 'login' | 'touch' | 'change' | 'logout'
export const operations: readonly Operation[] = ['load', 'login', 'touch', 'change', 'logout']

/** Seconds. */
export interface Policy {
  readonly touchInterval: number
  readonly idleTimeout: number
  readonly absoluteTimeout: number
}

export interface NearCacheOptions {
  readonly maxSessions: number
  readonly maxAge: number
}

interface StoredSession {
  createdAt: number
  seenAt: number
  /** The processes that keep it. */
  readonly keptBy: Set<KeptSessions>
}

/** One browser and what the store has for it. */
export class Browser {
  #session: StoredSession | undefined
  #hasToken = false
  readonly #policy: Policy

  constructor(policy: Policy) {
    this.#policy = policy
  }

  /** A request at `now`. Without a live session it is a login. @returns the operations on the store */
  request(act: Act, now: number, kept?: KeptSessions): Operation[] {
    const alive = this.alive(now)
    const found = alive && kept?.has(this.#session, now) === true
    const asked: Operation[] = this.#hasToken && !found ? ['load'] : []
    if (!alive) return [...asked, this.#logIn(now)]
    const session = this.#session as StoredSession
    kept?.keep(session, now)
    const written = this.#write(session, act, now)
    if (written !== undefined) for (const cache of session.keptBy) cache.drop(session)
    return written === undefined ? asked : [...asked, written]
  }

  alive(now: number): boolean {
    return this.#session !== undefined && now < this.#expiry(this.#session)
  }

  #logIn(now: number): Operation {
    this.#session = { createdAt: now, seenAt: now, keptBy: new Set() }
    this.#hasToken = true
    return 'login'
  }

  #write(session: StoredSession, act: Act, now: number): Operation | undefined {
    switch (act) {
      case 'logout':
        this.#session = undefined
        this.#hasToken = false
        return 'logout'
      case 'change':
        session.seenAt = now
        return 'change'
      case 'read':
        if (now - session.seenAt < this.#policy.touchInterval) return undefined
        session.seenAt = now
        return 'touch'
    }
  }

  #expiry({ createdAt, seenAt }: StoredSession): number {
    return Math.min(createdAt + this.#policy.absoluteTimeout, seenAt + this.#policy.idleTimeout)
  }
}

/** The near cache of one process. */
export class KeptSessions {
  readonly #options: NearCacheOptions
  /** When each session was loaded. The least recently used one is first. */
  readonly #since = new Map<StoredSession, number>()

  constructor(options: NearCacheOptions) {
    this.#options = options
  }

  has(session: StoredSession | undefined, now: number): boolean {
    const since = session && this.#since.get(session)
    if (session === undefined || since === undefined) return false
    this.#since.delete(session)
    if (now - since >= this.#options.maxAge) return false
    this.#since.set(session, since)
    return true
  }

  /** Keeps a session after a load. One that is kept already does not become younger. */
  keep(session: StoredSession, now: number): void {
    if (this.#since.has(session)) return
    const [oldest] = this.#since.keys()
    if (oldest !== undefined && this.#since.size >= this.#options.maxSessions) this.drop(oldest)
    this.#since.set(session, now)
    session.keptBy.add(this)
  }

  drop(session: StoredSession): void {
    this.#since.delete(session)
    session.keptBy.delete(this)
  }
}
