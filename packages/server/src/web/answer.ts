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
