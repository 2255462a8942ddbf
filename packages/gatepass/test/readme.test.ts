import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestBrowser } from 'gatepass/testing'
import { pretendGoogle } from 'gatepass/testing/providers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from './engines/free-port.ts'

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
const [first = '', second = ''] = [...readme.matchAll(/```ts\n(import express[\s\S]*?)```/g)].map(([, block]) => block)
// Inside the package, so that its imports are found; `.tmp` is ignored by git.
const sources = new URL('./.tmp/', import.meta.url)
const google = { clientId: 'readme', clientSecret: 'a secret that is none' }

const linesOf = (block: string): number =>
  block.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('import ')).length

describe('the login of the README', () => {
  test('has at most ten lines beside its imports', () => {
    expect(linesOf(first)).toBeGreaterThan(0)
    expect(linesOf(first)).toBeLessThanOrEqual(10)
  })

  test('logs in, shows the user, and logs out', async () => {
    const browser = new TestBrowser(await run(first))
    expect((await browser.fetch('/me')).status).toBe(401)
    const wrong = { username: 'ada', password: 'incorrect horse battery staple' }
    expect((await browser.fetch('/login', { form: wrong })).status).toBe(401)
    expect(await (await browser.fetch('/login', { form: ADA })).json()).toEqual({ id: 'ada' })
    const stolen = browser.clone()
    expect((await browser.fetch('/logout', { method: 'POST' })).status).toBeLessThan(400)
    expect((await browser.fetch('/me')).status).toBe(401)
    expect((await stolen.fetch('/me')).status).toBe(401)
  })
})

describe('the application with Google and tokens of the README', () => {
  test('has at most ten lines more', () => {
    expect(linesOf(second)).toBeGreaterThan(linesOf(first))
    expect(linesOf(second)).toBeLessThanOrEqual(linesOf(first) + 10)
  })

  test('logs in with Google', async () => {
    const port = await freePort()
    const redirectUris = [`http://localhost:${port}/google/back`]
    const provider = await pretendGoogle({ clients: [{ ...google, redirectUris }] })
    onTestFinished(() => provider.close())
    const browser = new TestBrowser(await run(withIssuer(second, provider.issuer), port))
    const page = await browser.fetch('/google')
    const [, action = ''] = /<form method="post" action="([^"]+)"/.exec(await page.text()) ?? []
    const person = provider.people[0]?.id ?? ''
    const chosen = await browser.fetch(new URL(action, page.url).href, {
      form: { person, fault: '' },
      headers: { origin: provider.origin },
    })
    expect(await chosen.json()).toEqual({ id: `google ${person}` })
  })

  test('gives a token that counts as long as the session it was made from, and makes no other', async () => {
    const browser = new TestBrowser(await run(second))
    await browser.fetch('/login', { form: ADA })
    const { token } = (await (await browser.fetch('/token', { method: 'POST' })).json()) as { token: string }
    const me = () => fetch(`${browser.origin}/me`, { headers: { authorization: `Bearer ${token}` } })
    expect(await (await me()).json()).toEqual({ id: 'ada' })
    const another = { method: 'POST', headers: { authorization: `Bearer ${token}` } }
    expect((await fetch(`${browser.origin}/token`, another)).status).toBe(403)
    await browser.fetch('/logout', { method: 'POST' })
    expect((await me()).status).toBe(401)
  })
})

const ADA = { username: 'ada', password: 'correct horse battery staple' }

/** Where Google is for this test; nothing else of the block changes. */
function withIssuer(block: string, issuer: string): string {
  return block.replace('google({ ', `google({ issuer: '${issuer}', `)
}

/** Runs a block of the README as a program until the test ends. @returns its origin */
async function run(block: string, port?: number): Promise<string> {
  const own = port ?? (await freePort())
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-readme-'))
  const source = new URL(`readme-${process.pid}-${own}.ts`, sources)
  mkdirSync(sources, { recursive: true })
  writeFileSync(
    source,
    block.replaceAll('localhost:3000', `localhost:${own}`).replace('.listen(3000)', `.listen(${own}, 'localhost')`),
  )
  const server = spawn(process.execPath, ['--conditions=gatepass:source', source.pathname], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, GOOGLE_ID: google.clientId, GOOGLE_SECRET: google.clientSecret, SECRET: 's'.repeat(43) },
  })
  onTestFinished(() => {
    server.kill()
    rmSync(source, { force: true })
    rmSync(folder, { recursive: true, force: true })
  })
  const origin = `http://localhost:${own}`
  await answering(server, `${origin}/me`)
  return origin
}

/** Waits until the server of this test takes connections. */
async function answering(server: ChildProcess, url: string): Promise<void> {
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
