import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { fold, isPredictable, wordsIn } from './predictable.ts'

/** Why a password is not allowed. Both members are safe to show to the user. */
export interface PasswordProblem {
  /**
   * `too_short`, `too_long`: its length. `malformed`: not Unicode. `guessable`: made of common words, sequences and
   * repetitions. `context`: made of words about the user or the application. `blocklisted`: on the blocklist.
   */
  readonly code: 'too_short' | 'too_long' | 'malformed' | 'guessable' | 'context' | 'blocklisted'
  /** English text. Translate it by `code`. */
  readonly message: string
}

/** Forbidden passwords: a list, compared as a whole and in lower case, or a function that decides. */
export type Blocklist = Iterable<string> | ((password: string) => Awaitable<boolean>)

/** Which passwords are allowed. */
export interface PolicyOptions {
  /** Minimum length in code points. Default 15. At least 8, for accounts with a second factor (SP 800-63B-4 §3.1.1.2). */
  minimum?: number
  /** A list is compared in lower case. A function gets the password in NFC; if it throws, the password is allowed. */
  blocklist?: Blocklist
  /** Names of the application and its operator, which attackers try first. */
  contextWords?: readonly string[]
}

/** Maximum size of a password, in bytes of UTF-8 after NFC. */
export const MAXIMUM_BYTES = 1024
// NFC composes at most four code units into one, so a longer text cannot shrink to 1,024 bytes. Normalising a megabyte to find
// that out would cost more than the hash.
export const LONGEST_TEXT: number = 4 * MAXIMUM_BYTES

/** Decides which passwords are allowed, by their length and by how easy they are to guess, not by kinds of characters. */
export class PasswordPolicy {
  readonly #minimum: number
  readonly #blocked: (password: string) => Awaitable<boolean>
  readonly #words: readonly string[]
  readonly #unavailable: (error: unknown) => void

  /** @param unavailable called when the blocklist fails */
  constructor(options: PolicyOptions, unavailable: (error: unknown) => void) {
    const { minimum = 15, blocklist = [] } = options
    if (!Number.isInteger(minimum) || minimum < 8 || minimum > 64) {
      throw new UsageError('ERR_PASSWORD_OPTIONS', 'minimum is not an integer from 8 to 64', {
        hint: 'Use 15 if the password is the only factor, 8 if a second factor is always required. Passwords of 64 must stay possible.',
      })
    }
    this.#minimum = minimum
    this.#blocked = blocklistTest(blocklist)
    this.#words = (options.contextWords ?? []).flatMap(wordsIn)
    this.#unavailable = unavailable
  }

  async check(password: string, about: readonly (string | undefined)[]): Promise<PasswordProblem | undefined> {
    if (!password.isWellFormed()) return MALFORMED
    if (password.length > LONGEST_TEXT) return TOO_LONG
    const normal = password.normalize('NFC')
    // Code points: an emoji is one character for the user, but two in `length`.
    if (Array.from(normal).length < this.#minimum) return tooShort(this.#minimum)
    if (Buffer.byteLength(normal) > MAXIMUM_BYTES) return TOO_LONG
    if (isPredictable(normal, LEAST_BITS)) return GUESSABLE
    const words = [...this.#words, ...about.flatMap((text) => wordsIn(text ?? ''))]
    if (isPredictable(normal, LEAST_BITS, words)) return CONTEXT
    try {
      return (await this.#blocked(normal)) ? BLOCKLISTED : undefined
    } catch (error) {
      // Fails open: an unavailable list must not keep users from changing a stolen password.
      this.#unavailable(error)
      return undefined
    }
  }
}

// A thousand million guesses. Fifteen random letters have 70 bits; three of the most common words have 26.
const LEAST_BITS = 30

const TOO_LONG: PasswordProblem = {
  code: 'too_long',
  message: `This password is too long. Use at most ${MAXIMUM_BYTES.toLocaleString('en')} characters, fewer with accents or emoji.`,
}
const MALFORMED: PasswordProblem = {
  code: 'malformed',
  message: 'This password contains an invalid character.',
}
const GUESSABLE: PasswordProblem = {
  code: 'guessable',
  message:
    'This password is easy to guess: attackers try common words, sequences and repetitions first. Use a few words that do not belong together.',
}
const CONTEXT: PasswordProblem = {
  code: 'context',
  message:
    'This password is made of your name, your address or the name of this site, which attackers try first. Use other words.',
}
const BLOCKLISTED: PasswordProblem = {
  code: 'blocklisted',
  message: 'This password is on a list of known passwords, which attackers try first. Use another password.',
}

function tooShort(minimum: number): PasswordProblem {
  return {
    code: 'too_short',
    message: `This password is too short. Use at least ${minimum} characters; a few words make a good one.`,
  }
}

function blocklistTest(blocklist: Blocklist): (password: string) => Awaitable<boolean> {
  if (typeof blocklist === 'function') return blocklist
  // A string is an Iterable of its characters. Here it is surely a file name, or a list that was not split.
  if (typeof blocklist === 'string') {
    throw new UsageError('ERR_PASSWORD_OPTIONS', 'blocklist is a string', {
      hint: 'Give a list of passwords: split the text at line ends.',
    })
  }
  const folded = new Set(Array.from(blocklist, fold))
  return (password) => folded.has(fold(password))
}
