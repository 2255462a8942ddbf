import { json } from '../answer.ts'
import { problemOf } from '../problem.ts'
import { problemBody, problemHeaders } from '../refusal.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'

/** `/healthz`: the process answers. `/readyz`: it should get requests, because its database answers and it is not stopping. */
export function healthRoutes(site: Site): Route[] {
  return [
    { method: 'GET', path: '/healthz', answer: () => json(200, { status: 'ok' }) },
    { method: 'GET', path: '/readyz', answer: () => readiness(site) },
  ]
}

async function readiness(site: Site): Promise<Response> {
  if (site.stopping()) return json(503, { status: 'stopping' }, { 'Retry-After': '1' })
  try {
    await site.check()
    return json(200, { status: 'ready' })
  } catch (error) {
    const problem = problemOf(error)
    return json(503, problemBody(problem), problemHeaders(problem))
  }
}
