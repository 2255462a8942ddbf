const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
// %x09 / %x20-2F / %x3B-40 / %x5B-60 / %x7B-7E (RFC 6265bis §5.1.1)
const delimiters = /[\t -/;-@[-`{-~]+/

interface DateParts {
  time?: readonly [hour: number, minute: number, second: number]
  day?: number
  month?: number
  year?: number
}

/** Parses a date as browsers do (RFC 6265bis §5.1.1); `undefined` if they find no date in it. */
export function parseCookieDate(text: string): Date | undefined {
  const parts: DateParts = {}
  for (const word of text.split(delimiters)) readWord(parts, word)
  const { time, day, month, year } = parts
  if (time === undefined || day === undefined || month === undefined || year === undefined) return undefined
  return dateOf(fullYear(year), month, day, time)
}

/** Reads a word as the first part that it fits and that is still missing. */
function readWord(parts: DateParts, word: string): void {
  readers.some((read) => read(parts, word))
}

const readers: readonly ((parts: DateParts, word: string) => boolean)[] = [readTime, readDay, readMonth, readYear]

function readTime(parts: DateParts, word: string): boolean {
  const time = parts.time === undefined && /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|$)/.exec(word)
  if (time) parts.time = [Number(time[1]), Number(time[2]), Number(time[3])]
  return Boolean(time)
}

function readDay(parts: DateParts, word: string): boolean {
  const day = parts.day === undefined && /^(\d{1,2})(?:\D|$)/.exec(word)
  if (day) parts.day = Number(day[1])
  return Boolean(day)
}

function readMonth(parts: DateParts, word: string): boolean {
  const month = parts.month === undefined ? months.indexOf(word.slice(0, 3).toLowerCase()) : -1
  if (month !== -1) parts.month = month
  return month !== -1
}

function readYear(parts: DateParts, word: string): boolean {
  const year = parts.year === undefined && /^(\d{2,4})(?:\D|$)/.exec(word)
  if (year) parts.year = Number(year[1])
  return Boolean(year)
}

function fullYear(year: number): number {
  if (year >= 70 && year <= 99) return year + 1900
  return year <= 69 ? year + 2000 : year
}

function dateOf(year: number, month: number, day: number, time: readonly [number, number, number]): Date | undefined {
  const [hour, minute, second] = time
  if (year < 1601 || hour > 23 || minute > 59 || second > 59) return undefined
  const date = new Date(Date.UTC(year, month, day, hour, minute, second))
  // If the month does not have this day, Date.UTC has moved to the next month.
  return date.getUTCDate() === day ? date : undefined
}
