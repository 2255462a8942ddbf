import { type Awaitable, settled } from '../../awaitable.ts'

/** Calls what answers by a callback, at once or later; the first answer counts, and a promise that is rejected is one. */
export function called<T>(call: (done: (error?: unknown, value?: T) => void) => unknown): Awaitable<T> {
  let answer: { readonly error?: unknown; readonly value?: T | undefined } | undefined
  let told: (() => void) | undefined
  const done = (error?: unknown, value?: T) => {
    answer ??= { error, value }
    told?.()
  }
  const returned = settled(call(done))
  // An answer that has been given outlives what the store's own promise comes to.
  if (returned instanceof Promise) returned.catch((error: unknown) => done(error ?? new Error('The store failed')))
  const result = () => {
    if (answer?.error) throw answer.error
    return answer?.value as T
  }
  if (answer !== undefined) return result()
  return new Promise<void>((resolve) => {
    told = resolve
  }).then(result)
}
