import { finishAfter, type NodeResponse } from '../http/response-gate.ts'

type Next = (error?: unknown) => void

/** Calls the application back. What its callback throws or rejects with goes to `next`; without `next` it is thrown. */
export function callBack(
  callback: (...args: never[]) => unknown,
  args: readonly unknown[],
  next: Next | undefined,
): void {
  try {
    const returned = (callback as (...args: readonly unknown[]) => unknown)(...args)
    if (next !== undefined && returned instanceof Promise) returned.catch((error: unknown) => next(real(error)))
  } catch (error) {
    if (next === undefined) throw error
    next(real(error))
  }
}

/** The error itself; another one where an application rejected without a reason, since `next(undefined)` means success. */
export function real(error: unknown): unknown {
  return error || new Error('A promise was rejected without a reason')
}

/**
 * The promise of `work` for the application. The response waits for it, and fails with it unless the application handles
 * it: a forgotten `await` neither answers before the work is done nor ends the process.
 */
export function promised<T>(work: Promise<T>, answer: { readonly res: NodeResponse; readonly next: Next }): Promise<T> {
  const promise = new Watched<T>((resolve, reject) => work.then(resolve, reject))
  const unhandled = work.then(nothing, async (error: unknown) => {
    // An `await` or `.catch()` in the lines after the call is seen only once these have run.
    await new Promise(setImmediate)
    if (!promise.handled) throw error
  })
  if (!finishAfter(answer.res, unhandled, answer.next)) unhandled.catch(answer.next)
  return promise
}

/** A promise that knows whether the application handles it. */
class Watched<T> extends Promise<T> {
  handled = false

  constructor(executor: ConstructorParameters<typeof Promise<T>>[0]) {
    super(executor)
    // Its rejection is told by the response if by nothing else.
    super.then(undefined, nothing)
  }

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  override then<A = T, B = never>(...reactions: Parameters<Promise<T>['then']>): Promise<A | B> {
    this.handled = true
    return super.then(...reactions) as Promise<A | B>
  }
}

function nothing(): void {}
