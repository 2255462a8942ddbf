import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Cookies, type ParseOptions, parse } from './cookie.ts'
import { isSigned, type SigningKey, signingKey, unsignValue } from './signed-value.ts'

declare global {
  namespace Express {
    interface Request {
      /** The secret with which `res.cookie(…, { signed: true })` signs. */
      secret?: string | undefined
    }
  }
}

/** A request behind the middleware. */
interface ParsedRequest extends IncomingMessage {
  secret?: string | undefined
  cookies?: Record<string, unknown>
  signedCookies?: Record<string, unknown>
}

type Secrets = string | readonly string[]

type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** A function that makes the middleware, with the other functions as its properties. */
export interface CookieParser {
  (secret?: string | string[], options?: ParseOptions): Middleware
  JSONCookie: typeof JSONCookie
  JSONCookies: typeof JSONCookies
  signedCookie: typeof signedCookie
  signedCookies: typeof signedCookies
}

/**
 * Middleware that reads cookies into `req.cookies`, and those with a good signature into `req.signedCookies`: what
 * cookie-parser 1.4 does, on the same cookies. With several secrets, each of them verifies.
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
    if (req.cookies) return next()
    const header = req.headers.cookie
    const cookies: Cookies = header ? parse(header, options) : Object.create(null)
    req.secret = secrets[0]
    req.signedCookies = keys.length === 0 ? Object.create(null) : JSONCookies(takeSigned(cookies, keys))
    req.cookies = JSONCookies(cookies)
    return next()
  }
}

/** The value of a text that is `j:` and JSON; `undefined` for any other value. */
export function JSONCookie(text: unknown): unknown {
  if (typeof text !== 'string' || !text.startsWith('j:')) return undefined
  try {
    return JSON.parse(text.slice(2))
  } catch {
    return undefined
  }
}

/** Replaces texts that are `j:` and JSON by their values. */
export function JSONCookies<T extends object>(cookies: T): T {
  for (const [name, text] of Object.entries(cookies)) {
    const value = JSONCookie(text)
    if (value) Reflect.set(cookies, name, value)
  }
  return cookies
}

/** The value of a text with a good signature, `false` for a bad one. A text without a signature is returned as it is. */
export function signedCookie(text: unknown, secret: Secrets): string | false | undefined {
  return typeof text === 'string' ? verified(text, listed(secret).map(signingKey)) : undefined
}

/** Moves the signed cookies out of `cookies`. Those with a bad signature become `false`. */
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
