/** What is wrong with one key, and what to do about it. */
export interface ConfigProblem {
  /** As in the file; the environment variable or flag is named in `fix` where that is the usual place. */
  readonly key: string
  readonly message: string
  readonly fix: string
}

/** Takes typed values out of untyped ones, notes what is wrong with them, and in the end what nobody asked for. */
export class ConfigReader {
  readonly #values: Map<string, unknown>
  readonly #prefix: string
  readonly #problems: ConfigProblem[]
  readonly #asked = new Set<string>(['config'])

  constructor(values: Record<string, unknown>, prefix: string, problems: ConfigProblem[]) {
    this.#values = new Map(Object.entries(values))
    this.#prefix = prefix
    this.#problems = problems
  }

  problem(key: string, message: string, fix: string): void {
    this.#problems.push({ key: this.#prefix + key, message, fix })
  }

  take(key: string): unknown {
    this.#asked.add(key)
    return this.#values.get(key)
  }

  /** What there is, asked for or not. */
  keys(): readonly string[] {
    return [...this.#values.keys()]
  }

  /** @param overrides win over what the file says */
  section(key: string, overrides: Readonly<Record<string, unknown>> = {}): ConfigReader {
    const value = this.take(key) ?? {}
    if (!isObject(value)) this.problem(key, `is ${shown(value)}, not an object`, `Write "${key}": { … }.`)
    return new ConfigReader({ ...(isObject(value) && value), ...overrides }, `${this.#prefix}${key}.`, this.#problems)
  }

  text(key: string, fallback: string, longest = 1000): string {
    const value = this.take(key) ?? fallback
    const fits = typeof value === 'string' && value.length <= longest && !/[\x00-\x1f\x7f]/.test(value)
    // Empty is a value only where nothing stands for it: an empty `host` would mean every address.
    if (fits && (value !== '' || fallback === '')) return value
    this.problem(key, `is ${shown(value)}`, `Write a text of at most ${longest} characters on one line.`)
    return fallback
  }

  /** A text that must be there. */
  required(key: string, fix: string): string {
    const text = this.text(key, '')
    if (text === '') this.problem(key, 'is missing', fix)
    return text
  }

  whole(key: string, fallback: number, { from, to = 1e9 }: { from: number; to?: number }): number {
    const value = this.take(key) ?? fallback
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isInteger(number) && number >= from && number <= to) return number
    this.problem(key, `is ${shown(value)}`, `Write a whole number from ${from} to ${to}.`)
    return fallback
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.take(key) ?? fallback
    if (typeof value === 'boolean') return value
    if (value === 'true' || value === 'false') return value === 'true'
    this.problem(key, `is ${shown(value)}`, 'Write true or false.')
    return fallback
  }

  oneOf<Word extends string>(key: string, words: readonly [Word, ...Word[]]): Word {
    const value = this.take(key) ?? words[0]
    const word = words.find((candidate) => candidate === value)
    if (word !== undefined) return word
    this.problem(key, `is ${shown(value)}`, `Write one of: ${words.join(', ')}.`)
    return words[0]
  }

  list(key: string): readonly string[] {
    const value = this.take(key) ?? []
    const entries = typeof value === 'string' ? value.split(',').map((entry) => entry.trim()) : value
    if (Array.isArray(entries) && entries.every((entry) => typeof entry === 'string')) return entries
    this.problem(key, `is ${shown(value)}`, 'Write a list of texts.')
    return []
  }

  refuseRest(): void {
    for (const key of this.#values.keys()) {
      if (this.#asked.has(key)) continue
      this.problem(
        key,
        'is not a key of this file',
        `Known here: ${[...this.#asked].filter((known) => known !== 'config').join(', ')}.`,
      )
    }
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value as it may be repeated to whoever wrote it: short, on one line. Never called with a secret. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
