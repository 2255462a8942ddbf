import * as v from 'valibot'

/** What is wrong with one key, and what to do about it. */
export interface ConfigProblem {
  /** As in the file; the environment variable or flag is named in `fix` where that is the usual place. */
  readonly key: string
  readonly message: string
  readonly fix: string
}

/**
 * A message of a schema, out of which {@link problemOf} makes the problem.
 *
 * @param key where the problem belongs to another key of the same section
 */
export function said(message: string, fix: string, key = ''): string {
  return [message, fix, key].join('\n')
}

/** The message that repeats the value. Never used for a secret. */
export function wrong(fix: string): (issue: v.BaseIssue<unknown>) => string {
  return ({ input }) => said(`is ${shown(input)}`, fix)
}

export function problemOf({ message: text, path }: v.BaseIssue<unknown>): ConfigProblem {
  const [message = '', fix = '', key = ''] = text.split('\n')
  const keys = (path ?? []).map((item) => String(item.key))
  return { key: (key === '' ? keys : [...keys.slice(0, -1), key]).join('.'), message, fix }
}

/** The keys of an object. All that are not among `entries` are problems. */
export function section<const Entries extends v.ObjectEntries>(
  name: string,
  entries: Entries,
): v.GenericSchema<unknown, v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  const known = `Known here: ${Object.keys(entries).join(', ')}.`
  const notObject = ({ input }: v.BaseIssue<unknown>) =>
    said(`is ${shown(input)}, not an object`, `Write "${name}": { … }.`)
  return v.pipe(
    v.custom<Record<string, unknown>>(isObject, notObject),
    v.objectWithRest(entries, v.never(said('is not a key of this file', known))),
  )
}

/** Text on one line. Empty text is a value only where nothing stands for it: an empty `host` would mean every address. */
export function text({
  longest = 1000,
  empty = true,
}: {
  longest?: number
  empty?: boolean
} = {}): v.GenericSchema<unknown, string> {
  const fits = (value: unknown): boolean =>
    typeof value === 'string' && value.length <= longest && !/[\x00-\x1f\x7f]/.test(value) && (empty || value !== '')
  return v.custom<string>(fits, wrong(`Write a text of at most ${longest} characters on one line.`))
}

/** A text that must be there. */
export function required(fix: string): v.GenericSchema<unknown, string> {
  return v.nullish(v.pipe(text(), v.nonEmpty(said('is missing', fix))), '')
}

/** A whole number, or its digits: the environment has texts alone. */
export function whole({ from, to = 1e9 }: { from: number; to?: number }): v.GenericSchema<unknown, number> {
  const fits = (value: unknown): boolean => {
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    return typeof number === 'number' && Number.isInteger(number) && number >= from && number <= to
  }
  const message = wrong(`Write a whole number from ${from} to ${to}.`)
  return v.pipe(v.custom<number | string>(fits, message), v.transform(Number))
}

export function flag(): v.GenericSchema<unknown, boolean> {
  const word = v.pipe(
    v.picklist(['true', 'false']),
    v.transform((text) => text === 'true'),
  )
  return v.union([v.boolean(), word], wrong('Write true or false.'))
}

export function oneOf<const Word extends string>(words: readonly Word[]): v.GenericSchema<unknown, Word> {
  return v.picklist(words, wrong(`Write one of: ${words.join(', ')}.`))
}

/** Texts in a list, or in one text with commas between them. */
export function list(): v.GenericSchema<unknown, string[]> {
  const separated = v.pipe(v.string(), v.transform(splitAtCommas))
  return v.union([v.array(v.string()), separated], wrong('Write a list of texts.'))
}

export function splitAtCommas(text: string): string[] {
  return text.split(',').map((entry) => entry.trim())
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value as a message may repeat it: short, on one line. Never called with a secret. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
