import type { SessionId, SessionRecord } from '../../session/store.ts'

/** The columns of a record in the order of `toColumns` and `toRecord`. */
export const columns = 'id, handle, version, subject, data, about, created_at, seen_at, expires_at'
/** The columns of the record whose insertion found its id taken. */
export const overwritten: string = columns.replaceAll(/\w+/g, 'excluded.$&')

export function toColumns(record: SessionRecord): (string | number | null)[] {
  const { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt } = record
  const texts = [subject === null ? null : encodeText(subject), encodeText(data), encodeText(about)]
  return [id, handle, version, ...texts, createdAt, seenAt, expiresAt]
}

/** Reads a row. Drivers answer with texts, buffers, numbers and bigints, or with numbers as texts. */
export function toRecord(row: readonly unknown[]): SessionRecord {
  const [id, handle, version, subject, data, about, createdAt, seenAt, expiresAt] = row
  return {
    id: String(id) as SessionId,
    handle: String(handle),
    version: Number(version),
    subject: subject === null ? null : decodeText(String(subject)),
    data: decodeText(String(data)),
    about: decodeText(String(about)),
    createdAt: Number(createdAt),
    seenAt: Number(seenAt),
    expiresAt: Number(expiresAt),
  }
}

/**
 * PostgreSQL text cannot contain U+0000, and UTF-8 has no lone surrogates. JSON text has neither and is stored unchanged. A
 * subject from elsewhere can contain both, and two different subjects must not become the same text.
 */
const unkept = /[\0\x01\p{Cs}]/gu

/** Encodes a text for a database: a character that it cannot store becomes U+0001 and four hex digits. */
export function encodeText(text: string): string {
  if (!text.includes('\0') && !text.includes('\x01') && text.isWellFormed()) return text
  return text.replace(unkept, (char) => `\x01${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function decodeText(text: string): string {
  if (!text.includes('\x01')) return text
  return text.replace(/\x01([0-9a-f]{4})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
}
