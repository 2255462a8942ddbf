import { StoreError } from '../error.ts'
import type { SessionId, SessionRecord, Timestamp } from './store.ts'

/** How a login was proved, and when. */
export interface LoginProof {
  /** When the login was proved: OpenID Connect's `auth_time`, but in milliseconds. */
  readonly at: Timestamp
  /** How the login was proved: RFC 8176 values such as `pwd`, `otp`, `hwk`. */
  readonly amr: readonly string[]
  /** Name of the strategy. */
  readonly by?: string
  /** The id of the session at the provider that proved the login. A back-channel logout names it. */
  readonly sid?: string
  /** Fingerprint of the credentials at that time. When the credentials change, the login has ended. */
  readonly stamp?: string
  /** Remember me: the cookie survives a restart of the browser, and the `remember` timeouts apply. */
  readonly remembered?: boolean
}

/** The engine's own notes in a record. They do not change while the record lives, and operators of the store can read them. */
export interface About {
  readonly login?: LoginProof | undefined
  readonly client: ClientSummary
  /** Notes of other parts of Gatepass, each under the name of its part. The engine does not look into them. */
  readonly [part: string]: unknown
}

/** @throws {StoreError} `ERR_STORE_SCHEMA` if the record was not written by Gatepass */
export function readAbout(text: string): About {
  try {
    const about: unknown = JSON.parse(text)
    if (typeof about === 'object' && about !== null && 'client' in about) return about as About
  } catch {
    // V8's message quotes the text, so it is not passed on.
  }
  throw new StoreError('ERR_STORE_SCHEMA', 'The `about` text of a session record cannot be read', {
    hint: 'A program other than Gatepass wrote into the store. Remove the record; its user must log in again.',
  })
}

/** Timeouts in milliseconds. */
export interface Timeouts {
  readonly idle: number
  readonly absolute: number
}

/** When a session times out, with the timeouts of its login. */
export function expiryOf(
  { remembered, standard }: Readonly<Record<'remembered' | 'standard', Timeouts>>,
  { createdAt, seenAt }: Pick<SessionRecord, 'createdAt' | 'seenAt'>,
  login: LoginProof | undefined,
): Timestamp {
  const { idle, absolute } = login?.remembered === true ? remembered : standard
  return Math.min(seenAt + idle, createdAt + absolute)
}

/** How long a marker tells a session that was moved or logged out from one that never existed. Milliseconds. */
const MARKER_LIFETIME = 60_000

/** Why a session is no longer under its id. The marker that replaces its record for a minute holds this. */
export interface Marker {
  readonly ended: 'moved' | 'loggedOut'
  /** The id that the session has moved to. */
  readonly next?: SessionId
  /** The data keys that the move kept. Absent if it kept all of them and the handle. */
  readonly carry?: readonly string[]
  /** From this time on the marker counts as absent, even if the store still has it: a late `touch` may have extended it. */
  readonly until: Timestamp
}

/** The marker that replaces a record. It opens no session and holds no data, but keeps the handle. */
export function markerOf(record: SessionRecord, why: Omit<Marker, 'until'>, now: Timestamp): SessionRecord {
  const until = now + MARKER_LIFETIME
  const about = JSON.stringify({ ...why, until })
  return { ...record, version: record.version + 1, subject: null, data: '{}', about, expiresAt: until }
}

/** Reads a marker; `undefined` if the record is a session. */
export function readMarker({ about }: SessionRecord): Marker | undefined {
  return about.startsWith('{"ended":') ? (JSON.parse(about) as Marker) : undefined
}

/** The `about` text of a note, which is a record that no cookie opens. */
export const NOTE: string = JSON.stringify({ client: { device: 'none' } } satisfies About)

/** Whether a record is a note or a marker, and no session. */
export function isNoSession({ about }: SessionRecord): boolean {
  return about === NOTE || about.startsWith('{"ended":')
}

/** The device and address that a session began on, for the user's device list. */
export interface ClientSummary {
  /** `Firefox on Linux`, `Safari on iPhone`, `curl`, `unknown device`. */
  readonly device: string
  readonly address?: string | undefined
}

/** Guesses browser and system from a User-Agent field. Show the result to people; do not base decisions on it. */
export function deviceOf(userAgent: string | undefined): string {
  const text = (userAgent ?? '').slice(0, 512)
  const program = nameIn(text, PROGRAMS)
  const system = nameIn(text, SYSTEMS)
  if (system === undefined) return program ?? 'unknown device'
  return `${program ?? 'unknown browser'} on ${system}`
}

type Names = readonly (readonly [part: string, name: string])[]

function nameIn(text: string, names: Names): string | undefined {
  for (const [part, name] of names) if (text.includes(part)) return name
  return undefined
}

// The first match counts: almost every browser also claims to be the browsers below it.
const PROGRAMS: Names = [
  ['Edg/', 'Edge'],
  ['EdgA/', 'Edge'],
  ['EdgiOS/', 'Edge'],
  ['OPR/', 'Opera'],
  ['OPT/', 'Opera'],
  ['SamsungBrowser/', 'Samsung Internet'],
  ['Vivaldi/', 'Vivaldi'],
  ['YaBrowser/', 'Yandex Browser'],
  ['DuckDuckGo/', 'DuckDuckGo'],
  ['FxiOS/', 'Firefox'],
  ['Firefox/', 'Firefox'],
  ['CriOS/', 'Chrome'],
  ['HeadlessChrome/', 'headless Chrome'],
  ['Chromium/', 'Chromium'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
  ['curl/', 'curl'],
  ['Wget/', 'Wget'],
  ['HTTPie/', 'HTTPie'],
  ['PostmanRuntime/', 'Postman'],
  ['okhttp/', 'OkHttp'],
  ['python-requests/', 'Python'],
  ['Python-urllib/', 'Python'],
  ['Go-http-client/', 'Go'],
  ['Java/', 'Java'],
  ['undici', 'Node.js'],
  ['node', 'Node.js'],
]

const SYSTEMS: Names = [
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Android', 'Android'],
  ['Windows', 'Windows'],
  ['CrOS', 'ChromeOS'],
  ['Macintosh', 'macOS'],
  ['Linux', 'Linux'],
]
