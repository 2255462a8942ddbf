import type { Stores } from '../accounts/stores.ts'
import { json } from '../web/answer.ts'
import { problemJson, problemOf } from '../web/problem.ts'
import type { Route } from '../web/router.ts'

export interface HealthDeps {
  readonly stores: Pick<Stores, 'check'>
  /** Whether the server is about to end, and new work should go elsewhere. */
  readonly stopping: () => boolean
}

/** `/healthz`: the process answers. `/readyz`: it should get requests, because its database answers and it is not stopping. */
export function healthRoutes({ stores, stopping }: HealthDeps): Route[] {
  return [
    { method: 'GET', path: '/healthz', answer: () => json(200, { status: 'ok' }) },
    { method: 'GET', path: '/readyz', answer: readiness },
  ]

  async function readiness(): Promise<Response> {
    if (stopping()) return json(503, { status: 'stopping' }, { 'Retry-After': '1' })
    try {
      await stores.check()
      return json(200, { status: 'ready' })
    } catch (error) {
      return problemJson({ ...problemOf(error), status: 503 })
    }
  }
}
