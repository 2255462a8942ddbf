import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

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
