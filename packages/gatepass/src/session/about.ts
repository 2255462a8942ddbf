import { StoreError } from '../error.ts'
import type { ClientSummary } from './client.ts'
import type { Timestamp } from './store.ts'

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

/** The engine's own notes in a record: fixed from the record's beginning to its end, and readable for whoever looks into the store. */
export interface About {
  readonly login?: LoginProof | undefined
  readonly client: ClientSummary
  /** Of a session that refresh tokens keep alive: which of them is the newest; see `passport/tokens`. Changes with each. */
  readonly refresh?: unknown
  /** Of a session that `gatepass/compat/express-session` began: the attributes of its cookie. */
  readonly cookie?: unknown
}

export function aboutText(about: About): string {
  return JSON.stringify(about)
}

/** @throws {StoreError} `ERR_STORE_SCHEMA` if somebody else wrote the record */
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
