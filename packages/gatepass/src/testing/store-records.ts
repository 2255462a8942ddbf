import { sha256Hex } from '../crypto/random.ts'
import type { SessionId, SessionRecord, Timestamp } from '../session/store.ts'

let made = 0

/** An id that no other call has given. */
export function freshId(): SessionId {
  return sha256Hex(`session ${++made}`) as SessionId
}

/** A subject that no other call has given. */
export function freshSubject(): string {
  return `subject ${++made}`
}

/** Seconds that a record of these tests lives. */
export const LIFETIME = 60

/** A new anonymous session that began `now`. */
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
