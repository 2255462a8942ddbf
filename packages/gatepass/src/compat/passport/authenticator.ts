import { UsageError } from '../../error.ts'
import type { LegacyStrategy } from './ask.ts'
import { type Asked, authenticate } from './authenticate.ts'
import { askInTurn, type Layer } from './chain.ts'
import type { Done } from './promises.ts'
import { initialize } from './request.ts'
import { SessionManager } from './session-login.ts'
import { SessionStrategy } from './session-strategy.ts'
import type {
  AuthenticateCallback,
  AuthenticateOptions,
  Framework,
  Handler,
  InitializeOptions,
  SessionLogins,
  SessionOptions,
} from './types.ts'

/** Who is told by a callback, and what it may say. */
type Told<Value> = (error?: unknown, value?: Value) => void
type Found = Express.User | false | null | undefined
type Request = Express.Request

/** Strategies by name, and how a login is written into a session and read from it: the API of Passport 0.7. */
export class Authenticator {
  // Named as in Passport, for the packages that reach for them.
  _key: string = 'passport'
  _strategies: Record<string, LegacyStrategy> = Object.create(null)
  _serializers: Layer[] = []
  _deserializers: Layer[] = []
  _infoTransformers: Layer[] = []
  _framework: Framework = connect
  _sm: SessionLogins = new SessionManager(this._key, this.serializeUser.bind(this) as never)
  _userProperty?: string

  constructor() {
    this.use(new SessionStrategy({ key: this._key }, this.deserializeUser.bind(this) as never) as LegacyStrategy)
  }

  use(strategy: LegacyStrategy): this
  use(name: string, strategy: LegacyStrategy): this
  use(first: string | LegacyStrategy, second?: LegacyStrategy): this {
    const strategy = second ?? (first as LegacyStrategy)
    const name = second === undefined ? strategy.name : (first as string)
    if (!name) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', 'Authentication strategies must have a name', {
        hint: 'passport.use("name", strategy), or give the strategy a `name`.',
      })
    }
    this._strategies[name] = strategy
    return this
  }

  unuse(name: string): this {
    delete this._strategies[name]
    return this
  }

  framework(framework: Framework): this {
    this._framework = framework
    return this
  }

  /** Middleware that packages for Passport up to 0.4 expect; nothing else needs it. */
  initialize(options?: InitializeOptions): Handler {
    return this._framework.initialize(this, options) as Handler
  }

  /** Middleware that finds the user of a login that the session keeps. */
  session(options?: SessionOptions): Handler {
    return this.authenticate('session', options as AuthenticateOptions)
  }

  /** Middleware that asks strategies who sends a request; of several, the first that does not fail decides. */
  authenticate(strategy: Asked, callback?: AuthenticateCallback): Handler
  authenticate(strategy: Asked, options: AuthenticateOptions | undefined, callback?: AuthenticateCallback): Handler
  authenticate(
    strategy: Asked,
    options?: AuthenticateOptions | AuthenticateCallback,
    callback?: AuthenticateCallback,
  ): Handler {
    return this._framework.authenticate(this, strategy as string, options as AuthenticateOptions, callback) as Handler
  }

  /** The same, for another account of somebody who is logged in: it becomes `req.account`, and the login stays. */
  authorize(strategy: Asked, callback?: AuthenticateCallback): Handler
  authorize(strategy: Asked, options: AuthenticateOptions | undefined, callback?: AuthenticateCallback): Handler
  authorize(
    strategy: Asked,
    options?: AuthenticateOptions | AuthenticateCallback,
    callback?: AuthenticateCallback,
  ): Handler {
    if (typeof options === 'function') return this.authorize(strategy, {}, options)
    const { _framework } = this
    const assigning = { ...options, assignProperty: 'account' }
    return (_framework.authorize ?? _framework.authenticate)(this, strategy as string, assigning, callback) as Handler
  }

  /** Replaces the part that keeps logins in sessions. */
  sessionManager(manager: SessionLogins): this {
    this._sm = manager
    return this
  }

  /** Registers how a user is named in a session: by a callback, or by a promise. */
  serializeUser<Id>(fn: (user: Express.User, done: Told<Id>) => unknown): number
  serializeUser<Id, Req = Request>(fn: (req: Req, user: Express.User, done: Told<Id>) => void): number
  serializeUser(user: Express.User, req: object, done: Told<unknown>): void
  serializeUser(user: Express.User, done: Told<unknown>): void
  serializeUser(first: unknown, second?: unknown, third?: unknown): number | void {
    if (typeof first === 'function') return this._serializers.push(first as Layer)
    const { req, done } = requestAndDone(second, third)
    const exhausted = () => done(unserialised(this._serializers, 'serialize'))
    askInTurn({ layers: this._serializers, req, subject: first, answers: isId, exhausted }, done)
  }

  /** Registers how a user is found again: by a callback, or by a promise. */
  deserializeUser<Id>(fn: (id: Id, done: Told<Found>) => unknown): number
  deserializeUser<Id, Req = Request>(fn: (req: Req, id: Id, done: Told<Found>) => void): number
  deserializeUser(id: NonNullable<unknown>, req: object, done: Told<Express.User | false>): void
  deserializeUser(id: NonNullable<unknown>, done: Told<Express.User | false>): void
  deserializeUser(first: unknown, second?: unknown, third?: unknown): number | void {
    if (typeof first === 'function') return this._deserializers.push(first as Layer)
    const { req, done } = requestAndDone(second, third)
    const exhausted = () => done(unserialised(this._deserializers, 'deserialize'))
    askInTurn({ layers: this._deserializers, req, subject: first, answers: isFinding, exhausted }, (error, user) =>
      error || user ? done(error, user) : done(null, false),
    )
  }

  /** Registers what `req.authInfo` becomes of what a strategy says about a success. */
  transformAuthInfo<Info>(fn: (info: never, done: Told<Info>) => unknown): number
  transformAuthInfo<Info, Req = Request>(fn: (req: Req, info: never, done: Told<Info>) => void): number
  transformAuthInfo(info: unknown, req: object, done: Told<unknown>): void
  transformAuthInfo(info: unknown, done: Told<unknown>): void
  transformAuthInfo(first: unknown, second?: unknown, third?: unknown): number | void {
    if (typeof first === 'function') return this._infoTransformers.push(first as Layer)
    const { req, done } = requestAndDone(second, third)
    const exhausted = () => done(null, first)
    askInTurn(
      { layers: this._infoTransformers, req, subject: first, answers: Boolean, exhausted, synchronous: true },
      done,
    )
  }

  _strategy(name: string): LegacyStrategy | undefined {
    return this._strategies[name]
  }
}

const connect: Framework = {
  initialize: initialize as Framework['initialize'],
  authenticate: authenticate as Framework['authenticate'],
}

function requestAndDone(second: unknown, third: unknown): { req: object | undefined; done: Done } {
  return typeof second === 'function'
    ? { req: undefined, done: second as Done }
    : { req: second as object | undefined, done: third as Done }
}

function isId(value: unknown): boolean {
  return Boolean(value) || value === 0
}

/** `false` and `null` say that there is no such user any more; `undefined`, that this layer does not know. */
function isFinding(value: unknown): boolean {
  return Boolean(value) || value === false || value === null
}

function unserialised(layers: readonly Layer[], what: 'serialize' | 'deserialize'): UsageError {
  const message = `Failed to ${what} user ${what === 'serialize' ? 'into' : 'out of'} session`
  const answer =
    what === 'serialize' ? 'with the id of the user' : 'with the user, or with null if there is none any more'
  const hint =
    layers.length === 0
      ? `Register a function by passport.${what}User().`
      : `No function registered by passport.${what}User() gave an answer. Let it answer ${answer}, by its callback or a promise.`
  return new UsageError('ERR_PASSPORT_OPTIONS', message, { hint })
}
