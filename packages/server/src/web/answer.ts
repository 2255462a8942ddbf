import type { ServerResponse } from 'node:http'
import type { html } from 'hono/html'

/** HTML in which everything from outside has been escaped. */
export type Markup = ReturnType<typeof html>

export type HeaderFields = Readonly<Record<string, string>>

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

/** Sends the browser on with GET, so that it does not post its form again (RFC 9110 §15.4.4). */
export function seeOther(location: string, headers: HeaderFields = {}): Response {
  return new Response(null, { status: 303, headers: { Location: location, ...headers } })
}

export function noContent(): Response {
  return new Response(null, { status: 204 })
}

/** A browser may show our pages, load our stylesheet and mark, and send our forms here. Everything else is forbidden. */
const PAGE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "object-src 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A browser should not show JSON as a page. If it does, the page is in a sandbox. */
const DATA_POLICY =
  "default-src 'none'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

/** The header fields of every answer, with any status. A route may overwrite single ones. */
export function securityHeaders({ https }: { https: boolean }): HeaderFields {
  return {
    'Content-Security-Policy': PAGE_POLICY,
    'X-Content-Type-Options': 'nosniff',
    // For browsers that do not know frame-ancestors.
    'X-Frame-Options': 'DENY',
    // Not no-referrer: a browser would then send our own forms with `Origin: null` (Fetch §3.2.2).
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Cache-Control': 'no-store',
    Vary: 'Cookie, Sec-Fetch-Site, Origin',
    // Browsers must ignore it over http (RFC 6797 §8.1).
    ...(https && { 'Strict-Transport-Security': 'max-age=31536000; includeSubDomains' }),
  }
}

export function setHeaders(res: ServerResponse, headers: HeaderFields): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
}
