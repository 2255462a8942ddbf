/** The methods of a `node:http` or `node:http2` response that set its head. */
export interface Head {
  statusCode: number
  statusMessage: string
  setHeader(name: string, value: number | string | readonly string[]): unknown
  appendHeader(name: string, value: number | string | readonly string[]): unknown
  removeHeader(name: string): void
  getHeaderNames(): string[]
}

/**
 * Applies the arguments of `writeHead`, in all their forms, without sending. Fields replace earlier ones, and a list may
 * repeat a name.
 */
export function applyHead(res: Head, [status, ...rest]: unknown[]): void {
  const message = typeof rest[0] === 'string' ? rest[0] : undefined
  applyStatus(res, Number(status), message)
  const fields = message === undefined ? (rest[0] ?? rest[1]) : rest[1]
  if (Array.isArray(fields)) applyFieldList(res, fields)
  else if (fields !== undefined && fields !== null) applyFields(res, fields)
}

function applyStatus(res: Head, status: number, message: string | undefined): void {
  // The HTTP/2 setter checks the status itself.
  if (!isHttp2(res)) checkStatus(status, message)
  res.statusCode = Math.trunc(status)
  if (message !== undefined && !isHttp2(res)) res.statusMessage = message
}

/** Throws for a status that Node would refuse when it writes the status line. */
export function checkStatus(status: number, message: string | undefined): void {
  if (!(status >= 100 && status < 1000))
    throw nodeError(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', 'Invalid status code')
  if (message !== undefined && /[^\t\x20-\x7e\x80-\xff]/.test(message))
    throw nodeError(TypeError, 'ERR_INVALID_CHAR', 'Invalid character in the status message')
}

function applyFields(res: Head, fields: object): void {
  for (const [name, value] of Object.entries(fields)) if (name !== '') res.setHeader(name, value)
}

/** Applies a list of pairs, or of alternating names and values. They replace earlier fields and may repeat a name. */
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
 * Removes the fields that described an answer that will not be sent, and sets the status of the new answer. Fields for all
 * answers (security headers, CORS) stay.
 */
export function clearHead(res: Head, status: number): void {
  for (const name of res.getHeaderNames()) if (describesAnswer(name)) res.removeHeader(name)
  res.statusCode = status
  if (!isHttp2(res)) res.statusMessage = ''
}

/** Whether a header field describes one answer and not all answers. */
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

/** The error that Node would have thrown at this call, with Node's code. */
export function nodeError(
  kind: ErrorConstructor | RangeErrorConstructor | TypeErrorConstructor,
  code: string,
  message: string,
): Error {
  return Object.assign(new kind(message), { code })
}
