import type { Awaitable } from 'gatepass'
import type { Hono } from 'hono'
import type { Auth } from '../auth.ts'
import { seeOther } from './answer.ts'
import type { Pages } from './pages.ts'
import { methodNotAllowed, notFound } from './problem.ts'
import { requestOf, type ServerEnv, type ServerRequest } from './request.ts'

/** The named segments of a route's path. */
export type Parameters = Readonly<Record<string, string>>

/** One method of one address. GET answers HEAD as well. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** Of a form's address: the page that has the form. A person who opens the address itself, as a reload does, is led there. */
  readonly page?: string
  readonly answer: (request: ServerRequest, parameters: Parameters) => Awaitable<Response>
}

/** Registers the routes, and the refusals where there is none: 404, or 405 with the methods there are. */
export function addRoutes(
  app: Hono<ServerEnv>,
  routes: readonly Route[],
  { auth, pages }: { readonly auth: Auth; readonly pages: Pages },
): void {
  for (const { method, path, answer } of routes)
    app.on(method, path, (c) => answer(requestOf(c, auth), c.req.param() as Parameters))
  for (const [path, methods] of methodsByPath(routes)) {
    const page = routes.find((route) => route.path === path)?.page
    app.all(path, (c) => {
      const request = requestOf(c, auth)
      return page !== undefined && request.exchange.method === 'GET' && request.wantsPage
        ? seeOther(page + request.url.search)
        : pages.refuse(request, methodNotAllowed(methods))
    })
  }
  app.notFound((c) => pages.refuse(requestOf(c, auth), notFound))
}

function methodsByPath(routes: readonly Route[]): Map<string, string[]> {
  const byPath = new Map<string, string[]>()
  for (const { method, path } of routes) {
    const methods = byPath.get(path) ?? []
    methods.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]))
    byPath.set(path, methods)
  }
  return byPath
}
