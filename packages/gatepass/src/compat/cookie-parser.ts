import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Cookies, type ParseOptions, parse } from './cookie.ts'
import { isSigned, type SigningKey, signingKey, unsignValue } from './signed-value.ts'

declare global {
  namespace Express {
    interface Request {
      /** What `res.cookie(…, { signed: true })` signs with. */
      secret?: string | undefined
    }
  }
}

/** What the middleware leaves on a request. */
interface ParsedRequest extends IncomingMessage {
  secret?: string | undefined
  cookies?: Record<string, unknown>
  signedCookies?: Record<string, unknown>
}

type Secrets = string | readonly string[]

type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** What `cookieParser` is: a function, and functions on it. */
export interface CookieParser {
  (secret?: string | string[], options?: ParseOptions): Middleware
  JSONCookie: typeof JSONCookie
  JSONCookies: typeof JSONCookies
  signedCookie: typeof signedCookie
  signedCookies: typeof signedCookies
}

/**
 * Middleware that reads cookies into `req.cookies`, and those with a good signature into `req.signedCookies`: what
 * cookie-parser 1.4 does, on the same cookies. With several secrets, each is accepted.
 */
export const cookieParser: CookieParser = Object.assign(parser, {
  JSONCookie,
  JSONCookies,
  signedCookie,
  signedCookies,
})

function parser(secret?: string | string[], options?: ParseOptions): Middleware {
  const secrets = listed(secret)
  const keys = secrets.map(signingKey)
  return (req: ParsedRequest, _res, next) => {
    if (!req.cookies) fill(req, secrets[0], keys, options)
    next()
  }
}

function fill(
  req: ParsedRequest,
  secret: string | undefined,
  keys: readonly SigningKey[],
  options: ParseOptions | undefined,
): void {
  const header = req.headers.cookie
  const cookies: Cookies = header ? parse(header, options) : Object.create(null)
  req.secret = secret
  req.signedCookies = keys.length === 0 ? Object.create(null) : JSONCookies(takeSigned(cookies, keys))
  req.cookies = JSONCookies(cookies)
}

/** The value behind `j:`; `undefined` if it is none, or no JSON. */
export function JSONCookie(text: unknown): unknown {
  if (typeof text !== 'string' || !text.startsWith('j:')) return undefined
  try {
    return JSON.parse(text.slice(2))
  } catch {
    return undefined
  }
}

/** Puts the values behind `j:` in the place of their texts. */
export function JSONCookies<T extends object>(cookies: T): T {
  for (const [name, text] of Object.entries(cookies)) {
    const value = JSONCookie(text)
    if (value) Reflect.set(cookies, name, value)
  }
  return cookies
}

/** The value under a good signature, `false` under a bad one, and a text that claims none as it is. */
export function signedCookie(text: unknown, secret: Secrets): string | false | undefined {
  return typeof text === 'string' ? verified(text, listed(secret).map(signingKey)) : undefined
}

/** Takes the signed cookies out of `cookies`: those with a bad signature are `false`. */
export function signedCookies(cookies: object, secret: Secrets): Record<string, string | false> {
  return takeSigned(cookies, listed(secret).map(signingKey))
}

function takeSigned(cookies: object, keys: readonly SigningKey[]): Record<string, string | false> {
  const signed: Record<string, string | false> = Object.create(null)
  for (const [name, text] of Object.entries(cookies)) {
    if (typeof text !== 'string' || !isSigned(text)) continue
    signed[name] = verified(text, keys)
    Reflect.deleteProperty(cookies, name)
  }
  return signed
}

function verified(text: string, keys: readonly SigningKey[]): string | false {
  if (!isSigned(text)) return text
  return unsignValue(text, keys)?.value ?? false
}

function listed(secret: Secrets | undefined): readonly string[] {
  if (!secret) return []
  return typeof secret === 'string' ? [secret] : secret
}

// biome-ignore lint/style/noDefaultExport: as cookie-parser has it
export default cookieParser
export { cookieParser as 'module.exports' }
