/** A media type with its parameters (RFC 9110 §8.3.1). */
export interface ContentType {
  /** Lower case: `application/json`. */
  readonly type: string
  /** The parameters by lower-case name. */
  readonly parameters: ReadonlyMap<string, string>
}

/**
 * Parses a whole Content-Type field; `undefined` if any part of it is malformed or a parameter is repeated. An empty
 * parameter (`application/json;`) is ignored (RFC 9110 §5.6.6).
 */
export function parseContentType(field: string): ContentType | undefined {
  const type = mediaType.exec(field)?.[0]
  if (type === undefined) return undefined
  const parameters = new Map<string, string>()
  let at = type.length
  while (at < field.length) {
    parameter.lastIndex = at
    const found = parameter.exec(field)
    if (found === null) return undefined
    const [whole, name = '', token, quoted = ''] = found
    at += whole.length
    if (name === '') continue
    const key = name.toLowerCase()
    if (parameters.has(key)) return undefined
    parameters.set(key, token ?? quoted.replace(/\\(.)/g, '$1'))
  }
  return { type: type.toLowerCase(), parameters }
}

/** Whether `charset` means UTF-8, by any name that browsers (WHATWG Encoding §4.2) or programs use for it. */
export function isUtf8(charset: string): boolean {
  return utf8Names.has(
    charset
      .replace(/^'(.*)'$/, '$1')
      .trim()
      .toLowerCase(),
  )
}

const utf8Names: ReadonlySet<string> = new Set([
  'utf-8',
  'utf8',
  'csutf8',
  'unicode-1-1-utf-8',
  'unicode11utf8',
  'unicode20utf8',
  'x-unicode20utf8',
])

const mediaType = /^[!#$%&'*+\-.^_`|~\w]+\/[!#$%&'*+\-.^_`|~\w]+/
const parameter =
  /[ \t]*;[ \t]*(?:([!#$%&'*+\-.^_`|~\w]+)=(?:([!#$%&'*+\-.^_`|~\w]+)|"((?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")[ \t]*)?/y
