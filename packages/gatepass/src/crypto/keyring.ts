import { UsageError } from '../error.ts'
import { equal } from './equal.ts'
import { type HmacKey, hkdf, hmacKey, hmacText } from './hmac.ts'

/** Secrets of at least 32 random characters. The first key writes, all keys read. To rotate, add a new key at the front. */
export type Keys = readonly [current: string, ...retired: string[]]

const shortestKey = 32
const longestKey = 1024
const noSalt = new Uint8Array(0)

/** Signs text with the first of several keys and verifies it with any of them (HMAC-SHA-256, RFC 2104). */
export class Keyring {
  readonly #current: HmacKey
  readonly #retired: readonly HmacKey[]

  /**
   * @param usage what is signed, in your own words; each usage has its own keys, so that a signature is valid for one usage only
   * @throws {UsageError} `ERR_COOKIE_KEYS` if there is no key, or a key has fewer than 32 characters
   */
  constructor(keys: Keys, usage: string) {
    checkKeys(keys)
    const [current, ...retired] = keys
    this.#current = signingKey(current, usage)
    this.#retired = retired.map((key) => signingKey(key, usage))
  }

  /** The signature under the current key: 43 characters of base64url. */
  sign(text: string): string {
    return hmacText(this.#current, text)
  }

  /** Which kind of key made this signature of `text`; `undefined` if none of the keys did. */
  verify(text: string, signature: string): 'current' | 'retired' | undefined {
    if (equal(hmacText(this.#current, text), signature)) return 'current'
    return this.#retired.some((key) => equal(hmacText(key, text), signature)) ? 'retired' : undefined
  }
}

/** @throws {UsageError} `ERR_COOKIE_KEYS` */
export function checkKeys(keys: readonly string[]): void {
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new UsageError('ERR_COOKIE_KEYS', '`keys` is not a list of at least one key', { hint: newKeyHint })
  }
  const at = keys.findIndex((key) => typeof key !== 'string' || key.length < shortestKey || key.length > longestKey)
  if (at === -1) return
  throw new UsageError(
    'ERR_COOKIE_KEYS',
    `\`keys[${at}]\` is not a text of ${shortestKey} to ${longestKey} characters`,
    {
      hint: newKeyHint,
    },
  )
}

const newKeyHint = 'Make a key with: node -p "crypto.randomBytes(32).toString(\'base64url\')"'

function signingKey(key: string, usage: string): HmacKey {
  return hmacKey(hkdf(hmacKey(Buffer.from(key)), noSalt, Buffer.from(`gatepass/v1/sign/${usage}`)))
}
