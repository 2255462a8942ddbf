import type { ServerResponse } from 'node:http'
import type { html } from 'hono/html'
import { DATA_POLICY } from './security-headers.ts'

/** HTML in which everything from outside has been escaped. */
export type Markup = ReturnType<typeof html>

type HeaderFields = Readonly<Record<string, string>>

/** Answers a program. */
export function json(status: number, body: unknown, headers: HeaderFields = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Content-Security-Policy': DATA_POLICY, ...headers },
  })
}

/** Answers a person. */
export async function page(status: number, markup: Markup, headers: HeaderFields = {}): Promise<Response> {
  const text = String(await markup)
  return new Response(text, { status, headers: { 'Content-Type': 'text/html; charset=utf-8', ...headers } })
}

/** Sends the browser on with GET, so that nothing it posted is posted again (RFC 9110 §15.4.4). */
export function seeOther(location: string, headers: HeaderFields = {}): Response {
  return new Response(null, { status: 303, headers: { Location: location, ...headers } })
}

export function noContent(headers: HeaderFields = {}): Response {
  return new Response(null, { status: 204, headers })
}

/** Writes an answer to a Node response, unless one has begun to leave or the connection is closed. */
export async function send(res: ServerResponse, answer: Response): Promise<void> {
  const body = answer.body === null ? undefined : await answer.text()
  if (res.headersSent || res.destroyed) return
  res.statusCode = answer.status
  for (const [name, value] of answer.headers) res.setHeader(name, value)
  if (body !== undefined) res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}
