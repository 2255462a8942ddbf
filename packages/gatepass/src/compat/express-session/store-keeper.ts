import { ProtocolError } from '../../error.ts'
import { called } from './called.ts'
import type { Session, SessionKeeper, SessionRequest } from './session.ts'
import type { Callback, SessionLike, Store } from './store.ts'

/** Looks after a session that no middleware has opened: one that a store's `load` has given, for a socket. */
export class StoreKeeper implements SessionKeeper {
  readonly #req: SessionRequest

  constructor(req: SessionRequest) {
    this.#req = req
  }

  async save(session: Session): Promise<void> {
    await called((done) => this.#store.set(session.id, session, done))
  }

  async reload(session: Session): Promise<void> {
    const found = await called<SessionLike>((done) => this.#store.get(session.id, done))
    if (!found) throw notFound()
    this.#store.createSession(this.#req, found)
  }

  async destroy(session: Session): Promise<void> {
    delete this.#req.session
    await called((done) => this.#store.destroy(session.id, done))
  }

  async regenerate(): Promise<void> {
    await called((done) => this.#store.regenerate(this.#req, done))
  }

  promised(work: Promise<void>): Promise<void> {
    // No response could tell of a failure that the application does not handle.
    work.catch(() => undefined)
    return work
  }

  callBack(callback: Callback, ...args: unknown[]): void {
    callback(...args)
  }

  get #store(): Store {
    return this.#req.sessionStore as Store
  }
}

export function notFound(): ProtocolError {
  return new ProtocolError('ERR_SESSION_ENDED', 'failed to load session', {
    hint: 'It was destroyed or has expired since this request began.',
    status: 409,
  })
}

/** Of a request that has changed a session, and cannot have its changes stored any more. */
export function endedMeanwhile(): ProtocolError {
  return new ProtocolError(
    'ERR_SESSION_ENDED',
    'The session has ended since this request began; its changes were lost',
    {
      hint: 'It was destroyed or has expired meanwhile. Open the page again, and repeat what was done.',
      status: 409,
    },
  )
}
