// For every input, reading never throws and takes time in proportion to the header's length. Only SP and HTAB are trimmed:
// a name padded with other white space is another name (RFC 6265bis §5.6).

/**
 * Reads all cookies of a Cookie header into a record without prototype. Values are as sent: they are not decoded, and quotes
 * stay. If a name was sent twice, the first value is kept; {@link countCookie} counts them. Pairs without a name are left
 * out.
 */
export function parseCookie(header: string | undefined): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null)
  if (!header) return cookies
  const length = header.length
  let start = 0
  while (start < length) {
    let end = header.indexOf(';', start)
    if (end === -1) end = length
    const equals = header.indexOf('=', start)
    // No later pair has a name.
    if (equals === -1) break
    if (equals < end) addPair(cookies, header, start, equals, end)
    // Pairs up to this `=` have no name: skip them at once.
    start = equals < end ? end + 1 : header.lastIndexOf(';', equals) + 1
  }
  return cookies
}

/** Reads the first cookie of this name without parsing the rest. The value is as from {@link parseCookie}. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (!header) return undefined
  const value = findValue(header, name, 0)
  return value === -1 ? undefined : valueAt(header, value)
}

/** Reads all cookies of this name, in the order in which they were sent. */
export function readCookies(header: string | undefined, name: string): string[] {
  const values: string[] = []
  if (!header) return values
  for (let at = findValue(header, name, 0); at !== -1; at = findValue(header, name, at))
    values.push(valueAt(header, at))
  return values
}

/** Counts how often a name was sent. More than once means that another host or path has set a cookie with this name. */
export function countCookie(header: string | undefined, name: string): number {
  if (!header) return 0
  let count = 0
  for (let at = findValue(header, name, 0); at !== -1; at = findValue(header, name, at)) count++
  return count
}

function addPair(cookies: Record<string, string>, header: string, start: number, equals: number, end: number): void {
  const name = trimmed(header, start, equals)
  if (name !== '' && cookies[name] === undefined) cookies[name] = trimmed(header, equals + 1, end)
}

/** The index of the value of the first pair with this name at or after `from`, or -1. */
function findValue(header: string, name: string, from: number): number {
  for (let at = header.indexOf(name, from); at !== -1; at = header.indexOf(name, at + name.length)) {
    const equals = skipSpace(header, at + name.length)
    if (header.charCodeAt(equals) === 61 && startsPair(header, at)) return isName(name) ? equals + 1 : -1
    if (name === '') return -1
  }
  return -1
}

function startsPair(header: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && isSpace(header.charCodeAt(before))) before--
  return before < 0 || header.charCodeAt(before) === 59
}

/** Whether a pair can have this name. `a=b` and ` a` would begin pairs with other names. */
function isName(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === 61 || code === 59) return false
  }
  return name !== '' && !isSpace(name.charCodeAt(0)) && !isSpace(name.charCodeAt(name.length - 1))
}

function valueAt(header: string, start: number): string {
  const end = header.indexOf(';', start)
  return trimmed(header, start, end === -1 ? header.length : end)
}

export function trimmed(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isSpace(text.charCodeAt(from))) from++
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9
}
