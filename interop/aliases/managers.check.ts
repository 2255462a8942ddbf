/**
 * The steps of docs/migrate/packages-that-load-passport.md, as they stand there, with the package managers themselves: a package
 * that brings a Passport of its own gets the drop-in, and so does the application.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { run } from '../applications/visit.ts'
import { type Registry, startRegistry } from './registry.ts'

const repository = resolve(import.meta.dirname, '../..')
const MAIN = join(repository, 'packages/migrate/dist/main.js')
const page = readFileSync(join(repository, 'docs/migrate/packages-that-load-passport.md'), 'utf8')

/** The blocks below a heading, by language. */
function blocksBelow(heading: string): Readonly<Record<string, string | undefined>> {
  const [, below = ''] = page.split(`\n### ${heading}\n`)
  const [section = ''] = below.split(/\n##/)
  return Object.fromEntries([...section.matchAll(/```(\w+)\n(.*?)```/gs)].map(([, language, text]) => [language, text]))
}

let registry: Registry
let tools: string
before(async () => {
  registry = await startRegistry()
  tools = mkdtempSync(join(tmpdir(), 'gatepass-managers-'))
  const packages = ['pnpm@12.21.0', 'yarn1@npm:yarn@1.22.22', '@yarnpkg/cli-dist@4.18.1']
  const { code, output } = await run(tools, ['npm', 'install', '--prefix', tools, ...packages])
  assert.equal(code, 0, output)
})
after(() => {
  registry.close()
  rmSync(tools, { recursive: true })
})

const same = `
  const plugin = require('plugin')
  const passport = require('passport')
  console.log(JSON.stringify([plugin === passport, 'AuthenticationError' in passport]))`

interface Case {
  readonly manager: string
  readonly heading: string
  readonly install: () => string[]
  readonly settings?: () => Record<string, string>
}

const cases: readonly Case[] = [
  { manager: 'npm', heading: 'npm', install: () => ['npm', 'install', '--no-audit', '--registry', registry.url] },
  {
    manager: 'pnpm',
    heading: 'pnpm',
    install: () => [
      join(tools, 'node_modules/.bin/pnpm'),
      'install',
      '--no-frozen-lockfile',
      '--registry',
      registry.url,
    ],
  },
  {
    manager: 'Yarn 1',
    heading: 'Yarn',
    install: () => [
      process.execPath,
      join(tools, 'node_modules/yarn1/bin/yarn.js'),
      'install',
      '--registry',
      registry.url,
      // The common cache has the alias of an earlier run under the same version.
      '--cache-folder',
      join(tools, 'yarn1-cache'),
    ],
  },
  {
    manager: 'Yarn 4',
    heading: 'Yarn',
    install: () => [process.execPath, join(tools, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js'), 'install'],
    settings: () => ({
      'yarn.lock': '',
      // This registry says nothing of when a version was published.
      '.yarnrc.yml': `nodeLinker: node-modules\nnpmMinimalAgeGate: 0\nenableTelemetry: false\nunsafeHttpWhitelist: ["127.0.0.1"]\nnpmRegistryServer: "${registry.url}"\n`,
    }),
  },
]

for (const { manager, heading, install, settings = (): Record<string, string> => ({}) } of cases)
  test(`with ${manager}, a package that brings a Passport of its own gets the drop-in`, {
    timeout: 1_800_000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatepass-manager-'))
    try {
      const write = (path: string, text: string): void => {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      }
      write(
        'plugin/package.json',
        '{ "name": "plugin", "version": "1.0.0", "main": "index.js", "dependencies": { "passport": "^0.6.0" } }',
      )
      write('plugin/index.js', `module.exports = require('passport')\n`)
      await run(join(folder, 'plugin'), ['npm', 'pack', '--pack-destination', '..'])
      rmSync(join(folder, 'plugin'), { recursive: true })
      const manifest = {
        name: 'app',
        private: true,
        dependencies: { passport: '^0.7.0', plugin: 'file:plugin-1.0.0.tgz' },
      }
      const original = `${JSON.stringify(manifest, undefined, 2)}\n`
      write('package.json', original)
      for (const [path, text] of Object.entries(settings())) write(path, text)
      const look = async (): Promise<unknown> => {
        const installed = await run(folder, install(), { CI: '' })
        assert.equal(installed.code, 0, installed.output)
        return JSON.parse((await run(folder, [process.execPath, '-e', same])).output)
      }
      const migrate = (...args: string[]) => run(folder, [process.execPath, MAIN, ...args])
      assert.deepEqual(await look(), [false, false])

      const migrated = await migrate('--alias')
      assert.match(migrated.output, /passport \S+ for all packages: plugin\/index\.js loads its own/)
      assert.deepEqual(await look(), [true, true])
      assert.equal((await migrate('doctor')).code, 0)
      assert.equal((await migrate('--back')).code, 0)
      assert.equal(readFileSync(join(folder, 'package.json'), 'utf8'), original)

      // By hand, from nothing installed.
      for (const path of ['node_modules', 'package-lock.json', 'pnpm-lock.yaml', 'yarn.lock'])
        rmSync(join(folder, path), { recursive: true, force: true })
      for (const [path, text] of Object.entries(settings())) write(path, text)
      const { json = '{}', yaml } = blocksBelow(heading)
      const { dependencies, ...overrides } = JSON.parse(json)
      write(
        'package.json',
        JSON.stringify({ ...manifest, ...overrides, dependencies: { ...manifest.dependencies, ...dependencies } }),
      )
      if (yaml !== undefined) write('pnpm-workspace.yaml', yaml)
      assert.deepEqual(await look(), [true, true])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

test('from a clone, with the block of the page and with --from', { timeout: 1_800_000 }, async () => {
  const around = mkdtempSync(join(tmpdir(), 'gatepass-clone-'))
  try {
    const folder = join(around, 'app')
    mkdirSync(folder)
    symlinkSync(repository, join(around, 'gatepass'))
    const look = async (): Promise<unknown> => {
      const installed = await run(folder, ['npm', 'install', '--no-audit'])
      assert.equal(installed.code, 0, installed.output)
      const program = `console.log('AuthenticationError' in require('passport'))`
      return JSON.parse((await run(folder, [process.execPath, '-e', program])).output)
    }
    writeFileSync(join(folder, 'package.json'), blocksBelow('From a clone').json ?? '')
    assert.equal(await look(), true)
    rmSync(join(folder, 'node_modules'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "dependencies": { "passport": "^0.7.0" } }')
    writeFileSync(join(folder, 'app.js'), `require('passport')\n`)
    const { output } = await run(folder, [process.execPath, MAIN, '--alias', '--from', '../gatepass'])
    assert.match(output, /→ passport file:\.\.\/gatepass\/packages\/aliases\/passport/)
    assert.equal(await look(), true)
    assert.ok(existsSync(join(folder, 'node_modules/passport/index.js')))
  } finally {
    rmSync(around, { recursive: true })
  }
})
