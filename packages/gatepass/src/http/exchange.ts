import type { Cookies } from '../cookie/cookies.ts'

/** A response that Gatepass decides, not the application. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
}

/** One HTTP request and the cookies of its response. This is all that the core knows of HTTP. */
export interface Exchange {
  readonly method: string
  /** Request target in origin-form (RFC 9112 §3.2.1): `/login?next=%2Fcart`. */
  readonly target: string
  /** Whether the browser's own connection is encrypted, as trusted proxies report it. */
  readonly secure: boolean
  /** Scheme and authority as the browser sees them, as trusted proxies report them: `https://app.example`. */
  readonly origin: string
  /** Whether `origin` is configured. Otherwise it comes from the request, and a forged Host can change it. */
  readonly originConfigured: boolean
  /** The browser's address, as trusted proxies report it; `undefined` once the socket is closed. */
  readonly remoteAddress: string | undefined
  /** @param name lower-case field name */
  header(name: string): string | undefined
  /**
   * Reads the form or JSON fields of the body; an empty object if the request has none.
   *
   * @throws {ProtocolError} `ERR_BODY_TOO_LARGE` (413), `ERR_BODY_TYPE` (415), `ERR_BODY_MALFORMED` (400)
   */
  fields(): Promise<Readonly<Record<string, unknown>>>
  /**
   * Wraps work that changes something into the promise that the application gets. If the application forgets an `await`, the
   * response waits for the work and fails if it fails. Default: the work itself.
   */
  promised?<T>(work: Promise<T>): Promise<T>
  readonly cookies: Cookies
  /** What each manager remembers about this exchange, by manager. */
  readonly memory: Map<object, unknown>
}

/** The source of an expression for a token (RFC 9110 §5.6.2). */
export const token: string = /[!#$%&'*+\-.^_`|~\w]+/.source

/** The source of an expression for `name=value`. Its groups are the name, a token, and what a quoted string has inside (§5.6.4). */
export const parameter: string = `(${token})=(?:(${token})|${/"((?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"/.source})`

/** The path of the request target. */
export function pathOf({ target }: Pick<Exchange, 'target'>): string {
  return target.split('?', 1)[0] ?? ''
}

/** The query of the request target, without its question mark. */
export function queryOf({ target }: Pick<Exchange, 'target'>): string {
  const start = target.indexOf('?')
  return start === -1 ? '' : target.slice(start + 1)
}

/** A request target that names scheme and authority (RFC 9112 §3.2.2). The authority is its group. */
export const absoluteTarget: RegExp = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i

/** A request target in origin-form, also of a target that names scheme and host (RFC 9112 §3.2). */
export function originForm(target: string): string {
  const scheme = absoluteTarget.exec(target)?.[0]
  if (scheme === undefined) return target
  const rest = target.slice(scheme.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
