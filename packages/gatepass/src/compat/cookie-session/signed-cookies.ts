import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { isDate } from 'node:util/types'
import { readCookie } from '../../cookie/cookies.ts'
import { equal } from '../../crypto/equal.ts'
import { hmacSha1Text } from '../../crypto/hmac-sha1.ts'
import { UsageError } from '../../error.ts'
import { headIsOpen, setHeaderInFinish } from '../../http/response-gate.ts'
import { dateAfter, nearestDate, type SetCookie, stringifySetCookie } from '../cookie.ts'

/** What signs and verifies, where the application brings its own. */
export interface Keygrip {
  sign(text: string): string
  /** Which key made the signature, -1 for none. */
  index(text: string, signature: string): number
}

export interface CookieSessionOptions {
  /** Default `session`. */
  name?: string | undefined
  /** The first signs, all are accepted. */
  keys?: readonly string[] | Keygrip | undefined
  /** The only key, where there are no `keys`. */
  secret?: string | undefined
  /** Milliseconds. Default until the browser is closed. */
  maxAge?: number | undefined
  expires?: Date | undefined
  /** Default `/`. */
  path?: string | undefined
  domain?: string | undefined
  partitioned?: boolean | undefined
  priority?: 'low' | 'medium' | 'high' | undefined
  sameSite?: 'strict' | 'lax' | 'none' | boolean | undefined
  /** Over https only. Default: if this request came so. */
  secure?: boolean | undefined
  /** Sets `Secure` where a proxy speaks https for us. */
  secureProxy?: boolean | undefined
  /** Default true. */
  httpOnly?: boolean | undefined
  /** Default true. */
  signed?: boolean | undefined
  /** Whether it replaces a cookie of the same name that was set before. Default true. */
  overwrite?: boolean | undefined
}

/** A cookie and beside it `<name>.sig`, its HMAC-SHA-1: the format of `cookies` and `keygrip`. */
export class SignedCookies {
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #keys: Keygrip | undefined

  constructor(req: IncomingMessage, res: ServerResponse, keys: Keygrip | undefined) {
    this.#req = req
    this.#res = res
    this.#keys = keys
  }

  /** `undefined` also where the signature is not ours; then the browser is told to forget it, and to renew an old one. */
  read(name: string, { signed }: CookieSessionOptions): string | undefined {
    const value = this.#raw(name)
    if (value === undefined || signed === false || this.#keys === undefined) return value
    const signature = this.#raw(`${name}.sig`)
    if (!signature) return undefined
    const text = `${name}=${value}`
    const index = this.#keys.index(text, signature)
    // A session that is first looked at when the head has left is only read: its signature comes from the browser, and must
    // not make setHeader() throw.
    if (!headIsOpen(this.#res)) return index < 0 ? undefined : value
    if (index < 0) this.#set({ name: `${name}.sig`, value: undefined, ...forgotten }, false)
    if (index > 0) this.#set({ name: `${name}.sig`, value: this.#keys.sign(text), path: '/', httpOnly: true }, false)
    return index < 0 ? undefined : value
  }

  /** @throws {UsageError} for attributes that cannot be written, and for a Secure cookie on a connection without TLS */
  write(name: string, value: string, options: CookieSessionOptions): void {
    const overwrite = options.overwrite === true
    const secure = this.#secure(options)
    const attributes = { ...attributesOf(options), secure, ...(value === '' && { expires: new Date(0) }) }
    this.#set({ name, value, ...attributes }, overwrite)
    if (options.signed === false || this.#keys === undefined) return
    this.#set({ name: `${name}.sig`, value: this.#keys.sign(`${name}=${value}`), ...attributes }, overwrite)
  }

  #raw(name: string): string | undefined {
    const value = readCookie(this.#req.headers.cookie, name)
    return value?.startsWith('"') ? value.slice(1, -1) : value
  }

  #secure({ secure, secureProxy }: CookieSessionOptions): boolean {
    const { protocol, socket } = this.#req as IncomingMessage & { protocol?: string }
    const encrypted = protocol === 'https' || (socket as TLSSocket).encrypted === true
    if (!encrypted && secure === true) throw unencrypted()
    return secureProxy ?? secure ?? encrypted
  }

  #set(cookie: SetCookie, overwrite: boolean): void {
    const before = [this.#res.getHeader('set-cookie') ?? []].flat().map(String)
    const kept = overwrite ? before.filter((field) => !field.startsWith(`${cookie.name}=`)) : before
    setHeaderInFinish(this.#res, 'Set-Cookie', [...kept, stringifySetCookie(cookie, asItIs)])
  }
}

/** The keys as something that signs; `undefined`: there are none. */
export function keygrip({ keys, secret }: CookieSessionOptions): Keygrip | undefined {
  if (keys && 'sign' in keys) return keys
  const secrets = keys ?? (secret ? [secret] : undefined)
  const [first] = secrets ?? []
  if (secrets === undefined || first === undefined) return undefined
  return {
    sign: (text) => hmacSha1Text(first, text),
    index: (text, signature) => secrets.findIndex((key) => equal(hmacSha1Text(key, text), signature)),
  }
}

const asItIs = { encode: (text: string): string => text }
const forgotten = { path: '/', httpOnly: true, expires: new Date(0) }

/** @throws {UsageError} for attributes that no response can carry */
export function checkWritable(name: string, options: CookieSessionOptions): void {
  stringifySetCookie({ name, value: '', ...attributesOf(options) }, asItIs)
}

function attributesOf(options: CookieSessionOptions): Omit<SetCookie, 'name' | 'value' | 'secure'> {
  const { maxAge, expires, path = '/', domain, httpOnly, sameSite, priority, partitioned } = options
  const end = endOf(maxAge, expires)
  return {
    path,
    ...(end && { expires: end }),
    ...(domain !== undefined && { domain }),
    ...(sameSite !== undefined && { sameSite }),
    ...(priority !== undefined && { priority }),
    ...(partitioned !== undefined && { partitioned }),
    httpOnly: httpOnly === true,
  }
}

function endOf(maxAge: number | undefined, expires: Date | undefined): Date | undefined {
  if (Number.isNaN(maxAge) || (maxAge && typeof maxAge !== 'number')) throw notAge()
  if (maxAge) return dateAfter(maxAge)
  return isDate(expires) ? nearestDate(expires) : expires
}

function notAge(): UsageError {
  return new UsageError('ERR_COOKIE_MAX_AGE', 'option maxAge is invalid', {
    hint: 'Give milliseconds as a number, or leave it out for a session that ends when the browser is closed.',
  })
}

function unencrypted(): UsageError {
  return new UsageError('ERR_COOKIE_SECURE_REQUIRED', 'Cannot send secure cookie over unencrypted connection', {
    hint: 'Serve it over https; behind a proxy that does, let the framework trust it, so that `req.protocol` says https.',
  })
}
