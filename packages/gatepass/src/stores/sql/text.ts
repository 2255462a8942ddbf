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

export function decodeText(text: string): string {
  if (!text.includes('\x01')) return text
  return text.replace(/\x01([0-9a-f]{4})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
}
