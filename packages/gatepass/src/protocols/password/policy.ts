import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { fold, isPredictable, wordsIn } from './predictable.ts'
import { MAXIMUM_BYTES, normalPassword, passwordBytes } from './text.ts'

/** Why a password cannot be chosen; both members are safe to show to the person choosing. */
export interface PasswordProblem {
  /**
   * `too_short` and `too_long`: its length. `malformed`: not Unicode. `guessable`: made of common words, sequences and
   * repetitions. `context`: made of the person's or the application's own words. `blocklisted`: on the blocklist.
   */
  readonly code: 'too_short' | 'too_long' | 'malformed' | 'guessable' | 'context' | 'blocklisted'
  /** English; translate by `code`. */
  readonly message: string
}

/** Passwords nobody may choose: all of them, or a function that knows. Compared whole, in lower case. */
export type Blocklist = Iterable<string> | ((password: string) => Awaitable<boolean>)

/** Which passwords may be chosen. */
export interface PolicyOptions {
  /** Code points at least. Default 15; 8 is the least, for accounts that need a second factor (SP 800-63B-4 §3.1.1.2). */
  minimum?: number
  /** Compared in lower case if a list; a function gets the password in NFC. One that throws allows the password. */
  blocklist?: Blocklist
  /** Names of the application and its owner, which attackers try first. */
  contextWords?: readonly string[]
}

/** Decides which passwords may be chosen: by length and by how soon they would be guessed, not by what they are made of. */
export class PasswordPolicy {
  readonly #minimum: number
  readonly #blocked: (password: string) => Awaitable<boolean>
  readonly #words: readonly string[]
  readonly #unavailable: (error: unknown) => void

  /** @param unavailable told when the blocklist could not answer */
  constructor(options: PolicyOptions, unavailable: (error: unknown) => void) {
    this.#minimum = minimumLength(options.minimum ?? 15)
    this.#blocked = blocklistTest(options.blocklist ?? [])
    this.#words = (options.contextWords ?? []).flatMap(wordsIn)
    this.#unavailable = unavailable
  }

  async check(password: string, about: readonly (string | undefined)[]): Promise<PasswordProblem | undefined> {
    const problem = this.#lengthProblem(password)
    if (problem !== undefined) return problem
    const normal = password.normalize('NFC')
    return this.#guessProblem(normal, about) ?? ((await this.#isBlocked(normal)) ? BLOCKLISTED : undefined)
  }

  #lengthProblem(password: string): PasswordProblem | undefined {
    if (!password.isWellFormed()) return MALFORMED
    const normal = normalPassword(password)
    if (normal === undefined) return TOO_LONG
    // Code points: an emoji is one character to whoever types it, and two in `length`.
    if (Array.from(normal).length < this.#minimum) return tooShort(this.#minimum)
    return passwordBytes(password) === undefined ? TOO_LONG : undefined
  }

  #guessProblem(normal: string, about: readonly (string | undefined)[]): PasswordProblem | undefined {
    if (isPredictable(normal, LEAST_BITS)) return GUESSABLE
    const words = [...this.#words, ...about.flatMap((text) => wordsIn(text ?? ''))]
    return isPredictable(normal, LEAST_BITS, words) ? CONTEXT : undefined
  }

  async #isBlocked(normal: string): Promise<boolean> {
    try {
      return await this.#blocked(normal)
    } catch (error) {
      // Fails open: a list out of reach must not stop people from changing a stolen password.
      this.#unavailable(error)
      return false
    }
  }
}

// What 1,000 million guesses find. Fifteen random letters have 70 bits; three of the commonest words have 26.
const LEAST_BITS = 30

const TOO_LONG: PasswordProblem = {
  code: 'too_long',
  message: `This password is too long. At most ${MAXIMUM_BYTES.toLocaleString('en')} characters can be kept, fewer with accents or emoji.`,
}
const MALFORMED: PasswordProblem = {
  code: 'malformed',
  message: 'This password contains something that is not a character.',
}
const GUESSABLE: PasswordProblem = {
  code: 'guessable',
  message:
    'This password is easy to guess: common words, sequences and repetitions are tried first. Use a few words that do not belong together.',
}
const CONTEXT: PasswordProblem = {
  code: 'context',
  message:
    'This password is made of your name, your address or the name of this site, which are tried first. Use other words.',
}
const BLOCKLISTED: PasswordProblem = {
  code: 'blocklisted',
  message: 'This password is on a list of known passwords, which are tried first. Use another.',
}

function tooShort(minimum: number): PasswordProblem {
  return {
    code: 'too_short',
    message: `This password is too short. Use at least ${minimum} characters; a few words make a good one.`,
  }
}

function minimumLength(minimum: number): number {
  if (Number.isInteger(minimum) && minimum >= 8 && minimum <= 64) return minimum
  throw new UsageError('ERR_PASSWORD_OPTIONS', 'minimum is not an integer from 8 to 64', {
    hint: '15 where the password is all there is, 8 where a second factor is always asked for. 64 must stay possible.',
  })
}

function blocklistTest(blocklist: Blocklist): (password: string) => Awaitable<boolean> {
  if (typeof blocklist === 'function') return blocklist
  // A string is an Iterable of its characters: surely a file name, or a list not split yet.
  if (typeof blocklist === 'string') {
    throw new UsageError('ERR_PASSWORD_OPTIONS', 'blocklist is a string', {
      hint: 'Give a list of passwords: split the text at line ends.',
    })
  }
  const folded = new Set(Array.from(blocklist, fold))
  return (password) => folded.has(fold(password))
}
