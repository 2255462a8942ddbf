import { StoreError, UsageError } from '../error.ts'

/** What one request did to a session's data: top-level keys with the JSON text of their new value, `undefined` if removed. */
export type Changes = ReadonlyMap<string, string | undefined>

/** The data a request loaded, and what it made of it. Of both, and of whatever is newest, only `carry` counts if given. */
export interface Edit {
  readonly base: string
  readonly local: string
  readonly carry?: readonly string[] | undefined
}

type Bag = Record<string, unknown>

export const EMPTY_DATA = '{}'

/** The newest data with a request's edit on top, as JSON text; `undefined` for the newest if nothing of it is to be kept. */
export function replay(edit: Edit, newest: string | undefined): string {
  if (newest === edit.base) return edit.local
  const changes = diff(prune(edit.base, edit.carry), edit.local)
  return rebase(newest === undefined ? EMPTY_DATA : prune(newest, edit.carry), changes)
}

/** Which top-level keys of `local` differ from those of `base`. */
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

/** `newest` with `changes` on top; keys that this request left alone keep their newest value. */
export function rebase(newest: string, changes: Changes): string {
  if (changes.size === 0) return newest
  const data = parseData(newest)
  for (const [key, text] of changes) {
    if (text === undefined) delete data[key]
    else data[key] = JSON.parse(text)
  }
  return JSON.stringify(data)
}

/** Only the `carry` keys of `data`; all of it without `carry`. */
export function prune(data: string, carry: readonly string[] | undefined): string {
  if (carry === undefined || data === EMPTY_DATA) return data
  const bag = parseData(data)
  for (const key of Object.keys(bag)) if (!carry.includes(key)) delete bag[key]
  return JSON.stringify(bag)
}

/**
 * Reads a record's data. A key `__proto__` is dropped at every depth: it cannot do harm here, but whoever merges it into
 * another object would change that object's prototype.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if the store holds something else than a JSON object
 */
export function parseData(text: string): Bag {
  const data = text.includes('__proto__') ? parse(text, withoutProto) : parse(text)
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Bag
  throw unreadable()
}

/**
 * JSON text of a session's data.
 *
 * @throws {UsageError} `ERR_SESSION_DATA` naming the key that JSON cannot carry
 */
export function dataText(data: object): string {
  try {
    return JSON.stringify(data)
  } catch (cause) {
    throw notJson(keyThatThrows(data as Bag), 'JSON cannot carry it', cause)
  }
}

/**
 * The same for data that is to be written: refuses as well what JSON would change without a word, a Map into `{}`, a
 * function into nothing.
 *
 * @throws {UsageError} `ERR_SESSION_DATA` naming the key
 */
export function checkedText(data: object): string {
  // In this order: whatever has a JSON text has no cycles.
  const text = dataText(data)
  checkValues(data)
  return text
}

/** Top-level functions leave no trace in the JSON text and NaN is the text of null: a comparison of texts sees neither. */
export function checkTopLevel(data: object): void {
  for (const key in data) {
    const value = (data as Bag)[key]
    const kind = typeof value
    const unseen = kind === 'function' || kind === 'symbol' || (kind === 'number' && !Number.isFinite(value))
    if (unseen && Object.hasOwn(data, key)) checkValues(data)
  }
}

function checkValues(data: object): void {
  for (const [key, value] of Object.entries(data)) {
    const lossy = lossyPart(value)
    if (lossy !== undefined) throw notJson(key, `it holds ${lossy}, which JSON would lose`)
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

function parse(text: string, reviver?: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, reviver)
  } catch {
    // Without the cause: V8's message quotes the data.
    throw unreadable()
  }
}

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
    hint: 'Keep objects, arrays, strings, numbers, booleans and null; turn a Map into its entries, a bigint into a string.',
    cause,
  })
}

function unreadable(): StoreError {
  return new StoreError('ERR_STORE_SCHEMA', 'A session record does not hold a JSON object', {
    hint: 'Something other than Gatepass wrote into the store; remove the record, and its owner logs in again.',
  })
}
