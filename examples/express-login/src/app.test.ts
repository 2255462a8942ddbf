import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createApp } from './app.ts'

let folder: string
let server: Server
let close: () => void
let browser: TestBrowser

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatepass-example-'))
  const { app, store } = createApp(join(folder, 'sessions.db'))
  server = app.listen(0, 'localhost')
  await new Promise((resolve) => server.once('listening', resolve))
  close = () => store.close()
  browser = new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
})

afterEach(() => {
  server.close().closeAllConnections()
  close()
  rmSync(folder, { recursive: true })
})

const form = { username: 'ada', password: 'a battery of correct horses' }
const html = { accept: 'text/html' }

test('a visitor registers, is greeted, logs out, and logs in again', async () => {
  expect(await (await browser.fetch('/register', { form })).text()).toContain('Hello ada')
  expect(await (await browser.fetch('/', { headers: html })).text()).toContain('Visit 2 of this session')
  await browser.fetch('/logout', { method: 'POST' })
  expect(await (await browser.fetch('/', { headers: html })).text()).toContain('<h1>Log in</h1>')
  expect(await (await browser.fetch('/login', { form })).text()).toContain('Hello ada')
})

test('a wrong password goes back to the form with a message', async () => {
  await browser.fetch('/register', { form })
  await browser.fetch('/logout', { method: 'POST' })
  const response = await browser.fetch('/login', { form: { ...form, password: 'another battery of horses' } })
  expect(await response.text()).toContain('That did not match')
})

test('a short password is refused with the reason', async () => {
  const response = await browser.fetch('/register', { form: { username: 'ada', password: 'short' } })
  expect(response.status).toBe(400)
  expect(await response.text()).toMatch(/15/)
})

test('of two visitors who take one name at once, one gets it', async () => {
  const other = new TestBrowser(browser.origin)
  const texts = await Promise.all(
    [browser, other].map(async (visitor) => (await visitor.fetch('/register', { form })).text()),
  )
  expect(texts.filter((text) => text.includes('Hello ada'))).toHaveLength(1)
  expect(texts.filter((text) => text.includes('Choose another name'))).toHaveLength(1)
})

test('a page of somebody else can neither log in nor register a visitor', async () => {
  const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
  for (const path of ['/register', '/login']) expect((await browser.fetch(path, { form, headers })).status).toBe(403)
  expect(browser.jar.size).toBe(0)
})
