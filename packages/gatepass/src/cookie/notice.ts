import type { CookiePurpose } from './cookie.ts'
import type { AnyCookie } from './cookies.ts'
import { escapeHtml } from './html.ts'

/** One line of a cookie notice. */
export interface CookieNoticeEntry {
  readonly name: string
  readonly purpose: CookiePurpose
  readonly description: string
  /** Lifetime in seconds; `null`: until the browser is closed. */
  readonly maxAge: number | null
  /** The lifetime in words. */
  readonly lifetime: string
}

/** The texts of a notice. Replace them to write it in the visitor's language. */
export interface CookieNoticeWords {
  caption: string
  name: string
  purpose: string
  lifetime: string
  description: string
  purposes: Readonly<Record<CookiePurpose, string>>
  /** @param seconds `null`: until the browser is closed */
  duration(seconds: number | null): string
}

export interface CookieNoticeOptions {
  /** Default: English. */
  words?: Partial<CookieNoticeWords>
  /** Epoch milliseconds, for cookies with a fixed `expires`. Default `Date.now`. */
  clock?: () => number
}

/** A list of the application's cookies for its visitors. `JSON.stringify` writes the entries. */
export interface CookieNotice {
  readonly entries: readonly CookieNoticeEntry[]
  /** A table with caption and headers. Every text in it is escaped. */
  toHtml(): string
  toJSON(): readonly CookieNoticeEntry[]
}

/** Lists the application's cookies with name, purpose, lifetime and description. */
export function cookieNotice(cookies: readonly AnyCookie[], options: CookieNoticeOptions = {}): CookieNotice {
  const words = { ...english, ...options.words }
  const now = (options.clock ?? Date.now)()
  const entries = cookies.map((cookie) => entryOf(cookie, words, now))
  return { entries, toHtml: () => table(entries, words), toJSON: () => entries }
}

function entryOf(cookie: AnyCookie, words: CookieNoticeWords, now: number): CookieNoticeEntry {
  const { name, purpose, description = '' } = cookie
  const maxAge = secondsKept(cookie, now)
  return { name, purpose, description, maxAge, lifetime: words.duration(maxAge) }
}

function secondsKept({ attributes }: AnyCookie, now: number): number | null {
  if (attributes.maxAge !== undefined) return attributes.maxAge
  return attributes.expires ? Math.max(0, Math.round((attributes.expires.getTime() - now) / 1000)) : null
}

function table(entries: readonly CookieNoticeEntry[], words: CookieNoticeWords): string {
  const columns = [words.name, words.purpose, words.lifetime, words.description]
  const head = columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join('')
  const rows = entries.map((entry) => row(entry, words)).join('')
  return `<table><caption>${escapeHtml(words.caption)}</caption><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table>`
}

function row(entry: CookieNoticeEntry, words: CookieNoticeWords): string {
  const cells = [words.purposes[entry.purpose], entry.lifetime, entry.description]
  const data = cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')
  return `<tr><th scope="row"><code>${escapeHtml(entry.name)}</code></th>${data}</tr>`
}

const english: CookieNoticeWords = {
  caption: 'Cookies we use',
  name: 'Name',
  purpose: 'Purpose',
  lifetime: 'Kept for',
  description: 'What it does',
  purposes: { necessary: 'Necessary', preferences: 'Preferences', statistics: 'Statistics', marketing: 'Marketing' },
  duration: (seconds) => (seconds === null ? 'until the browser is closed' : inWords(seconds)),
}

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** Uses the largest unit that divides the duration, so that nothing is rounded: `400 days`, `36 hours`, `90 seconds`. */
function inWords(seconds: number): string {
  const [unit, size] = units.find(([, length]) => seconds >= length && seconds % length === 0) ?? units[3]
  return `${seconds / size} ${unit}${seconds === size ? '' : 's'}`
}
