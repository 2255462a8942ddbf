import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { hkdf } from './hkdf.ts'
import { checkKeys, type Keys } from './keyring.ts'
import { fillRandom } from './random.ts'
import { Recent } from './recent.ts'

const version = 'v1'
const algorithm = 'aes-256-gcm'
const saltSize = 16
const nonceSize = 12
const tagSize = 16
const headSize = saltSize + nonceSize
const keyIdSize = 8
const bodyAt = version.length + keyIdSize + 2

interface SealingKey {
  readonly id: string
  readonly secret: Uint8Array
  /** All that a seal is bound to besides this key, up to the name. */
  readonly context: string
}

/** What came out of a seal, and whether the key that closed it has been retired since. */
export interface Unsealed {
  readonly text: string
  readonly retired: boolean
}

/**
 * Encrypts and authenticates text (AES-256-GCM, a key of its own for every message): `v1.<key id>.<base64url>`, where
 * the last part is salt, nonce, ciphertext and tag.
 */
export class Sealer {
  readonly #keys: readonly SealingKey[]
  readonly #current: SealingKey
  readonly #info: Uint8Array
  /**
   * What was opened a moment ago, by the whole of the sealed text, so that a browser that sends its cookie with every request
   * costs one decryption and not one for each. Expiry is not decided here, so nothing lives longer by being remembered.
   */
  readonly #opened = new Recent<Opened>(generation)

  /**
   * @param usage what is sealed, in words of your own: what was sealed for one usage does not open for another
   * @throws {UsageError} `ERR_COOKIE_KEYS` if there is no key, or one has fewer than 32 characters
   */
  constructor(keys: Keys, usage: string) {
    checkKeys(keys)
    const [current, ...retired] = keys
    this.#current = sealingKey(current, usage)
    this.#keys = [this.#current, ...retired.map((key) => sealingKey(key, usage))]
    this.#info = Buffer.from(`gatepass/v1/seal/${usage}`)
  }

  /** @param name whose value this is; it opens under this name alone */
  seal(text: string, name: string): string {
    const plain = Buffer.from(text)
    const sealed = Buffer.allocUnsafe(headSize + plain.length + tagSize)
    fillRandom(sealed, 0, headSize)
    const cipher = createCipheriv(algorithm, this.#messageKey(this.#current, sealed), nonceOf(sealed))
    cipher.setAAD(Buffer.from(this.#current.context + name))
    sealed.set(cipher.update(plain), headSize)
    cipher.final()
    sealed.set(cipher.getAuthTag(), headSize + plain.length)
    return `${version}.${this.#current.id}.${sealed.toString('base64url')}`
  }

  /** `undefined` for whatever this did not seal under one of its keys and this name. Never throws. */
  unseal(sealed: string, name: string): Unsealed | undefined {
    const known = this.#opened.get(sealed)
    if (known?.name === name) return known.unsealed
    const key = this.#keyOf(sealed)
    const body = key && decodeBody(sealed.slice(bodyAt))
    const text = body && this.#open(key, body, name)
    if (text === undefined) return undefined
    const unsealed = { text, retired: key !== this.#current }
    this.#opened.keep(sealed, { name, unsealed })
    return unsealed
  }

  #open(key: SealingKey, body: Buffer, name: string): string | undefined {
    const tagAt = body.length - tagSize
    const decipher = createDecipheriv(algorithm, this.#messageKey(key, body), nonceOf(body), { authTagLength: tagSize })
    decipher.setAAD(Buffer.from(key.context + name)).setAuthTag(body.subarray(tagAt))
    try {
      const text = decipher.update(body.subarray(headSize, tagAt), undefined, 'utf8')
      return text + decipher.final('utf8')
    } catch {
      return undefined
    }
  }

  #keyOf(sealed: string): SealingKey | undefined {
    if (!sealed.startsWith(`${version}.`) || sealed[bodyAt - 1] !== '.') return undefined
    const id = sealed.slice(version.length + 1, bodyAt - 1)
    return this.#keys.find((key) => key.id === id)
  }

  #messageKey(key: SealingKey, message: Buffer): KeyObject {
    // Ciphers of Node 24 take a key object in a quarter of the time that they take its bytes.
    return createSecretKey(hkdf(key.secret, message.subarray(0, saltSize), this.#info))
  }
}

/** How many values a sealer remembers in each of two generations: at 3,800 bytes each, 2 MB at most. */
const generation = 256

interface Opened {
  readonly name: string
  readonly unsealed: Unsealed
}

function nonceOf(message: Buffer): Buffer {
  return message.subarray(saltSize, headSize)
}

/** Strict base64url: one spelling for each value, or nothing. */
function decodeBody(text: string): Buffer | undefined {
  const body = Buffer.from(text, 'base64url')
  return body.length >= headSize + tagSize && body.toString('base64url') === text ? body : undefined
}

function sealingKey(key: string, usage: string): SealingKey {
  const secret = Buffer.from(key)
  const id = Buffer.from(hkdf(secret, new Uint8Array(0), Buffer.from('gatepass/v1/key id')))
    .toString('base64url')
    .slice(0, keyIdSize)
  // The length parts usage from name: no pair of them reads like another.
  return { id, secret, context: `${version}.${id}.${usage.length}.${usage}.` }
}
