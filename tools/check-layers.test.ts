import { expect, test } from 'vitest'
import { layerFaults } from './check-layers.ts'

const manifests = {
  'packages/gatepass/package.json': JSON.stringify({
    name: 'gatepass',
    exports: {
      '.': { 'gatepass:source': './src/index.ts' },
      './cookie': { 'gatepass:source': './src/cookie/index.ts' },
    },
  }),
  'packages/server/package.json': JSON.stringify({ name: 'gatepass-server' }),
  'examples/one/package.json': JSON.stringify({ name: 'one', private: true }),
  'bench/package.json': JSON.stringify({ name: 'bench', private: true }),
}

/** What check-layers says of a repository that holds these files, paths of the library being relative to its `src`. */
function messages(files: Record<string, string>): string[] {
  const full = Object.entries(files).map(
    ([path, text]) =>
      [/^(packages|examples|bench|tools)\//.test(path) ? path : `packages/gatepass/src/${path}`, text] as const,
  )
  return layerFaults(new Map([...Object.entries(manifests), ...full])).map(({ path, message }) => `${path}: ${message}`)
}

test('imports that point down are accepted', () => {
  expect(
    messages({
      'error.ts': '',
      'crypto/random.ts': "import { hash } from 'node:crypto'; import { UsageError } from '../error.ts'",
      'cookie/cookie.ts': "import '../crypto/random.ts'",
      'protocols/jwt.ts': "import { jwtVerify } from 'jose'",
      'passport/passport.ts': "import '../session/manager.ts'",
      'stores/sqlite.ts': "import { DatabaseSync } from 'node:sqlite'; import '../session/store.ts'",
      'adapters/express.ts': "import express from 'express'; import './node.ts'",
      'testing/suite.ts': "import '../adapters/express.ts'",
      'packages/server/src/app.ts': "import 'gatepass/cookie'; import './routes.ts'",
    }),
  ).toEqual([])
})

test('an import upwards is refused, whether of a value or of a type', () => {
  expect(messages({ 'cookie/cookie.ts': "import '../session/manager.ts'" })).toEqual([
    'packages/gatepass/src/cookie/cookie.ts: cookie imports session, which is in layer 3: cookie (layer 1) may import layers 0–0 and itself',
  ])
  expect(messages({ 'http/node.ts': "import type { User } from '../passport/users.ts'" })).toHaveLength(1)
})

test.each([
  ['stores/redis.ts', '../strategies/local.ts'],
  ['adapters/express.ts', '../stores/memory.ts'],
  ['cookie/cookie.ts', '../protocols/jwt.ts'],
  ['testing/suite.ts', '../compat/passport.ts'],
  ['testing/suite.ts', '../index.ts'],
  ['compat/passport.ts', '../testing/suite.ts'],
  ['index.ts', './stores/memory.ts'],
  ['index.ts', './testing/suite.ts'],
  ['error.ts', './crypto/random.ts'],
  ['error.ts', './awaitable.ts'],
])('%s may not import %s', (path, specifier) => {
  expect(messages({ [path]: `export {} from '${specifier}'` })).toHaveLength(1)
})

test.each([
  ['session/manager.ts', 'node:crypto'],
  ['passport/passport.ts', 'node:http'],
  ['cookie/cookie.ts', 'jose'],
  ['strategies/oidc.ts', 'oauth4webapi'],
  ['stores/memory.ts', 'better-sqlite3'],
  ['http/node.ts', 'express'],
  ['adapters/fastify.ts', 'express'],
  ['stores/redis.ts', 'pg'],
  ['session/manager.ts', 'left-pad'],
])('%s may not load %s', (path, specifier) => {
  expect(messages({ [path]: `import x from '${specifier}'` })).toHaveLength(1)
})

test('a driver is refused under whatever form it is loaded, and its types are not', () => {
  expect(messages({ 'session/manager.ts': "const { Redis } = await import('redis')" })).toHaveLength(1)
  expect(messages({ 'session/manager.ts': "require('redis')" })).toHaveLength(1)
  expect(messages({ 'session/manager.ts': "import type { Request } from 'express'" })).toEqual([])
})

test('the leaf that carries the name of a package may load it', () => {
  expect(messages({ 'stores/redis.ts': "import { createClient } from 'redis'" })).toEqual([])
})

test.each([
  ['packages/server/src/app.ts', '../../gatepass/src/cookie/index.ts'],
  ['packages/server/src/app.ts', 'gatepass/src/cookie/index.ts'],
  ['packages/server/src/app.test.ts', 'gatepass/session/manager.ts'],
  ['examples/one/src/app.ts', '../../../packages/gatepass/src/index.ts'],
  ['bench/src/main.ts', '../../packages/gatepass/src/index.ts'],
  ['bench/src/main.ts', 'gatepass-server/src/app.ts'],
  ['cookie/cookie.ts', 'gatepass/cookie'],
])('%s may not reach %s', (path, specifier) => {
  expect(messages({ [path]: `import '${specifier}'` })).toHaveLength(1)
})

test('a test may look at any file of its own package', () => {
  expect(
    messages({
      'cookie/cookie.test.ts': "import '../testing/suite.ts'; import 'node:crypto'",
      'packages/gatepass/test/readme.test.ts': "import 'gatepass/cookie'; import '../src/index.ts'",
    }),
  ).toEqual([])
})

test('files that load each other are refused, with the circle in the message', () => {
  expect(
    messages({
      'session/a.ts': "import './b.ts'",
      'session/b.ts': "import { c } from './c.ts'",
      'session/c.ts': "export { a } from './a.ts'",
    }),
  ).toEqual([
    'packages/gatepass/src/session/a.ts: loads itself: session/a.ts → session/b.ts → session/c.ts → session/a.ts',
  ])
})

test('types and what is loaded later make no circle', () => {
  expect(
    messages({
      'session/a.ts': "import './b.ts'",
      'session/b.ts': "import type { A } from './a.ts'\nexport const a = () => import('./a.ts')",
    }),
  ).toEqual([])
})

test('a file in no layer is refused', () => {
  expect(messages({ 'utils.ts': '', 'helpers/x.ts': '' })).toHaveLength(2)
})
