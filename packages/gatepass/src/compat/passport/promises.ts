import type { Awaitable } from '../../awaitable.ts'
import { real } from '../failures.ts'

/** How Node's callbacks are called. */
export type Done = (error?: unknown, value?: unknown, ...more: unknown[]) => void

type Call = (...args: unknown[]) => unknown

/**
 * Calls a function that answers by its last argument, or by a promise: whichever comes first counts, once. What it throws
 * is its answer too, unless it has given one: then those who were told have thrown.
 */
export function callEitherWay(call: Call, args: readonly unknown[], done: Done): void {
  let answered = false
  const once: Done = (...answer) => {
    if (answered) return
    answered = true
    done(...answer)
  }
  try {
    follow(call(...args, once), call.length === args.length, once)
  } catch (error) {
    if (answered) throw error
    once(error)
  }
}

/** Who hears of what a function of the application does. */
export interface Hearing {
  readonly failed: (error: unknown) => void
  /** What speaks against a call that has a callback: `failed` hears of it, and the function is not called. */
  readonly objection: (args: readonly unknown[]) => Awaitable<Error | undefined>
}

/** The same function, whose promise is an answer as well: `failed` hears of a rejection, its callback of a value. */
export function heard<Function extends object>(call: Function, { failed, objection }: Hearing): Function {
  return new Proxy(call, {
    apply(target, self, args: unknown[]) {
      const at = args.findLastIndex((arg) => typeof arg === 'function')
      const callback = args[at] as Done | undefined
      let answered = false
      const once: Done = (...answer) => {
        answered = true
        callback?.(...answer)
      }
      const act = (): unknown => {
        const returned: unknown = Reflect.apply(target as Call, self, callback ? args.with(at, once) : args)
        follow(returned, (target as Call).length === at, (error, value) => {
          if (error) failed(error)
          else if (!answered) once(null, value)
        })
        return returned
      }
      const decide = (against: Error | undefined): unknown => (against === undefined ? act() : failed(against))
      const against = callback && objection(args)
      return against instanceof Promise ? against.then((error) => void decide(error)).catch(failed) : decide(against)
    },
  })
}

/**
 * A value answers only where the function names no callback: `return users.findOne(…, done)` promises a user whose password
 * nobody has compared yet. Nor is anything but a promise looked at there: a query would run again.
 */
function follow(returned: unknown, answers: boolean, done: Done): void {
  if (!(returned instanceof Promise || (answers && isThenable(returned)))) return
  Promise.resolve(returned).then(
    (value: unknown) => (answers ? done(null, value ?? false) : undefined),
    // Not at once: the caller may wait for the promise as well, and have an answer of its own.
    (error: unknown) => setImmediate(done, real(error)),
  )
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
