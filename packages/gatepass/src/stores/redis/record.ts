import { StoreError } from '../../error.ts'
import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'

/** Encodes a record for Redis. The format is described in `script.ts`. */
export function encodeRecord(record: SessionRecord, tag: string, coveredUntil: Timestamp): string {
  const { version, handle, expiresAt, seenAt, createdAt, subject } = record
  return [version, tag, handle, expiresAt, seenAt, createdAt, coveredUntil, bytesOf(subject), encodeRest(record)].join(
    ' ',
  )
}

/** The part of a record that scripts do not read. */
export function encodeRest({ subject, about, data }: SessionRecord): string {
  return `${subject?.length ?? '-'} ${about.length}\n${subject ?? ''}${about}${data}`
}

/** The subject's length in bytes, as scripts count. */
export function bytesOf(subject: string | null): string {
  return subject === null ? '-' : String(Buffer.byteLength(subject))
}

/** @throws {StoreError} `ERR_STORE_SCHEMA` */
export function decodeRecord(id: SessionId, text: string): SessionRecord {
  const start = text.indexOf('\n') + 1
  const [version, , handle = '', expiresAt, seenAt, createdAt, , , chars, about] = text.slice(0, start).split(' ')
  if (about === undefined) throw new StoreError(FOREIGN.code, FOREIGN.message, { hint: FOREIGN.hint })
  const afterSubject = start + (chars === '-' ? 0 : Number(chars))
  const afterAbout = afterSubject + Number(about)
  return {
    id,
    handle,
    version: Number(version),
    subject: chars === '-' ? null : text.slice(start, afterSubject),
    data: text.slice(afterAbout),
    about: text.slice(afterSubject, afterAbout),
    createdAt: Number(createdAt),
    seenAt: Number(seenAt),
    expiresAt: Number(expiresAt),
  }
}

/** The error for a value that this version has not written. */
export const FOREIGN = {
  code: 'ERR_STORE_SCHEMA',
  message: 'A key of the session store holds something else than a session',
  hint: 'Another program, or a later version of Gatepass, writes under the same `prefix`: give each its own.',
} as const
