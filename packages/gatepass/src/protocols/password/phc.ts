import type { Argon2Work, Pbkdf2Work, ScryptWork } from '../../crypto/kdf.ts'

/** A parsed password hash. Salt and tag are bytes. `pepper` names the key of an HMAC over the tag. */
export type StoredHash = Argon2Hash | ScryptHash | Pbkdf2Hash | BcryptHash
export type Argon2Hash = { readonly scheme: 'argon2' } & Omit<Argon2Work, Given> & Salted
export type ScryptHash = { readonly scheme: 'scrypt' } & Omit<ScryptWork, Given> & Salted
export type Pbkdf2Hash = { readonly scheme: 'pbkdf2' } & Omit<Pbkdf2Work, Given> & Salted
export interface BcryptHash {
  readonly scheme: 'bcrypt'
  readonly cost: number
  readonly text: string
}

type Given = 'password' | 'tagLength'
interface Salted {
  readonly salt: Uint8Array
  readonly tag: Uint8Array
  readonly pepper: string | undefined
}

/**
 * Parses a stored hash: a PHC string of argon2 (version 1.3), scrypt or PBKDF2, or bcrypt's own format. `undefined` for
 * everything else, also for another order of parameters, padding, and numbers with leading zeros.
 */
export function parseHash(text: string): StoredHash | undefined {
  const bcrypt = BCRYPT.exec(text)
  if (bcrypt !== null) return { scheme: 'bcrypt', cost: Number(bcrypt[1]), text }
  const { cost = '', pepper, salt: saltText, tag: tagText } = SALTED.exec(text)?.groups ?? {}
  const salt = bytesOf(saltText, 8, 64)
  const tag = bytesOf(tagText, 16, 64)
  if (salt === undefined || tag === undefined) return undefined
  const salted = { salt, tag, pepper }
  const argon2 = ARGON2.exec(cost)
  if (argon2 !== null) {
    const [, variant, memory, passes, lanes] = argon2
    const numbers = { memory: Number(memory), passes: Number(passes), lanes: Number(lanes) }
    return { scheme: 'argon2', variant: variant as Argon2Work['variant'], ...numbers, ...salted }
  }
  const scrypt = SCRYPT.exec(cost)
  if (scrypt !== null) {
    const [, exponent, blockSize, lanes] = scrypt
    const numbers = { rounds: 2 ** Number(exponent), blockSize: Number(blockSize), lanes: Number(lanes) }
    return { scheme: 'scrypt', ...numbers, ...salted }
  }
  const pbkdf2 = PBKDF2.exec(cost)
  if (pbkdf2 === null) return undefined
  const [, digest, iterations] = pbkdf2
  return { scheme: 'pbkdf2', digest: digest as Pbkdf2Work['digest'], iterations: Number(iterations), ...salted }
}

const NUMBER = '([1-9][0-9]{0,9})'
const ARGON2 = new RegExp(String.raw`^\$(argon2(?:id|i|d))\$v=19\$m=${NUMBER},t=${NUMBER},p=${NUMBER}$`)
const SCRYPT = new RegExp(String.raw`^\$scrypt\$ln=([1-9]|[12][0-9]),r=${NUMBER},p=${NUMBER}$`)
const PBKDF2 = new RegExp(String.raw`^\$pbkdf2-(sha1|sha256|sha512)\$i=${NUMBER}$`)
const BCRYPT = /^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$/
/** What PHC strings end with: the pepper, salt and tag behind scheme and cost. */
const SALTED =
  /^(?<cost>.*?)(?:,pepper=(?<pepper>[A-Za-z0-9.-]{1,32}))?\$(?<salt>[A-Za-z0-9+/]+)\$(?<tag>[A-Za-z0-9+/]+)$/

/** Writes the PHC string that `parseHash` reads. */
export function formatHash(hash: Argon2Hash | ScryptHash): string {
  const pepper = hash.pepper === undefined ? '' : `,pepper=${hash.pepper}`
  const cost =
    hash.scheme === 'argon2'
      ? `$${hash.variant}$v=19$m=${hash.memory},t=${hash.passes},p=${hash.lanes}`
      : `$scrypt$ln=${Math.log2(hash.rounds)},r=${hash.blockSize},p=${hash.lanes}`
  return `${cost}${pepper}$${base64(hash.salt)}$${base64(hash.tag)}`
}

/** Whether computing this hash is cheap enough for a login. */
export function affordable(hash: StoredHash): boolean {
  switch (hash.scheme) {
    case 'argon2':
      return hash.memory <= MOST_MEMORY && hash.passes <= 64 && hash.lanes <= 16 && hash.memory >= 8 * hash.lanes
    case 'scrypt':
      return (hash.rounds * hash.blockSize) / 8 <= MOST_MEMORY && hash.blockSize <= 64 && hash.lanes <= 16
    case 'pbkdf2':
      return hash.iterations <= 10_000_000
    case 'bcrypt':
      return hash.cost >= 4 && hash.cost <= 16
  }
}

// In KiB: 256 MiB. A row that asks for 4 GiB is corrupt or an attack, and would crash the process.
const MOST_MEMORY = 262_144

function bytesOf(text: string | undefined, least: number, most: number): Uint8Array | undefined {
  const bytes = Buffer.from(text ?? '', 'base64')
  const fits = bytes.length >= least && bytes.length <= most
  // Node ignores unused bits and characters at the end. A text that is not canonical was not written by a hasher.
  return fits && bytes.toString('base64').startsWith(text ?? '') ? bytes : undefined
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}
