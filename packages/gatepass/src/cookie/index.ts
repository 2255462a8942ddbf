export type { Keys } from '../crypto/keyring.ts'
export { type Consent, type ConsentCookieOptions, consentCookie, consentTo, type OptionalPurpose } from './consent.ts'
export {
  type Cookie,
  type CookieOptions,
  type CookiePurpose,
  type JsonCookieOptions,
  jsonCookie,
  type PlainCookieOptions,
  plainCookie,
  type SchemaResult,
  type SealedCookieOptions,
  type SignedCookieOptions,
  type StandardSchema,
  sealedCookie,
  signedCookie,
} from './cookie.ts'
export { type AnyCookie, Cookies, type CookiesOptions, countCookie, parseCookie, readCookie } from './cookies.ts'
export type { CookieExpiry } from './expiry.ts'
export {
  type CookieNotice,
  type CookieNoticeEntry,
  type CookieNoticeOptions,
  type CookieNoticeWords,
  cookieNotice,
} from './notice.ts'
export { parseSetCookie, type SetCookie } from './parse-set-cookie.ts'
export { type CookieAttributes, serializeCookie, serializeSetCookie } from './serialize.ts'
