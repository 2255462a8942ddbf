import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type SessionId, StoreError } from 'gatepass'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { type Account, Accounts } from './accounts.ts'
import { openDatabase } from './database.ts'
import { type EmailAddress, parseEmailAddress } from './email-address.ts'
import { Identities } from './identities.ts'
import { migrate } from './migrations.ts'

const ADA = { email: parseEmailAddress('ada@example.com') as EmailAddress, name: 'Ada', passwordHash: '$argon2id$…' }
const GOOGLE = { provider: 'google', issuer: 'https://accounts.google.com', subject: '1', email: 'ada@gmail.com' }
const FACEBOOK = { provider: 'facebook', issuer: 'https://www.facebook.com', subject: '1', email: undefined }
const BOTH = ['google', 'facebook']
const NEWCOMER = { email: undefined, emailProved: false, name: 'Nemo' }

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-identities-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'gatepass.db')
}

async function open(path: string = file()) {
  const database = openDatabase(path)
  await migrate(database)
  const accounts = new Accounts(database, () => 1000)
  onTestFinished(() => accounts.close())
  return { accounts, identities: new Identities(database, () => 2000), path }
}

async function withAda(path?: string) {
  const stores = await open(path)
  const ada = (await stores.accounts.byId((await stores.accounts.create(ADA)) ?? '')) as Account
  return { ...stores, ada }
}

test('an identity is issuer and subject: the same subject at another provider is somebody else', async () => {
  const { identities, ada } = await withAda()
  expect(await identities.add(GOOGLE, ada)).toBe(true)
  expect(await identities.use(GOOGLE)).toMatchObject({ id: ada.id })
  expect(await identities.use(FACEBOOK)).toBeUndefined()
  expect(await identities.use({ ...GOOGLE, subject: '2' })).toBeUndefined()
})

test('an identity opens one account, and stays with it', async () => {
  const { accounts, identities, ada } = await withAda()
  const bob = parseEmailAddress('bob@example.com') as EmailAddress
  const other = (await accounts.byId((await accounts.create({ ...ADA, email: bob })) ?? '')) as Account
  const added = await Promise.all([identities.add(GOOGLE, ada), identities.add(GOOGLE, other)])
  expect(added).toEqual([true, false])
  expect(await identities.ownerOf(GOOGLE)).toBe(ada.id)
})

test('of twenty first logins at once one makes the account, and all get it', async () => {
  const { identities } = await open()
  const made = await Promise.all(Array.from({ length: 20 }, () => identities.open(GOOGLE, NEWCOMER)))
  expect(made.filter(Boolean)).toHaveLength(1)
  expect(await identities.use(GOOGLE)).toMatchObject({ name: 'Nemo', email: undefined, passwordHash: undefined })
})

test('an account that a crash left half made is made by the next try', async () => {
  const { identities, path } = await open()
  await identities.open(GOOGLE, NEWCOMER)
  const database = new DatabaseSync(path)
  database.exec('delete from accounts')
  expect(await identities.use(GOOGLE)).toBeUndefined()
  expect(await identities.open(GOOGLE, NEWCOMER)).toBe(true)
  expect(await identities.use(GOOGLE)).toMatchObject({ name: 'Nemo' })
  database.close()
})

test('no account is made for an address that has one, and the identity can be linked to that', async () => {
  const { identities, ada } = await withAda()
  expect(await identities.open(GOOGLE, { ...NEWCOMER, email: ADA.email })).toBe(false)
  expect(await identities.use(GOOGLE)).toBeUndefined()
  expect(await identities.add(GOOGLE, ada)).toBe(true)
  expect(await identities.use(GOOGLE)).toMatchObject({ id: ada.id })
})

test('the last way in is not removed: neither one by one nor both at once', async () => {
  const { identities } = await open()
  await identities.open(GOOGLE, NEWCOMER)
  const account = (await identities.use(GOOGLE)) as Account
  await identities.add(FACEBOOK, account)
  const handles = (await identities.list(account)).map(({ handle }) => handle)
  const removed = await Promise.all(handles.map((handle) => identities.remove(account, { handle, configured: BOTH })))
  expect(removed.filter((provider) => provider !== undefined)).toHaveLength(1)
  const [last] = await identities.list(account)
  expect(await identities.remove(account, { handle: last?.handle ?? '', configured: BOTH })).toBeUndefined()
  expect(await identities.list(account)).toHaveLength(1)
})

test('of two processes that each remove another one, one does', async () => {
  const { identities, path } = await open()
  await identities.open(GOOGLE, NEWCOMER)
  const account = (await identities.use(GOOGLE)) as Account
  await identities.add(FACEBOOK, account)
  const other = await open(path)
  const [first, second] = await identities.list(account)
  expect(await identities.remove(account, { handle: first?.handle ?? '', configured: BOTH })).toBe(first?.provider)
  expect(await other.identities.remove(account, { handle: second?.handle ?? '', configured: BOTH })).toBeUndefined()
})

test.each([
  ['a disabled password', 'update accounts set password_disabled_at = 1', BOTH],
  ['a provider that is not configured any more', 'update accounts set password_hash = null', ['google']],
])('%s is no way in', async (_what, statement, configured) => {
  const { identities, ada, path } = await withAda()
  await identities.add(GOOGLE, ada)
  if (configured.length === 1) await identities.add(FACEBOOK, ada)
  const database = new DatabaseSync(path)
  database.exec(statement)
  database.close()
  const google = (await identities.list(ada)).find(({ provider }) => provider === 'google')
  expect(await identities.remove(ada, { handle: google?.handle ?? '', configured })).toBeUndefined()
})

test('with a password, every identity can be removed, and only by its own account', async () => {
  const { identities, ada } = await withAda()
  await identities.add(GOOGLE, ada)
  const [identity] = await identities.list(ada)
  expect(
    await identities.remove({ ...ada, id: 'somebody' }, { handle: identity?.handle ?? '', configured: BOTH }),
  ).toBeUndefined()
  expect(await identities.remove(ada, { handle: identity?.handle ?? '', configured: BOTH })).toBe('google')
  expect(await identities.use(GOOGLE)).toBeUndefined()
})

test('attack 53: an account goes to the owner of its mailbox once, and what opened it before does not any more', async () => {
  const { accounts, identities, ada } = await withAda()
  await identities.add(FACEBOOK, ada)
  const owners = await Promise.all([
    accounts.giveToMailboxOwner(ada.id, { name: 'Ada L.' }),
    accounts.giveToMailboxOwner(ada.id, { name: 'Ada L.' }),
  ])
  expect(owners).toEqual([
    expect.objectContaining({ name: 'Ada L.', passwordHash: undefined, passwordVersion: 2, emailVerified: true }),
    undefined,
  ])
  expect(await identities.use(FACEBOOK)).toBeUndefined()
  expect(await identities.list(owners[0] as Account)).toEqual([])
  // Nor does a link that was begun before.
  expect(await identities.add(GOOGLE, ada)).toBe(false)
  expect(await identities.add(GOOGLE, owners[0] as Account)).toBe(true)
  // Whoever was linked before begins anew.
  expect(await identities.open(FACEBOOK, NEWCOMER)).toBe(true)
  expect(await identities.use(FACEBOOK)).not.toMatchObject({ id: ada.id })
})

test.each([
  ['its session has ended', 'delete from gatepass_sessions'],
  ['its session is another account’s', "update gatepass_sessions set subject = 'somebody'"],
  ['its session has expired', 'update gatepass_sessions set expires_at = 2000'],
  ['the password was changed', 'update accounts set password_version = 2'],
  ['the account has another owner', 'update accounts set generation = 2'],
  ['the account was disabled', 'update accounts set disabled_at = 1'],
])('the statement that adds or removes a way in does nothing if %s since it was allowed', async (_what, statement) => {
  const { identities, ada, path } = await withAda()
  const id = 'a'.repeat(64) as SessionId
  const record = { id, handle: 'h', version: 1, subject: ada.id, data: '{}', about: '{}', createdAt: 1, seenAt: 1 }
  const sessions = sqliteStore(path, { clock: () => 1000 })
  sessions.insert({ ...record, expiresAt: 5000 })
  onTestFinished(() => sessions.close())
  await identities.add(GOOGLE, ada, id)
  const [google] = await identities.list(ada)
  expect(google).toMatchObject({ provider: 'google' })
  const database = new DatabaseSync(path)
  database.exec(statement)
  database.close()
  expect(await identities.add(FACEBOOK, ada, id)).toBe(false)
  const { handle = '' } = google ?? {}
  expect(await identities.remove(ada, { handle, configured: BOTH, session: id })).toBeUndefined()
  expect(await identities.list(ada)).toEqual([google])
})

test('an account that goes to its owner between the two statements of a login by an identity is not opened', async () => {
  const { accounts, identities, ada, path } = await withAda()
  await identities.add(FACEBOOK, ada)
  const login = identities.use({ ...FACEBOOK, email: 'noted@example.com' })
  // The identity is noted first. From there to the account another program may write.
  const database = new DatabaseSync(path)
  const noted = database.prepare('select email from identities')
  for (let turn = 0; turn < 100 && noted.get()?.email === null; turn++) await Promise.resolve()
  database.exec('update accounts set generation = 2, password_version = 2')
  database.close()
  expect(await login).toBeUndefined()
  expect((await accounts.byId(ada.id))?.generation).toBe(2)
})

test('only the account’s own address is confirmed, and once', async () => {
  const { accounts, ada } = await withAda()
  expect(await accounts.emailProved(ada.id, 'other@example.com')).toBe(false)
  expect((await accounts.byId(ada.id))?.emailVerified).toBe(false)
  expect(await accounts.emailProved(ada.id, ADA.email.key)).toBe(true)
  expect(await accounts.emailProved(ada.id, ADA.email.key)).toBe(false)
})

test('the accounts of an earlier version survive, to the last column', async () => {
  const path = file()
  const before = new DatabaseSync(path)
  before.exec(`create table account_migrations (name text primary key, applied_at integer not null) strict;
    insert into account_migrations values ('0001-accounts', 1);
    create table accounts (id text primary key not null, email text not null, email_key text not null unique, name text not null,
      password_hash text not null, password_version integer not null, created_at integer not null,
      failures integer not null default 0, password_disabled_at integer, disabled_at integer) strict;
    insert into accounts values ('1', 'Ada@Example.com', 'ada@example.com', 'Ada', 'hash', 7, 100, 3, 200, null);
    insert into accounts values ('2', 'bob@example.com', 'bob@example.com', '', 'other', 1, 101, 0, null, 300)`)
  before.close()
  const { accounts } = await open(path)
  expect(await accounts.byId('1')).toEqual({
    id: '1',
    email: 'Ada@Example.com',
    emailVerified: false,
    name: 'Ada',
    passwordHash: 'hash',
    passwordVersion: 7,
    createdAt: 100,
    passwordDisabled: true,
    generation: 1,
  })
  expect(await accounts.byId('2')).toBeUndefined()
  expect(await accounts.create({ ...ADA, email: parseEmailAddress('bob@example.com') as EmailAddress })).toBeUndefined()
  expect(await accounts.failed('ada@example.com')).toBe(false)
})

test('a database that does not answer is a StoreError', async () => {
  const { accounts, identities } = await open()
  await accounts.close()
  await expect(identities.use(GOOGLE)).rejects.toThrow(StoreError)
})
