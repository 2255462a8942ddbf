/** An object with unchecked members. */
export type JsonObject = Readonly<Record<string, unknown>>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses a JSON object in well-formed UTF-8 without byte order mark. `undefined` for everything else, and if a member is
 * repeated at any depth: another reader could use the other value (RFC 7519 §4, RFC 8725 §2.4).
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

/** Matches strings, with the colon that marks a name, and braces. The rest of valid JSON does not matter here. */
const landmarks = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}]/g

/** Whether an object in valid JSON, at any depth, has the same member twice. */
export function repeatsMember(json: string): boolean {
  const open: Set<string>[] = []
  for (const [token, text, colon] of json.matchAll(landmarks)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (text !== undefined && colon !== undefined) {
      const names = open.at(-1)
      // Unescape the name first: "\u0061ud" is "aud".
      const name = JSON.parse(text) as string
      if (names?.has(name)) return true
      names?.add(name)
    }
  }
  return false
}
