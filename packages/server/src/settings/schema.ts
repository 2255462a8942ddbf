import * as v from 'valibot'

/** What is wrong with one key, and how to fix it. */
export interface ConfigProblem {
  /** As in the file. `fix` names the environment variable or flag where that is the usual place. */
  readonly key: string
  readonly message: string
  readonly fix: string
}

type Schema<Value> = v.GenericSchema<unknown, Value>

/**
 * The text of an issue, which {@link problemOf} takes apart.
 *
 * @param key where the problem belongs to another key of the same section
 */
export function said(message: string, fix: string, key = ''): string {
  return [message, fix, key].join('\n')
}

export function problemOf({ message: text, path }: v.BaseIssue<unknown>): ConfigProblem {
  const [message = '', fix = '', key = ''] = text.split('\n')
  const keys = (path ?? []).map((item) => String(item.key))
  return { key: (key === '' ? keys : [...keys.slice(0, -1), key]).join('.'), message, fix }
}

/** What {@link reading} returns instead of a value. Takes what {@link said} takes. */
export class Refusal {
  readonly text: string

  constructor(...parts: Parameters<typeof said>) {
    this.text = said(...parts)
  }
}

/** Continues with a value that `given` accepts: `read` returns the final value, or refuses it. */
export function reading<Given, Value>(given: Schema<Given>, read: (value: Given) => Value | Refusal): Schema<Value> {
  return v.pipe(
    given,
    v.rawTransform(({ dataset, addIssue, NEVER }): Value => {
      const value = read(dataset.value)
      if (!(value instanceof Refusal)) return value
      addIssue({ message: value.text })
      return NEVER
    }),
  )
}

/** The keys of an object. All that are not among `entries` are problems. */
export function section<const Entries extends v.ObjectEntries>(
  name: string,
  entries: Entries,
): Schema<v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  const known = `Known here: ${Object.keys(entries).join(', ')}.`
  const notObject = ({ input }: v.BaseIssue<unknown>) =>
    said(`is ${shown(input)}, not an object`, `Write "${name}": { … }.`)
  return v.pipe(
    v.custom<Record<string, unknown>>(isObject, notObject),
    v.objectWithRest(entries, v.never(said('is not a key of this file', known))),
  )
}

/** Text on one line. Say where empty text would be a mistake: an empty `host` would mean every address. */
export function text({ longest = 1000, empty = true }: { longest?: number; empty?: boolean } = {}): Schema<string> {
  const fits = (value: unknown): boolean =>
    typeof value === 'string' && value.length <= longest && !/[\x00-\x1f\x7f]/.test(value) && (empty || value !== '')
  return v.custom<string>(fits, wrong(`Write a text of at most ${longest} characters on one line.`))
}

/** A text that must be given. */
export function required(fix: string): Schema<string> {
  return v.nullish(v.pipe(text(), v.nonEmpty(said('is missing', fix))), '')
}

/** A whole number, or its digits: the environment has only texts. */
export function whole({ from, to = 1e9 }: { from: number; to?: number }): Schema<number> {
  return reading(v.unknown(), (value) => {
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    const fits = typeof number === 'number' && Number.isInteger(number) && number >= from && number <= to
    return fits ? number : new Refusal(`is ${shown(value)}`, `Write a whole number from ${from} to ${to}.`)
  })
}

export function flag(): Schema<boolean> {
  return v.pipe(
    v.union([v.boolean(), v.picklist(['true', 'false'])], wrong('Write true or false.')),
    v.transform((value) => String(value) === 'true'),
  )
}

export function oneOf<const Word extends string>(words: readonly Word[]): Schema<Word> {
  return v.picklist(words, wrong(`Write one of: ${words.join(', ')}.`))
}

/** Texts in a list, or in one text with commas between them. */
export function list(): Schema<string[]> {
  const separated = v.pipe(v.string(), v.transform(splitAtCommas))
  return v.union([v.array(v.string()), separated], wrong('Write a list of texts.'))
}

export function splitAtCommas(text: string): string[] {
  return text.split(',').map((entry) => entry.trim())
}

/** A message that repeats the value. Never use it for a secret. */
function wrong(fix: string): (issue: v.BaseIssue<unknown>) => string {
  return ({ input }) => said(`is ${shown(input)}`, fix)
}

/** A value as a message may repeat it: short, on one line. Never call it with a secret. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

type Environment = Readonly<Record<string, string | undefined>>

/** What the environment says about these keys. Empty text counts as nothing. */
export function environmentValues(
  environment: Environment,
  keys: readonly string[],
  section = '',
): Record<string, string> {
  const values = keys.map((key) => [key, environment[variableName(key, section)] ?? ''] as const)
  return Object.fromEntries(values.filter(([, value]) => value !== ''))
}

/** `GATEPASS_KEYS_FILE` for the key `keysFile`, `GATEPASS_GOOGLE_CLIENT_ID` for `clientId` in the section `google`. */
export function variableName(key: string, section = ''): string {
  const words = key.replace(/[A-Z]/g, (letter) => `_${letter}`)
  return ['GATEPASS', ...(section === '' ? [] : [section.replaceAll('-', '_')]), words].join('_').toUpperCase()
}
