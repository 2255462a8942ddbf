import { type Anything, type Callback, type SessionLike, Store } from './store.ts'

/** Between two looks for sessions that have expired. Milliseconds. */
const SWEEP_INTERVAL = 60 * 1000

/** Keeps sessions in this process, as JSON text by id. Expired ones are removed every minute, read or not. */
export class MemoryStore extends Store {
  sessions: Record<string, string> = Object.create(null)
  #sweptAt = 0

  get(sid: string, callback: (error: Anything, session?: SessionLike) => void): void {
    callback(null, this.#read(sid))
  }

  set(sid: string, session: object, callback?: Callback): void {
    this.#sweep()
    this.sessions[sid] = JSON.stringify(session)
    callback?.()
  }

  destroy(sid: string, callback?: Callback): void {
    delete this.sessions[sid]
    callback?.()
  }

  touch(sid: string, session: SessionLike, callback?: Callback): void {
    const stored = this.#read(sid)
    if (stored !== undefined) this.sessions[sid] = JSON.stringify({ ...stored, cookie: session.cookie })
    callback?.()
  }

  all(callback: (error: Anything, sessions?: Record<string, SessionLike>) => void): void {
    const all: Record<string, SessionLike> = Object.create(null)
    for (const sid of Object.keys(this.sessions)) {
      const session = this.#read(sid)
      if (session !== undefined) all[sid] = session
    }
    callback(null, all)
  }

  length(callback: (error: Anything, length?: number) => void): void {
    this.all((error, sessions) => callback(error, Object.keys(sessions ?? {}).length))
  }

  clear(callback?: Callback): void {
    this.sessions = Object.create(null)
    callback?.()
  }

  #read(sid: string): SessionLike | undefined {
    const text = this.sessions[sid]
    if (text === undefined) return undefined
    const session: Partial<SessionLike> & { cookie?: { expires?: string | null } } = JSON.parse(text)
    const expires = session.cookie?.expires
    if (!expires || Date.parse(expires) > Date.now()) return session as SessionLike
    delete this.sessions[sid]
    return undefined
  }

  #sweep(): void {
    const now = Date.now()
    if (now - this.#sweptAt < SWEEP_INTERVAL) return
    this.#sweptAt = now
    for (const sid of Object.keys(this.sessions)) this.#read(sid)
  }
}
