import { orElse } from '../awaitable.ts'
import { Promises } from '../http/promises.ts'
import { beforeFinish, type NodeResponse } from '../http/response-gate.ts'

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

const kPromises: unique symbol = Symbol('gatepass.promises')

/** A request, its response, and what makes an error of it. */
interface Answering {
  readonly req: object & { [kPromises]?: Promises }
  readonly res: NodeResponse
  readonly next: Next
}

/**
 * The promise of `work` for the application. The response waits for it, and fails with it unless the application handles
 * it: a forgotten `await` neither answers before the work is done nor ends the process.
 */
export function promised<T>(work: Promise<T>, { req, res, next }: Answering): Promise<T> {
  req[kPromises] ??= promisesOf(res, (error) => next(real(error)))
  return req[kPromises].change(work)
}

function promisesOf(res: NodeResponse, next: Next): Promises {
  const promises = new Promises({
    get answered() {
      return res.headersSent
    },
    next,
    report: next,
  })
  const settle = () => promises.settle()
  beforeFinish(res, () => (res.statusCode < 400 ? settle() : orElse(settle, warnUnsaved)), next)
  return promises
}

/** Tells of a failure that the answer, an error itself, does not tell. */
export function warnUnsaved(error: unknown): void {
  const { code, message } = error as { code?: unknown; message?: unknown }
  process.emitWarning(`A session could not be changed while an error was answered: ${message ?? 'no reason'}`, {
    type: 'GatepassWarning',
    ...(typeof code === 'string' && { code }),
  })
}
