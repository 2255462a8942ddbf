import type { CookiesOptions } from '../cookie/cookies.ts'
import { kindOf, type OptionKinds, UsageError } from '../error.ts'
import { configuredOrigins } from './origin.ts'
import { type ProxyOptions, type ProxyTrust, proxyTrust } from './proxy.ts'

/** What the application knows about where it stands. */
export interface HttpOptions extends ProxyOptions {
  /**
   * The application's own origin, or origins, as browsers see it: `https://app.example`. Default: taken from the Host
   * field and the connection, which is what the sender says.
   */
  origin?: string | readonly string[]
  /** Bytes of a form or JSON body; default 16 KiB. */
  bodyLimit?: number
  /** What every visitor agreed to, or the cookie that says what this one did. Default: nobody asks, every cookie is allowed. */
  consent?: CookiesOptions['consent']
}

export const httpOptions: OptionKinds<HttpOptions> = {
  origin: 'any',
  trustProxy: 'any',
  proxyHeaders: 'string',
  bodyLimit: 'any',
  consent: 'any',
}

/** {@link HttpOptions}, checked and ready. */
export interface HttpSettings {
  /** As configured; empty: each request's own. */
  readonly origins: readonly string[]
  readonly trust: ProxyTrust | undefined
  readonly bodyLimit: number
  readonly consent: CookiesOptions['consent']
}

/** @throws {UsageError} `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`, `ERR_HTTP_OPTIONS` naming the option and what to write */
export function httpSettings(options: HttpOptions = {}): HttpSettings {
  const { bodyLimit = 16 * 1024 } = options
  if (!Number.isInteger(bodyLimit) || bodyLimit < 1) {
    throw new UsageError('ERR_HTTP_OPTIONS', '`bodyLimit` is not a number of bytes', {
      hint: 'Write how many bytes a form may have: bodyLimit: 16384.',
    })
  }
  checkConsent(options.consent)
  return {
    origins: configuredOrigins('origin', options.origin),
    trust: proxyTrust(options),
    bodyLimit,
    consent: options.consent,
  }
}

/** The choice of all visitors, or the cookie with that of each: as objects they have `purposes` or `decode`. */
function checkConsent(consent: unknown): void {
  if (consent === undefined || (typeof consent === 'object' && consent !== null)) {
    const { purposes, decode } = (consent ?? { purposes: [] }) as { purposes?: unknown; decode?: unknown }
    if (Array.isArray(purposes) || typeof decode === 'function') return
  }
  throw new UsageError('ERR_HTTP_OPTIONS', `\`consent\` is ${kindOf(consent)}, not a choice or a cookie`, {
    hint: "Write consent: consentCookie(), or consentTo('statistics') for all visitors.",
  })
}
