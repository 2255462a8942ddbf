/** A media type with its parameters (RFC 9110 §8.3.1). */
export interface ContentType {
  /** Lower case: `application/json`. */
  readonly type: string
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Reads a Content-Type field whole; `undefined` if any part of it is malformed or a parameter is repeated. */
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
    const key = name.toLowerCase()
    if (parameters.has(key)) return undefined
    parameters.set(key, token ?? quoted.replace(/\\(.)/g, '$1'))
    at += whole.length
  }
  return { type: type.toLowerCase(), parameters }
}

const mediaType = /^[!#$%&'*+\-.^_`|~\w]+\/[!#$%&'*+\-.^_`|~\w]+/
const parameter =
  /[ \t]*;[ \t]*([!#$%&'*+\-.^_`|~\w]+)=(?:([!#$%&'*+\-.^_`|~\w]+)|"((?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")[ \t]*/y
