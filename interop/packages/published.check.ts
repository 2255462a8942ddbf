/** Packs every package as npm would publish it, and uses the tarballs in an empty folder as a new user would. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { visitWith } from '../applications/visit.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'gatepass-published-'))
after(() => rmSync(folder, { recursive: true }))

const packages = globSync(['packages/*/package.json', 'packages/aliases/*/package.json'], { cwd: root }).map((path) => {
  const manifest = JSON.parse(readFileSync(join(root, path), 'utf8'))
  return { ...manifest, folder: resolve(root, path, '..') }
})

function inFolder(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

const tarballs = new Map<string, string>()

for (const { name, folder: source } of packages) {
  test(`${name} has what a reader and the registry's page need`, () => {
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', folder], {
        cwd: source,
        encoding: 'utf8',
      })
        // What a build prints comes first.
        .replace(/^[^[]*(?=\[\s*\{)/, ''),
    )
    tarballs.set(name, join(folder, packed.filename))
    const files: string[] = packed.files.map((file: { path: string }) => file.path)
    for (const file of ['package.json', 'README.md', 'LICENSE']) assert.ok(files.includes(file), `no ${file}`)
    if (name === 'gatepass') assert.ok(files.includes('docs/index.md'), 'no pages')
    inFolder('tar', 'xzf', packed.filename)
    const manifest = JSON.parse(readFileSync(join(folder, 'package/package.json'), 'utf8'))
    for (const key of ['description', 'keywords', 'homepage', 'repository', 'bugs', 'license', 'engines']) {
      assert.ok(manifest[key] !== undefined, `no ${key}`)
    }
    for (const page of files.filter((file) => file.endsWith('.md'))) {
      const text = readFileSync(join(folder, 'package', page), 'utf8')
      for (const [, target = ''] of text.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g)) {
        assert.ok(files.includes(join(page, '..', target)), `${page} leads to ${target}, which is not packed`)
      }
    }
    rmSync(join(folder, 'package'), { recursive: true })
  })
}

test('the first application of the README logs in and out, from the tarballs alone', async () => {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }))
  const own = ['gatepass', 'gatepass-server', 'gatepass-migrate'].map((name) => tarballs.get(name) ?? name)
  inFolder('npm', 'install', '--silent', '--no-audit', '--no-fund', ...own, 'express@5', '@node-rs/argon2@2')
  const readme = readFileSync(join(folder, 'node_modules/gatepass/README.md'), 'utf8')
  const [, application = ''] = /```ts\n(import express[\s\S]*?)```/.exec(readme) ?? []
  writeFileSync(join(folder, 'app.ts'), application.replace('3000', 'Number(process.env.PORT)'))
  const answers = await visitWith(folder, ['--disable-warning=ExperimentalWarning', 'app.ts'], async (ask) => {
    await ask('POST', '/login', { form: { username: 'ada', password: 'correct horse battery staple' } })
    await ask('GET', '/me')
    await ask('POST', '/logout')
    await ask('GET', '/me')
  })
  assert.deepEqual(
    answers.filter((answer) => answer.startsWith('GET')),
    ['GET /me 200 {"id":"ada"}', 'GET /me 401'],
  )
})

test('the commands say what they do', () => {
  for (const command of ['gatepass', 'gatepass-migrate']) {
    assert.match(inFolder('npm', 'exec', '--offline', '--', command, '--help'), /Usage|usage|gatepass/)
  }
})
