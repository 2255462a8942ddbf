/** An object whose members nobody has checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The JSON object that these bytes are: well-formed UTF-8, no byte order mark, and no member twice at any depth, since of
 * two values another reader may take the other one (RFC 7519 §4, RFC 8725 §2.4). `undefined` for everything else.
 */
export function parseJsonObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return repeatsMember(text) ? undefined : (value as JsonObject)
  } catch {
    return undefined
  }
}

/** Strings with the colon that makes one a name, and the brackets; all else of valid JSON is of no interest here. */
const landmarks = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}]/g

/** Whether JSON that is known to be valid has an object, at any depth, with a member twice. */
export function repeatsMember(json: string): boolean {
  const open: Set<string>[] = []
  for (const [token, text, colon] of json.matchAll(landmarks)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (text !== undefined && colon !== undefined) {
      const names = open.at(-1)
      // Unescaped first: "\u0061ud" is "aud".
      const name = JSON.parse(text) as string
      if (names?.has(name)) return true
      names?.add(name)
    }
  }
  return false
}
