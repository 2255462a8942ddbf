import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'express-session-types-'))
afterAll(() => rmSync(folder, { recursive: true }))

function run(...args: string[]): string {
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' }).stdout
}

// The package publishes declarations, not the sources.
beforeAll(() => {
  run('tools/build-library.ts', join(folder, 'gatepass'))
  copyFileSync(join(root, 'packages/gatepass/package.json'), join(folder, 'gatepass/package.json'))
})

const source = readFileSync(join(import.meta.dirname, 'types/app.ts'), 'utf8')
const installedByAll = ['@types/node', '@types/express', 'jose', 'oauth4webapi']

/** The errors of TypeScript for an application and its installed packages, with the libraries checked, too. */
function complaint(name: string, app: string, types: readonly string[]): string {
  const home = join(folder, name)
  for (const one of [...installedByAll, ...types])
    link(join(root, 'node_modules', one), join(home, 'node_modules', one))
  // Not a link: TypeScript looks for its imports beside it.
  cpSync(join(folder, 'gatepass'), join(home, 'node_modules/gatepass'), { recursive: true })
  writeFileSync(join(home, 'app.ts'), app)
  const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: ['node'] }
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.ts'] }))
  return run('node_modules/typescript/bin/tsc', '-p', home)
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path)
}

const renamed = source.replace("declare module 'express-session'", "declare module 'gatepass/compat/express-session'")

test('an application goes on with the types it declared, with @types/express-session', () => {
  expect(complaint('installed', source, ['@types/express-session'])).toBe('')
})

test('an application without @types/express-session declares them of the drop-in', () => {
  expect(complaint('removed', renamed, [])).toBe('')
})

test('what migrate has renamed is known also while @types/express-session is installed', () => {
  expect(complaint('renamed', renamed, ['@types/express-session'])).toBe('')
})

test('the drop-in and gatepass/express can be in one program', () => {
  expect(complaint('both', `${renamed}\nexport { gatepass } from 'gatepass/express'\n`, [])).toBe('')
})
