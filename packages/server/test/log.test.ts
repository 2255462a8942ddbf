import { expect, test } from 'vitest'
import { ADA, loggedIn, startTestServer } from './test-server.ts'

test('attack 77: secrets in any input stay out of the log, and out of every answer', async () => {
  const server = await startTestServer()
  const canary = (name: string): string => `canary-${name}-5up3rs3cr3t`
  const person = { email: 'eve-canary-mail@example.com', password: `${canary('password')} plus umbrella`, name: 'Eve' }
  const visitor = await loggedIn(server, person, { userAgent: canary('agent') })
  const answers = [
    await visitor.get(`/login?next=/${canary('next')}&code=${canary('code')}`),
    await visitor.json('POST', '/auth/login', { email: canary('typed-as-address'), password: canary('wrong') }),
    await visitor.json('POST', '/auth/login', { email: `${canary('unknown')}@example.com`, password: canary('wrong') }),
    await visitor.ask('GET', '/auth/session', {
      headers: {
        authorization: `Bearer ${canary('bearer')}`,
        'user-agent': canary('agent'),
        referer: `https://x/${canary('referer')}`,
      },
    }),
    await visitor.ask('GET', '/auth/session', { headers: { cookie: `gp=${canary('cookie')}; x=${canary('other')}` } }),
    await visitor.ask('POST', '/auth/login', {
      headers: { origin: server.origin, 'content-type': 'application/json' },
      body: `{"password":"${canary('broken')}`,
    }),
    await visitor.ask('POST', '/auth/logout', { headers: { origin: `https://${canary('origin')}.example` } }),
    await visitor.get('/account'),
  ]
  const token = visitor.token ?? ''
  await visitor.json('POST', '/auth/logout')
  const log = server.log.join('\n')
  expect(log).not.toContain('canary')
  expect(log).not.toContain(token.slice(0, 43))
  for (const answer of answers.slice(3)) expect(answer.body).not.toContain('s3cr3t".')
  for (const answer of answers) expect(answer.body).not.toContain(token.slice(0, 43))
})

test('attack 20: the token is in its cookie and nowhere else', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const token = (ada.token ?? '').slice(0, 43)
  expect(token).toMatch(/^[\w-]{43}$/)
  const id = (await import('node:crypto')).createHash('sha256').update(token).digest('hex')
  for (const path of ['/', '/account', '/account/sessions', '/auth/session', '/auth/sessions', '/login', '/nothing']) {
    const { body, headers } = await ada.get(path)
    for (const secret of [token, id]) {
      expect(body).not.toContain(secret)
      expect(JSON.stringify({ ...headers, 'set-cookie': '' })).not.toContain(secret)
    }
  }
})

test('attack 77: what a visitor sends cannot begin a line of its own', async () => {
  const server = await startTestServer()
  await server.visitor().json('POST', '/auth/register', ADA)
  const before = server.log.length
  const evil = 'x\r\n{"event":"user_created"}\u001b[31m\u2028\u2029\u0085"}'
  await server.visitor().json('POST', '/auth/login', { email: evil, password: evil })
  await server
    .visitor()
    .ask('GET', '/auth/session', { headers: { 'user-agent': 'x\u001b[31m"}', 'x-forwarded-for': '"}\u0007' } })
    .catch(() => undefined)
  await server.visitor().post('/auth/register', { email: evil, name: evil, password: evil })
  expect(server.log.length).toBeGreaterThan(before)
  for (const line of server.log) {
    expect(line).toMatch(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\n$/)
    expect(JSON.parse(line)).toMatchObject({
      ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      level: expect.any(String),
    })
  }
})

test('every login, failure and logout is one event, joined by account, session and request', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  await server.visitor().json('POST', '/auth/login', { ...ADA, password: 'wrong but long enough' })
  await ada.json('POST', '/auth/logout')
  const events = server.log.map((line) => JSON.parse(line)).filter((entry) => entry.event !== 'sys_startup')
  expect(events.map((entry) => [entry.event, entry.result])).toEqual([
    ['user_created', 'success'],
    ['session_created', 'success'],
    ['authn_login_success', 'success'],
    ['authn_login_fail', 'failure'],
    ['session_logout', 'success'],
  ])
  const [created, session, login, failure, logout] = events
  expect(login).toMatchObject({ userId: created.userId, amr: ['pwd'], ip: '127.0.0.1', requestId: session.requestId })
  expect(session.sidHash).toMatch(/^[\da-f]{16}$/)
  expect(logout).toMatchObject({ sidHash: session.sidHash, userId: created.userId })
  expect(failure.identifierHash).toMatch(/^[\da-f]{16}$/)
  expect(failure.userId).toBeUndefined()
})

test('refusals are noted: another site’s request, bad input, too many tries', async () => {
  const server = await startTestServer({ limits: { loginsPerAddress: 1 }, registration: true })
  await server.visitor().json('POST', '/auth/login', ADA, { origin: 'https://evil.example' })
  await server.visitor().json('POST', '/auth/register', { ...ADA, password: 'x' })
  await server.visitor().json('POST', '/auth/login', ADA)
  await server.visitor().json('POST', '/auth/login', ADA)
  const events = server.log.map((line) => JSON.parse(line).event)
  expect(events).toEqual([
    'malicious_csrf',
    'input_validation_fail',
    'authn_login_fail',
    'authn_login_fail_max',
    'excess_rate_limit_exceeded',
  ])
})
