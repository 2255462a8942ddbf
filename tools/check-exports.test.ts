import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commandComplaint, exportFaults, loadComplaint, typeComplaint } from './check-exports.ts'

const cookie = {
  'gatepass:source': './src/cookie/index.ts',
  import: {
    types: './dist/cookie/index.d.ts',
    module: './dist/cookie/index.js',
    node: './dist/node/cookie/index.js',
    default: './dist/cookie/index.js',
  },
  require: {
    types: './dist/cjs/cookie/index.d.ts',
    module: './dist/cookie/index.js',
    default: './dist/cjs/cookie/index.js',
  },
}
const conditions = 'gatepass:source, import.types, import.module, import.node, import.default'
const manifest = { name: 'gatepass', exports: { './cookie': cookie, './package.json': './package.json' } }
const sound = {
  'packages/gatepass/package.json': JSON.stringify(manifest),
  'packages/gatepass/src/cookie/index.ts': "export { parse } from './parse.ts'",
  'packages/gatepass/src/cookie/parse.ts': '',
  'packages/gatepass/src/cookie/parse.test.ts': '',
  'docs/cookies.md': "import { parseCookie } from 'gatepass/cookie'",
}

/** What check-exports says of the sound repository after `changes`. */
function messages(changes: Record<string, string> = {}): string[] {
  return exportFaults(new Map(Object.entries({ ...sound, ...changes }))).map(
    ({ path, message }) => `${path}: ${message}`,
  )
}

function withEntry(entry: object): Record<string, string> {
  return { 'packages/gatepass/package.json': JSON.stringify({ ...manifest, exports: { './cookie': entry } }) }
}

test('a package whose entries, files and pages agree is accepted', () => {
  expect(messages()).toEqual([])
})

test('a test may import by its path only what no entry exports', () => {
  const parse = 'export function parse() {}\nexport function inner() {}\nexport type Parsed = string'
  const test = "import { inner, parse } from './parse.ts'\nimport type { Parsed } from './parse.ts'"
  const index = "export { parse, type Parsed as Result } from './parse.ts'"
  const cookie = 'packages/gatepass/src/cookie'
  const changes = { [`${cookie}/index.ts`]: index, [`${cookie}/parse.ts`]: parse, [`${cookie}/parse.test.ts`]: test }
  expect(messages(changes)).toEqual([
    `${cookie}/parse.test.ts: imports parse by its path`,
    `${cookie}/parse.test.ts: imports Parsed by its path`,
  ])
})

test('types after default are refused, since they would never be read', () => {
  const { types, ...rest } = cookie.require
  expect(messages(withEntry({ ...cookie, require: { ...rest, types } }))).toEqual([
    `packages/gatepass/package.json: gatepass/cookie: its conditions are ${conditions}, require.module, require.default, require.types`,
  ])
})

test('an entry without types, or of one form only, is refused', () => {
  const { import: esm, ...rest } = cookie
  const { types: _, ...untyped } = esm
  expect(messages(withEntry({ ...rest, import: untyped }))).toHaveLength(1)
  expect(messages(withEntry(rest))).toHaveLength(1)
})

test('targets that are not built from the source are refused', () => {
  expect(messages(withEntry({ ...cookie, import: { ...cookie.import, types: './dist/cookie.d.ts' } }))).toEqual([
    'packages/gatepass/package.json: gatepass/cookie: its targets are not built from packages/gatepass/src/cookie/index.ts',
  ])
})

test('require() of a drop-in must give what it exports as module.exports', () => {
  const dropIn = { 'packages/gatepass/src/cookie/index.ts': "export { parse as 'module.exports' } from './parse.ts'" }
  expect(messages(dropIn)).toEqual([
    `packages/gatepass/package.json: gatepass/cookie: its conditions are ${conditions}, require.types, require.module, require.default`,
  ])
  const required = { types: './dist/cjs/cookie/index.d.cts', default: './dist/cookie/index.cjs' }
  expect(messages({ ...withEntry({ ...cookie, require: required }), ...dropIn })).toEqual([])
})

test('an entry without a file is refused', () => {
  const files = new Map(Object.entries(sound))
  files.delete('packages/gatepass/src/cookie/index.ts')
  expect(exportFaults(files).map(({ message }) => message)).toContain(
    'gatepass/cookie: packages/gatepass/src/cookie/index.ts does not exist',
  )
})

test('a file that no entry leads to is refused', () => {
  expect(messages({ 'packages/gatepass/src/stores/redis.ts': '' })).toEqual([
    'packages/gatepass/src/stores/redis.ts: no entry of gatepass leads to this file',
  ])
})

test('the source of a command is an entry too', () => {
  const server = { name: 'gatepass-server', bin: { gatepass: './dist/main.js' } }
  expect(
    messages({
      'packages/server/package.json': JSON.stringify(server),
      'packages/server/src/main.ts': "#!/usr/bin/env node\nawait import('./commands/serve.ts')",
      'packages/server/src/commands/serve.ts': '',
    }),
  ).toEqual([])
})

test('a command that no system can run is refused', () => {
  const server = { name: 'gatepass-server', bin: { gatepass: './dist/main.js' } }
  expect(
    messages({ 'packages/server/package.json': JSON.stringify(server), 'packages/server/src/main.ts': '' }),
  ).toEqual(['packages/server/src/main.ts: a command of gatepass-server does not begin with #!/usr/bin/env node'])
})

test('a package that is loaded and not declared is refused, and its types are not', () => {
  expect(
    messages({ 'packages/gatepass/src/cookie/parse.ts': "import 'left-pad'\nimport type { X } from 'right-pad'" }),
  ).toEqual([
    'packages/gatepass/src/cookie/parse.ts: loads left-pad, which packages/gatepass/package.json does not declare',
  ])
})

test('a dependency that no source loads is refused, unless a package that is loaded has it as a peer', () => {
  const server = (dependencies: object) => ({
    'packages/server/package.json': JSON.stringify({ name: 'gatepass-server', dependencies }),
    'packages/server/src/main.ts': "import 'gatepass'",
    'packages/gatepass/package.json': JSON.stringify({ name: 'gatepass', peerDependencies: { redis: '>=5' } }),
  })
  const faults = exportFaults(new Map(Object.entries(server({ gatepass: '1', redis: '5', 'left-pad': '1' }))))
  expect(faults.map(({ message }) => message).filter((message) => message.startsWith('installs'))).toEqual([
    'installs left-pad, which no source loads',
  ])
})

test('an entry that no page mentions is refused', () => {
  expect(messages({ 'docs/cookies.md': 'see packages/gatepass/cookie' })).toEqual([
    'packages/gatepass/package.json: gatepass/cookie is mentioned in no page of docs/ and in no README',
  ])
})

test('a page that mentions an entry that is none is refused', () => {
  expect(messages({ 'README.md': 'a\n`gatepass/stores/mongo`' })).toEqual([
    'README.md: gatepass/stores/mongo is not an entry of any package',
  ])
})

test('an example is not published and needs no entries', () => {
  expect(
    messages({
      'examples/one/package.json': JSON.stringify({ name: 'one', private: true }),
      'examples/one/src/app.ts': "import 'express'",
    }),
  ).toEqual([])
})

describe('a package as it is installed', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gatepass-exports-'))
    install('sound', { 'a.js': exporting(1), 'a.cjs': 'exports.a = 1', ...types })
    install('throws', { 'a.js': '', 'a.cjs': 'throw new Error("on load")' })
    install('incomplete', { 'a.js': '', 'a.cjs': "require('./b.js')", 'a.d.ts': "export * from './b.js'" })
    install('empty', { 'a.js': 'export {}', 'a.cjs': '' })
    install('untyped', { 'a.js': exporting(1), 'a.cjs': 'exports.a = 1' })
    install('twofold', { 'a.js': exporting('{}'), 'a.cjs': 'exports.a = {}' })
    install('modern', { 'a.js': exporting(1), 'a.cjs': "module.exports = require('./a.js')" })
    install('elsewhere', { 'a.js': exporting(1), 'a.cjs': 'exports.a = 1', 'b.cjs': '' }, './b.cjs')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const types = { 'a.d.ts': 'export declare const a: number', 'a.d.cts': 'export declare const a: number' }
  const exporting = (value: unknown): string => `export const a = ${value}`

  function install(name: string, files: Record<string, string>, main = './a.cjs'): void {
    const home = join(folder, 'node_modules', name)
    mkdirSync(home, { recursive: true })
    const both = {
      import: { types: './a.d.ts', default: './a.js' },
      require: { types: './a.d.cts', default: './a.cjs' },
    }
    const manifest = { name, type: 'module', main, exports: both }
    for (const [file, text] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
      writeFileSync(join(home, file), text)
    }
  }

  test('is accepted when it loads both ways and has types', () => {
    expect(loadComplaint(folder, 'sound')).toBeUndefined()
    expect(typeComplaint(folder, 'sound')).toBeUndefined()
  })

  test.each([
    ['throws', 'on load'],
    ['incomplete', 'b.js'],
    ['empty', 'it exports nothing'],
    ['absent', "Cannot find module 'absent'"],
    ['twofold', 'a differs between require() and import'],
    ['modern', 'require() of ES Module'],
    ['elsewhere', 'its folder has another main'],
  ])('is refused when it is %s', (name, complaint) => {
    expect(loadComplaint(folder, name)).toContain(complaint)
  })

  test('is refused when its types are missing, whole or in part', () => {
    expect(typeComplaint(folder, 'untyped')).toContain('TS7016')
    expect(typeComplaint(folder, 'incomplete')).toContain('TS2307')
  })

  test('is refused when its command does not start, or will lack a file or package later', () => {
    const home = join(folder, 'command')
    mkdirSync(join(home, 'dist'), { recursive: true })
    const write = (file: string, text: string): void => writeFileSync(join(home, 'dist', file), text)
    write('main.js', "if (process.argv[2] !== '--help') require('./later.js')")
    write('later.js', '')
    expect(commandComplaint(home, 'dist/main.js')).toBeUndefined()
    write('later.js', "require('left-pad')")
    expect(commandComplaint(home, 'dist/main.js')).toContain("Cannot find module 'left-pad'")
    write('later.js', '')
    write('main.js', 'throw new Error("on start")')
    expect(commandComplaint(home, 'dist/main.js')).toContain('on start')
  })
})
