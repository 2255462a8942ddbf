import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

const MAIN = join(import.meta.dirname, '../src/main.ts')

/** Runs the command from its sources, in a process of its own. */
function run(
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

const installedPackage = (name: string, peers: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, version: '1.0.0', peerDependencies: peers }),
})

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

  test('adds gatepass, drops what nothing needs, keeps what a store asks for, and keeps the indentation', async () => {
    const folder = application({
      'package.json': manifest({ 'connect-redis': '^10.0.0', 'express-session': '^1.19.0', passport: '^0.7.0' }),
      'app.js': `require('express-session'); require('passport')\n`,
      ...installedPackage('connect-redis', { 'express-session': '>=1' }),
      ...installedPackage('express-session'),
      ...installedPackage('passport'),
    })
    const { output } = await run([folder])
    expect(read(folder, 'package.json')).toBe(
      manifest({ 'connect-redis': '^10.0.0', 'express-session': '^1.19.0', gatepass: '^0.1.0' }),
    )
    expect(output).toContain('express-session ^1.19.0 stays: connect-redis asks for it')
  })

  test('keeps every original while it is not known what else needs it', async () => {
    const folder = application({
      'package.json': manifest({ passport: '^0.7.0', 'passport-local': '^1.0.0' }),
      'app.js': `require('passport')\n`,
      ...installedPackage('passport'),
    })
    const { output } = await run([folder])
    expect(read(folder, 'package.json')).toContain('"passport"')
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

  test.each(['App.svelte', 'bin/www', 'build/server.js', '.config/hooks.cjs'])(
    'keeps a package that %s names, which is not rewritten',
    async (path) => {
      const folder = application({
        'package.json': manifest({ passport: '^0.7.0' }),
        'app.js': `require('passport')\n`,
        [path]: `const passport = createRequire(import.meta.url)('passport')\n`,
      })
      const { code, output } = await run([folder])
      expect([code, output]).toEqual([0, expect.stringContaining(`${path} names it`)])
      expect(JSON.parse(read(folder, 'package.json')).dependencies.passport).toBe('^0.7.0')
    },
  )

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

  test('a second run finds nothing to do', async () => {
    const folder = application({ 'package.json': manifest({}), 'app.js': `require('passport')\n` })
    await run([folder])
    const after = read(folder, 'app.js')
    const { code, output } = await run([folder])
    expect([code, output, read(folder, 'app.js')]).toEqual([0, expect.stringContaining('No file imports'), after])
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
    expect(JSON.parse(read(folder, 'package.json')).dependencies.passport).toBe('^0.7.0')
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
      const { code, output } = await run(args, environment)
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
    ['an internal file', `require('passport/lib/authenticator')`],
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
