import { expect, test } from 'vitest'
import { ADA, BOB, loggedIn, startTestServer } from './test-server.ts'

const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

test('the list shows every device, the asking one first', async () => {
  const server = await startTestServer()
  await loggedIn(server, ADA, { userAgent: IPHONE })
  const laptop = await loggedIn(server, ADA, { userAgent: FIREFOX })
  const { sessions } = (await laptop.get('/auth/sessions')).data
  expect(sessions).toMatchObject([
    { current: true, device: 'Firefox on Linux', address: '127.0.0.1' },
    { current: false, device: 'Safari on iPhone' },
  ])
  const page = await laptop.get('/account/sessions')
  expect(page.body).toContain('Firefox on Linux')
  expect(page.body).toContain('Safari on iPhone')
  expect(page.body.match(/>Current</g)).toHaveLength(1)
})

test('one device is ended by a form, and the other goes on', async () => {
  const server = await startTestServer()
  const phone = await loggedIn(server, ADA, { userAgent: IPHONE })
  const laptop = await loggedIn(server, ADA, { userAgent: FIREFOX })
  const { sessions } = (await laptop.get('/auth/sessions')).data
  const answer = await laptop.post(`/account/sessions/${sessions[1].handle}/end`, {})
  expect([answer.status, answer.headers.location]).toEqual([303, '/account/sessions'])
  expect((await phone.get('/auth/session')).status).toBe(401)
  expect((await laptop.get('/auth/session')).status).toBe(200)
})

test('DELETE ends one, and DELETE of all leaves the asking one', async () => {
  const server = await startTestServer()
  const phones = [await loggedIn(server), await loggedIn(server), await loggedIn(server)]
  const laptop = await loggedIn(server)
  const { sessions } = (await laptop.get('/auth/sessions')).data
  const ended = await laptop.json('DELETE', `/auth/sessions/${sessions[1].handle}`)
  expect([ended.status, ended.body]).toEqual([204, ''])
  expect((await laptop.json('DELETE', '/auth/sessions')).data).toEqual({ ended: 2 })
  for (const phone of phones) expect((await phone.get('/auth/session')).status).toBe(401)
  expect((await laptop.get('/auth/sessions')).data.sessions).toHaveLength(1)
})

test('all other devices are ended by one form, and the page says so', async () => {
  const server = await startTestServer()
  const phone = await loggedIn(server)
  const laptop = await loggedIn(server)
  const answer = await laptop.post('/account/sessions/end-others', {})
  expect(answer.headers.location).toBe('/account/sessions')
  expect((await phone.get('/auth/session')).status).toBe(401)
  const page = await laptop.get('/account/sessions')
  expect(page.body).toContain('All other devices are logged out.')
  expect(page.body).toContain('No other device is logged in.')
})

test('ending the own session is a logout', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const { handle } = (await ada.get('/auth/session')).data.session
  const answer = await ada.json('DELETE', `/auth/sessions/${handle}`)
  expect(answer.status).toBe(204)
  expect(answer.headers['clear-site-data']).toBe('"cache", "storage"')
  expect(ada.token).toBeUndefined()
})

test('attack 8: a session of somebody else is answered like one that nobody has', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const bob = await loggedIn(server, BOB)
  const handle = (await bob.get('/auth/session')).data.session.handle
  const answers = await Promise.all(
    [handle, 'A'.repeat(22), 'x', '..%2f', '%00', bob.token ?? ''].map((name) =>
      ada.json('DELETE', `/auth/sessions/${name}`),
    ),
  )
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([404]))
  expect(answers[1]?.body).toBe(answers[0]?.body)
  await ada.post(`/account/sessions/${handle}/end`, {})
  expect((await bob.get('/auth/session')).status).toBe(200)
  const listed = (await ada.get('/auth/sessions')).body
  expect(listed).not.toContain(ada.token?.split('.')[0] ?? '?')
  expect(server.log.some((line) => line.includes('malicious_direct_reference'))).toBe(true)
})

test('ending a device a second time is not an attack, and the log says which request ended it', async () => {
  const server = await startTestServer()
  const ada = await loggedIn(server)
  const other = await loggedIn(server)
  await loggedIn(server)
  const { handle } = (await other.get('/auth/session')).data.session
  for (let n = 0; n < 2; n++) {
    expect((await ada.post(`/account/sessions/${handle}/end`, {})).headers.location).toBe('/account/sessions')
  }
  expect((await ada.json('DELETE', '/auth/sessions')).data).toEqual({ ended: 1 })
  const lines = server.log.map((line) => JSON.parse(line))
  expect(lines.map(({ event }) => event)).not.toContain('malicious_direct_reference')
  const ended = lines.filter(({ event }) => event === 'session_ended')
  const by = { userId: expect.any(String), ip: '127.0.0.1', requestId: expect.any(String), count: 1 }
  expect(ended).toEqual([expect.objectContaining(by), expect.objectContaining(by)])
  expect(ended[0].sidHash).toBe(lines.filter(({ event }) => event === 'session_created')[1].sidHash)
})

test('the twenty-first login ends the oldest session', async () => {
  const server = await startTestServer({ session: { perAccount: 2 } })
  const first = await loggedIn(server)
  await loggedIn(server)
  await loggedIn(server)
  expect((await first.get('/auth/session')).status).toBe(401)
  expect(server.log.some((line) => line.includes('excess_sessions_exceeded'))).toBe(true)
})

test('without a login there is no list, and nothing to end', async () => {
  const server = await startTestServer()
  const visitor = server.visitor()
  expect((await visitor.get('/auth/sessions')).status).toBe(401)
  expect((await visitor.json('DELETE', '/auth/sessions')).status).toBe(401)
  expect((await visitor.json('DELETE', '/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA')).status).toBe(401)
  expect((await visitor.get('/account/sessions')).headers.location).toBe('/login?next=%2Faccount%2Fsessions')
  expect((await visitor.post('/account/sessions/end-others', {})).status).toBe(303)
})

test('attack 11: a session ends when idle, and at its absolute end however much it is used', async () => {
  let now = Date.now()
  const server = await startTestServer({ clock: () => now, session: { idleTimeout: 3600, absoluteTimeout: 7200 } })
  const idle = await loggedIn(server)
  const busy = await loggedIn(server)
  now += 1800_000
  expect((await busy.get('/auth/session')).status).toBe(200)
  now += 1799_000
  expect((await busy.get('/auth/session')).status).toBe(200)
  now += 1_000
  expect((await idle.get('/auth/session')).status).toBe(401)
  now += 1800_000
  expect((await busy.get('/auth/session')).status).toBe(200)
  now += 1799_000
  expect((await busy.get('/auth/session')).status).toBe(200)
  now += 1_000
  expect((await busy.get('/auth/session')).status).toBe(401)
})

test('attack 11: what the browser says of time or of its cookie does not matter', async () => {
  let now = Date.now()
  const server = await startTestServer({ clock: () => now, session: { idleTimeout: 3600 } })
  const ada = await loggedIn(server)
  now += 3600_000
  const late = await ada.get('/auth/session', { date: new Date(now - 3600_000).toUTCString() })
  expect(late.status).toBe(401)
})
