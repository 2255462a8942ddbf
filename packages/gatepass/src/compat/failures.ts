import { type Awaitable, orElse } from '../awaitable.ts'
import { Promises } from '../http/promises.ts'
import { beforeFinish, type NodeResponse } from '../http/response-gate.ts'

export type Next = (error?: unknown) => void

/** Calls the application back. What its callback throws or rejects with goes to `next`; without `next` it is thrown. */
export function callBack(
  callback: (...args: never[]) => unknown,
  args: readonly unknown[],
  next: Next | undefined,
): void {
  try {
    const returned = (callback as (...args: readonly unknown[]) => unknown)(...args)
    if (next !== undefined && returned instanceof Promise)
      returned.catch((error: unknown) => next(errorOrUnknown(error)))
  } catch (error) {
    if (next === undefined) throw error
    next(errorOrUnknown(error))
  }
}

/** The error itself; a new one if the application rejected without a reason, since `next(undefined)` means success. */
export function errorOrUnknown(error: unknown): unknown {
  return error || new Error('A promise was rejected without a reason')
}

const kPromises: unique symbol = Symbol('gatepass.promises')

/** A request, its response, and what answers with an error. */
export interface Answering {
  readonly req: object & { [kPromises]?: Promises }
  readonly res: NodeResponse
  readonly next: Next
}

/**
 * Gives the application a promise of `work`. The response waits for `work`, and fails with it unless the application handles
 * the error: a forgotten `await` neither answers too early nor ends the process.
 */
export function promised<T>(work: Promise<T>, { req, res, next }: Answering): Promise<T> {
  let promises = req[kPromises]
  if (promises === undefined) {
    const tell = (error: unknown) => next(errorOrUnknown(error))
    const made = new Promises({
      get answered() {
        return res.headersSent
      },
      next: tell,
      report: tell,
    })
    beforeFinish(res, () => saveBefore(res, () => made.settle()), tell)
    promises = made
    req[kPromises] = made
  }
  return promises.change(work)
}

/**
 * Runs `save` before a response leaves. A response of 400 or more does not say that anything was saved: if `save` fails, it
 * leaves all the same, and a warning names the failure.
 */
export function saveBefore(res: NodeResponse, save: () => Awaitable<void>): Awaitable<void> {
  return res.statusCode < 400 ? save() : orElse(save, warnUnsaved)
}

/** Warns of a failure that the response, an error itself, does not name. */
export function warnUnsaved(error: unknown): void {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  process.emitWarning(`A session could not be changed while an error was answered: ${message ?? 'no reason'}`, {
    type: 'GatepassWarning',
    ...(typeof code === 'string' && { code }),
  })
}

/** Warns of each code once: a warning for each request would fill the log. */
export class Warnings {
  readonly #warned = new Set<unknown>()

  once(message: string, { code, detail }: { readonly code: string | undefined; readonly detail?: string }): void {
    if (this.#warned.has(code)) return
    this.#warned.add(code)
    process.emitWarning(message, {
      type: 'GatepassWarning',
      ...(code !== undefined && { code }),
      ...(detail !== undefined && { detail }),
    })
  }
}
