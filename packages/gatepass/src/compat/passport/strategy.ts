import { AsyncLocalStorage } from 'node:async_hooks'
import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { answeringByPromise, type ByPromise } from '../callback-or-promise.ts'

/** The base of strategies, for `extends` and for `Strategy.call(this)` with `util.inherits`. */
export interface Strategy {
  name?: string | undefined
  authenticate(req: never, options: never): unknown
}

/** A strategy made for Passport: it concludes by calling `this.success`, `fail`, `redirect`, `pass` or `error`. */
export interface LegacyStrategy extends Strategy {}

/** The five ways in which a strategy concludes. It has them while it is asked. */
export interface StrategyActions {
  success(user: unknown, info?: unknown): void
  fail(challenge?: unknown, status?: number): void
  redirect(url: string, status?: number): void
  pass(): void
  error(error: unknown): void
}

/** The name of {@link StrategyActions} in `@types/passport`. */
export type StrategyCreatedStatic = StrategyActions

/** What a strategy is while it is asked: `authenticate(this: StrategyCreated<this>, req)`. */
export type StrategyCreated<T, Created = T & StrategyCreatedStatic> = { [Member in keyof Created]: Created[Member] }

/** What a strategy may say with `fail`. */
export interface StrategyFailure {
  message?: string
  // biome-ignore lint/suspicious/noExplicitAny: applications compiled against @types/passport expect it
  [key: string]: any
}

/** The class of {@link Strategy}. */
export interface StrategyClass {
  new (): Strategy & StrategyActions
  (this: object): void
  readonly prototype: Strategy & StrategyActions
}

// A function, because a class cannot be called with another object as `this`.
function BaseStrategy(): void {}

BaseStrategy.prototype.authenticate = (): never => {
  throw new UsageError('ERR_PASSPORT_STRATEGY', 'Strategy#authenticate must be overridden by subclass', {
    hint: 'Give the strategy a method authenticate(req, options).',
  })
}

/** The base class of strategies. A Passport accepts strategies with this base and with Passport's own. */
export const Strategy: StrategyClass = Object.defineProperty(BaseStrategy, 'name', {
  value: 'Strategy',
}) as unknown as StrategyClass

// ── asking a strategy about one request ──────────────────────────────────────────────────────────────────────────────

/** What a strategy concluded about one request. */
export type Conclusion =
  | { readonly type: 'success'; readonly user: unknown; readonly info: unknown }
  | { readonly type: 'fail'; readonly challenge: unknown; readonly status: number | undefined }
  | { readonly type: 'redirect'; readonly url: string; readonly status: number | undefined }
  | { readonly type: 'pass' }
  | { readonly type: 'error'; readonly error: unknown }

/** The question to a strategy: who sends this request? */
export interface Inquiry {
  readonly req: object
  /** As the application wrote them. Strategies change them. */
  readonly options: object
  /** Members that the strategy sees instead of its own. */
  readonly instead?: Readonly<Record<string, unknown>>
  /** Runs before a callback of the application sees the request with its user. An error becomes the conclusion. */
  readonly objection?: () => Awaitable<Error | undefined>
}

/** Asks a strategy about one request. The first conclusion counts. */
export function ask(strategy: LegacyStrategy, inquiry: Inquiry, conclude: (conclusion: Conclusion) => void): void {
  const { req, options, instead } = inquiry
  const authenticate = (self: object): unknown => Reflect.apply(strategy.authenticate, self, [req, options])
  const askItself = (cause?: unknown): unknown => {
    if (instead) {
      const message = `Strategy "${strategy.name ?? 'without a name'}" checks no state, and cannot be given one`
      throw new UsageError('ERR_PASSPORT_STRATEGY', message, {
        hint: 'Its class has #private members, so it must bring its own: add `state: true` to its options.',
        cause,
      })
    }
    withPrivateMembers.add(strategy)
    return questionsTo(strategy).run(question, authenticate, strategy)
  }
  const question = new Question(conclude, askItself)
  const view = viewOf(strategy, question, inquiry)
  if (withPrivateMembers.has(strategy)) question.guard(askItself)
  // `this` of an arrow function is always the strategy itself.
  else if (Object.hasOwn(strategy, 'authenticate'))
    question.guard(() => questionsTo(strategy).run(question, authenticate, view))
  else question.guard(() => authenticate(view))
}

/** One question to a strategy. After its conclusion it ignores what else the strategy says. */
class Question {
  readonly #conclude: (conclusion: Conclusion) => void
  /** Asks the strategy itself, once, if its view turns out to lack the private members. */
  #askItself: ((cause: unknown) => unknown) | undefined
  #concluded = false
  /** Whether `authenticate` has returned: from then on no caller catches what is thrown. */
  #returned = false
  #thrown: unknown = this

  constructor(conclude: (conclusion: Conclusion) => void, askItself: (cause: unknown) => unknown) {
    this.#conclude = conclude
    this.#askItself = askItself
  }

  conclude(conclusion: Conclusion): void {
    // A strategy may catch what the application threw, and give it back here. The application must receive it.
    const comesBack = conclusion.type === 'error' && conclusion.error === this.#thrown
    if (this.#concluded && !comesBack) return
    const askItself = this.#askItself
    if (!this.#concluded && askItself && conclusion.type === 'error' && missesPrivateMember(conclusion.error)) {
      this.#askItself = undefined
      this.guard(() => askItself(conclusion.error))
      return
    }
    this.#concluded = true
    this.#thrown = this
    try {
      this.#conclude(conclusion)
    } catch (error) {
      this.#thrown = error
      if (!this.#returned || conclusion.type === 'error') throw error
      this.#conclude({ type: 'error', error })
    }
  }

  /** Runs `authenticate`. What it throws, or rejects with, is a conclusion. */
  guard(authenticate: () => unknown): void {
    try {
      const returned = authenticate()
      this.#returned = true
      if (returned instanceof Promise) returned.catch((error: unknown) => this.conclude({ type: 'error', error }))
    } catch (error) {
      if (this.#concluded) throw error
      this.conclude({ type: 'error', error })
    }
  }
}

/** The five ways to conclude. Each finds its question when it is called. */
function actions(whose: () => Question): object {
  return {
    success: (user?: unknown, info?: unknown) => whose().conclude({ type: 'success', user, info }),
    fail: (challenge?: unknown, status?: number) =>
      typeof challenge === 'number'
        ? whose().conclude({ type: 'fail', challenge: undefined, status: challenge })
        : whose().conclude({ type: 'fail', challenge, status }),
    redirect: (url: string, status?: number) => whose().conclude({ type: 'redirect', url, status }),
    pass: () => whose().conclude({ type: 'pass' }),
    error: (error: unknown) => whose().conclude({ type: 'error', error }),
  }
}

/**
 * The strategy as one request sees it. What is written to it stays with that request. The functions that the application gave
 * it, such as `verify`, may answer by a promise.
 */
function viewOf(strategy: LegacyStrategy, question: Question, { req, instead, objection }: Inquiry): object {
  const view = Object.create(strategy) as Record<string, unknown>
  const byPromise: ByPromise = {
    failed: (error) => question.conclude({ type: 'error', error }),
    objection: (args) => (args.includes(req) ? objection?.() : undefined),
  }
  for (const [name, member] of Object.entries(strategy)) {
    if (typeof member === 'function') {
      if (!isClass(member)) view[name] = answeringByPromise(member, byPromise)
    } else if ((name === 'options' || name === '_options') && typeof member?.verify === 'function') {
      view[name] = { ...member, verify: answeringByPromise(member.verify, byPromise) }
    }
  }
  return Object.assign(
    view,
    instead,
    actions(() => question),
  )
}

/** Among functions, only classes have a `prototype` that cannot be replaced. */
function isClass(member: object): boolean {
  return Object.getOwnPropertyDescriptor(member, 'prototype')?.writable === false
}

// ── strategies with #private members, which cannot be seen through another object ────────────────────────────────────

/** The strategies that failed on a view because it lacks their #private members. */
const withPrivateMembers = new WeakSet<object>()

/**
 * Whether V8, or code that TypeScript, Babel or esbuild made for older engines, threw this because an object lacks a #private
 * member. Only the message says so. It begins with these words, which nothing that a request sends can come before.
 */
function missesPrivateMember(error: unknown): boolean {
  return error instanceof TypeError && privateMemberMissing.test(error.message)
}

const privateMemberMissing =
  /^(?:Cannot (?:read|write|access) (?:from |to )?private |attempted to \w+ private |Private element |(?:Receiver|Object) must be an instance of class )/

const questions = new WeakMap<object, AsyncLocalStorage<Question>>()

/** Lets one instance serve all requests at once. A conclusion finds its request by the asynchronous context. */
function questionsTo(strategy: LegacyStrategy): AsyncLocalStorage<Question> {
  const known = questions.get(strategy)
  if (known !== undefined) return known
  const asked = new AsyncLocalStorage<Question>()
  questions.set(strategy, asked)
  for (const [name, value] of Object.entries(actions(() => asked.getStore() ?? lost(strategy)))) {
    Object.defineProperty(strategy, name, { value, configurable: true, writable: true })
  }
  return asked
}

function lost({ name = 'without a name' }: LegacyStrategy): never {
  throw new UsageError('ERR_PASSPORT_STRATEGY', `Strategy "${name}" has concluded, but of which request is not known`, {
    hint: 'Its class has #private members, so it must conclude in what it awaits, not in a callback of a shared connection.',
  })
}
