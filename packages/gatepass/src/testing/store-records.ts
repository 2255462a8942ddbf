import { sha256Hex } from '../crypto/random.ts'
import type { SessionId, SessionRecord, Timestamp } from '../session/store.ts'

let made = 0

/** Makes an id that no other call returns. */
export function freshId(): SessionId {
  return sha256Hex(`session ${++made}`) as SessionId
}

/** Makes a subject that no other call returns. */
export function freshSubject(): string {
  return `subject ${++made}`
}

/** Lifetime of a record in these tests, in seconds. */
export const LIFETIME = 60

/** Makes a record of an anonymous session that began `now`. */
export function recordAt(now: Timestamp, differing: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: freshId(),
    handle: `handle-${made}`,
    version: 1,
    subject: null,
    data: '{}',
    about: '{}',
    createdAt: now,
    seenAt: now,
    expiresAt: now + LIFETIME * 1000,
    ...differing,
  }
}
