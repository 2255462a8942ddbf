import { json, page } from './answer.ts'
import { frameOf, plainFrame } from './frame.ts'
import { errorPage } from './pages/error.ts'
import type { Frame } from './pages/layout.ts'
import type { Problem } from './problem.ts'
import type { Site } from './site.ts'
import type { Visit } from './visit.ts'

/** Says no: to a program as JSON, to a person on a page. */
export async function refuse(site: Site, visit: Visit, problem: Problem): Promise<Response> {
  if (!visit.wantsPage) return json(problem.status, problemBody(problem), problemHeaders(problem))
  const frame = problem.status < 500 ? await frameIfPossible(site, visit) : plainFrame(site)
  return page(
    problem.status,
    errorPage(frame, { problem, requestId: visit.requestId, path: visit.path }),
    problemHeaders(problem),
  )
}

export function problemBody({ code, message, hint, fields }: Problem): object {
  return { error: { code, message, ...(hint !== undefined && { hint }), ...(fields !== undefined && { fields }) } }
}

export function problemHeaders({ retryAfter, headers }: Problem): Record<string, string> {
  return { ...headers, ...(retryAfter !== undefined && { 'Retry-After': String(Math.max(1, Math.ceil(retryAfter))) }) }
}

/** A refusal must arrive even if who is asking cannot be found out. */
async function frameIfPossible(site: Site, visit: Visit): Promise<Frame> {
  try {
    return await frameOf(site, visit)
  } catch {
    return plainFrame(site)
  }
}
