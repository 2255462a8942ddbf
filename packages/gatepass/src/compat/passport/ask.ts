import { AsyncLocalStorage } from 'node:async_hooks'
import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { type Hearing, heard } from './promises.ts'

/** A strategy made for Passport: it concludes by calling `this.success`, `fail`, `redirect`, `pass` or `error`. */
export interface LegacyStrategy {
  name?: string | undefined
  authenticate(req: never, options: never): unknown
}

/** What such a strategy concluded about one request. */
export type Conclusion =
  | { readonly type: 'success'; readonly user: unknown; readonly info: unknown }
  | { readonly type: 'fail'; readonly challenge: unknown; readonly status: number | undefined }
  | { readonly type: 'redirect'; readonly url: string; readonly status: number | undefined }
  | { readonly type: 'pass' }
  | { readonly type: 'error'; readonly error: unknown }

/** What is asked: who sends this request? */
export interface Inquiry {
  readonly req: object
  /** As the application wrote them; strategies change them. */
  readonly options: object
  /** Members that the strategy is to see instead of its own. */
  readonly instead?: Readonly<Record<string, unknown>>
  /** Asked before a callback of the application sees the request, and so its user. An error is the conclusion instead. */
  readonly objection?: () => Awaitable<Error | undefined>
}

/** Asks a strategy about one request; the first conclusion counts. */
export function ask(strategy: LegacyStrategy, inquiry: Inquiry, conclude: (conclusion: Conclusion) => void): void {
  const { req, options, instead } = inquiry
  const authenticate = (self: object): unknown => Reflect.apply(strategy.authenticate, self, [req, options])
  const askItself = (cause?: unknown): unknown => {
    if (instead) throw unseen(strategy, cause)
    withPrivateMembers.add(strategy)
    return questionsTo(strategy).run(question, authenticate, strategy)
  }
  const question = new Question(conclude, askItself)
  const view = viewOf(strategy, question, inquiry)
  if (withPrivateMembers.has(strategy)) question.guard(askItself)
  // An arrow function knows no other `this` than the strategy.
  else if (Object.hasOwn(strategy, 'authenticate'))
    question.guard(() => questionsTo(strategy).run(question, authenticate, view))
  else question.guard(() => authenticate(view))
}

/** One request's: whatever else the strategy says of it later is not heard. */
class Question {
  readonly #conclude: (conclusion: Conclusion) => void
  /** Asks the strategy itself, where its view turned out to lack the private members; once. */
  #askItself: ((cause: unknown) => unknown) | undefined
  #concluded = false
  /** Whether the strategy has returned: from then on no caller catches what is thrown. */
  #returned = false
  #thrown: unknown = this

  constructor(conclude: (conclusion: Conclusion) => void, askItself: (cause: unknown) => unknown) {
    this.#conclude = conclude
    this.#askItself = askItself
  }

  conclude(conclusion: Conclusion): void {
    // A strategy that catches what the application threw brings it back here: the application has not heard of it yet.
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

  error(error: unknown): void {
    this.conclude({ type: 'error', error })
  }

  guard(authenticate: () => unknown): void {
    try {
      const returned = authenticate()
      this.#returned = true
      if (returned instanceof Promise) returned.catch((error: unknown) => this.error(error))
    } catch (error) {
      if (this.#concluded) throw error
      this.error(error)
    }
  }
}

/** The five ways to conclude, each telling the question that `whose` finds when it is called. */
function actions(whose: () => Question): object {
  return {
    success: (user?: unknown, info?: unknown) => whose().conclude({ type: 'success', user, info }),
    fail: (challenge?: unknown, status?: number) =>
      typeof challenge === 'number'
        ? whose().conclude({ type: 'fail', challenge: undefined, status: challenge })
        : whose().conclude({ type: 'fail', challenge, status }),
    redirect: (url: string, status?: number) => whose().conclude({ type: 'redirect', url, status }),
    pass: () => whose().conclude({ type: 'pass' }),
    error: (error: unknown) => whose().error(error),
  }
}

/** The strategy as one request sees it: what is written to it stays with that request. */
function viewOf(strategy: LegacyStrategy, question: Question, inquiry: Inquiry): object {
  const own = strategy as unknown as Readonly<Record<string, unknown>>
  const view = Object.create(strategy) as Record<string, unknown>
  const failed = (error: unknown): void => question.error(error)
  const objection = (args: readonly unknown[]) => (args.includes(inquiry.req) ? inquiry.objection?.() : undefined)
  for (const name of Object.keys(own)) {
    const member = withHeard(name, own[name], { failed, objection })
    if (member !== own[name]) view[name] = member
  }
  return Object.assign(
    view,
    inquiry.instead,
    actions(() => question),
  )
}

/** What the application has handed to the strategy may be asynchronous: `verify`, above all. */
function withHeard(name: string, member: unknown, hearing: Hearing): unknown {
  if (typeof member === 'function') return isClass(member) ? member : heard(member, hearing)
  if (!/^_?options$/.test(name) || !holdsVerify(member)) return member
  return { ...member, verify: heard(member.verify, hearing) }
}

function holdsVerify(member: unknown): member is { verify: object } {
  return typeof member === 'object' && member !== null && 'verify' in member && typeof member.verify === 'function'
}

// ── strategies that cannot be seen through another object ────────────────────────────────────────────────────────────

/** Those that have failed on a view for want of their #private members. */
const withPrivateMembers = new WeakSet<object>()

/**
 * Whether this is what V8 throws, or code that TypeScript, Babel or esbuild made for older engines, when an object lacks a
 * #private member. Only the message says so. It begins with these words, and what a request sends cannot come first.
 */
function missesPrivateMember(error: unknown): boolean {
  return error instanceof TypeError && privateMemberMissing.test(error.message)
}

const privateMemberMissing =
  /^(?:Cannot (?:read|write|access) (?:from |to )?private |attempted to \w+ private |Private element |(?:Receiver|Object) must be an instance of class )/

/** Of functions, only classes have a prototype that cannot be replaced. */
function isClass(member: object): boolean {
  return Object.getOwnPropertyDescriptor(member, 'prototype')?.writable === false
}

const questions = new WeakMap<object, AsyncLocalStorage<Question>>()

/** Such an instance serves all requests at once, and each conclusion finds its request by the asynchronous context. */
function questionsTo(strategy: LegacyStrategy): AsyncLocalStorage<Question> {
  const known = questions.get(strategy)
  if (known !== undefined) return known
  const asked = new AsyncLocalStorage<Question>()
  questions.set(strategy, asked)
  const found = actions(() => asked.getStore() ?? lost(strategy))
  for (const [name, value] of Object.entries(found)) {
    Object.defineProperty(strategy, name, { value, configurable: true, writable: true })
  }
  return asked
}

function unseen({ name = 'without a name' }: LegacyStrategy, cause: unknown): UsageError {
  return new UsageError('ERR_PASSPORT_STRATEGY', `Strategy "${name}" checks no state, and cannot be given one`, {
    hint: 'Its class has #private members, so it must bring its own: add `state: true` to its options.',
    cause,
  })
}

function lost({ name = 'without a name' }: LegacyStrategy): never {
  throw new UsageError('ERR_PASSPORT_STRATEGY', `Strategy "${name}" has concluded, but of which request is not known`, {
    hint: 'Its class has #private members, so it must conclude in what it awaits, not in a callback of a shared connection.',
  })
}
