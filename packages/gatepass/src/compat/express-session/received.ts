import { percentDecode } from '../../cookie/encoding.ts'
import { readCookie } from '../../cookie/parse.ts'
import { isSigned, type SigningKey, unsignValue } from '../signed-value.ts'

/** A session id that the browser sent; `outdated`: not signed with the first secret. */
export interface ReceivedId {
  readonly value: string
  readonly outdated: boolean
}

interface CookieRequest {
  readonly headers?: { readonly cookie?: string | undefined }
  /** By cookie-parser. */
  readonly signedCookies?: Readonly<Record<string, unknown>>
  readonly cookies?: Readonly<Record<string, unknown>>
}

/** The session id in a request's cookie, if one of the secrets signed it; else what cookie-parser has found of it. */
export function receivedId(req: CookieRequest, name: string, keys: readonly SigningKey[]): ReceivedId | undefined {
  const sent = readCookie(req.headers?.cookie, name)
  const found = sent === undefined ? undefined : unsigned(percentDecode(unquoted(sent)), keys)
  if (found !== undefined) return found
  const verified = req.signedCookies?.[name]
  if (typeof verified === 'string' && verified !== '') return { value: verified, outdated: false }
  return unsigned(req.cookies?.[name], keys)
}

function unsigned(text: unknown, keys: readonly SigningKey[]): ReceivedId | undefined {
  const found = typeof text === 'string' && isSigned(text) ? unsignValue(text, keys) : undefined
  return found?.value === '' ? undefined : found
}

function unquoted(value: string): string {
  return value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}
