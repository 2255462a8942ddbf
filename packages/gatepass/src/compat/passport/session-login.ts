import { UsageError } from '../../error.ts'
import type { Done } from './promises.ts'
import type { LogInOptions, PassportRequest, SessionBag } from './types.ts'

type Serialize = (user: unknown, req: PassportRequest, done: Done) => void

/** How a login gets into a session and out of it again: `req.session.passport.user`, under a new session id. */
export class SessionManager {
  readonly #key: string
  readonly #serialize: Serialize

  constructor(key: string, serialize: Serialize) {
    this.#key = key
    this.#serialize = serialize
  }

  logIn(req: PassportRequest, user: unknown, options: LogInOptions, done: Done): void {
    const session = requireSession(req, done)
    if (session === undefined) return
    const kept = keptOf(session, options)
    regenerate(
      session,
      orElse(done, () => {
        this.#serialize(
          user,
          req,
          orElse(done, (id) => {
            const fresh = Object.assign(req.session ?? session, kept)
            loginIn(fresh, this.#key).user = id
            save(
              fresh,
              orElse(done, () => done()),
            )
          }),
        )
      }),
    )
  }

  logOut(req: PassportRequest, options: LogInOptions, done: Done): void {
    const session = requireSession(req, done)
    if (session === undefined) return
    if (session[this.#key]) delete loginIn(session, this.#key).user
    const kept = keptOf(session, options)
    const saved: Done = (error) => {
      // Another request has logged out, or the session has expired: then there is nothing left to end.
      if (error && (error as { code?: unknown }).code !== 'ERR_SESSION_ENDED') return done(error)
      return regenerate(
        session,
        orElse(done, () => {
          Object.assign(req.session ?? session, kept)
          done()
        }),
      )
    }
    // Saved first: a request that is still running must not find the login in the old session.
    save(session, saved)
  }
}

function orElse(done: Done, then: (value: unknown) => void): Done {
  return (error, value) => (error ? done(error) : then(value))
}

/** What a session says of its login. */
export function loginIn(session: SessionBag, key: string): { user?: unknown } {
  session[key] ||= {}
  return session[key] as { user?: unknown }
}

export function requireSession(req: PassportRequest, done: Done): SessionBag | undefined {
  const { session } = req
  if (!session) done(noSession())
  else if (isNative(session)) done(nativeSession())
  else return session
  return undefined
}

function noSession(): UsageError {
  return new UsageError(
    'ERR_PASSPORT_NO_SESSIONS',
    'Login sessions require session support. Did you forget to use `express-session` middleware?',
    { hint: 'Mount gatepass/compat/express-session, express-session or cookie-session before passport.session().' },
  )
}

/** A session of `gatepass/express` keeps its data in `data`: what is written beside it would be lost without a word. */
function isNative(session: SessionBag): boolean {
  return typeof session.rotate === 'function' && typeof session.assign === 'function'
}

function nativeSession(): UsageError {
  return new UsageError(
    'ERR_PASSPORT_NO_SESSIONS',
    'req.session is that of gatepass/express, which keeps logins itself',
    {
      hint: 'Hand your strategies to gatepass({ strategies: [fromPassport(strategy)] }), or mount gatepass/compat/express-session.',
    },
  )
}

/** What is to survive a new session id: nothing, everything, or what is named. */
function keptOf(session: SessionBag, { keepSessionInfo = false }: LogInOptions): object | undefined {
  if (!Array.isArray(keepSessionInfo)) return keepSessionInfo ? { ...session } : undefined
  const named = keepSessionInfo.filter((key: string) => Object.hasOwn(session, key))
  return Object.fromEntries(named.map((key: string) => [key, session[key]]))
}

/** A session that is all in the cookie (cookie-session) has no id to change: it is emptied. */
function regenerate(session: SessionBag, done: Done): unknown {
  if (typeof session.regenerate === 'function') return session.regenerate(done)
  for (const key of Object.keys(session)) delete session[key]
  return done()
}

function save(session: SessionBag, done: Done): void {
  if (typeof session.save === 'function') session.save(done)
  else done()
}

/** Whether we know how to begin such a session anew; cookie-session tells its own by `isPopulated`. */
export function canRegenerate(session: SessionBag | undefined): boolean {
  return session === undefined || typeof session.regenerate === 'function' || 'isPopulated' in session
}
