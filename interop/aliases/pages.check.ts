/** The steps of the pages below docs/migrate, run as they stand there on an application of interop/applications. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { loginAndLogout, run, visitWith } from '../applications/visit.ts'
import { type Registry, startRegistry } from './registry.ts'

const repository = resolve(import.meta.dirname, '../..')
const command = `"${process.execPath}" "${join(repository, 'packages/migrate/dist/main.js')}"`

let registry: Registry
before(async () => {
  registry = await startRegistry()
})
after(() => registry.close())

/** The blocks of a page in one language, without the indentation of a list. */
function blocksIn(page: string, language: string): string[] {
  const text = readFileSync(join(repository, 'docs/migrate', page), 'utf8')
  const blocks = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^ *\`\`\`$`, 'gms'))
  return [...blocks].map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
}

/** Runs `steps` in a copy of the application with what the originals need installed. */
async function withApplication(name: string, steps: (folder: string, sh: Shell) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `gatepass-${name}-`))
  const sh: Shell = async (block) => {
    const script = `set -e\n${block.replaceAll('npx gatepass-migrate', command)}`
    const env = { npm_config_registry: registry.url, npm_config_prefer_offline: 'true' }
    const { code, output } = await run(folder, ['sh', '-c', script], env)
    assert.equal(code, 0, `${block}\n${output}`)
    return output
  }
  try {
    cpSync(join(repository, 'interop/applications', name), folder, { recursive: true })
    await sh('npm install')
    await steps(folder, sh)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Runs a block of commands, and returns what they print. */
type Shell = (block: string) => Promise<string>

const dependenciesIn = (folder: string): Record<string, string> =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).dependencies

test('NestJS: the alias, and the way back', { timeout: 1_800_000 }, () =>
  withApplication('nest', async (folder, sh) => {
    const [alias = '', look = '', back = '', ...others] = blocksIn('nestjs.md', 'sh')
    assert.equal(others.length, 0)
    const original = readFileSync(join(folder, 'package.json'), 'utf8')
    await sh(alias)
    const [json = '{}'] = blocksIn('nestjs.md', 'json')
    for (const [name, spec] of Object.entries(JSON.parse(json).dependencies))
      assert.equal(dependenciesIn(folder)[name], spec)
    await sh(look)
    const answers = await visitWith(folder, ['dist/main.js'], loginAndLogout)
    assert.deepEqual(answers.slice(3, 5), ['POST /login 201 {"name":"ada"}', 'GET /me 200 {"name":"ada"}'])
    assert.equal(answers.at(-1), 'GET /me 401')
    await sh(back)
    assert.equal(readFileSync(join(folder, 'package.json'), 'utf8'), original)
  }),
)

test('packages that load Passport themselves: with gatepass-migrate', { timeout: 1_800_000 }, () =>
  withApplication('socket', async (folder, sh) => {
    const [steps = '', ...others] = blocksIn('packages-that-load-passport.md', 'sh')
    assert.equal(others.length, 0)
    assert.match(await sh(steps), /passport\.socketio\/lib\/index\.js loads it/)
    assert.match(dependenciesIn(folder).passport ?? '', /^npm:@gatepass\/passport@/)
    const answers = await visitWith(folder, ['server.js'], loginAndLogout)
    assert.equal(answers[4], 'GET /me 200 {"name":"ada"}')
  }),
)

test('TypeScript, Jest and other tools: tests before and after', { timeout: 1_800_000 }, () =>
  withApplication('proxyquire', async (folder, sh) => {
    const [steps = '', ...others] = blocksIn('typescript-and-jest.md', 'sh')
    assert.equal(others.length, 0)
    assert.match(await sh(steps), /Done: it works as before/)
    assert.match(dependenciesIn(folder).passport ?? '', /^npm:@gatepass\/passport@/)
  }),
)
