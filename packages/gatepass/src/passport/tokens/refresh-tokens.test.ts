import { SessionManager, type SessionOptions, type SessionRecord, type SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestExchange, TestJar, testClock } from 'gatepass/testing'
import { type RefreshEvent, type Refreshed, type RefreshRefusal, refreshTokens } from 'gatepass/tokens'
import { expect, test } from 'vitest'
import { hooksOf } from '../../session/hooks.ts'

const keys = ['a key of more than 32 characters, for successors'] as const
const users = { find: (id: string) => ({ id }), subject: (user: { id: string }) => user.id }
const laptop = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0'
const phone = 'Mozilla/5.0 (iPhone) Safari/605'

function world(options: Partial<SessionOptions> = {}) {
  const clock = testClock()
  const events: RefreshEvent[] = []
  const store = memoryStore({ clock })
  const sessions = new SessionManager<object>({ store, clock, ...options })
  const tokens = refreshTokens({ sessions, users, keys, clock, onEvent: (event) => void events.push(event) })
  const from = (agent: string) => new TestExchange({ headers: { 'user-agent': agent } })
  return {
    clock,
    events,
    store,
    sessions,
    tokens,
    from,
    begin: () => tokens.begin(from(laptop), { subject: 'alice', login: { at: clock(), amr: ['pwd'] } }),
    refresh: (token: string, agent = laptop) => tokens.refresh(from(agent), token),
  }
}

function tokenOf(answer: Refreshed | RefreshRefusal): string {
  if (answer.type !== 'refreshed') throw new Error(answer.reason)
  return answer.token
}

test('a refresh token is replaced with every use, and says whose it is', async () => {
  const { begin, refresh, clock } = world()
  const first = await begin()
  const second = await refresh(first.token)
  expect(second).toMatchObject({ type: 'refreshed', subject: 'alice', id: first.id, login: { amr: ['pwd'] } })
  expect(tokenOf(second)).not.toBe(first.token)
  clock.advance(600)
  expect(tokenOf(await refresh(tokenOf(second)))).not.toBe(tokenOf(second))
})

test('attack 60: of fifty uses at once all get the same successor, and there is one session', async () => {
  const { begin, refresh, sessions } = world()
  const { token } = await begin()
  const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(token)))
  expect(new Set(answers.map(tokenOf)).size).toBe(1)
  expect(await sessions.list('alice')).toHaveLength(1)
})

test('attack 60: two processes that rotate the same version give the same successor', async () => {
  const { store, clock, begin } = world()
  const { token } = await begin()
  // Both load before one replaces.
  const slow: SessionStore = {
    load: async (id) => store.load(id),
    insert: (record) => store.insert(record),
    replace: async (record, version) => store.replace(record, version),
    touch: (id, seenAt, expiresAt) => store.touch(id, seenAt, expiresAt),
    remove: (id, version) => store.remove(id, version),
  }
  const processes = [1, 2].map(() =>
    refreshTokens({ sessions: new SessionManager({ store: slow, clock }), users, keys, clock }),
  )
  const exchange = () => new TestExchange({ headers: { 'user-agent': laptop } })
  const answers = await Promise.all(processes.map((one) => one.refresh(exchange(), token)))
  expect(new Set(answers.map(tokenOf)).size).toBe(1)
})

test('attack 60: within ten seconds the token before the current one gives the current one', async () => {
  const { begin, refresh, clock, events } = world()
  const { token } = await begin()
  const child = tokenOf(await refresh(token))
  clock.advance(10)
  expect(tokenOf(await refresh(token))).toBe(child)
  expect(tokenOf(await refresh(child))).not.toBe(child)
  expect(events).toEqual([])
})

test('attack 60, 10.4.5: a token that is used again later ends the family, and somebody is told', async () => {
  const { begin, refresh, clock, events, sessions } = world()
  const { token, id } = await begin()
  const child = tokenOf(await refresh(token))
  clock.advance(10.001)
  expect(await refresh(token)).toEqual({ type: 'refused', reason: 'reused' })
  expect(await refresh(child)).toEqual({ type: 'refused', reason: 'ended' })
  expect(events).toEqual([{ type: 'refresh_reused', session: id, subject: 'alice' }])
  expect(await sessions.list('alice')).toEqual([])
})

test('attack 60: a token two generations old ends the family even within ten seconds', async () => {
  const { begin, refresh } = world()
  const { token } = await begin()
  const grandchild = tokenOf(await refresh(tokenOf(await refresh(token))))
  expect(await refresh(token)).toMatchObject({ reason: 'reused' })
  expect(await refresh(grandchild)).toMatchObject({ reason: 'ended' })
})

test('attack 60: in the ten seconds another device gets nothing', async () => {
  const { begin, refresh } = world()
  const { token } = await begin()
  const child = tokenOf(await refresh(token))
  expect(await refresh(token, phone)).toMatchObject({ reason: 'reused' })
  expect(await refresh(child)).toMatchObject({ reason: 'ended' })
})

test('who does not know the first part of a token can neither use nor end a family', async () => {
  const { begin, refresh } = world()
  const { token } = await begin()
  const [family = '', generation = ''] = token.split('.')
  const strange = 'A'.repeat(43)
  for (const invented of [
    `${strange}.${generation}`,
    `${generation}.${family}`,
    family,
    generation,
    '',
    '.',
    `${token}.`,
  ])
    expect(await refresh(invented), invented).toEqual({ type: 'refused', reason: 'ended' })
  expect(tokenOf(await refresh(token))).toBeDefined()
  expect(await refresh(`${family}.${strange}`)).toMatchObject({ reason: 'reused' })
})

test('10.4.8: a family ends thirty days after it began, however much it is used, and after fourteen unused', async () => {
  const { begin, refresh, clock } = world()
  let { token } = await begin()
  for (let day = 0; day < 29; day++) {
    clock.advance(24 * 3600)
    token = tokenOf(await refresh(token))
  }
  clock.advance(24 * 3600)
  expect(await refresh(token)).toMatchObject({ reason: 'ended' })
  const unused = await begin()
  clock.advance(14 * 24 * 3600)
  expect(await refresh(unused.token)).toMatchObject({ reason: 'ended' })
})

test('10.4.9: a family is in the device list, and ends there, or with all others', async () => {
  const { begin, refresh, sessions } = world()
  const one = await begin()
  const [listed] = await sessions.list('alice')
  expect(listed).toMatchObject({ id: one.id, client: { device: 'Firefox on Linux' }, login: { amr: ['pwd'] } })
  await sessions.revokeHandle('alice', listed?.handle ?? '')
  expect(await refresh(one.token)).toMatchObject({ reason: 'ended' })
  const other = await begin()
  await sessions.revokeAll('alice')
  expect(await refresh(other.token)).toMatchObject({ reason: 'ended' })
})

test('a logout ends the family of its token, and no other', async () => {
  const { begin, refresh, tokens } = world()
  const [one, other] = [await begin(), await begin()]
  await tokens.end(one.token)
  await tokens.end('nonsense')
  expect(await refresh(one.token)).toMatchObject({ reason: 'ended' })
  expect(await refresh(other.token)).toMatchObject({ type: 'refreshed' })
})

test('no part of a token is stored, neither of the present one nor of one before or after', async () => {
  const { begin, refresh, store, clock } = world()
  const spoken: string[] = []
  let { token } = await begin()
  for (let n = 0; n < 4; n++) {
    spoken.push(...token.split('.'))
    clock.advance(60)
    token = tokenOf(await refresh(token))
  }
  const stored = JSON.stringify(store.listBySubject('alice'))
  for (const part of [...spoken, ...token.split('.')]) expect(stored).not.toContain(part)
})

test('a refresh token is no session cookie, nor is a session cookie a refresh token', async () => {
  const { begin, sessions, refresh } = world()
  const { token } = await begin()
  const jar = new TestJar()
  for (const part of token.split('.')) {
    jar.set('__Host-Http-gp', part)
    expect((await sessions.open(jar.exchange())).absence).toBe('unknown')
  }
  const exchange = new TestJar().exchange()
  const session = await sessions.open(exchange)
  session.assign('alice', { at: 0, amr: [] })
  await sessions.commit(exchange)
  const cookie = /=([\w-]{43})/.exec(exchange.cookies.setCookieFields()[0] ?? '')?.[1] ?? ''
  expect(await refresh(`${cookie}.${cookie}`)).toMatchObject({ reason: 'ended' })
})

test('a token is of use to its client alone', async () => {
  const { tokens, clock } = world()
  const exchange = () => new TestExchange({ headers: { 'user-agent': laptop } })
  const { token } = await tokens.begin(exchange(), { subject: 'alice', clientId: 'app', scope: ['read'] })
  expect(await tokens.refresh(exchange(), token)).toEqual({ type: 'refused', reason: 'client' })
  expect(await tokens.refresh(exchange(), token, { clientId: 'other' })).toEqual({ type: 'refused', reason: 'client' })
  clock.advance(60)
  expect(await tokens.refresh(exchange(), token, { clientId: 'app' })).toMatchObject({
    clientId: 'app',
    scope: ['read'],
  })
})

test('the key may change: tokens live on, and a successor made just before is still found', async () => {
  const { begin, sessions, clock, refresh } = world()
  const { token } = await begin()
  const child = tokenOf(await refresh(token))
  const renewed = refreshTokens({
    sessions,
    users,
    keys: ['the new key of more than 32 characters, in front', keys[0]],
    clock,
  })
  const exchange = () => new TestExchange({ headers: { 'user-agent': laptop } })
  expect(tokenOf(await renewed.refresh(exchange(), token))).toBe(child)
  clock.advance(60)
  expect((await renewed.refresh(exchange(), child)).type).toBe('refreshed')
})

test('what the application keeps in the session of a family survives a refresh, and the family a change of it', async () => {
  const { begin, refresh, sessions } = world()
  const { token, id } = await begin()
  const write = async () => {
    const exchange = new TestExchange()
    hooksOf(sessions).adopt(exchange, await hooksOf(sessions).record(id))
    const session = await sessions.open(exchange)
    await session.update((data) => Object.assign(data, { cart: ['book'] }))
    await sessions.commit(exchange)
  }
  const [, answer] = await Promise.all([write(), refresh(token)])
  const record = (await hooksOf(sessions).record(id)) as SessionRecord
  expect(record.data).toBe('{"cart":["book"]}')
  expect((await refresh(tokenOf(answer))).type).toBe('refreshed')
})

test('a family that begins without a login does not say that its user proved who they are just now', async () => {
  const { tokens, from } = world()
  const { login } = await tokens.begin(from(laptop), { subject: 'alice' })
  expect(login).toMatchObject({ at: 0, amr: [] })
})

test('no family and no token is made for a subject that all users without a key would share', async () => {
  const { tokens, from } = world()
  await expect(tokens.begin(from(laptop), { subject: 'undefined' })).rejects.toMatchObject({
    code: 'ERR_PASSPORT_SUBJECT',
  })
})
