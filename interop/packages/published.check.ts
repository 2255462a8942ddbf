/** Packs every package as npm would publish it, and uses the tarballs in an empty folder as a new user would. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

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
  const port = await freePort()
  writeFileSync(join(folder, 'app.ts'), application.replace('3000', String(port)))
  const server = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'app.ts'], {
    cwd: folder,
    stdio: 'inherit',
  })
  try {
    const origin = `http://localhost:${port}`
    await answering(origin)
    const body = new URLSearchParams({ username: 'ada', password: 'correct horse battery staple' })
    const login = await fetch(`${origin}/login`, { method: 'POST', headers: { origin }, body, redirect: 'manual' })
    const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const me = () => fetch(`${origin}/me`, { headers: { cookie } })
    assert.deepEqual(await (await me()).json(), { id: 'ada' })
    await fetch(`${origin}/logout`, { method: 'POST', headers: { origin, cookie } })
    assert.equal((await me()).status, 401)
  } finally {
    server.kill()
    await once(server, 'exit')
  }
})

test('the commands say what they do', () => {
  for (const command of ['gatepass', 'gatepass-migrate']) {
    assert.match(inFolder('npm', 'exec', '--offline', '--', command, '--help'), /Usage|usage|gatepass/)
  }
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function answering(origin: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      await fetch(origin)
      return
    } catch {
      await sleep(100)
    }
  }
  throw new Error('the application does not answer')
}
