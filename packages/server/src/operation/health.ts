import type { Services } from '../services.ts'
import { json } from '../web/answer.ts'
import type { Route } from '../web/handler.ts'
import { problemJson, problemOf } from '../web/problem.ts'

/** `/healthz`: the process answers. `/readyz`: it can take requests, since its database answers and it is not stopping. */
export function healthRoutes({ stores, stopping }: Pick<Services, 'stores' | 'stopping'>): Route[] {
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
