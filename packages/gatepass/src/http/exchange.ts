import type { Cookies } from '../cookie/cookies.ts'

/** A response decided by Gatepass rather than by the application. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
}

/** One HTTP request, and the cookies to set on its response. All that the core ever sees of HTTP. */
export interface Exchange {
  readonly method: string
  /** Request target in origin-form (RFC 9112 §3.2.1): `/login?next=%2Fcart`. */
  readonly target: string
  /** Whether the browser's own connection is encrypted, after the trusted-proxy rule. */
  readonly secure: boolean
  /** Scheme and authority as the browser sees them, after the trusted-proxy rule: `https://app.example`. */
  readonly origin: string
  /** Whether `origin` is one that the application was told; otherwise the request says it, and so does whoever forges its Host. */
  readonly originConfigured: boolean
  /** The browser's address, after the trusted-proxy rule; `undefined` once the socket is gone. */
  readonly remoteAddress: string | undefined
  /** @param name lower-case field name */
  header(name: string): string | undefined
  /**
   * Form or JSON fields; an empty object when the request has none.
   *
   * @throws {ProtocolError} `ERR_BODY_TOO_LARGE` (413), `ERR_BODY_TYPE` (415), `ERR_BODY_MALFORMED` (400)
   */
  fields(): Promise<Readonly<Record<string, unknown>>>
  /**
   * Makes of work that changes something the promise that an application gets: where it forgets an `await`, the response
   * waits, and tells the failure. Default: the work itself.
   */
  promised?<T>(work: Promise<T>): Promise<T>
  readonly cookies: Cookies
  /** What each manager remembers about this exchange, keyed by the manager. */
  readonly memory: Map<object, unknown>
}
