/** What can be said before the body: enough of a response of `node:http` or `node:http2` to say it. */
export interface Head {
  statusCode: number
  statusMessage: string
  setHeader(name: string, value: number | string | readonly string[]): unknown
  appendHeader(name: string, value: number | string | readonly string[]): unknown
  removeHeader(name: string): void
  getHeaderNames(): string[]
}

/**
 * Does what `writeHead` would with its arguments, in all their forms, short of sending: fields replace what was set before,
 * and a list may repeat a name.
 */
export function applyHead(res: Head, [status, ...rest]: unknown[]): void {
  const message = typeof rest[0] === 'string' ? rest[0] : undefined
  applyStatus(res, Number(status), message)
  const fields = message === undefined ? (rest[0] ?? rest[1]) : rest[1]
  if (Array.isArray(fields)) applyFieldList(res, fields)
  else if (fields !== undefined && fields !== null) applyFields(res, fields)
}

function applyStatus(res: Head, status: number, message: string | undefined): void {
  // The setter of HTTP/2 checks by itself.
  if (!isHttp2(res)) checkStatus(status, message)
  res.statusCode = Math.trunc(status)
  if (message !== undefined && !isHttp2(res)) res.statusMessage = message
}

/** Refuses what Node would refuse when it writes the status line. */
export function checkStatus(status: number, message: string | undefined): void {
  if (!(status >= 100 && status < 1000))
    throw nodeError(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', 'Invalid status code')
  if (message !== undefined && /[^\t\x20-\x7e\x80-\xff]/.test(message))
    throw nodeError(TypeError, 'ERR_INVALID_CHAR', 'Invalid character in the status message')
}

function applyFields(res: Head, fields: object): void {
  for (const [name, value] of Object.entries(fields)) if (name !== '') res.setHeader(name, value)
}

/** Pairs, or names and values in turn: they replace what was set before, and may repeat a name among themselves. */
function applyFieldList(res: Head, fields: readonly unknown[]): void {
  const pairs = (Array.isArray(fields[0]) ? fields : inPairs(fields)) as [string, string | string[]][]
  for (const [name] of pairs) if (typeof name === 'string') res.removeHeader(name)
  for (const [name, value] of pairs) res.appendHeader(name, value)
}

function inPairs(fields: readonly unknown[]): unknown[][] {
  if (fields.length % 2 === 0)
    return Array.from({ length: fields.length / 2 }, (_, n) => fields.slice(2 * n, 2 * n + 2))
  throw nodeError(TypeError, 'ERR_INVALID_ARG_VALUE', 'The headers have a name without a value')
}

/**
 * Takes back what was said about an answer that will not be sent, and sets the status of the one that will. What holds for
 * every answer (security headers, CORS) stays.
 */
export function clearHead(res: Head, status: number): void {
  for (const name of res.getHeaderNames()) if (describesAnswer(name)) res.removeHeader(name)
  res.statusCode = status
  if (!isHttp2(res)) res.statusMessage = ''
}

/** Whether a header field says something about one answer, rather than about all of them. */
export function describesAnswer(name: string): boolean {
  return answerFields.has(name) || (name.startsWith('content-') && !name.startsWith('content-security-policy'))
}

const answerFields: ReadonlySet<string> = new Set([
  'accept-ranges',
  'age',
  'cache-control',
  'cdn-cache-control',
  'clear-site-data',
  'etag',
  'expires',
  'last-modified',
  'link',
  'location',
  'refresh',
  'retry-after',
  'set-cookie',
  'surrogate-control',
  'trailer',
  'transfer-encoding',
  'www-authenticate',
])

/** HTTP/2 has no status message, and Node warns about every use of one. */
export function isHttp2(res: object): boolean {
  return 'stream' in res
}

/** An error as Node would have thrown it at this call, so that whoever knows Node's codes knows it. */
export function nodeError(
  kind: ErrorConstructor | RangeErrorConstructor | TypeErrorConstructor,
  code: string,
  message: string,
): Error {
  return Object.assign(new kind(message), { code })
}
