import { exec, execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { command } from '../src/command.ts'
import { dropIns } from '../src/drop-ins.ts'

const MAIN = join(import.meta.dirname, '../src/main.ts')

/** Runs the command. */
async function run(args: readonly string[]): Promise<{ code: unknown; output: string }> {
  let output = ''
  const say = (text: unknown): void => {
    output += `${text}\n`
  }
  const spies = [vi.spyOn(console, 'log').mockImplementation(say), vi.spyOn(console, 'error').mockImplementation(say)]
  try {
    const code = await command([...args])
    return { code, output }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

/** Runs the command in a process of its own. */
function runProcess(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: unknown; output: string }> {
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      ['--conditions=gatepass:source', MAIN, ...args],
      { env: { ...process.env, ...environment } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    ),
  )
}

/** An application on disk: the texts of its files by path. */
function application(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-migrate-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

/** An installed package with one file, and fields of its package.json. */
const installedPackage = (name: string, code = '', fields: object = {}): Record<string, string> => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, version: '1.0.0', ...fields }),
  [`node_modules/${name}/index.js`]: code,
})

/** What package.json says to install a drop-in under the name of its original. */
const ALIAS = {
  'express-session': 'npm:@gatepass/express-session@^1.19.1000',
  passport: 'npm:@gatepass/passport@^0.7.1000',
  cookie: 'npm:@gatepass/cookie@^1.1.1000',
}

const manifest = (dependencies: Readonly<Record<string, string>>): string =>
  `${JSON.stringify({ name: 'shop', dependencies }, undefined, 4)}\n`

const read = (folder: string, path: string): string => readFileSync(join(folder, path), 'utf8')

describe('gatepass-migrate', () => {
  test('rewrites every way to load a module, and no other letter', async () => {
    const folder = application({
      'package.json': manifest({ 'express-session': '^1.19.0' }),
      'app.js': `// require('express-session') in words stays\nconst session = require("express-session"), x = 'passport'\nconst p = require('passport')\nimport('cookie-parser')\n`,
      'src/types.ts': `import session, { type SessionData } from 'express-session'\nexport * from 'cookie'\nimport passport = require('passport')\ntype S = import('express-session').Session\ndeclare module 'express-session' {\n  interface SessionData { cart: string[] }\n}\n`,
      'src/view.tsx': `import cookieSession from 'cookie-session'\nexport const a = <b>{1}</b>\n`,
      'test/app.test.js': `jest.mock('passport', () => ({}))\nvi.mock('express-session')\n`,
      'node_modules/express/index.js': `require('express-session')\n`,
      'dist/app.js': `require('express-session')\n`,
    })
    const { code } = await run([folder])
    expect(code).toBe(0)
    expect(read(folder, 'app.js')).toBe(
      `// require('express-session') in words stays\nconst session = require("gatepass/compat/express-session"), x = 'passport'\nconst p = require('gatepass/compat/passport')\nimport('gatepass/compat/cookie-parser')\n`,
    )
    expect(read(folder, 'src/types.ts')).toBe(
      `import session, { type SessionData } from 'gatepass/compat/express-session'\nexport * from 'gatepass/compat/cookie'\nimport passport = require('gatepass/compat/passport')\ntype S = import('gatepass/compat/express-session').Session\ndeclare module 'gatepass/compat/express-session' {\n  interface SessionData { cart: string[] }\n}\n`,
    )
    expect(read(folder, 'src/view.tsx')).toContain(`'gatepass/compat/cookie-session'`)
    expect(read(folder, 'test/app.test.js')).toBe(
      `jest.mock('gatepass/compat/passport', () => ({}))\nvi.mock('gatepass/compat/express-session')\n`,
    )
    expect(read(folder, 'node_modules/express/index.js')).toBe(`require('express-session')\n`)
    expect(read(folder, 'dist/app.js')).toBe(`require('express-session')\n`)
  })

  test('renames what is declared of the data of sessions, and of nothing else, there and back', async () => {
    const data = `declare module 'express-session' {\n  import type { Item } from './item.ts'\n  export interface SessionData { cart: Item[] };\n}\n`
    const more = `declare module 'express-session' {\n  interface SessionData { cart: string[] }\n  interface Session { shop: string }\n}\n`
    const files = {
      'data.d.ts': `import 'express-session'\n${data}`,
      'more.d.ts': `import 'express-session'\n${more}`,
      'user.d.ts': `import 'passport'\ndeclare module 'passport' {}\n`,
      'untyped.d.ts': `declare module 'cookie-session'\n`,
    }
    const folder = application({ 'package.json': manifest({ 'express-session': '^1.19.0' }), ...files })
    await run([folder])
    expect(read(folder, 'data.d.ts')).not.toContain(`'express-session'`)
    expect(read(folder, 'more.d.ts')).toBe(`import 'gatepass/compat/express-session'\n${more}`)
    expect(read(folder, 'user.d.ts')).toContain(`declare module 'passport'`)
    expect(read(folder, 'untyped.d.ts')).toBe(files['untyped.d.ts'])
    await run(['--back', folder])
    for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text)
  })

  test('adds gatepass, removes what nothing loads, installs the alias of what a store loads, and keeps the indentation', async () => {
    const folder = application({
      'package.json': manifest({ 'connect-redis': '^10.0.0', 'express-session': '^1.19.0', passport: '^0.7.0' }),
      'app.js': `require('express-session'); require('passport')\n`,
      ...installedPackage('connect-redis', `import { Store } from "express-session"`),
      ...installedPackage('express-session'),
      ...installedPackage('passport'),
    })
    const { output } = await run([folder])
    expect(read(folder, 'package.json')).toBe(
      manifest({ 'connect-redis': '^10.0.0', 'express-session': ALIAS['express-session'], gatepass: '^0.1.0' }),
    )
    expect(output).toContain(`→ express-session ${ALIAS['express-session']}: connect-redis/index.js loads it`)
    expect(output).toContain('- passport ^0.7.0: nothing loads it any more')
  })

  test('installs the alias of every original while it is not known what else loads it', async () => {
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0', 'passport-local': '^1.0.0' }),
      'app.js': `require('passport')\n`,
      ...installedPackage('passport'),
    })
    const { output } = await run([folder])
    expect(JSON.parse(read(folder, 'package.json')).dependencies.passport).toBe(ALIAS.passport)
    expect(output).toContain('passport-local is not installed')
  })

  test('--dry-run says the same and writes nothing', async () => {
    const files = { 'package.json': manifest({ passport: '^0.7.0' }), 'app.js': `require('passport')\n` }
    const folder = application(files)
    const { code, output } = await run([folder, '--dry-run'])
    expect([code, output]).toEqual([0, expect.stringContaining('line 1: passport → gatepass/compat/passport')])
    for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text)
  })

  test('--back restores every source file to the letter', async () => {
    const text = `import session from 'express-session'\nimport passport from "passport"\n`
    const folder = application({
      'package.json': manifest({ 'express-session': '^1.19.0', passport: '^0.7.0' }),
      'app.js': text,
      ...installedPackage('express-session'),
      ...installedPackage('passport'),
    })
    await run([folder])
    expect(read(folder, 'app.js')).not.toBe(text)
    expect((await run([folder, '--back'])).code).toBe(0)
    expect(read(folder, 'app.js')).toBe(text)
    expect(JSON.parse(read(folder, 'package.json')).dependencies).toEqual({
      'express-session': '^1.19.0',
      passport: '^0.7.0',
    })
  })

  test('--back keeps gatepass where anything else imports it, and changes nothing where no drop-in was imported', async () => {
    const dependencies = { gatepass: '^0.1.0' }
    const own = `import { gatepass } from 'gatepass/express'\n`
    const alone = application({ 'package.json': manifest(dependencies), 'app.js': own })
    await run([alone, '--back'])
    expect(read(alone, 'package.json')).toBe(manifest(dependencies))
    const both = application({
      'package.json': manifest(dependencies),
      'app.js': own,
      'old.js': `require('gatepass/compat/passport')\n`,
    })
    const { output } = await run([both, '--back'])
    expect(output).toContain('= gatepass')
    expect(JSON.parse(read(both, 'package.json')).dependencies).toEqual({ gatepass: '^0.1.0', passport: '^0.7.0' })
  })

  test('--back restores package.json also where a build from the migration names the drop-ins', async () => {
    const before = manifest({ passport: '^0.7.0' })
    const folder = application({ 'package.json': before, 'src/app.js': `require('passport')\n` })
    await run([folder])
    mkdirSync(join(folder, 'dist'))
    writeFileSync(join(folder, 'dist/app.js'), `require('gatepass/compat/passport')\n`)
    const { output } = await run([folder, '--back'])
    expect(read(folder, 'package.json')).toBe(before)
    expect(output).toContain('npm install, and build again')
  })

  test.each(['App.svelte', 'build/server.js', 'packages/api/dist/main.js', '.config/hooks.cjs', 'broken.js'])(
    'installs the alias of a package that %s loads, which is not rewritten',
    async (path) => {
      const code = `const passport = createRequire(import.meta.url)('passport')\n${path === 'broken.js' ? '%%%' : ''}`
      const folder = application({
        'package.json': manifest({ passport: '^0.7.0' }),
        'app.js': `require('passport')\n`,
        [path]: code,
        ...installedPackage('passport'),
      })
      const { output } = await run([folder])
      expect(output).toContain(`→ passport ${ALIAS.passport}: ${path} names it`)
      expect(JSON.parse(read(folder, 'package.json')).dependencies.passport).toBe(ALIAS.passport)
      expect(read(folder, 'app.js')).toContain('gatepass/compat/passport')
      expect(read(folder, path)).toBe(code)
    },
  )

  test('rewrites a script without an ending, and sources in packages/node_modules', async () => {
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0' }),
      'bin/www': `#!/usr/bin/env node\nrequire('passport')\n`,
      'bin/worker': `var passport = require('passport')\n`,
      'packages/node_modules/@shop/login/index.js': `require('passport')\n`,
      'packages/node_modules/@shop/login/package.json': manifest({}),
      'packages/node_modules/@shop/login/node_modules/other/index.js': `require('passport')\n`,
      LICENSE: `You may not require('passport') of anyone\n`,
      ...installedPackage('passport'),
    })
    const { code, output } = await run([folder])
    expect([code, output]).toEqual([0, expect.stringContaining('- passport ^0.7.0: nothing loads it any more')])
    for (const path of ['bin/www', 'bin/worker', 'packages/node_modules/@shop/login/index.js'])
      expect(read(folder, path)).toContain(`require('gatepass/compat/passport')`)
    expect(read(folder, 'packages/node_modules/@shop/login/node_modules/other/index.js')).toContain(`('passport')`)
  })

  test.each([
    ['jest.config.js', `module.exports = { moduleNameMapper: { '^passport$': '<rootDir>/mock.js' } }`],
    ['jest.config.ts', `export default { moduleNameMapper: { passport: '<rootDir>/mock.js' } }`],
    ['__mocks__/passport.js', `module.exports = {}`],
    ['.mocharc.yml', `require: passport\n`],
    ['tsconfig.json', `{ "compilerOptions": { "types": ["node", "passport"] } }`],
    ['vitest.config.ts', `export default { test: { alias: { passport: './mock.ts' } } }`],
    ['test/a.js', `const p = require('proxyquire')\nconst stubs = { passport: {} }\np('../app', stubs)`],
    ['test/b.js', `const load = require('./load')\nload('../app', { 'passport': {} })`],
    ['test/c.js', `require('./mocks').registerMock('passport', {})`],
    ['test/d.mjs', `import esmock from 'esmock'\nawait esmock('../app.js', { passport: {} })`],
  ])('leaves the sources alone where %s names a package, and installs the alias', async (path, text) => {
    const source = `require('passport')\n`
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0', 'express-session': '^1.18.0' }),
      'app.js': source,
      'session.js': `require('express-session')\n`,
      [path]: text,
      ...installedPackage('passport'),
      ...installedPackage('express-session'),
    })
    const { code, output } = await run([folder])
    expect([code, output]).toEqual([0, expect.stringContaining('names it, so the sources keep the name')])
    expect(output).toContain(path)
    expect([read(folder, 'app.js'), read(folder, path)]).toEqual([source, text])
    expect(JSON.parse(read(folder, 'package.json')).dependencies).toEqual({
      gatepass: '^0.1.0',
      passport: ALIAS.passport,
    })
    expect(await run(['doctor', folder])).toMatchObject({ output: expect.not.stringContaining('has no effect') })
  })

  test.each([
    ['jest', { jest: { moduleNameMapper: { '^passport$': './mock.js' } } }, 'so the sources keep the name'],
    ['scripts', { scripts: { start: 'node -r passport app.js' } }, 'package.json, scripts names it'],
    ['peers', { peerDependencies: { passport: '>=0.5' } }, 'package.json has it as a peer'],
  ])('looks into %s of package.json, too', async (_, fields, said) => {
    const dependencies = { passport: '^0.7.0' }
    const folder = application({
      'package.json': JSON.stringify({ name: 'shop', ...fields, dependencies }),
      'app.js': `require('passport')\n`,
      ...installedPackage('passport'),
    })
    const { output } = await run([folder])
    expect(output).toContain(said)
    expect(JSON.parse(read(folder, 'package.json')).dependencies.passport).toBe(ALIAS.passport)
  })

  test.each([
    [{ moduleResolution: 'classic' }, '5.9.0', false],
    [{ module: 'es2022' }, '5.9.0', false],
    [{ extends: './base.json' }, '5.9.0', false],
    [{ module: 'es2022' }, '7.0.0', true],
    [{ module: 'commonjs' }, '5.9.0', true],
    [{ module: 'es2022', moduleResolution: 'bundler' }, '5.9.0', true],
  ])(
    'rewrites TypeScript with %j and version %s only if its compiler looks into packages',
    async (settings, version, isRewritten) => {
      const { extends: base, ...compilerOptions } = settings as { extends?: string }
      const folder = application({
        'package.json': manifest({ passport: '^0.7.0' }),
        'tsconfig.json': `// comment\n${JSON.stringify({ ...(base && { extends: base }), compilerOptions })}`,
        'base.json': JSON.stringify({ compilerOptions: { module: 'esnext' } }),
        'src/app.ts': `import passport from 'passport'\n`,
        ...installedPackage('passport'),
        ...installedPackage('typescript', '', { version }),
      })
      const { output } = await run([folder])
      expect(output.includes('which looks only into @types')).toBe(!isRewritten)
      expect(read(folder, 'src/app.ts').includes('gatepass')).toBe(isRewritten)
    },
  )

  test('installs the alias where only an installed package loads the original', async () => {
    const folder = application({
      'package.json': manifest({ '@nestjs/passport': '^11.0.0', passport: '^0.7.0', cookie: '^1.0.0' }),
      'main.ts': `import { AuthGuard } from '@nestjs/passport'\n`,
      ...installedPackage('@nestjs/passport', `const passport_1 = __importDefault(require("passport"))`),
      ...installedPackage('passport'),
      ...installedPackage('cookie'),
    })
    const { code, output } = await run([folder])
    expect([code, output]).toEqual([
      0,
      expect.stringContaining(`→ passport ${ALIAS.passport}: @nestjs/passport/index.js loads it`),
    ])
    // Nothing loads cookie, before and after: that is not the migration's business.
    expect(JSON.parse(read(folder, 'package.json')).dependencies.cookie).toBe('^1.0.0')
  })

  test('looks for what is installed in the folders above, and not into comments and tests of packages', async () => {
    const plugin = `/* const passport = require('passport') */\n`
    const folder = application({
      'packages/api/package.json': manifest({ plugin: '1', other: '1', passport: '^0.7.0', cookie: '^1.0.0' }),
      'packages/api/app.js': `require('passport')\nrequire('cookie')\n`,
      ...installedPackage('plugin', `require.main.require('cookie')`),
      ...installedPackage('other', plugin),
      'node_modules/other/test/index.js': `require('passport')`,
      ...installedPackage('passport'),
      ...installedPackage('cookie'),
    })
    const { output } = await run([join(folder, 'packages/api')])
    expect(output).toContain('plugin/index.js loads it')
    expect(JSON.parse(read(folder, 'packages/api/package.json')).dependencies).toEqual({
      plugin: '1',
      other: '1',
      cookie: ALIAS.cookie,
      gatepass: '^0.1.0',
    })
  })

  test('changes the package.json of each workspace, and the one that installs the original', async () => {
    const folder = application({
      'package.json': JSON.stringify({ name: 'all', workspaces: ['apps/*'], devDependencies: { cookie: '^1.0.0' } }),
      'apps/a/package.json': manifest({ passport: '^0.6.0' }),
      'apps/a/src/app.ts': `import passport from 'passport'\nimport { parse } from 'cookie'\n`,
      'apps/b/package.json': manifest({}),
      'apps/b/index.js': `require('cookie')\n`,
      'apps/b/esm/package.json': `{ "type": "module" }`,
      'apps/b/esm/index.js': `import 'express-session'\n`,
      ...installedPackage('passport'),
      ...installedPackage('cookie'),
    })
    const { code, output } = await run([folder])
    expect(code).toBe(0)
    expect(output).toContain('apps/a/package.json')
    const dependencies = (path: string) => JSON.parse(read(folder, `${path}package.json`))
    expect(dependencies('').devDependencies).toEqual({ gatepass: '^0.1.0' })
    expect(dependencies('apps/a/').dependencies).toEqual({ gatepass: '^0.1.0' })
    expect(dependencies('apps/b/').dependencies).toEqual({ gatepass: '^0.1.0' })
    expect(read(folder, 'apps/b/esm/package.json')).toBe(`{ "type": "module" }`)
    const after = dependencies('apps/a/')
    expect((await run([folder])).output).toContain('No file loads')
    expect(dependencies('apps/a/')).toEqual(after)
  })

  test('keeps byte order mark, line ends and the rest of package.json', async () => {
    const text = (dependencies: string) =>
      `\uFEFF{\r\n\t"name": "shop",\r\n\t"files": ["a", "b"],\r\n\t"dependencies": {\r\n${dependencies}\r\n\t}\r\n}`
    const folder = application({
      'package.json': text('\t\t"express": "5",\r\n\t\t"passport": "^0.7.0"'),
      'app.js': `require('passport')\n`,
      ...installedPackage('express'),
      ...installedPackage('passport'),
    })
    expect((await run([folder])).code).toBe(0)
    expect(read(folder, 'package.json')).toBe(text('\t\t"express": "5",\r\n\t\t"gatepass": "^0.1.0"'))
  })

  test.each(['github:shop/passport#fix', 'file:../passport', 'npm:@shop/passport@^1.0.0', 'workspace:*'])(
    'leaves a package alone that is %s',
    async (spec) => {
      const files = { 'package.json': manifest({ passport: spec }), 'app.js': `require('passport')\n` }
      const folder = application({ ...files, ...installedPackage('passport') })
      for (const options of [[], ['--alias']]) {
        const { output } = await run([folder, ...options])
        expect(output).toContain(`= passport ${spec} stays: it is a package of your own choice`)
        for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text)
      }
    },
  )

  test('leaves a package alone of which a file is loaded that the drop-in lacks', async () => {
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0' }),
      'app.js': `require('passport')\nrequire('passport/lib/middleware/initialize')\n`,
      ...installedPackage('passport'),
    })
    const { output } = await run([folder])
    expect(output).toContain('app.js loads passport/lib/middleware/initialize, which the drop-in does not have')
    expect(read(folder, 'app.js')).toContain(`require('passport')`)
    expect(read(folder, 'package.json')).toBe(manifest({ passport: '^0.7.0' }))
  })

  test.each([
    ['npm', 'package-lock.json', (json: { overrides?: unknown }) => json.overrides, '$passport'],
    ['yarn', 'yarn.lock', (json: { resolutions?: unknown }) => json.resolutions, ALIAS.passport],
  ])('overrides with %s the original that a package brings along', async (_, lock, overrides, spec) => {
    const nested = 'node_modules/plugin/node_modules/passport'
    const locked = { name: 'shop', packages: { '': {}, 'node_modules/plugin': {}, [nested]: { version: '0.6.0' } } }
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0', plugin: '1' }),
      [lock]: JSON.stringify(locked),
      'app.js': `require('passport')\n`,
      ...installedPackage('plugin', `require('passport')`, { dependencies: { passport: '0.6.0' } }),
      ...installedPackage('passport'),
      [`${nested}/package.json`]: JSON.stringify({ name: 'passport', version: '0.6.0' }),
    })
    const { code, output } = await run([folder])
    expect([code, output]).toEqual([0, expect.stringContaining('for all packages: plugin/index.js loads its own')])
    expect(overrides(JSON.parse(read(folder, 'package.json')))).toEqual({ passport: spec })
    expect(JSON.parse(read(folder, lock)).packages[nested] === undefined).toBe(lock === 'package-lock.json')
    await run([folder, '--back'])
    expect(read(folder, 'package.json')).toBe(manifest({ passport: '^0.7.0', plugin: '1' }))
    expect(read(folder, lock)).toBe(JSON.stringify(locked))
  })

  test.each([undefined, 'packages:\n  - apps/*\noverrides:\n  left-pad: 1.0.0\n'])(
    'overrides with pnpm in pnpm-workspace.yaml, which was %j, and takes it back',
    async (settings) => {
      const folder = application({
        'package.json': manifest({ passport: '^0.7.0', plugin: '1' }),
        'pnpm-lock.yaml': 'lockfileVersion: 9\n',
        ...(settings && { 'pnpm-workspace.yaml': settings }),
        'app.js': `require('passport')\n`,
        ...installedPackage('plugin', `require('passport')`, { dependencies: { passport: '0.6.0' } }),
        ...installedPackage('passport'),
      })
      const { output } = await run([folder])
      expect(output).toContain('pnpm install --no-frozen-lockfile')
      const text = read(folder, 'pnpm-workspace.yaml')
      expect(text).toContain(`overrides:\n  passport: ${ALIAS.passport}\n${settings ? '  left-pad: 1.0.0\n' : ''}`)
      await run([folder, '--back'])
      if (settings === undefined) expect(existsSync(join(folder, 'pnpm-workspace.yaml'))).toBe(false)
      else expect(read(folder, 'pnpm-workspace.yaml')).toBe(settings)
    },
  )

  test('--alias changes package.json alone', async () => {
    const source = `import passport from 'passport'\nimport { parse } from 'cookie'\n`
    const folder = application({
      'package.json': manifest({ express: '5', passport: '^0.6.0', 'express-session': '^1.17.0' }),
      'app.mjs': source,
    })
    const { code } = await run([folder, '--alias'])
    expect([code, read(folder, 'app.mjs')]).toEqual([0, source])
    expect(JSON.parse(read(folder, 'package.json')).dependencies).toEqual({ express: '5', ...ALIAS })
    expect((await run([folder, '--alias'])).output).toContain('No file loads')
    await run([folder, '--back'])
    expect(read(folder, 'package.json')).toBe(
      manifest({ express: '5', passport: '^0.6.0', 'express-session': '^1.17.0' }),
    )
  })

  test('--from installs from a clone', async () => {
    const folder = application({
      'app/package.json': manifest({ passport: '^0.6.0', cookie: '1' }),
      'app/app.js': `require('passport')\nrequire('cookie')\n`,
      'app/build/old.js': `require('passport')\n`,
      'app/node_modules/cookie/package.json': '{}',
      'app/node_modules/passport/package.json': '{}',
    })
    await run([join(folder, 'app'), '--from', join(folder, 'gatepass')])
    expect(JSON.parse(read(folder, 'app/package.json')).dependencies).toEqual({
      gatepass: 'file:../gatepass/packages/gatepass',
      passport: 'file:../gatepass/packages/aliases/passport',
    })
    expect(existsSync(join(folder, 'app/.gatepass-migrate.json'))).toBe(true)
    await run([join(folder, 'app'), '--back'])
    expect(read(folder, 'app/package.json')).toBe(manifest({ passport: '^0.6.0', cookie: '1' }))
    expect(existsSync(join(folder, 'app/.gatepass-migrate.json'))).toBe(false)
  })

  test('--back takes back only its own changes of a package.json that has changed since, and leaves the lock file', async () => {
    const folder = application({
      'package.json': manifest({ cookie: '0.5.0', passport: '0.6.0' }),
      'package-lock.json': '{ "before": true }',
      'app.js': `require('passport')\nrequire('cookie')\n`,
      'old.js': `require('gatepass/compat/cookie-parser')\n`,
      ...installedPackage('passport'),
      ...installedPackage('cookie'),
    })
    await run([folder])
    const json = JSON.parse(read(folder, 'package.json'))
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ ...json, dependencies: { ...json.dependencies, cookie: '2.0.0', express: '5' } }),
    )
    writeFileSync(join(folder, 'package-lock.json'), '{ "before": false }')
    const { output } = await run([folder, '--back'])
    expect(output).toContain('gatepass stays: old.js loads it')
    expect(JSON.parse(read(folder, 'package.json')).dependencies).toEqual({
      cookie: '2.0.0',
      express: '5',
      gatepass: '^0.1.0',
      passport: '0.6.0',
    })
    expect(read(folder, 'package-lock.json')).toBe('{ "before": false }')
    expect(read(folder, 'old.js')).toBe(`require('gatepass/compat/cookie-parser')\n`)
  })

  test('--back after two runs gives what was there before the first', async () => {
    const files = { 'package.json': manifest({ passport: '0.6.0', cookie: '0.5.0' }), 'a.js': `require('passport')\n` }
    const folder = application({ ...files, ...installedPackage('passport'), ...installedPackage('cookie') })
    await run([folder])
    writeFileSync(join(folder, 'b.js'), `require('cookie')\n`)
    await run([folder])
    expect(JSON.parse(read(folder, 'package.json')).dependencies).toEqual({ gatepass: '^0.1.0' })
    await run([folder, '--back'])
    for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text)
    expect(read(folder, 'b.js')).toBe(`require('cookie')\n`)
  })

  test('ends quietly, with everything done, when its reader reads no further', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 400 }, (_, at) => [`src/${at}.js`, `require('passport')\n`.repeat(20)]),
    )
    const folder = application({
      'package.json': manifest({ passport: '1' }),
      ...files,
      ...installedPackage('passport'),
    })
    const command = `"${process.execPath}" --conditions=gatepass:source "${MAIN}" "${folder}" | head -n 1`
    const { error, output } = await new Promise<{ error: unknown; output: string }>((resolve) =>
      exec(`set -o pipefail; ${command}`, { shell: '/bin/bash' }, (error, stdout, stderr) =>
        resolve({ error, output: stdout + stderr }),
      ),
    )
    expect([error, output]).toEqual([null, `Changes in ${folder}\n`])
    expect(read(folder, 'src/399.js')).not.toContain(`require('passport')`)
    expect(JSON.parse(read(folder, 'package.json')).dependencies).toEqual({ gatepass: '^0.1.0' })
  })

  test('removes a package of whose name only a header field and a file too large for code remind', async () => {
    const folder = application({
      'package.json': manifest({ cookie: '^1.0.0' }),
      'app.js': `const cookie = require('cookie')\nexports.sent = (req) => req.headers['cookie']\n`,
      'dump.sql': `'cookie'${' '.repeat(33 * 1024 * 1024)}`,
      ...installedPackage('cookie'),
    })
    expect((await run([folder])).code).toBe(0)
    expect(Object.keys(JSON.parse(read(folder, 'package.json')).dependencies)).toEqual(['gatepass'])
  })

  /** An npm that installs nothing and notes what it was told. */
  function fakeNpm(): void {
    const folder = application({ npm: `#!/bin/sh\necho "$@" >> npm.log\n` })
    chmodSync(join(folder, 'npm'), 0o755)
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    onTestFinished(() => void vi.unstubAllEnvs())
  }
  const tried = (test: string) => ({
    'package.json': manifest({ passport: '^0.7.0' }),
    'package-lock.json': '{}',
    'app.js': `require('passport')\n`,
    'test.js': test,
    ...installedPackage('passport'),
  })

  test('--test and --start say that it works as before', async () => {
    fakeNpm()
    const folder = application({
      ...tried(`require('node:fs').appendFileSync('test.log', 'x')`),
      'server.js': `require('node:http').createServer((_, res) => res.end()).listen(Number(process.argv[2]), '127.0.0.1')`,
    })
    const port = await freePort()
    const node = `"${process.execPath}"`
    const { code, output } = await run([
      folder,
      ...['--test', `${node} test.js`, '--start', `${node} server.js ${port}`, '--url', `http://127.0.0.1:${port}/`],
    ])
    expect(output).toContain('Done: it works as before.')
    // npm has installed nothing here, and the doctor says so.
    expect([code, output]).toEqual([1, expect.stringContaining('gatepass is not installed')])
    expect([read(folder, 'test.log'), read(folder, 'npm.log')]).toEqual(['xx', 'install\n'])
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow()
  })

  test.each([
    ['--test', `if (require('node:fs').readFileSync('app.js', 'utf8').includes('gatepass')) process.exit(3)`],
    [
      '--start',
      `if (require('node:fs').readFileSync('app.js', 'utf8').includes('gatepass')) process.exit(3); setTimeout(() => {}, 60000)`,
    ],
  ])('%s that fails afterwards puts every file back', async (option, code) => {
    fakeNpm()
    const files = tried(code)
    const folder = application(files)
    const result = await run([folder, option, `"${process.execPath}" test.js`])
    expect([result.code, result.output]).toEqual([1, expect.stringContaining('every file is again as it was')])
    expect(result.output).toContain('ended with 3')
    for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text)
    expect(existsSync(join(folder, '.gatepass-migrate.json'))).toBe(false)
    expect(read(folder, 'npm.log')).toBe('install\ninstall\n')
  })

  test('--test that fails before says so, and nothing is written', async () => {
    fakeNpm()
    const files = tried('process.exit(1)')
    const folder = application(files)
    const { code, output } = await run([folder, '--test', `"${process.execPath}" test.js`])
    expect([code, output]).toEqual([1, expect.stringContaining('It fails already')])
    for (const [path, text] of Object.entries(files)) expect(read(folder, path)).toBe(text)
    expect(existsSync(join(folder, 'npm.log'))).toBe(false)
  })

  test('a second run finds nothing to do', async () => {
    const folder = application({ 'package.json': manifest({}), 'app.js': `require('passport')\n` })
    await run([folder])
    const after = read(folder, 'app.js')
    const { code, output } = await run([folder])
    expect([code, output, read(folder, 'app.js')]).toEqual([0, expect.stringContaining('No file loads'), after])
  })

  test('a file that cannot be parsed is named, left alone, and the exit code says so', async () => {
    const broken = `const a = require('passport'\n%%%\n`
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0' }),
      'broken.js': broken,
      'app.js': `require('passport')\n`,
    })
    const { code, output } = await run([folder])
    expect([code, output]).toEqual([1, expect.stringContaining('broken.js')])
    expect(read(folder, 'broken.js')).toBe(broken)
    const found = await run(['doctor', folder])
    expect([found.code, found.output]).toEqual([1, expect.stringContaining('broken.js: cannot be parsed')])
    expect(JSON.parse(read(folder, 'package.json')).dependencies.passport).toBe(ALIAS.passport)
  })

  test('keeps the mode of a file', async () => {
    const folder = application({ 'package.json': manifest({}), 'bin.js': `#!/usr/bin/env node\nrequire('passport')\n` })
    chmodSync(join(folder, 'bin.js'), 0o755)
    await run([folder])
    expect(statSync(join(folder, 'bin.js')).mode & 0o777).toBe(0o755)
  })

  test.each([
    [['a', 'b'], 2, 'write gatepass-migrate'],
    [['--fast'], 2, 'write gatepass-migrate'],
    [['--url', 'http://localhost/'], 2, 'write gatepass-migrate'],
    [['doctor', '--url', 'nowhere'], 2, 'gatepass-migrate doctor'],
    [['doctor', '--url', 'ftp://localhost/'], 2, 'gatepass-migrate doctor'],
    [['doctor', '--back'], 2, 'gatepass-migrate doctor'],
    [['/nonexistent'], 1, 'there is no package.json'],
    [['doctor', '/nonexistent'], 1, 'there is no package.json'],
    [['doctor', '--help'], 0, '--dry-run'],
    [['--version'], 0, '0.1.0'],
  ] as const)('%j ends with %i', async (args, expected, said) => {
    const { code, output } = await run(args)
    expect([code, output]).toEqual([expected, expect.stringContaining(said)])
  })

  test('an old Node is told which one is needed, before it fails at what it lacks', async () => {
    const older = 'Object.defineProperty(process.versions, "node", { value: "22.12.0" })'
    const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(older)}` }
    for (const args of [[], ['doctor']]) {
      const { code, output } = await runProcess(args, environment)
      expect([code, output]).toEqual([
        1,
        expect.stringContaining('needs Node 22.13 or newer, and this is Node 22.12.0'),
      ])
    }
  })
})

describe('what a person has to look at', () => {
  const findings = async (code: string): Promise<string> => {
    const folder = application({ 'package.json': manifest({}), 'app.js': code })
    return (await run(['doctor', folder])).output
  }

  test.each([
    ['no `store`', `const session = require('express-session'); session({ secret: s })`],
    ['a secret is written in the source', `const session = require('express-session'); session({ secret: 'cat' })`],
    [
      'a secret is written in the source',
      `const session = require('express-session'); session({ secret: [s, 'old'] })`,
    ],
    ['`resave` is on', `import session from 'express-session'; session({ resave: true })`],
    ['`saveUninitialized` is on', `import session from 'gatepass/compat/express-session'; session({})`],
    ['no `store`', `import session from 'express-session'; session()`],
    ['come from elsewhere', `import session from 'express-session'; session({ ...options })`],
    ['not `secure`', `import session from 'express-session'; session({ cookie: { secure: false } })`],
    ['no `sameSite`', `import session from 'express-session'; session({ cookie: { secure: true } })`],
    ["`sameSite: 'none'`", `import session from 'express-session'; session({ cookie: { sameSite: 'none' } })`],
    ['`httpOnly: false`', `import session from 'cookie-session'; session({ keys, httpOnly: false })`],
    ['`signed: false`', `import session from 'cookie-session'; session({ signed: false })`],
    ['without `state`', `const { Strategy } = require('passport-google-oauth20'); new Strategy({ clientID: id })`],
    ['without `state`', `const G = require('passport-github2').Strategy; new G({ clientID: id, state: false })`],
    ['an internal file', `require('passport/lib/middleware/initialize')`],
    ['no `store`', `app.use(require('express-session')({ secret: s }))`],
    ['no `store`', `app.use((await import('express-session')).default({ secret: s }))`],
    ['`signed: false`', `app.use(require('cookie-session')({ signed: false }))`],
    ['without `state`', `new (require('passport-github2').Strategy)({ clientID: id })`],
  ])('%s: %s', async (said, code) => {
    expect(await findings(code)).toContain(said)
  })

  test('an application without anything of the kind', async () => {
    const code = `import session from 'gatepass/compat/express-session'
      session({ store, secret: process.env.SECRET, resave: false, saveUninitialized: false, cookie: { secure: 'auto', sameSite: 'lax' } })
      import { Strategy } from 'passport-google-oauth20'
      new Strategy({ clientID: id, state: true }, verify)`
    const folder = application({
      'package.json': manifest({ gatepass: '^0.1.0' }),
      'app.js': code,
      ...installedPackage('gatepass'),
    })
    expect(await run(['doctor', folder])).toEqual({ code: 0, output: 'No findings.\n' })
  })

  test('original and drop-in in one application are a fault', async () => {
    const folder = application({
      'package.json': manifest({ gatepass: '^0.1.0' }),
      'a.js': `require('passport')`,
      'b.js': `require('gatepass/compat/passport')`,
      ...installedPackage('gatepass'),
    })
    const { code, output } = await run(['doctor', folder])
    expect([code, output]).toEqual([
      1,
      expect.stringContaining('FAULT  a.js:1: imports passport, and b.js:1 its drop-in'),
    ])
  })

  test('an import of what is not installed is a fault', async () => {
    const folder = application({ 'package.json': manifest({}), 'a.js': `require('gatepass/compat/passport')` })
    expect(await run(['doctor', folder])).toMatchObject({ code: 1 })
  })
})

describe('gatepass-migrate doctor', () => {
  const alias = { name: '@gatepass/passport', version: '0.7.1000', dependencies: { gatepass: '^0.1.0' } }
  const onDropIn = {
    'package.json': manifest({ gatepass: '^0.1.0', plugin: '1', passport: ALIAS.passport }),
    'app.js': `require('gatepass/compat/passport')`,
    ...installedPackage('gatepass'),
    ...installedPackage('passport', '', alias),
  }

  test.each([
    [
      'an original that a package still loads',
      {
        ...installedPackage('plugin', `require('passport')`, { dependencies: { passport: '0.6.0' } }),
        'node_modules/plugin/node_modules/passport/package.json': '{ "name": "passport", "version": "0.6.0" }',
      },
      'plugin/index.js: loads the original passport 0.6.0',
    ],
    [
      'two copies of gatepass',
      {
        ...installedPackage('plugin'),
        'node_modules/passport/node_modules/gatepass/package.json': '{ "name": "gatepass", "version": "0.1.7" }',
      },
      'gatepass is there 2 times: 1.0.0 for the application, 0.1.7 for @gatepass/passport',
    ],
    [
      'a mock under a name that nothing imports',
      {
        ...installedPackage('plugin'),
        'jest.config.js': `module.exports = { moduleNameMapper: { '^passport$': './mock.js' } }`,
      },
      'names passport, but app.js:1 imports gatepass/compat/passport',
    ],
    ['an old Node in .nvmrc', { ...installedPackage('plugin'), '.nvmrc': 'v18.20.1' }, '.nvmrc: chooses Node 18'],
    [
      'an old Node in a Dockerfile',
      { ...installedPackage('plugin'), Dockerfile: 'FROM docker.io/library/node:20-slim' },
      'Dockerfile: chooses Node 20',
    ],
    [
      'an alias that is not installed',
      { ...installedPackage('plugin'), 'node_modules/passport/package.json': undefined },
      'passport is not installed',
    ],
  ] as const)('%s is a fault', async (_, files, said) => {
    const all = Object.entries({ ...onDropIn, ...files }).filter(
      (file): file is [string, string] => file[1] !== undefined,
    )
    const folder = application(Object.fromEntries(all))
    const { code, output } = await run(['doctor', folder])
    expect([code, output]).toEqual([1, expect.stringContaining(said)])
  })

  test('an application with an alias for a package that loads the original has no findings', async () => {
    const folder = application({ ...onDropIn, ...installedPackage('plugin', `require('passport')`) })
    expect(await run(['doctor', folder])).toEqual({ code: 0, output: 'No findings.\n' })
  })

  test('two originals are a fault, too, and engines that leave a choice are not', async () => {
    const folder = application({
      'package.json': JSON.stringify({ engines: { node: '>=18' }, dependencies: { passport: '1', plugin: '1' } }),
      'app.js': `require('passport')`,
      ...installedPackage('passport'),
      ...installedPackage('plugin', `require('passport')`, { dependencies: { passport: '0.6.0' } }),
      'node_modules/plugin/node_modules/passport/package.json': '{ "name": "passport", "version": "0.6.0" }',
    })
    const { code, output } = await run(['doctor', folder])
    expect([code, output]).toEqual([
      1,
      expect.stringContaining('passport is there 2 times: 1.0.0 for the application, 0.6.0 for plugin'),
    ])
    expect(output).not.toContain('chooses Node')
  })
})

describe('gatepass-migrate doctor --url', () => {
  async function serve(
    answer: (cookie: string | undefined) => { status?: number; setCookie?: string },
  ): Promise<string> {
    const server = createServer((req, res) => {
      const { status = 200, setCookie } = answer(req.headers.cookie)
      if (setCookie !== undefined) res.setHeader('set-cookie', setCookie)
      res.writeHead(status).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }
  const examine = (url: string) => run(['doctor', application({ 'package.json': manifest({}) }), '--url', url])

  test('a session cookie that scripts can read is a fault, and one that every visitor gets is a remark', async () => {
    const url = await serve(() => ({ setCookie: 'connect.sid=s%3Aabc.def; Path=/' }))
    const { code, output } = await examine(url)
    expect([code, output]).toEqual([1, expect.stringContaining('cookie connect.sid: no HttpOnly')])
    expect(output).toContain('no SameSite')
    expect(output).toContain('set for a visitor who did nothing')
  })

  test('a cookie with a preference is not taken for a session', async () => {
    const url = await serve(() => ({ setCookie: 'theme=dark; Path=/' }))
    expect(await examine(url)).toEqual({ code: 0, output: 'No findings.\n' })
  })

  test('breaking on a forged cookie is a fault', async () => {
    const url = await serve((cookie) => (cookie === undefined ? {} : { status: 500 }))
    expect((await examine(url)).output).toContain('answers 500 to forged cookies')
  })

  test('a server that is not there is a fault', async () => {
    expect(await examine('http://127.0.0.1:1/')).toMatchObject({
      code: 1,
      output: expect.stringContaining('does not answer'),
    })
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('what the drop-ins say of the aliases is what stands in their folders', () => {
  for (const { original, alias, aliasRange, files } of dropIns) {
    const folder = join(import.meta.dirname, '../../aliases', original)
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    expect([alias, aliasRange]).toEqual([name, `^${version}`])
    for (const file of files) expect(() => createRequire(`${folder}/`).resolve(`./${file}`)).not.toThrow()
  }
})
