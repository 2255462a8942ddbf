import { type Awaitable, settled } from '../awaitable.ts'
import { withUnheard } from '../http/promises.ts'
import { errorOrUnknown } from './failures.ts'

// Functions of applications and of other packages answer by a callback or by a promise. There are three kinds: the methods of a
// store, what Passport calls (serialisers, for example), and what a strategy calls (`verify`).

/** How Node's callbacks are called. */
export type Done = (error?: unknown, value?: unknown, ...more: unknown[]) => void

/**
 * The answer of a method of a store: what it gives to its callback, at once or later, or what its promise rejects with. A promise
 * that is fulfilled is not an answer: the callback may still get an error. The first answer counts.
 */
export function answerOf<T>(call: (done: (error?: unknown, value?: T) => void) => unknown): Awaitable<T> {
  let answer: { readonly error?: unknown; readonly value?: T | undefined } | undefined
  let answered: (() => void) | undefined
  const done = (error?: unknown, value?: T) => {
    answer ??= { error, value }
    answered?.()
  }
  const returned = settled(call(done))
  if (returned instanceof Promise) returned.catch((error: unknown) => done(error ?? new Error('The store failed')))
  if (answer === undefined) {
    return new Promise((resolve, reject) => {
      answered = () => (answer?.error ? reject(answer.error) : resolve(answer?.value as T))
    })
  }
  if (answer.error) throw answer.error
  return answer.value as T
}

/**
 * Calls a function that answers by its last argument, or by a promise. The first answer counts. An exception is an answer,
 * too; after an answer it comes from the code that received the answer, and is thrown on.
 */
export function callEitherWay(call: (...args: never[]) => unknown, args: readonly unknown[], done: Done): void {
  let answered = false
  const once: Done = (...answer) => {
    if (answered) return
    answered = true
    done(...answer)
  }
  try {
    const answers = call.length === args.length
    const returned = (call as (...args: unknown[]) => unknown)(...args, once)
    if (!mayAnswer(returned, answers)) return
    const answer = (value: unknown) => answers && once(null, value ?? false)
    Promise.resolve(returned).then(answer, (error: unknown) => once(errorOrUnknown(error)))
  } catch (error) {
    if (answered) throw error
    once(error)
  }
}

/** What {@link answeringByPromise} calls. */
export interface ByPromise {
  /** Receives what the function rejects with, if no code of the strategy listens to its promise. */
  readonly failed: (error: unknown) => void
  /** Called before a call that has a callback. If it gives an error, `failed` receives it and the function is not called. */
  readonly objection: (args: readonly unknown[]) => Awaitable<Error | undefined>
}

/** The same function, with a promise as a second way to answer: its value goes to the callback, its rejection to `failed`. */
export function answeringByPromise<Function extends object>(
  call: Function,
  { failed, objection }: ByPromise,
): Function {
  return new Proxy(call, {
    apply(target, self, args: unknown[]) {
      const at = args.findLastIndex((arg) => typeof arg === 'function')
      const callback = args[at] as Done | undefined
      let answered = false
      const once: Done = (...answer) => {
        answered = true
        callback?.(...answer)
      }
      const act = (against: Error | undefined): unknown => {
        if (against !== undefined) return failed(against)
        const returned: unknown = Reflect.apply(target as never, self, callback ? args.with(at, once) : args)
        const answers = (target as { length?: number }).length === at
        if (!mayAnswer(returned, answers)) return returned
        const promise = Promise.resolve(returned)
        const answer = (value: unknown) => answered || once(null, value ?? false)
        if (answers) promise.then(answer, () => undefined)
        // A strategy that waits for the promise has an answer of its own to a rejection.
        return withUnheard(promise, (error) => failed(errorOrUnknown(error)))
      }
      const against = callback && objection(args)
      return against instanceof Promise ? against.then((error) => void act(error)).catch(failed) : act(against)
    },
  })
}

/**
 * Whether a function has returned a promise to wait for. Its value is an answer only if the function names no callback
 * (`answers`): `return users.findOne(…, done)` promises a user whose password has not been compared yet. Such a function may also
 * return a thenable which is not a promise, a query for example; it is left alone, because it would run again.
 */
function mayAnswer(returned: unknown, answers: boolean): returned is PromiseLike<unknown> {
  if (returned instanceof Promise) return true
  return (
    answers &&
    typeof returned === 'object' &&
    returned !== null &&
    'then' in returned &&
    typeof returned.then === 'function'
  )
}
