import type { ServerResponse } from 'node:http'

/** What a browser may do with our pages: show them, load our stylesheet and mark, send our forms here, and nothing else. */
const PAGE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "object-src 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** JSON is nothing to show: should a browser show it all the same, it is in a sandbox. */
export const DATA_POLICY: string =
  "default-src 'none'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

/** The header fields of every answer, whatever its status; a route may overwrite those that differ for it. */
export function securityHeaders({ https }: { https: boolean }): Readonly<Record<string, string>> {
  return {
    'Content-Security-Policy': PAGE_POLICY,
    'X-Content-Type-Options': 'nosniff',
    // For browsers that know no frame-ancestors.
    'X-Frame-Options': 'DENY',
    // Not no-referrer: a browser would then call the sender of our own forms `Origin: null` (Fetch §3.2.2).
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Cache-Control': 'no-store',
    Vary: 'Cookie, Sec-Fetch-Site, Origin',
    // Over http a browser ignores it, and must (RFC 6797 §8.1).
    ...(https && { 'Strict-Transport-Security': 'max-age=31536000; includeSubDomains' }),
  }
}

export function setHeaders(res: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
}
