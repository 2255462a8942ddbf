import { readCookie } from '../../cookie/cookies.ts'
import { percentDecode, unquoted } from '../../cookie/encoding.ts'
import { Recent } from '../../crypto/recent.ts'
import { isSigned, type SigningKey, signValue, unsignValue } from '../signed-value.ts'

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

/** How many signatures are remembered in each of two generations. */
const generation = 4096

/** The session ids of one cookie: written under the first of the keys, read under any. */
export class SignedIds {
  readonly #name: string
  readonly #keys: readonly [SigningKey, ...SigningKey[]]
  /** What the same browser sends with every request is verified once. */
  readonly #verified = new Recent<ReceivedId>(generation)

  constructor(name: string, keys: readonly [SigningKey, ...SigningKey[]]) {
    this.#name = name
    this.#keys = keys
  }

  /** The session id in a request's cookie, if one of the secrets signed it; else what cookie-parser has found of it. */
  from(req: CookieRequest): ReceivedId | undefined {
    const sent = readCookie(req.headers?.cookie, this.#name)
    const found = sent === undefined ? undefined : this.#read(sent)
    if (found !== undefined) return found
    const verified = req.signedCookies?.[this.#name]
    if (typeof verified === 'string' && verified !== '') return { value: verified, outdated: false }
    return this.#unsigned(req.cookies?.[this.#name])
  }

  sign(id: string): string {
    return signValue(id, this.#keys[0])
  }

  #read(sent: string): ReceivedId | undefined {
    const known = this.#verified.get(sent)
    if (known !== undefined) return known
    // Copied: a part of a header keeps the whole of it in memory.
    const own = Buffer.from(sent, 'latin1').toString('latin1')
    const found = this.#unsigned(percentDecode(unquoted(own)))
    if (found !== undefined) this.#verified.keep(own, found)
    return found
  }

  #unsigned(text: unknown): ReceivedId | undefined {
    const found = typeof text === 'string' && isSigned(text) ? unsignValue(text, this.#keys) : undefined
    return found?.value === '' ? undefined : found
  }
}
