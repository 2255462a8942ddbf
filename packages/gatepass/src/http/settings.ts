import type { CookiesOptions } from '../cookie/cookies.ts'
import { kindOf, type OptionKinds, UsageError } from '../error.ts'
import { configuredOrigins } from './origin.ts'
import { type ProxyOptions, type ProxyTrust, proxyTrust } from './proxy.ts'

/** How the application is reached, and what it accepts. */
export interface HttpOptions extends ProxyOptions {
  /**
   * The application's own origin or origins, as browsers see them: `https://app.example`. Default: taken from the Host
   * field and the connection, so a sender can choose it.
   */
  origin?: string | readonly string[]
  /** Maximum size of a form or JSON body, in bytes. Default 16 KiB. */
  bodyLimit?: number
  /** The consent of all visitors, or the cookie that holds each visitor's consent. Default: every cookie is allowed. */
  consent?: CookiesOptions['consent']
}

export const httpOptions: OptionKinds<HttpOptions> = {
  origin: 'any',
  trustProxy: 'any',
  proxyHeaders: 'string',
  bodyLimit: 'any',
  consent: 'any',
}

/** The checked {@link HttpOptions}, with all defaults filled in. */
export interface HttpSettings {
  /** The configured origins. Empty if none is configured; then each request names its own. */
  readonly origins: readonly string[]
  /** The origin of every request, if one is configured. */
  readonly origin: string | undefined
  readonly trust: ProxyTrust | undefined
  readonly bodyLimit: number
  readonly consent: CookiesOptions['consent']
}

/** @throws {UsageError} `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`, `ERR_HTTP_OPTIONS`; names the option and what to write */
export function httpSettings(options: HttpOptions = {}): HttpSettings {
  const { bodyLimit = 16 * 1024 } = options
  if (!Number.isInteger(bodyLimit) || bodyLimit < 1) {
    throw new UsageError('ERR_HTTP_OPTIONS', '`bodyLimit` is not a number of bytes', {
      hint: 'Set the maximum size of a form in bytes: bodyLimit: 16384.',
    })
  }
  checkConsent(options.consent)
  const origins = configuredOrigins('origin', options.origin)
  return {
    origins,
    origin: origins.length === 1 ? origins[0] : undefined,
    trust: proxyTrust(options),
    bodyLimit,
    consent: options.consent,
  }
}

/** Accepts a consent for all visitors (an object with `purposes`) or a consent cookie (an object with `decode`). */
function checkConsent(consent: unknown): void {
  if (consent === undefined || (typeof consent === 'object' && consent !== null)) {
    const { purposes, decode } = (consent ?? { purposes: [] }) as { purposes?: unknown; decode?: unknown }
    if (Array.isArray(purposes) || typeof decode === 'function') return
  }
  throw new UsageError('ERR_HTTP_OPTIONS', `\`consent\` is ${kindOf(consent)}, not a choice or a cookie`, {
    hint: "Write consent: consentCookie(), or consentTo('statistics') for all visitors.",
  })
}
