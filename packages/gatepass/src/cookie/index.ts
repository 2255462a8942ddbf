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
  type SealedCookieOptions,
  type SignedCookieOptions,
  sealedCookie,
  signedCookie,
} from './cookie.ts'
export { type AnyCookie, Cookies, type CookiesOptions } from './cookies.ts'
export type { CookieExpiry } from './expiry.ts'
export type { CookieAttributes } from './grammar.ts'
export {
  type CookieNotice,
  type CookieNoticeEntry,
  type CookieNoticeOptions,
  type CookieNoticeWords,
  cookieNotice,
} from './notice.ts'
export { countCookie, parseCookie, readCookie } from './parse.ts'
export { parseSetCookie, type SetCookie } from './parse-set-cookie.ts'
export { serializeCookie, serializeSetCookie } from './serialize.ts'
export type { SchemaResult, StandardSchema } from './standard-schema.ts'
