import type { Markup } from './pages/markup.ts'
import { DATA_POLICY } from './security-headers.ts'

/** What a program gets. */
export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Content-Security-Policy': DATA_POLICY, ...headers },
  })
}

/** What a person gets. */
export async function page(
  status: number,
  markup: Markup,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const text = String(await markup)
  return new Response(text, { status, headers: { 'Content-Type': 'text/html; charset=utf-8', ...headers } })
}

/** Sends the browser on with GET, so that nothing it posted is posted again (RFC 9110 §15.4.4). */
export function seeOther(location: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 303, headers: { Location: location, ...headers } })
}

export function noContent(headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 204, headers })
}
