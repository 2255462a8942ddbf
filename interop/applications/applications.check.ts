/**
 * Applications after the shape of public ones, before and after a migration: each answers the same, with sources rewritten and
 * with the alias packages alone, and `--back` gives the same files to the letter. Their packages come from a registry.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { type Registry, startRegistry } from '../aliases/registry.ts'
import { type Answers, type Ask, loginAndLogout, run, visitWith } from './visit.ts'

const MAIN = resolve(import.meta.dirname, '../../packages/migrate/dist/main.js')

interface Application {
  /** Its folder beside this file. */
  readonly name: string
  /** What to see: answers to visitors, or that tests pass. */
  readonly observe: (folder: string) => Promise<Answers>
  /** What the migration has to say. */
  readonly says: readonly RegExp[]
  /** What must not stand in its output. */
  readonly saysNot?: readonly RegExp[]
}

const answersOf =
  (args: readonly string[], visit: (ask: Ask) => Promise<void> = loginAndLogout) =>
  (folder: string) =>
    visitWith(folder, args, visit)

const passes =
  (...command: string[]) =>
  async (folder: string): Promise<Answers> => {
    const { code, output } = await run(folder, command)
    assert.equal(code, 0, output)
    return [...output.matchAll(/(\d+) (?:passing|passed)/g)].map(([counted]) => counted)
  }

const applications: readonly Application[] = [
  {
    name: 'express-generator',
    observe: answersOf(['./bin/www'], async (ask) => {
      await loginAndLogout(ask)
      await ask('GET', '/login')
    }),
    says: [/bin\/www\n\s+line 9: express-session → gatepass/, /- passport 0\.6\.0: nothing loads it any more/],
    saysNot: [/@gatepass/],
  },
  {
    name: 'nest',
    observe: async (folder) => {
      await passes('npm', 'run', 'build')(folder)
      return visitWith(folder, ['dist/main.js'], async (ask) => {
        await loginAndLogout(ask)
        const { token } = JSON.parse(await ask('POST', '/token', { form: { username: 'ada', password: 'secret' } }))
        await ask('GET', '/profile', { token })
        await ask('GET', '/profile', { token: 'forged' })
      })
    },
    says: [
      /src\/main\.ts\n\s+line 3: express-session →/,
      // The build from before still loads them.
      /→ express-session npm:@gatepass\/express-session@\S+: dist\/main\.js names it/,
      /→ passport npm:@gatepass\/passport@\S+: dist\/main\.js names it/,
    ],
  },
  {
    name: 'workspaces',
    observe: async (folder) => [
      ...(await answersOf(['apps/web/server.js'])(folder)),
      ...(await answersOf(['apps/api/src/main.ts'])(folder)),
    ],
    says: [
      /apps\/api\/package\.json\n\s+\+ gatepass/,
      /packages\/auth\/package\.json\n\s+\+ gatepass/,
      /apps\/web\/package\.json\n\s+\+ gatepass \S+: imported now\n\s+- express-session/,
    ],
  },
  {
    name: 'plugins',
    observe: answersOf(['app.js']),
    says: [/→ passport npm:@gatepass\/passport@\S+: forum-plugin-login\/library\.js loads it/],
  },
  {
    name: 'proxyquire',
    observe: passes('npm', 'test'),
    says: [/→ passport \S+: test\/login\.test\.js:\d+ names it, so the sources keep the name/, /- express-session/],
  },
  {
    name: 'jest',
    observe: passes('npm', 'test'),
    says: [
      /→ cookie-parser \S+: package\.json names it, so the sources keep the name/,
      /test\/guard\.test\.js\n\s+line 1: passport →/,
    ],
  },
  {
    name: 'socket',
    observe: answersOf(['server.js']),
    says: [/→ passport \S+: passport\.socketio\/lib\/index\.js loads it/],
  },
  {
    name: 'store',
    observe: answersOf(['server.mjs'], async (ask) => {
      await loginAndLogout(ask)
      await ask('GET', '/key?apikey=k')
      await ask('GET', '/key?apikey=wrong')
    }),
    says: [
      /→ express-session \S+: connect-session-knex\/dist\/\S+ loads it/,
      /→ passport \S+: passport-localapikey-update\/\S+ loads it/,
    ],
  },
]

let registry: Registry
before(async () => {
  registry = await startRegistry()
})
after(() => registry.close())

const chosen = process.env.GATEPASS_APPLICATION
for (const { name, observe, says, saysNot = [] } of applications.filter((one) => (chosen ?? one.name) === one.name))
  test(`${name} runs on the originals, on the drop-ins, and on the aliases`, { timeout: 1_800_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), `gatepass-${name}-`))
    try {
      cpSync(join(import.meta.dirname, name), folder, { recursive: true })
      const install = () =>
        run(folder, ['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--registry', registry.url])
      const works = async (): Promise<Answers> => {
        const installed = await install()
        assert.equal(installed.code, 0, installed.output)
        return observe(folder)
      }
      const migrate = (...args: string[]) => run(folder, [process.execPath, MAIN, ...args])

      const expected = await works()
      assert.ok(expected.length > 0)
      const files = filesIn(folder)

      const migrated = await migrate()
      assert.equal(migrated.code, 0, migrated.output)
      for (const said of says) assert.match(migrated.output, said)
      for (const said of saysNot) assert.doesNotMatch(migrated.output, said)
      assert.deepEqual(await works(), expected, migrated.output)
      await looksWell(await migrate('doctor'))

      assert.equal((await migrate('--back')).code, 0)
      assert.deepEqual(filesIn(folder), files)

      const aliased = await migrate('--alias')
      assert.equal(aliased.code, 0, aliased.output)
      for (const [path, text] of filesIn(folder))
        if (!/package(?:-lock)?\.json$|\.gatepass-migrate\.json$/.test(path)) assert.equal(text, files.get(path), path)
      assert.deepEqual(await works(), expected, aliased.output)
      await looksWell(await migrate('doctor'))

      assert.equal((await migrate('--back')).code, 0)
      assert.deepEqual(filesIn(folder), files)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

/** The doctor finds no fault, once everything is installed. */
async function looksWell({ code, output }: { code: number; output: string }): Promise<void> {
  assert.equal(code, 0, output)
  assert.match(output, /0 faults|No findings/)
}

/** The application's own files with their bytes. */
function filesIn(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => !/(?:^|\/)(?:node_modules|dist)(?:\/|$)/.test(path) && statSync(join(folder, path)).isFile())
    .sort()
  return new Map(paths.map((path) => [relative('.', path), readFileSync(join(folder, path)).toString('latin1')]))
}
