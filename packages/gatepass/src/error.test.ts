import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { StoreError } from 'gatepass'
import { expect, test } from 'vitest'
import { checkOptions, isKeyText } from './error.ts'

const folder = join(import.meta.dirname, '..')
const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
  engines: { node: string }
  exports: Record<string, string | { 'gatepass:source': string }>
}

/** The code with which each entry refuses to load on this version of Node, or "loads". */
function codesOn(version: string): Record<string, string> {
  const entries = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? [] : [join(folder, entry['gatepass:source'])],
  )
  const script = `
    Object.defineProperty(process.versions, 'node', { value: ${JSON.stringify(version)} })
    const codes = {}
    for (const entry of ${JSON.stringify(entries)})
      codes[entry] = await import(entry).then(() => 'loads', (error) => error.code ?? String(error))
    console.log(JSON.stringify(codes))`
  const args = ['--conditions=gatepass:source', '--input-type=module', '--eval', script]
  return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' }))
}

test('every entry says by itself that Node is too old, rather than fail at what an old Node lacks', () => {
  const oldest = manifest.engines.node.replace('>=', '')
  expect(new Set(Object.values(codesOn('20.20.2')))).toEqual(new Set(['ERR_NODE_VERSION']))
  expect(new Set(Object.values(codesOn('22.9.0')))).toEqual(new Set(['ERR_NODE_VERSION']))
  expect(new Set(Object.values(codesOn(`${oldest}.0`)))).toEqual(new Set(['loads']))
})

test('a store error has no password in its message, nor in its cause and what that was caused by', () => {
  const deep = Object.assign(new Error('password=hunter2 is wrong'), { input: 'redis://:hun/ter2@db:6379' })
  const cause = new AggregateError([new Error('no postgres://app:hunter2@db/app')], 'mysql://app:hunter2@db', {
    cause: deep,
  })
  const error = new StoreError('ERR_STORE_UNAVAILABLE', 'cannot reach redis://app:hunter2@db:6379/0', { cause })
  expect(error.message).toBe('cannot reach redis://…@db:6379/0')
  expect(error.cause).toBe(cause)
  const shown = inspect(error, { depth: 9, showHidden: true })
  expect(shown).not.toMatch(/hunter2|hun\/ter2/)
  for (const kept of ['mysql://…@db', 'no postgres://…@db/app', 'password=… is wrong', 'redis://…@db:6379']) {
    expect(shown).toContain(kept)
  }
})

test.each([
  ["connect postgres://app:p'hunter2@db:5432/x failed", 'connect postgres://…@db:5432/x failed'],
  ['postgres://app:p@ss hunter2@db', 'postgres://…@db'],
  ['mysql://app:a"hunter2@db', 'mysql://…@db'],
  ["password='hunt er2' host=db", 'password=… host=db'],
  ['{"host":"db","password":"hunter2","port":1}', '{"host":"db","password":…,"port":1}'],
  ['password: hunter2', 'password: …'],
  ['pass=hunter2, PGPASSWORD=hunter2', 'pass=…, PGPASSWORD=…'],
  ["ALTER USER app IDENTIFIED BY 'hunter2'", 'ALTER USER app IDENTIFIED BY …'],
  ['AUTH hunter2', 'AUTH …'],
  ['redis://db:6379 is away, tell ops@example.com', 'redis://db:6379 is away, tell ops@example.com'],
  ["Access denied for user 'app' (using password: YES)", "Access denied for user 'app' (using password: YES)"],
])('of a store error %j is told without its password', (text, told) => {
  const error = new StoreError('ERR_STORE_UNAVAILABLE', text, { cause: new Error(text) })
  expect(error.message).toBe(told)
  expect(error.cause).toMatchObject({ message: told })
  expect(new StoreError('ERR_STORE_UNAVAILABLE', 'x', { cause: { message: text } }).cause).toEqual({ message: told })
})

test('a store error shows no password in the options that its cause holds, and the driver keeps its own', () => {
  const options: Record<string, unknown> = {
    ...{ host: 'db', password: 'hunter2', url: new URL('redis://:hunter2@db'), tls: { passphrase: 'hunter2' } },
    list: ['redis://:hunter2@db'],
  }
  options.self = options
  const original = new Error('redis://:hunter2@db')
  const cause = Object.assign(new Error('refused'), { options, password: 'hunter2', original, address: { port: 1 } })
  const { address } = cause
  const error = new StoreError('ERR_STORE_UNAVAILABLE', 'x', { cause })
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2')
  expect(cause).toMatchObject({ message: 'refused', options: { host: 'db', password: '…' }, original })
  expect(cause.address).toBe(address)
  expect(options).toMatchObject({ password: 'hunter2', tls: { passphrase: 'hunter2' } })
})

test.each([
  ...[
    'undefined',
    'null',
    'true',
    'false',
    'NaN',
    'Infinity',
    '-Infinity',
    'Invalid Date',
    '',
    ' ',
    '\n',
    ' undefined ',
  ],
  ...[{}, [{}, {}], new Map(), Promise.resolve(), (() => {}).call, Math, Symbol('id')].map(String),
  ...[() => 1, async () => 1, (a: number) => a, class X {}, { id: () => 1 }.id, { id() {} }.id].map(String),
  ...['function id() { return 1 }', 'async function id() {}', '[object Undefined]', 'async id() { await 1 }'],
])('the text %j tells no user from another', (text) => {
  expect(isKeyText(text)).toBe(false)
})

test.each(['7', 'ada', 'Undefined', 'class', 'function', 'true-1', 'ada (admin)', '{"id":7}', '[7]'])(
  'the text %j may be a subject',
  (text) => {
    expect(isKeyText(text)).toBe(true)
  },
)

test('an object of the application may have members whose names are like those that are given', () => {
  const check = (options: object) =>
    checkOptions('users', options, { find: 'needed', stamp: 'function' }, 'ERR_PASSPORT_OPTIONS', 'allowed')
  const find = () => undefined
  for (const extra of [{ findBy: find }, { kind: 'sql' }, { finds: 1 }])
    expect(() => check({ find, ...extra })).not.toThrow()
  expect(() => check({ find, stmap: find })).toThrow(expect.objectContaining({ hint: 'Did you mean `stamp`?' }))
})
