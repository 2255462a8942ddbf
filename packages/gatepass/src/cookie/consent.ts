import { type Cookie, type CookieOptions, type CookiePurpose, declareCookie } from './cookie.ts'

/** A purpose that needs the visitor's consent. */
export type OptionalPurpose = Exclude<CookiePurpose, 'necessary'>

/** The purposes that the visitor agreed to. `necessary` needs no consent. */
export interface Consent {
  readonly purposes: readonly OptionalPurpose[]
}

/** Makes a consent: `consentTo('statistics')`. `consentTo()` refuses everything that is not necessary. */
export function consentTo(...purposes: readonly OptionalPurpose[]): Consent {
  return { purposes: optionalPurposes.filter((purpose) => purposes.includes(purpose)) }
}

export interface ConsentCookieOptions extends Omit<CookieOptions, 'purpose'> {
  /** Default `__Host-consent`. */
  name?: string
  /** Version of your cookie notice. A choice made under another version counts as not made. Default 1. */
  version?: number
}

const optionalPurposes: readonly OptionalPurpose[] = ['preferences', 'statistics', 'marketing']
const halfYear = 180 * 24 * 60 * 60

/**
 * Declares the cookie that remembers the visitor's choice for 180 days. Without the cookie, the visitor has not chosen yet.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name or an attribute cannot be written
 */
export function consentCookie(options: ConsentCookieOptions = {}): Cookie<Consent> {
  const { name = '__Host-consent', version = 1, ...rest } = options
  const description = 'Remembers which cookies you agreed to.'
  return {
    ...declareCookie(name, { maxAge: halfYear, description, ...rest, purpose: 'necessary' }),
    encode: (consent) => [`v${version}`, ...consentTo(...consent.purposes).purposes].join('.'),
    decode: (raw) => readConsent(raw, version),
  }
}

function readConsent(raw: string, version: number): Consent | undefined {
  const [written, ...purposes] = raw.split('.', 1 + optionalPurposes.length)
  return written === `v${version}` ? consentTo(...(purposes as OptionalPurpose[])) : undefined
}
