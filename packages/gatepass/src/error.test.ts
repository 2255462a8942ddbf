import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { StoreError } from './error.ts'

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
