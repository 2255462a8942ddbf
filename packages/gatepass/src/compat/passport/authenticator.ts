import { UsageError } from '../../error.ts'
import { callEitherWay, type Done } from '../callback-or-promise.ts'
import { type Asked, authenticate } from './authenticate.ts'
import { type Deserialize, initialize, LoginKeeper, SessionStrategy } from './logins.ts'
import type { LegacyStrategy } from './strategy.ts'
import type {
  AuthenticateCallback,
  AuthenticateOptions,
  Framework,
  Handler,
  InitializeOptions,
  SessionLogins,
  SessionOptions,
} from './types.ts'

/** A callback that receives an error, or a value. */
type Told<Value> = (error?: unknown, value?: Value) => void
type FoundUser = Express.User | false | null | undefined
type Request = Express.Request
/** A function that serialises, finds or transforms. With three parameters, it receives the request first. */
type Layer = (...args: never[]) => unknown

/** The methods of an {@link Authenticator}. */
class Methods<InitializeRet, AuthenticateRet, AuthorizeRet> {
  // Packages for Passport use these names.
  declare _key: string
  declare _strategies: Record<string, LegacyStrategy>
  declare _serializers: Layer[]
  declare _deserializers: Layer[]
  declare _infoTransformers: Layer[]
  declare _framework: Framework
  declare _sm: SessionLogins
  declare _userProperty?: string

  /** Sets up what a subclass may set up in another way. */
  init(): void {
    this.framework(connect)
    const strategy = new SessionStrategy({ key: this._key }, this.deserializeUser.bind(this) as Deserialize)
    this.use(strategy as unknown as LegacyStrategy)
    this._sm = new LoginKeeper(this._key, this.serializeUser.bind(this) as never)
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

  framework<X, Y, Z>(framework: Framework<X, Y, Z>): Authenticator<X, Y, Z> {
    this._framework = framework
    return this as unknown as Authenticator<X, Y, Z>
  }

  /** Middleware that packages for Passport up to 0.4 expect. Nothing else needs it. */
  initialize(options?: InitializeOptions): InitializeRet {
    return this._framework.initialize(this, options) as InitializeRet
  }

  /** Middleware that finds the user whose login the session keeps. */
  session(options?: SessionOptions): AuthenticateRet {
    return this.authenticate('session', options as AuthenticateOptions)
  }

  /** Middleware that asks strategies who sends a request. The first one that does not fail decides. */
  authenticate(
    strategy: Asked,
    options?: AuthenticateOptions | AuthenticateCallback,
    callback?: AuthenticateCallback,
  ): AuthenticateRet {
    const { _framework } = this
    return _framework.authenticate(
      this,
      strategy as string,
      options as AuthenticateOptions,
      callback,
    ) as AuthenticateRet
  }

  /** Does the same for another account of a logged-in user. The account becomes `req.account`, and the login stays. */
  authorize(
    strategy: Asked,
    options?: AuthenticateOptions | AuthenticateCallback,
    callback?: AuthenticateCallback,
  ): AuthorizeRet {
    if (typeof options === 'function') return this.authorize(strategy, {}, options)
    const { _framework } = this
    const authorize = _framework.authorize ?? _framework.authenticate
    const assigning = { ...options, assignProperty: 'account' }
    return authorize(this, strategy as string, assigning, callback) as AuthorizeRet
  }

  /** Replaces the part that keeps logins in sessions. */
  sessionManager(manager: SessionLogins): this {
    this._sm = manager
    return this
  }

  /** Registers a function that gives a user's id for the session, by a callback or by a promise. */
  serializeUser<Id>(fn: (user: Express.User, done: Told<Id>) => unknown): number
  serializeUser<Id, Req = Request>(fn: (req: Req, user: Express.User, done: Told<Id>) => void): number
  serializeUser(user: Express.User, req: object, done: Told<unknown>): void
  serializeUser(user: Express.User, done: Told<unknown>): void
  serializeUser(first: unknown, second?: unknown, third?: unknown): number | void {
    if (typeof first === 'function') return this._serializers.push(first as Layer)
    const layers = this._serializers
    askInTurn(first, [second, third], {
      layers,
      answerOf: (id) => (id || id === 0 ? id : undefined),
      exhausted: (done) => done(unserialised(layers, 'serialize', 'with the id of the user')),
    })
  }

  /** Registers a function that finds the user by the id in the session, and answers by a callback or by a promise. */
  deserializeUser<Id>(fn: (id: Id, done: Told<FoundUser>) => unknown): number
  deserializeUser<Id, Req = Request>(fn: (req: Req, id: Id, done: Told<FoundUser>) => void): number
  deserializeUser(id: NonNullable<unknown>, req: object, done: Told<Express.User | false>): void
  deserializeUser(id: NonNullable<unknown>, done: Told<Express.User | false>): void
  deserializeUser(first: unknown, second?: unknown, third?: unknown): number | void {
    if (typeof first === 'function') return this._deserializers.push(first as Layer)
    const layers = this._deserializers
    askInTurn(first, [second, third], {
      layers,
      // `false` and `null` say that this user does not exist any more, `undefined` that this layer does not know.
      answerOf: (user) => user || (user === false || user === null ? false : undefined),
      exhausted: (done) =>
        done(unserialised(layers, 'deserialize', 'with the user, or with null if it does not exist')),
    })
  }

  /** Registers a function that makes `req.authInfo` from what a strategy says about a success. */
  transformAuthInfo<Info>(fn: (info: never, done: Told<Info>) => unknown): number
  transformAuthInfo<Info, Req = Request>(fn: (req: Req, info: never, done: Told<Info>) => void): number
  transformAuthInfo(info: unknown, req: object, done: Told<unknown>): void
  transformAuthInfo(info: unknown, done: Told<unknown>): void
  transformAuthInfo(first: unknown, second?: unknown, third?: unknown): number | void {
    if (typeof first === 'function') return this._infoTransformers.push(first as Layer)
    askInTurn(first, [second, third], {
      layers: this._infoTransformers,
      answerOf: (info) => info || undefined,
      exhausted: (done) => done(null, first),
      synchronous: true,
    })
  }

  _strategy(name: string): LegacyStrategy | undefined {
    // Applications ask for the strategy that a path names.
    return Object.hasOwn(this._strategies, name) ? this._strategies[name] : undefined
  }
}

/** Strategies by name, and how a login is written into a session and read from it: the API of Passport 0.7. */
export interface Authenticator<InitializeRet = Handler, AuthenticateRet = Handler, AuthorizeRet = AuthenticateRet>
  extends Methods<InitializeRet, AuthenticateRet, AuthorizeRet> {}

/** The class of {@link Authenticator}. */
export interface AuthenticatorClass {
  new (): Authenticator
  (this: object): void
  readonly prototype: Authenticator
}

/** A function, because it is inherited without `class`, too. */
export const Authenticator: AuthenticatorClass = function Authenticator(this: Authenticator): void {
  this._key = 'passport'
  this._strategies = {}
  this._serializers = []
  this._deserializers = []
  this._infoTransformers = []
  this.init()
} as never
for (const name of Object.getOwnPropertyNames(Methods.prototype)) {
  if (name !== 'constructor') Object.assign(Authenticator.prototype, { [name]: Reflect.get(Methods.prototype, name) })
}

const connect: Framework = {
  initialize: initialize as Framework['initialize'],
  authenticate: authenticate as Framework['authenticate'],
}

/** How the layers of one kind answer. */
interface Chain {
  readonly layers: readonly Layer[]
  /** The answer in a layer's value; `undefined` if the next layer is to be asked. */
  readonly answerOf: (value: unknown) => unknown
  /** Called if no layer has answered. */
  readonly exhausted: (done: Done) => void
  /** Whether a layer with one parameter answers by what it returns. */
  readonly synchronous?: boolean
}

/** Asks one layer after another, until one answers. A layer that gives `pass` as its error leaves the answer to the next. */
function askInTurn(subject: unknown, [second, third]: readonly unknown[], chain: Chain): void {
  const [req, done] = (typeof second === 'function' ? [undefined, second] : [second, third]) as [unknown, Done]
  const { layers, answerOf, exhausted, synchronous } = chain
  const ask = (at: number): unknown => {
    const layer = layers[at]
    if (layer === undefined) return exhausted(done)
    const told: Done = (error, value) => {
      if (error && error !== 'pass') return done(error)
      const answer = answerOf(value)
      return answer === undefined ? ask(at + 1) : done(null, answer)
    }
    if (layer.length === 3) return callEitherWay(layer, [req, subject], told)
    return callEitherWay(synchronous && layer.length === 1 ? returning(layer) : layer, [subject], told)
  }
  ask(0)
}

/** Turns a function that returns its answer into one that gives it to a callback. */
function returning(layer: Layer): (subject: never, done: Done) => void {
  return (subject, done) => {
    const value = layer(subject)
    if (value instanceof Promise) value.then((settled: unknown) => done(null, settled), done)
    else done(null, value)
  }
}

function unserialised(layers: readonly Layer[], what: 'serialize' | 'deserialize', answer: string): UsageError {
  const message = `Failed to ${what} user ${what === 'serialize' ? 'into' : 'out of'} session`
  const hint =
    layers.length === 0
      ? `Register a function by passport.${what}User().`
      : `No function registered by passport.${what}User() gave an answer. Let it answer ${answer}, by its callback or a promise.`
  return new UsageError('ERR_PASSPORT_OPTIONS', message, { hint })
}
