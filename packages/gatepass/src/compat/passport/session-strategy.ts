import type { Readable } from 'node:stream'
import { callEitherWay, type Done } from './promises.ts'
import { propertyOf } from './request.ts'
import { loginIn, requireSession } from './session-login.ts'
import type { StrategyActions } from './strategy.ts'
import type { PassportRequest, SessionOptions } from './types.ts'

type Deserialize = (id: unknown, req: PassportRequest, done: Done) => void

/** Finds the user of a login that the session keeps. */
export class SessionStrategy {
  declare readonly _deserializeUser: Deserialize
  readonly name = 'session'
  readonly _key: string

  constructor(options: { key?: string } | Deserialize = {}, deserialize?: Deserialize) {
    this._key = (typeof options === 'function' ? undefined : options.key) ?? 'passport'
    const find = (typeof options === 'function' ? options : deserialize) as
      | ((...args: unknown[]) => unknown)
      | undefined
    const value: Deserialize = (id, req, done) => find && callEitherWay(find, [id, req], done)
    // Not enumerable: it hears of rejections by itself, and need not be watched in every request.
    Object.defineProperty(this, '_deserializeUser', { value })
  }

  authenticate(this: this & StrategyActions, req: PassportRequest, options?: SessionOptions): void {
    this.recall(req, options, (error) => (error ? this.error(error) : this.pass()))
  }

  /** Puts the user of the session's login on the request, if there is one. */
  recall(req: PassportRequest, options: SessionOptions | undefined, done: Done): void {
    const session = requireSession(req, done)
    if (session === undefined) return
    const id = (session[this._key] as { user?: unknown } | undefined)?.user
    if (!id && id !== 0) {
      done()
      return
    }
    const resume = options?.pauseStream === true ? held(req as unknown as Readable) : undefined
    this._deserializeUser(id, req, (error, user) => {
      if (error) {
        done(error)
        return
      }
      if (user) req[propertyOf(req)] = user
      else delete loginIn(req.session ?? session, this._key).user
      done()
      resume?.()
    })
  }
}

/** Holds back a body that somebody reads already, and lets it go on; one that nobody reads waits by itself. */
function held(req: Readable): (() => void) | undefined {
  if (req.readableFlowing !== true) return undefined
  req.pause()
  return () => {
    req.resume()
  }
}
