import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestBrowser } from '../src/testing/browser.ts'

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
const block = /```ts\n(import express[\s\S]*?)```/.exec(readme)?.[1] ?? ''
const folder = mkdtempSync(join(tmpdir(), 'gatepass-readme-'))
// Inside the package, so that its imports are found; `.tmp` is ignored by git.
const sources = new URL('./.tmp/', import.meta.url)
const source = new URL(`readme-${process.pid}.ts`, sources)
let server: ChildProcess
let browser: TestBrowser

beforeAll(async () => {
  const port = await freePort()
  mkdirSync(sources, { recursive: true })
  writeFileSync(source, block.replace('.listen(3000)', `.listen(${port}, 'localhost')`))
  server = spawn(process.execPath, ['--conditions=gatepass:source', source.pathname], { cwd: folder, stdio: 'inherit' })
  browser = new TestBrowser(`http://localhost:${port}`)
  await answering(`${browser.origin}/me`)
})

afterAll(() => {
  server?.kill()
  rmSync(source, { force: true })
  rmSync(folder, { recursive: true, force: true })
})

test('the login of the README has at most ten lines beside its imports', () => {
  const lines = block.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('import '))
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThanOrEqual(10)
})

test('the login of the README logs in, shows the user, and logs out', async () => {
  expect((await browser.fetch('/me')).status).toBe(401)
  const wrong = { username: 'ada', password: 'incorrect horse battery staple' }
  expect((await browser.fetch('/login', { form: wrong })).status).toBe(401)
  const right = { username: 'ada', password: 'correct horse battery staple' }
  expect(await (await browser.fetch('/login', { form: right })).json()).toEqual({ id: 'ada' })
  const stolen = browser.clone()
  expect((await browser.fetch('/logout', { method: 'POST' })).status).toBeLessThan(400)
  expect((await browser.fetch('/me')).status).toBe(401)
  expect((await stolen.fetch('/me')).status).toBe(401)
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, 'localhost')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** Waits until the server of this test takes connections. */
async function answering(url: string): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the README's example ended with ${server.exitCode}`)
    try {
      await fetch(url)
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
