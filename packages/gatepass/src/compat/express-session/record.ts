import { type About, readAbout } from '../../session/about.ts'
import { parseData } from '../../session/changes.ts'
import type { SessionRecord, Timestamp } from '../../session/store.ts'
import { dateAfter } from '../dates.ts'
import { Cookie } from './cookie.ts'
import type { SessionLike } from './store.ts'

/** A session as it was found in a store, or stored there. */
export interface Found {
  /** JSON text, without the cookie. */
  readonly data: string
  /** The cookie as the notes of a record. */
  about(): string
  /** The session as express-session has it: an object that the caller may change. */
  session(): SessionLike
  /** The record in full. A read does not need it. */
  record(): SessionRecord
  /** The text that is stored, if the store can compare it. */
  readonly text?: string | undefined
}

export function foundAs(record: SessionRecord, text?: string): Found {
  const session = () => originalShape(record)
  return { data: record.data, about: () => record.about, session, record: () => record, text }
}

/** A record in express-session's form. */
export function originalShape(record: SessionRecord): SessionLike {
  return { cookie: cookieOf(record), ...parseData(record.data) }
}

/** Milliseconds that a session lasts without a request if its cookie lasts until the browser is closed. */
const DAY = 24 * 60 * 60 * 1000

/** A cookie's attributes as the notes of a record. The end is left out: it is the record's own expiry. */
export function notesOf(cookie: Cookie): string {
  const about: About = { client: { device: 'unknown device' }, cookie: { ...cookie.data, expires: undefined } }
  return JSON.stringify(about)
}

/** Whether a record holds a session of express-session, and not one of Gatepass itself. */
export function hasCookie({ about }: SessionRecord): boolean {
  return about.includes('"cookie":')
}

/** The cookie in a record's notes; a default cookie if there is none. */
export function cookieOf({ about, expiresAt }: SessionRecord): Cookie {
  const cookie = new Cookie(readAbout(about).cookie as object | undefined)
  const { originalMaxAge } = cookie
  // The setter of `expires` makes the age what is left of it, so the age is set after it.
  if (typeof originalMaxAge === 'number') Object.assign(cookie, { expires: new Date(expiresAt), originalMaxAge })
  return cookie
}

export function expiryOf(cookie: Cookie, now: Timestamp): Timestamp {
  return cookie.expires instanceof Date ? cookie.expires.getTime() : idleUntil(cookie, now)
}

/** When a session with this cookie ends if no request comes after `now`. Applications also write `cookie.expires = false`. */
export function idleUntil({ originalMaxAge }: Cookie, now: Timestamp): Timestamp {
  return dateAfter(typeof originalMaxAge === 'number' ? originalMaxAge : DAY, now).getTime()
}
