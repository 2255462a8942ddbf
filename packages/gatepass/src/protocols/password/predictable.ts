import { COMMON_WORDS } from './common-words.ts'

/**
 * Whether an attacker who knows `words` finds the password with fewer than 2^`bits` guesses, by trying common words, keyboard
 * rows, alphabets, years and repetitions. This is an estimate, to refuse the worst passwords.
 */
export function isPredictable(password: string, bits: number, words: readonly string[] = []): boolean {
  const folded = onceOnly(fold(password))
  const known = new Set(words)
  return hasCheapCover(folded, bits, known) || hasCheapCover(unleet(folded), bits, known)
}

/** Shortens a text that repeats one part to its end to two repetitions, because their number is quickly guessed. */
function onceOnly(text: string): string {
  for (let period = 1; period <= text.length / 3; period++) {
    if (text.startsWith(text.slice(period))) return text.slice(0, 2 * period)
  }
  return text
}

/** The form in which passwords and words are compared: NFKC and lower case. */
export function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}

/** The words that an attacker would try for a name or an e-mail address: the whole and each part, of 3 to 64 characters. */
export function wordsIn(text: string): string[] {
  const folded = fold(text)
  const parts = folded.split(/[^\p{L}\p{N}]+/u)
  return [folded, parts.join(''), ...parts].filter((word) => word.length >= 3 && word.length <= 64)
}

/** A part of the text: its length, and the cost of guessing it. */
interface Piece {
  readonly length: number
  readonly bits: number
}

// Covers the text with pieces from left to right: cost[n] is the lowest cost of its first n characters.
function hasCheapCover(text: string, limit: number, known: ReadonlySet<string>): boolean {
  const longest = Array.from(known).reduce((most, word) => Math.max(most, word.length), LONGEST_COMMON)
  const cost = new Float64Array(text.length + 1).fill(Number.POSITIVE_INFINITY)
  cost[0] = 0
  for (let start = 0; start < text.length; start++) {
    for (const { length, bits } of [...patternsAt(text, start), ...wordsAt(text, start, longest, known)]) {
      cost[start + length] = Math.min(cost[start + length] ?? 0, (cost[start] ?? 0) + bits)
    }
    // Every cover passes a position after this one, so a good password is recognized after about a dozen characters.
    if (cost.subarray(start + 1).every((bits) => bits >= limit)) return false
  }
  return true
}

function patternsAt(text: string, start: number): Piece[] {
  return [
    { length: 1, bits: bitsOfCharacter(text.charCodeAt(start)) },
    { length: runLength(text, start), bits: RUN_BITS },
    { length: trackLength(text, start), bits: RUN_BITS },
    ...(YEAR.test(text.slice(start, start + 4)) ? [{ length: 4, bits: YEAR_BITS }] : []),
    ...repeatsAt(text, start),
  ]
}

function wordsAt(text: string, start: number, longest: number, known: ReadonlySet<string>): Piece[] {
  const pieces: Piece[] = []
  for (let length = 3; length <= Math.min(longest, text.length - start); length++) {
    const word = text.slice(start, start + length)
    if (known.has(word)) pieces.push({ length, bits: KNOWN_BITS })
    else if (COMMON.has(word)) pieces.push({ length, bits: WORD_BITS })
  }
  return pieces
}

/** Pieces that repeat the text directly before `start`, as in `abab`. */
function repeatsAt(text: string, start: number): Piece[] {
  const pieces: Piece[] = []
  for (let length = 2; length <= Math.min(start, LONGEST_REPEAT); length++) {
    if (text.startsWith(text.slice(start - length, start), start)) pieces.push({ length, bits: REPEAT_BITS })
  }
  return pieces
}

const COMMON: ReadonlySet<string> = new Set(COMMON_WORDS)
const LONGEST_COMMON = Math.max(...COMMON_WORDS.map((word) => word.length))
const LONGEST_REPEAT = 32
const YEAR = /^(?:19|20)[0-9]{2}$/

// log2 of the number of candidates: 400 words, 100 years, a few dozen rows in two directions.
const WORD_BITS = 8.6
const YEAR_BITS = 6.6
const RUN_BITS = 7
const KNOWN_BITS = 2
const REPEAT_BITS = 1

function bitsOfCharacter(code: number): number {
  if (code >= 48 && code <= 57) return 3.3
  return code < 128 ? 4.7 : 7
}

/** How often the character at `start` is repeated; 1 for fewer than three times. */
function runLength(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && text[end] === text[start]) end++
  return end - start >= 3 ? end - start : 1
}

/** How many characters from `start` follow the alphabet, the digits or the keyboard; 1 for fewer than three. */
function trackLength(text: string, start: number): number {
  const lengths = (TRACKS_AT.get(text.slice(start, start + 3)) ?? []).map((track) => commonLength(text, start, track))
  return Math.max(1, ...lengths)
}

function commonLength(text: string, start: number, track: string): number {
  let length = 0
  while (length < track.length && text[start + length] === track[length]) length++
  return length
}

const TRACKS = [
  'abcdefghijklmnopqrstuvwxyz',
  '012345678901234567890',
  'qwertyuiop[]',
  'qwertzuiop',
  'azertyuiop',
  'asdfghjkl;',
  'zxcvbnm,./',
  'yxcvbnm',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  'qazwsxedcrfvtgbyhnujmikolp',
  'zaq1xsw2cde3vfr4bgt5nhy6mju7',
  '!@#$%^&*()',
]

// Every position in a track, in both directions, by its first three characters.
const TRACKS_AT: ReadonlyMap<string, readonly string[]> = Map.groupBy(
  TRACKS.flatMap((track) => [track, Array.from(track).reverse().join('')]).flatMap((track) =>
    Array.from(track, (_, start) => track.slice(start)),
  ),
  (rest) => rest.slice(0, 3),
)

/** Turns `p@ssw0rd` into `password`. */
function unleet(text: string): string {
  return text.replace(/[013457@$!]/g, (character) => LEET[character] ?? character)
}
const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
}
