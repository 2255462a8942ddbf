import { expect, test } from 'vitest'
import { sizeFaults, sizes, table } from './report-size.ts'

const entry = (source: string): object => ({ 'gatepass:source': source })
const manifest = {
  name: 'gatepass',
  exports: {
    '.': entry('./src/index.ts'),
    './cookie': entry('./src/cookie/index.ts'),
    './stores/sqlite': entry('./src/stores/sqlite.ts'),
  },
}

/** A library with these files in its `src`. */
function library(files: Record<string, string>): ReadonlyMap<string, string> {
  const sources = Object.entries(files).map(([path, text]) => [`packages/gatepass/src/${path}`, text] as const)
  return new Map([['packages/gatepass/package.json', JSON.stringify(manifest)], ...sources])
}

const messages = (files: Record<string, string>): string[] => sizeFaults(library(files)).map(({ message }) => message)

test('an entry that loads its own idea and what is below is accepted', () => {
  expect(
    messages({
      'index.ts': "export * from './cookie/index.ts'; export * from './session/manager.ts'",
      'session/manager.ts': "import '../cookie/index.ts'",
      'cookie/index.ts': "import '../crypto/seal.ts'",
      'crypto/seal.ts': "import 'node:crypto'",
      'stores/sqlite.ts': "import 'node:sqlite'",
    }),
  ).toEqual([])
})

test('a cookie entry that pulls in the session is refused, with the chain that did it', () => {
  expect(
    messages({
      'cookie/index.ts': "export { a } from './cookies.ts'",
      'cookie/cookies.ts': "import { b } from '../session/manager.ts'",
      'session/manager.ts': '',
    }),
  ).toEqual(['gatepass/cookie loads session: cookie/index.ts → cookie/cookies.ts → session/manager.ts'])
})

test('a core that pulls in a driver is refused, with the chain that did it', () => {
  expect(
    messages({ 'index.ts': "import './session/manager.ts'", 'session/manager.ts': "import pg from 'pg'" }),
  ).toEqual(['gatepass loads pg: index.ts → session/manager.ts'])
})

test('a core that pulls in a leaf with a driver is refused for both', () => {
  expect(messages({ 'index.ts': "import './stores/sqlite.ts'", 'stores/sqlite.ts': "import 'node:sqlite'" })).toEqual([
    'gatepass loads stores: index.ts → stores/sqlite.ts',
    'gatepass loads node:sqlite: index.ts → stores/sqlite.ts',
  ])
})

test('types, and what is fetched only when it is reached, are not loaded', () => {
  expect(
    messages({
      'cookie/index.ts':
        "import type { S } from '../session/manager.ts'\nexport const f = () => import('../session/manager.ts')",
      'session/manager.ts': '',
    }),
  ).toEqual([])
})

test('the size of an entry counts each file it loads once', () => {
  const files = library({
    'index.ts': "import './a.ts'; import './b.ts'",
    'a.ts': "import './b.ts'",
    'b.ts': 'let b: 1',
  })
  const [size] = sizes(files)
  expect(size).toMatchObject({ entry: 'gatepass', files: 3, bytes: 32 + 15 + 8, packages: [] })
})

test('the table lines up', () => {
  const rows = [
    { entry: 'gatepass', files: 3, bytes: 12345, gzip: 678, packages: [] },
    { entry: 'gatepass/stores/sqlite', files: 10, bytes: 9, gzip: 8, packages: ['node:sqlite'] },
  ]
  expect(table(rows)).toBe(`entry                   files  bytes  gzip  packages
gatepass                    3  12345   678
gatepass/stores/sqlite     10      9     8  node:sqlite`)
})
