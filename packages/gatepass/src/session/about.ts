import { StoreError } from '../error.ts'
import type { ClientSummary } from './client.ts'
import type { SessionId, SessionRecord, Timestamp } from './store.ts'

/** How a login was proved, and when. */
export interface LoginProof {
  /** When it was proved; OpenID Connect's `auth_time`, in milliseconds. */
  readonly at: Timestamp
  /** How: RFC 8176 values such as `pwd`, `otp`, `hwk`. */
  readonly amr: readonly string[]
  /** Name of the strategy. */
  readonly by?: string
  /** The session at the provider that proved it, as a back-channel logout names it. */
  readonly sid?: string
  /** Fingerprint of the credentials at that time; a login under another one has ended. */
  readonly stamp?: string
  /** Remember-me: the cookie outlives the browser's own session, and the `remember` timeouts count. */
  readonly remembered?: boolean
}

/** The engine's own notes in a record: fixed from the record's beginning to its end, and readable to an operator of the store. */
export interface About {
  readonly login?: LoginProof | undefined
  readonly client: ClientSummary
  /** Notes of other parts of Gatepass, each under the name of its part. The engine does not look into them. */
  readonly [part: string]: unknown
}

export function aboutText(about: About): string {
  return JSON.stringify(about)
}

/** @throws {StoreError} `ERR_STORE_SCHEMA` if the record was not written by Gatepass */
export function readAbout(text: string): About {
  const about = parse(text)
  if (about !== undefined) return about
  throw new StoreError('ERR_STORE_SCHEMA', 'The notes of a session record cannot be read', {
    hint: 'Something other than Gatepass wrote into the store; remove the record, and its owner logs in again.',
  })
}

/** Without the cause if it fails: V8's message quotes the text. */
function parse(text: string): About | undefined {
  try {
    const about: unknown = JSON.parse(text)
    return isAbout(about) ? about : undefined
  } catch {
    return undefined
  }
}

function isAbout(value: unknown): value is About {
  if (typeof value !== 'object' || value === null) return false
  return 'client' in value
}

/** For so long a session that was moved or logged out is told from one that never was, in milliseconds. */
const MARKER_LIFETIME = 60_000

/** Why a session is no longer under its id, as the marker says that stands in its place for a minute. */
export interface Ending {
  readonly ended: 'moved' | 'loggedOut'
  /** The id under which the session goes on. */
  readonly next?: SessionId
  /** The data keys that went along; absent where all did, since the session kept its handle. */
  readonly carry?: readonly string[]
  /** From here on the marker counts as absent, whatever the store says: a late `touch` may have prolonged it. */
  readonly until: Timestamp
}

/** The marker that replaces a record. It opens nothing and holds nothing; its handle stays. */
export function markerOf(record: SessionRecord, ending: Omit<Ending, 'until'>, now: Timestamp): SessionRecord {
  const until = now + MARKER_LIFETIME
  const about = JSON.stringify({ ...ending, until })
  return { ...record, version: record.version + 1, subject: null, data: '{}', about, expiresAt: until }
}

/** What a marker says; `undefined` for the record of a session. */
export function endingOf({ about }: SessionRecord): Ending | undefined {
  return about.startsWith('{"ended":') ? (JSON.parse(about) as Ending) : undefined
}
