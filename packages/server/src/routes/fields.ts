/** The fields of a form or a JSON body. */
export type Fields = Readonly<Record<string, unknown>>

/** A field's text, if it is one; lists and objects are not. */
export function text(fields: Fields, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === 'string' ? value : ''
}

/** A ticked box of a form, or `true` in JSON. */
export function ticked(fields: Fields, name: string): boolean {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return value === true || value === 'on' || value === 'true' || value === '1'
}
