import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from 'gatepass'
import { expect, onTestFinished, test } from 'vitest'
import { Accounts, MOST_CONSECUTIVE_FAILURES } from './accounts.ts'
import { openDatabase } from './database.ts'
import { type EmailAddress, parseEmailAddress } from './email-address.ts'
import { migrate } from './migrations.ts'

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-accounts-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'gatepass.db')
}

async function open(path: string = file()): Promise<Accounts> {
  const database = openDatabase(path)
  await migrate(database)
  const accounts = new Accounts(database, () => 1000)
  onTestFinished(() => accounts.close())
  return accounts
}

function address(text: string): EmailAddress {
  return parseEmailAddress(text) as EmailAddress
}

const ADA = { email: address('Ada@Example.com'), name: 'Ada', passwordHash: '$argon2id$…' }

test('an account is found by its id and by any spelling of its address', async () => {
  const accounts = await open()
  const id = (await accounts.create(ADA)) ?? ''
  const account = {
    id,
    email: 'Ada@Example.com',
    emailVerified: false,
    name: 'Ada',
    passwordHash: '$argon2id$…',
    passwordVersion: 1,
    createdAt: 1000,
    passwordDisabled: false,
    generation: 1,
  }
  expect(await accounts.byId(id)).toEqual(account)
  expect(await accounts.byEmail(address('ADA@example.COM').key)).toEqual(account)
  expect(await accounts.byId('nobody')).toBeUndefined()
})

test('an address has one account: a second one changes nothing', async () => {
  const accounts = await open()
  const id = await accounts.create(ADA)
  expect(await accounts.create({ ...ADA, email: address('ada@example.com'), passwordHash: 'other' })).toBeUndefined()
  expect(await accounts.byEmail(ADA.email.key)).toMatchObject({ id, passwordHash: '$argon2id$…' })
})

test('of many at once, one gets the address', async () => {
  const accounts = await open()
  const ids = await Promise.all(Array.from({ length: 50 }, () => accounts.create(ADA)))
  expect(ids.filter((id) => id !== undefined)).toHaveLength(1)
})

test('a new hash replaces the one it was made from, and no other', async () => {
  const accounts = await open()
  const id = (await accounts.create(ADA)) ?? ''
  await accounts.rehash(id, { from: 'another', to: 'new' })
  expect((await accounts.byId(id))?.passwordHash).toBe('$argon2id$…')
  await accounts.rehash(id, { from: '$argon2id$…', to: 'new' })
  expect(await accounts.byId(id)).toMatchObject({ passwordHash: 'new', passwordVersion: 1 })
})

test('the hundredth failure in a row disables the password, once, and an operator enables it', async () => {
  const accounts = await open()
  const { key } = ADA.email
  const id = (await accounts.create(ADA)) ?? ''
  for (let n = 1; n < MOST_CONSECUTIVE_FAILURES; n++) expect(await accounts.failed(key)).toBe(false)
  expect((await accounts.byId(id))?.passwordDisabled).toBe(false)
  expect(await accounts.failed(key)).toBe(true)
  expect(await accounts.failed(key)).toBe(false)
  expect((await accounts.byId(id))?.passwordDisabled).toBe(true)
  expect(await accounts.enablePassword(key)).toBe(true)
  expect((await accounts.byId(id))?.passwordDisabled).toBe(false)
  expect(await accounts.failed(key)).toBe(false)
})

test('a success in between begins the count anew', async () => {
  const accounts = await open()
  const id = (await accounts.create(ADA)) ?? ''
  for (let n = 0; n < 99; n++) await accounts.failed(ADA.email.key)
  await accounts.succeeded(id)
  expect(await accounts.failed(ADA.email.key)).toBe(false)
})

test('an address that nobody has is nobody’s failure', async () => {
  const accounts = await open()
  expect(await accounts.failed('nobody@example.com')).toBe(false)
  expect(await accounts.enablePassword('nobody@example.com')).toBe(false)
})

test('a disabled account is nobody', async () => {
  const path = file()
  const accounts = await open(path)
  const id = (await accounts.create(ADA)) ?? ''
  const database = new DatabaseSync(path)
  database.exec('update accounts set disabled_at = 1')
  database.close()
  expect(await accounts.byId(id)).toBeUndefined()
  expect(await accounts.byEmail(ADA.email.key)).toBeUndefined()
})

test('a quote in a name is a quote', async () => {
  const accounts = await open()
  const name = `'); drop table accounts; --`
  const id = (await accounts.create({ ...ADA, name })) ?? ''
  expect((await accounts.byId(id))?.name).toBe(name)
})

test('a database that does not answer is a StoreError with its cause', async () => {
  const path = file()
  const accounts = await open(path)
  const database = new DatabaseSync(path)
  database.exec('drop table accounts')
  database.close()
  const error = await accounts.byId('x').catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StoreError)
  expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', status: 503, cause: expect.any(Error) })
})

test('migrations run once, also when two processes open the file', async () => {
  const path = file()
  const first = await open(path)
  await first.create(ADA)
  const second = await open(path)
  expect(await second.byEmail(ADA.email.key)).toBeDefined()
})

test('a file of a newer version is refused, and left as it is', async () => {
  const path = file()
  await open(path)
  const newer = new DatabaseSync(path)
  newer.exec(`insert into account_migrations values ('9999-future', 1)`)
  newer.close()
  const database = openDatabase(path)
  onTestFinished(() => database.close())
  await expect(migrate(database)).rejects.toMatchObject({
    code: 'ERR_STORE_SCHEMA',
    message: expect.stringContaining('9999-future'),
  })
})

test('the file is its owner’s alone', async () => {
  const path = file()
  const accounts = await open(path)
  await accounts.create(ADA)
  for (const name of [path, `${path}-wal`]) expect(statSync(name).mode & 0o777).toBe(0o600)
})
