import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The first key writes, all keys read. What was written under a key becomes invalid when the key is removed. */
export type Keys = readonly [current: string, ...retired: string[]]

type KeysOrRefusal = { keys: Keys } | { refusal: string }

const SHORTEST_KEY = 32
const LONGEST_KEY = 1024

/** A key for production: 32 random bytes. */
export function newKey(): string {
  return randomBytes(32).toString('base64url')
}

/** Checks keys from outside. The refusal of a bad key does not repeat it. */
export function parseKeys(texts: readonly unknown[]): KeysOrRefusal {
  const keys = texts.map((text) => (typeof text === 'string' ? text.trim() : ''))
  for (const [index, key] of keys.entries()) {
    const refusal = refusalOf(key)
    if (refusal !== undefined) return { refusal: `number ${index + 1} of ${keys.length} ${refusal}` }
  }
  const [current, ...retired] = keys
  return current === undefined ? { refusal: 'are an empty list' } : { keys: [current, ...retired] }
}

/** Whether users besides the owner may change a file of secrets. Mounted secrets may usually be read by all. */
export function othersMayChange(path: string): boolean {
  return (modeOf(path) & 0o022) !== 0
}

/** Permissions of a file; 0 if it cannot be read, and on Windows, where permissions work differently. */
export function modeOf(path: string): number {
  try {
    return process.platform === 'win32' ? 0 : statSync(path).mode
  } catch {
    return 0
  }
}

/** Reads `{"keys": ["current", "retired"]}`. */
export function parseKeysFile(path: string): KeysOrRefusal {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const keys = typeof parsed === 'object' && parsed !== null && 'keys' in parsed ? parsed.keys : undefined
    return Array.isArray(keys) ? parseKeys(keys) : { refusal: `are not in ${path}: it has no list "keys"` }
  } catch (error) {
    // The parser's message would quote the file.
    const why = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read'
    return { refusal: `are missing: ${path} ${why}` }
  }
}

/** The keys of dev, made at the first start in a file that only its owner can read. */
export function ownKeys(folder: string): KeysOrRefusal {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'secrets.json')
  try {
    // `wx` fails if the file exists: of two processes that start at once, one makes it and both read it.
    const file = openSync(path, 'wx', 0o600)
    try {
      writeFileSync(file, `${JSON.stringify({ keys: [newKey()] }, undefined, 2)}\n`)
    } catch (error) {
      // The disk may be full, and half a file would stop the next start, too.
      rmSync(path)
      throw error
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    chmodSync(path, 0o600)
  }
  return parseKeysFile(path)
}

function refusalOf(key: string): string | undefined {
  if (Buffer.byteLength(key) < SHORTEST_KEY) return `is shorter than ${SHORTEST_KEY} bytes`
  // As the library counts.
  if (key.length < SHORTEST_KEY || key.length > LONGEST_KEY)
    return `is not a text of ${SHORTEST_KEY} to ${LONGEST_KEY} characters`
  if (new Set(key).size < 12) return 'repeats the same few characters'
  if (/change|secret|example|sample|password|keyboard|default|gatepass/i.test(key)) return 'looks like a sample'
  return undefined
}

/** Turns values into names that reveal nothing about them. Each purpose has its own key. */
export class Pseudonyms {
  readonly #current: Buffer
  readonly #retired: readonly Buffer[]

  constructor([current, ...retired]: Keys, purpose: string) {
    this.#current = keyFor(purpose, current)
    this.#retired = retired.map((key) => keyFor(purpose, key))
  }

  /** 16 hex digits, the same for the same value and key. */
  of(value: string): string {
    return pseudonym(this.#current, value)
  }

  /** Whether `name` was made from `value`, also under a retired key. */
  isOf(name: string, value: string): boolean {
    return [this.#current, ...this.#retired].some((key) => pseudonym(key, value) === name)
  }
}

function keyFor(purpose: string, key: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `gatepass-server ${purpose}`, 32))
}

function pseudonym(key: Buffer, value: string): string {
  return createHmac('sha256', key).update(value).digest('hex').slice(0, 16)
}
