import { StoreError, UsageError } from '../error.ts'

/** What one request changed: top-level keys with the JSON text of the new value, or `undefined` if the key was removed. */
export type Changes = ReadonlyMap<string, string | undefined>

/** The data that a request loaded (`base`) and what it made from it (`local`). With `carry`, only these keys count. */
export interface Edit {
  readonly base: string
  readonly local: string
  readonly carry?: readonly string[] | undefined
}

type Bag = Record<string, unknown>

export const EMPTY_DATA = '{}'

/**
 * The newest data with a request's edit on top, as JSON text.
 *
 * @param change what the application changes after that, in `update()`
 * @throws {UsageError} `ERR_SESSION_DATA` if `change` leaves what JSON cannot carry, or returns a promise
 */
export function replay({ base, local, carry }: Edit, newest: string, change?: (data: object) => void): string {
  const edited = newest === base ? local : rebase(prune(newest, carry), diff(prune(base, carry), local))
  if (change === undefined) return edited
  const data = parseData(edited)
  applyChange(change, data)
  return checkedText(data)
}

/**
 * Lets the application change `data`.
 *
 * @throws {UsageError} `ERR_SESSION_DATA` if `change` returns a promise: what it does later would be lost
 */
export function applyChange(change: (data: object) => unknown, data: object): void {
  const returned = change(data)
  if (!(returned instanceof Promise)) return
  returned.catch(() => {})
  throw new UsageError('ERR_SESSION_DATA', 'The change given to update() returned a promise', {
    hint: 'Await what you need before you call update(), and only change the data inside it.',
  })
}

/** The top-level keys in which `local` differs from `base`. */
export function diff(base: string, local: string): Changes {
  const changes = new Map<string, string | undefined>()
  if (base === local) return changes
  const before = parseData(base)
  const after = parseData(local)
  for (const key of Object.keys(after)) {
    const text = JSON.stringify(after[key])
    if (!Object.hasOwn(before, key) || JSON.stringify(before[key]) !== text) changes.set(key, text)
  }
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) changes.set(key, undefined)
  return changes
}

/** `newest` with `changes` on top. Keys that this request did not change keep their newest value. */
export function rebase(newest: string, changes: Changes): string {
  if (changes.size === 0) return newest
  const data = parseData(newest)
  for (const [key, text] of changes) {
    if (text === undefined) delete data[key]
    else data[key] = JSON.parse(text)
  }
  return JSON.stringify(data)
}

/** The `carry` keys of `data`, or all of `data` without `carry`. */
export function prune(data: string, carry: readonly string[] | undefined): string {
  if (carry === undefined || data === EMPTY_DATA) return data
  const bag = parseData(data)
  for (const key of Object.keys(bag)) if (!carry.includes(key)) delete bag[key]
  return JSON.stringify(bag)
}

/**
 * Parses a record's data. Keys named `__proto__` are dropped at every depth: they are harmless here, but application code
 * that merges the data into another object would change that object's prototype.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if the text is not a JSON object
 */
export function parseData(text: string): Bag {
  try {
    const data: unknown = JSON.parse(text, text.includes('__proto__') ? withoutProto : undefined)
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Bag
  } catch {
    // V8's message quotes the data, so it is not passed on.
  }
  throw new StoreError('ERR_STORE_SCHEMA', 'A session record does not hold a JSON object', {
    hint: 'A program other than Gatepass wrote into the store. Remove the record; its user must log in again.',
  })
}

/**
 * JSON text of a session's data.
 *
 * @throws {UsageError} `ERR_SESSION_DATA` if JSON cannot carry a value; the message names its key
 */
export function dataText(data: object): string {
  try {
    return JSON.stringify(data)
  } catch (cause) {
    throw notJson(keyThatThrows(data as Bag), 'JSON cannot carry it', cause)
  }
}

/**
 * JSON text of data that will be stored. Also refuses values that JSON would change without an error: a Map becomes `{}`, a
 * function disappears.
 *
 * @throws {UsageError} `ERR_SESSION_DATA`; the message names the key
 */
export function checkedText(data: object): string {
  // In this order: data that JSON can write has no cycles, so the search for lossy parts ends.
  const text = dataText(data)
  for (const [key, value] of Object.entries(data)) {
    const lossy = lossyPart(value)
    if (lossy !== undefined) throw notJson(key, `it holds ${lossy}, which JSON would lose`)
  }
  return text
}

/** Finds top-level functions and NaN. A comparison of JSON texts misses them: functions leave no text, NaN becomes null. */
export function checkTopLevel(data: object): void {
  for (const key in data) {
    const value = (data as Bag)[key]
    const kind = typeof value
    const unseen = kind === 'function' || kind === 'symbol' || (kind === 'number' && !Number.isFinite(value))
    if (unseen && Object.hasOwn(data, key)) checkedText(data)
  }
}

function lossyPart(value: unknown): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'a Date without a time' : undefined
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return undefined
  const kind = LOSSY.find((type) => value instanceof type)
  if (kind !== undefined || ArrayBuffer.isView(value)) return `a ${value.constructor.name}`
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    const lossy = part === undefined && Array.isArray(value) ? 'undefined in a list' : lossyPart(part)
    if (lossy !== undefined) return lossy
  }
  return undefined
}

const LOSSY = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer] as const

function withoutProto(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value
}

function keyThatThrows(data: Bag): string | undefined {
  return Object.keys(data).find((key) => {
    try {
      JSON.stringify(data[key])
      return false
    } catch {
      return true
    }
  })
}

function notJson(key: string | undefined, why: string, cause?: unknown): UsageError {
  const offender = key === undefined ? 'The session data' : `The session data's key "${key}"`
  return new UsageError('ERR_SESSION_DATA', `${offender} cannot be stored: ${why}`, {
    hint: 'Store objects, arrays, strings, numbers, booleans and null. Turn a Map into its entries and a bigint into a string.',
    cause,
  })
}
