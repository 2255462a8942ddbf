import { aboutText, readAbout } from '../../session/about.ts'
import type { SessionRecord, Timestamp } from '../../session/store.ts'
import { dateAfter } from '../cookie.ts'
import { Cookie } from './cookie.ts'

/** Milliseconds that a session lasts without a request when its cookie lasts until the browser is closed. */
const DAY = 24 * 60 * 60 * 1000

type Noted = Pick<SessionRecord, 'about' | 'expiresAt'>

/** A cookie's attributes as the notes of a record. When it ends is not among them, but the record's own expiry. */
export function notesOf(cookie: Cookie): string {
  return aboutText({ client: { device: 'unknown device' }, cookie: { ...cookie.data, expires: undefined } })
}

/** Whether a session of express-session is in this record, and not one of Gatepass itself. */
export function hasCookie({ about }: Pick<SessionRecord, 'about'>): boolean {
  return about.includes('"cookie":')
}

/** The cookie that a record's notes describe; the default one if they describe none. */
export function cookieOf({ about, expiresAt }: Noted): Cookie {
  const cookie = new Cookie(readAbout(about).cookie as object | undefined)
  const { originalMaxAge } = cookie
  // Setting an expiry sets the age, too, to what is left of it.
  if (hasAge(originalMaxAge)) Object.assign(cookie, { expires: new Date(expiresAt), originalMaxAge })
  return cookie
}

/** When a session with this cookie ends if no request comes after `now`. */
export function idleUntil({ originalMaxAge }: Cookie, now: Timestamp): Timestamp {
  return dateAfter(hasAge(originalMaxAge) ? originalMaxAge : DAY, now).getTime()
}

/** Applications write `cookie.expires = false` for a cookie that lasts until the browser is closed. */
function hasAge(age: unknown): age is number {
  return typeof age === 'number'
}
