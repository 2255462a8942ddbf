import { originOf } from './origin.ts'

export interface LocationOptions {
  /** The origin to stay on: `https://app.example`. */
  origin: string
  /** Other origins that a redirect may go to. */
  allowed?: readonly string[]
  /** The target to use if the given one is refused. */
  fallback: string
}

/**
 * Returns `target` if it stays on the origin or on an allowed one, otherwise the fallback.
 *
 * The WHATWG URL parser decides, as it does in the browser that follows the redirect. The result is the parser's output: it
 * is ASCII without control characters, so it can be put into a header.
 */
export function safeLocation(target: unknown, options: LocationOptions): string {
  const { origin, allowed = [], fallback } = options
  const url = typeof target === 'string' ? parseTarget(target, origin) : undefined
  if (url === undefined) return fallback
  if (url.origin === originOf(origin)) return pathOn(origin, url) ?? fallback
  return allowed.some((other) => originOf(other) === url.origin) ? url.href : fallback
}

const longestTarget = 2048
const controls = /[\u0000-\u0020\u007f-\u009f\u2028\u2029\\]/

// The parser drops tabs and line breaks and reads a backslash as a slash. No honest target contains them.
function parseTarget(target: string, origin: string): URL | undefined {
  if (target === '' || target.length > longestTarget || controls.test(target)) return undefined
  const url = URL.parse(target, origin)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  return url.username === '' && url.password === '' ? url : undefined
}

// `/.//evil.example` has the path `//evil.example`, which a browser reads as another host. So the path is parsed again.
function pathOn(origin: string, url: URL): string | undefined {
  const path = url.pathname + url.search + url.hash
  if (encodedAuthority.test(path)) return undefined
  return URL.parse(path, origin)?.href === url.href ? path : undefined
}

/** A proxy that decodes before it forwards would turn these into `//`. */
const encodedAuthority = /^\/(?:%2f|%5c)/i
