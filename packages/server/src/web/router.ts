import type { Awaitable } from 'gatepass'
import { Hono } from 'hono'
import { seeOther } from './answer.ts'
import { methodNotAllowed, notFound, type Problem } from './problem.ts'
import type { ServerRequest } from './request.ts'

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

export interface RouterOptions {
  readonly routes: readonly Route[]
  readonly refuse: (request: ServerRequest, problem: Problem) => Awaitable<Response>
}

/** Answers with the route of the request's path, or says why there is none: 404, or 405 with the methods there are. */
export function router({ routes, refuse }: RouterOptions): (request: ServerRequest) => Awaitable<Response> {
  const app = new Hono<{ Bindings: { request: ServerRequest } }>()
  for (const { method, path, answer } of routes) app.on(method, path, (c) => answer(c.env.request, c.req.param()))
  for (const [path, methods] of methodsByPath(routes)) {
    const page = routes.find((route) => route.path === path)?.page
    app.all(path, ({ env: { request } }) =>
      page !== undefined && request.exchange.method === 'GET' && request.wantsPage
        ? seeOther(page + request.url.search)
        : refuse(request, methodNotAllowed(methods)),
    )
  }
  app.notFound((c) => refuse(c.env.request, notFound))
  app.onError((error) => {
    throw error
  })
  return (request) => app.fetch(new Request(request.url, { method: routable(request.exchange.method) }), { request })
}

/** The class Request refuses these; so does every route of ours. The body stays with the exchange. */
function routable(method: string): string {
  return /^(?:TRACE|TRACK|CONNECT)$/i.test(method) ? 'OPTIONS' : method
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
