import { expect, test, vi } from 'vitest'
import { readConfig } from '../src/settings/config.ts'
import { newKey } from '../src/settings/secrets.ts'
import {
  ADA,
  BOB,
  loggedIn,
  startHttpsServer,
  startTestServer,
  type TestServer,
  temporaryFolder,
} from './test-server.ts'
import type { Answer, Visitor } from './visitor.ts'

const WRONG = 'wrong but long enough'

function guess(visitor: Visitor, email: string = ADA.email): Promise<Answer> {
  return visitor.json('POST', '/auth/login', { email, password: WRONG })
}

/** From an address of its own each time. */
function strangers(server: TestServer): () => Visitor {
  let n = 0
  return () => {
    n += 1
    return server.visitor({ localAddress: `127.0.${n >> 8}.${n & 255}` })
  }
}

test('attack 34: after five wrong passwords each further try waits, from whatever address it comes', async () => {
  const server = await startTestServer()
  await server.visitor().json('POST', '/auth/register', ADA)
  const stranger = strangers(server)
  for (let n = 0; n < 5; n++) expect((await guess(stranger())).status).toBe(401)
  const refused = await guess(stranger())
  expect([refused.status, refused.data.error.code]).toEqual([429, 'ERR_TOO_MANY_TRIES'])
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  // Not even the right password: it would tell that it is right.
  expect((await stranger().json('POST', '/auth/login', ADA)).status).toBe(429)
})

test('attack 34: of many tries at one moment no more are let through', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 1000, loginsPerPair: 1000 } })
  await server.visitor().json('POST', '/auth/register', ADA)
  const stranger = strangers(server)
  const answers = await Promise.all(Array.from({ length: 50 }, () => guess(stranger())))
  expect(answers.filter((answer) => answer.status === 401)).toHaveLength(5)
})

test('attack 34: an address without an account is limited in the same way', async () => {
  const server = await startTestServer()
  const stranger = strangers(server)
  const statuses: number[] = []
  for (let n = 0; n < 6; n++) statuses.push((await guess(stranger(), BOB.email)).status)
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
})

test('attack 34: another spelling of the address is the same account', async () => {
  const server = await startTestServer()
  const stranger = strangers(server)
  const spellings = [
    'ada@example.com',
    'ADA@example.com',
    'ada@EXAMPLE.com ',
    ' Ada@example.com',
    'aDA@Example.Com',
    'ada@example.com',
  ]
  const statuses: number[] = []
  for (const email of spellings) statuses.push((await guess(stranger(), email)).status)
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
})

test('one address is limited over all accounts, and the page says for how long', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 3 } })
  const visitor = server.visitor()
  for (let n = 0; n < 3; n++) expect((await guess(visitor, `p${n}@example.com`)).status).toBe(401)
  const page = await visitor.post('/auth/login', { email: 'p9@example.com', password: WRONG })
  expect(page.status).toBe(429)
  expect(page.body).toMatch(/Try again in \d+ (seconds|minutes)\./)
  expect(page.body).toContain('value="p9@example.com"')
  expect(
    (
      await server
        .visitor({ localAddress: '127.0.0.2' })
        .json('POST', '/auth/login', { email: 'p9@example.com', password: WRONG })
    ).status,
  ).toBe(401)
})

test('a right password gives its tries back', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 3, loginsPerPair: 3 } })
  await server.visitor().json('POST', '/auth/register', ADA)
  for (let n = 0; n < 10; n++) expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
})

test('attack 35: fields that say who is asking are not believed without a proxy', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 3 } })
  for (let n = 0; n < 4; n++) {
    const forged = `203.0.113.${n}`
    const answer = await server.visitor().json(
      'POST',
      '/auth/login',
      { email: `p${n}@example.com`, password: WRONG },
      {
        'x-forwarded-for': forged,
        'x-real-ip': forged,
        'true-client-ip': forged,
        'cf-connecting-ip': forged,
        forwarded: `for=${forged}`,
      },
    )
    expect(answer.status).toBe(n < 3 ? 401 : 429)
  }
  expect(server.log.join('')).not.toContain('203.0.113.')
})

test('attack 35: behind a proxy the address counts that the proxy saw, not those before it', async () => {
  const server = await startHttpsServer({ limits: { loginsPerAddress: 3 } })
  const tried = (n: number, seen: string): Promise<Answer> =>
    server
      .visitor()
      .json(
        'POST',
        '/auth/login',
        { email: `p${n}@example.com`, password: WRONG },
        { 'x-forwarded-for': `198.51.100.${n}, ${seen}` },
      )
  for (let n = 0; n < 3; n++) expect((await tried(n, '203.0.113.7')).status).toBe(401)
  expect((await tried(3, '203.0.113.7')).status).toBe(429)
  expect((await tried(4, '203.0.113.8')).status).toBe(401)
  expect(server.log.some((line) => line.includes('"ip":"203.0.113.7"'))).toBe(true)
})

test('attack 38: strangers who guess do not lock the owner out of a device that was used before', async () => {
  const server = await startTestServer()
  const owner = await loggedIn(server)
  await owner.json('POST', '/auth/logout')
  const stranger = strangers(server)
  for (let n = 0; n < 50; n++) await guess(stranger())
  expect((await stranger().json('POST', '/auth/login', ADA)).status).toBe(429)
  expect((await owner.json('POST', '/auth/login', ADA)).status).toBe(200)
})

test('attack 80: a known device stays one when the key changes, and until the old key goes', async () => {
  const data = temporaryFolder()
  const [old, key] = [newKey(), newKey()]
  const stranger = async (server: TestServer): Promise<void> => {
    const next = strangers(server)
    for (let n = 0; n < 6; n++) await guess(next())
  }
  const first = await startTestServer({ data, keys: [old] })
  const owner = await loggedIn(first)
  await first.stop()
  const statusWith = async (keys: readonly [string, ...string[]]): Promise<number> => {
    const server = await startTestServer({ data, keys })
    await stranger(server)
    const again = server.visitor()
    again.cookies.set('gp-dev', owner.cookies.get('gp-dev') ?? '')
    const { status } = await again.json('POST', '/auth/login', ADA)
    await server.stop()
    return status
  }
  expect(await statusWith([key, old])).toBe(200)
  expect(await statusWith([key])).toBe(429)
})

test('attack 38: the cookie of a known device helps with no other account, and not without end', async () => {
  const server = await startTestServer()
  await server.visitor().json('POST', '/auth/register', BOB)
  const ada = await loggedIn(server)
  const stranger = strangers(server)
  for (let n = 0; n < 6; n++) await guess(stranger(), BOB.email)
  expect((await ada.json('POST', '/auth/login', BOB)).status).toBe(429)
  for (let n = 0; n < 5; n++) expect((await guess(ada)).status).toBe(401)
  expect((await guess(ada)).status).toBe(429)
})

test('a hundred wrong passwords in a row disable the password, until an operator says otherwise', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const server = await startTestServer({
      limits: { loginsPerAddress: 10_000, loginsPerPair: 10_000, longestDelay: 1 },
    })
    await server.visitor().json('POST', '/auth/register', ADA)
    for (let n = 0; n < 99; n++) {
      vi.setSystemTime(Date.now() + 2000)
      expect((await guess(server.visitor())).status).toBe(401)
    }
    expect(server.log.some((line) => line.includes('authn_login_lock'))).toBe(false)
    vi.setSystemTime(Date.now() + 2000)
    const last = await guess(server.visitor())
    vi.setSystemTime(Date.now() + 2000)
    const right = await server.visitor().json('POST', '/auth/login', ADA)
    // The same as for a wrong one: who guesses does not learn of it.
    expect([right.status, right.body]).toEqual([401, last.body])
    expect(server.log.filter((line) => line.includes('authn_login_lock'))).toHaveLength(1)
  } finally {
    vi.useRealTimers()
  }
})

test('a right password in between begins the count anew', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const server = await startTestServer({
      limits: { loginsPerAddress: 10_000, loginsPerPair: 10_000, longestDelay: 1 },
    })
    await server.visitor().json('POST', '/auth/register', ADA)
    for (let n = 0; n < 99; n++) {
      vi.setSystemTime(Date.now() + 2000)
      await guess(server.visitor())
    }
    vi.setSystemTime(Date.now() + 2000)
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
    expect(server.log.some((line) => line.includes('authn_login_successafterfail'))).toBe(true)
    vi.setSystemTime(Date.now() + 2000)
    await guess(server.visitor())
    vi.setSystemTime(Date.now() + 2000)
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
  } finally {
    vi.useRealTimers()
  }
})

test('in production one address registers ten accounts an hour, and in dev a thousand', async () => {
  const environment = { GATEPASS_ORIGIN: 'https://login.example.com', GATEPASS_KEYS: newKey() }
  const limitsIn = (mode: 'dev' | 'production') => {
    const result = readConfig({ mode, environment, folder: temporaryFolder() })
    return 'config' in result ? result.config.limits : undefined
  }
  expect(limitsIn('dev')?.registrationsPerAddress).toBe(1000)
  const server = await startTestServer({ limits: limitsIn('production') ?? {} })
  for (let n = 0; n < 10; n++) {
    expect((await server.visitor().json('POST', '/auth/register', { ...ADA, email: `p${n}@example.com` })).status).toBe(
      202,
    )
  }
  const refused = await server.visitor().json('POST', '/auth/register', BOB)
  expect([refused.status, Number(refused.headers['retry-after']) > 3000]).toEqual([429, true])
  expect((await server.visitor({ localAddress: '127.0.0.2' }).json('POST', '/auth/register', BOB)).status).toBe(202)
})

test('refused forms for a new account are limited, too, and do not use up the registrations', async () => {
  const server = await startTestServer({ limits: { registrationsPerAddress: 1 } })
  const register = async (password: string): Promise<number> =>
    (await server.visitor().json('POST', '/auth/register', { ...ADA, password })).status
  for (let n = 0; n < 9; n++) expect(await register('short')).toBe(400)
  expect(await register(ADA.password)).toBe(202)
  expect(await register('short')).toBe(400)
  expect(await register('short')).toBe(429)
})

test('a name or a password that is never looked up does not count against an account', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 2, loginsPerPair: 2, freeFailures: 1 } })
  await server.visitor().json('POST', '/auth/register', ADA)
  const unreadable = [
    { ...ADA, email: `\t${ADA.email}` },
    { ...ADA, password: 'x'.repeat(1025) },
    { ...ADA, password: 'y'.repeat(2000) },
  ]
  for (const person of unreadable) {
    expect((await server.visitor().json('POST', '/auth/login', person)).data.error.code).toBe('ERR_LOGIN_REFUSED')
  }
  expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
})
