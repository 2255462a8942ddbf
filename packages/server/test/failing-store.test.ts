import { copyFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test, vi } from 'vitest'
import { ADA, BOB, loggedIn, startTestServer, type TestServer } from './test-server.ts'

/** Another program that takes a table away, as a disk that fails would. */
function breakTable(server: TestServer, table: string): void {
  const database = new DatabaseSync(join(server.data, 'gatepass.db'))
  database.exec(`alter table ${table} rename to ${table}_gone`)
  database.close()
}

function mendTable(server: TestServer, table: string): void {
  const database = new DatabaseSync(join(server.data, 'gatepass.db'))
  database.exec(`alter table ${table}_gone rename to ${table}`)
  database.close()
}

test('a session store that fails is answered 503 with Retry-After, and nobody is let in or thrown out', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  breakTable(server, 'gatepass_sessions')
  for (const path of ['/account', '/account/sessions', '/auth/session', '/auth/sessions']) {
    const answer = await ada.get(path)
    expect([path, answer.status, answer.headers['retry-after']]).toEqual([path, 503, '1'])
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.body).not.toMatch(/no such table|sqlite/i)
  }
  mendTable(server, 'gatepass_sessions')
  expect((await ada.get('/auth/session')).status).toBe(200)
})

test('a login that cannot be saved is no login: 503, no session cookie, nothing half-sent', async () => {
  const server = await startTestServer()
  await loggedIn(server)
  breakTable(server, 'gatepass_sessions')
  for (const visitor of [server.visitor(), server.visitor()]) {
    const page = await visitor.post('/auth/login', ADA)
    expect(page.status).toBe(503)
    expect(page.body).toContain('Just a moment')
    expect(page.headers.location).toBeUndefined()
    expect(visitor.token).toBeUndefined()
    expect(page.headers['cache-control']).toBe('no-store')
    expect(page.headers['x-content-type-options']).toBe('nosniff')
    expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  }
  const json = await server.visitor().json('POST', '/auth/login', ADA)
  expect([json.status, json.data.error.code]).toEqual([503, 'ERR_STORE_UNAVAILABLE'])
  mendTable(server, 'gatepass_sessions')
  expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
})

/** Another program's trigger, so that only one kind of write fails. */
function failWrites(server: TestServer, writes: string): () => void {
  const database = new DatabaseSync(join(server.data, 'gatepass.db'))
  database.exec(`create trigger broken before ${writes} begin select raise(abort, 'broken'); end`)
  return () => {
    database.exec('drop trigger broken')
    database.close()
  }
}

test('a login whose counter cannot be cleared is no login, and does not count as a failure', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 2, loginsPerPair: 2, freeFailures: 5 } })
  await server.visitor().json('POST', '/auth/register', ADA)
  const visitor = server.visitor()
  expect((await visitor.json('POST', '/auth/login', { ...ADA, password: 'wrong but long enough' })).status).toBe(401)
  const mend = failWrites(server, 'update on accounts')
  for (let n = 0; n < 3; n++) {
    expect((await visitor.post('/auth/login', ADA)).status).toBe(503)
    expect(visitor.token).toBeUndefined()
  }
  mend()
  expect((await visitor.get('/auth/session')).status).toBe(401)
  expect((await visitor.json('POST', '/auth/login', ADA)).status).toBe(200)
})

test('a login that cannot be saved is not in the log as a success, and is not counted', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 2, loginsPerPair: 2, freeFailures: 2 } })
  await server.visitor().json('POST', '/auth/register', ADA)
  const mend = failWrites(server, 'insert on gatepass_sessions')
  const visitor = server.visitor()
  for (let n = 0; n < 3; n++) expect((await visitor.json('POST', '/auth/login', ADA)).status).toBe(503)
  const events = server.log.map((line) => JSON.parse(line))
  expect(events.map(({ event }) => event)).not.toContain('authn_login_success')
  const failed = events.filter(({ event }) => event === 'request_failed')
  expect(failed).toHaveLength(3)
  for (const { requestId } of failed) expect(requestId).toMatch(/./)
  expect(visitor.cookies.size).toBe(0)
  mend()
  expect((await visitor.json('POST', '/auth/login', ADA)).status).toBe(200)
})

test('a registration that cannot be saved keeps what was typed, and a login leads back to its form', async () => {
  const server = await startTestServer()
  breakTable(server, 'accounts')
  const answer = await server.visitor().post('/auth/register', ADA)
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1'])
  expect(answer.body).toContain('value="ada@example.com"')
  expect(answer.body).toContain('value="Ada"')
  expect(answer.body).toContain('role="alert"')
  expect(answer.body).not.toContain(ADA.password)
  expect((await server.visitor().post('/auth/login', ADA)).body).toContain('href="/login">Back to the login')
  expect(server.log.filter((line) => line.includes('request_failed'))).toHaveLength(2)
})

test('accounts that cannot be read are 503 for everybody, and the tries are given back', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 2, loginsPerPair: 2, freeFailures: 2 } })
  const ada = await loggedIn(server)
  breakTable(server, 'accounts')
  expect((await ada.get('/auth/session')).status).toBe(503)
  for (let n = 0; n < 5; n++) expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(503)
  expect((await server.visitor().json('POST', '/auth/register', ADA)).status).toBe(503)
  expect((await server.visitor().get('/healthz')).status).toBe(200)
  expect((await server.visitor().get('/readyz')).status).toBe(503)
  mendTable(server, 'accounts')
  expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
  expect((await server.visitor().get('/readyz')).status).toBe(200)
})

test('while another program holds the database, one statement of each part waits, and all else is answered at once', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const other = new DatabaseSync(join(server.data, 'gatepass.db'))
  other.exec('begin immediate')
  const looks = vi.spyOn(Atomics, 'wait')
  onTestFinished(() => looks.mockRestore())
  const locked = async () => {
    expect((await server.visitor().json('POST', '/auth/register', BOB)).status).toBe(503)
    expect((await ada.json('DELETE', '/auth/sessions')).status).toBe(503)
  }
  await locked()
  expect(looks).toHaveBeenCalled()
  looks.mockClear()
  for (let n = 0; n < 3; n++) {
    await locked()
    expect((await server.visitor().get('/healthz')).status).toBe(200)
    expect((await server.visitor().get('/readyz')).status).toBe(200)
    expect((await ada.get('/auth/session')).status).toBe(200)
  }
  expect(looks).not.toHaveBeenCalled()
  other.exec('rollback')
  other.close()
  expect((await server.visitor().json('POST', '/auth/register', BOB)).status).toBe(202)
})

test('a database that was removed or replaced, or cannot be read, makes the server unready', async () => {
  const server = await startTestServer()
  const file = join(server.data, 'gatepass.db')
  const ready = async (): Promise<number> => (await server.visitor().get('/readyz')).status
  expect(await ready()).toBe(200)
  breakTable(server, 'gatepass_sessions')
  expect(await ready()).toBe(503)
  mendTable(server, 'gatepass_sessions')
  expect(await ready()).toBe(200)
  renameSync(file, `${file}.away`)
  expect(await ready()).toBe(503)
  copyFileSync(`${file}.away`, file)
  expect(await ready()).toBe(503)
  renameSync(`${file}.away`, file)
  expect(await ready()).toBe(200)
})

test('what failed is in the log, under the number that the page shows', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  breakTable(server, 'gatepass_sessions')
  const page = await ada.get('/account')
  const [, reference = ''] = /reference ([\w-]+)/.exec(page.body) ?? []
  const entry = server.log.map((line) => JSON.parse(line)).find((line) => line.requestId === reference)
  expect(entry).toMatchObject({ level: 'error', event: 'request_failed' })
})

test('a disabled account is nobody at once, and its owner cannot log in', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const database = new DatabaseSync(join(server.data, 'gatepass.db'))
  database.exec('update accounts set disabled_at = 1')
  database.close()
  expect((await ada.get('/auth/session')).status).toBe(401)
  expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(401)
})

test('a changed password ends the logins made with the old one', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const database = new DatabaseSync(join(server.data, 'gatepass.db'))
  database.exec('update accounts set password_version = password_version + 1')
  database.close()
  expect((await ada.get('/auth/session')).status).toBe(401)
})

test('an imported hash opens the account, is replaced by a current one, and the login goes on', async () => {
  const server = await startTestServer()
  await server.visitor().json('POST', '/auth/register', ADA)
  const { scryptSync } = await import('node:crypto')
  const salt = Buffer.alloc(16, 1)
  const tag = scryptSync(ADA.password, salt, 32, { N: 2 ** 14, r: 8, p: 1 })
  const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
  const database = new DatabaseSync(join(server.data, 'gatepass.db'))
  database.prepare('update accounts set password_hash = ?').run(`$scrypt$ln=14,r=8,p=1$${base64(salt)}$${base64(tag)}`)
  const visitor = server.visitor()
  expect((await visitor.json('POST', '/auth/login', ADA)).status).toBe(200)
  expect(database.prepare('select password_hash as hash from accounts').get()).toEqual({
    hash: expect.stringMatching(/^\$argon2id\$/),
  })
  database.close()
  expect((await visitor.get('/auth/session')).status).toBe(200)
})
