import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { ADA, BOB, loggedIn, startHttpsServer, startTestServer } from './test-server.ts'
import { type Answer, hidden, raw, rawInTurn } from './visitor.ts'

const CROSS_SITE = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }

describe('sessions that an attacker knows', () => {
  test('attack 1: a planted token is nobody before and after the login, and leaves no record', async () => {
    const server = await startTestServer()
    await loggedIn(server)
    const planted = Buffer.alloc(32, 7).toString('base64url')
    const victim = server.visitor()
    victim.cookies.set('gp', planted)
    expect((await victim.get('/auth/session')).status).toBe(401)
    expect((await victim.json('POST', '/auth/login', ADA)).status).toBe(200)
    expect(victim.token).not.toBe(planted)
    const attacker = server.visitor()
    attacker.cookies.set('gp', planted)
    expect((await attacker.get('/auth/session')).status).toBe(401)
    const database = new DatabaseSync(join(server.data, 'gatepass.db'), { readOnly: true })
    expect(database.prepare('select count(*) as n from gatepass_sessions').get()).toEqual({ n: 2 })
    database.close()
  })

  test('attack 2: the cookie from before the login is worth nothing after it', async () => {
    const server = await startTestServer()
    await loggedIn(server)
    const victim = server.visitor()
    await victim.get('/login')
    const before = new Map(victim.cookies)
    await victim.post('/auth/login', ADA)
    const attacker = server.visitor()
    for (const [name, value] of before) attacker.cookies.set(name, value)
    expect((await attacker.get('/auth/session')).status).toBe(401)
    expect([...before.values()]).not.toContain(victim.token)
  })

  test('attack 4: a copied cookie is worth nothing after logout, and the browser is told to forget', async () => {
    const server = await startHttpsServer()
    const ada = await loggedIn(server)
    const copy = server.visitor()
    for (const [name, value] of ada.cookies) copy.cookies.set(name, value)
    const out = await ada.json('POST', '/auth/logout')
    expect(out.headers['clear-site-data']).toBe('"cache", "storage"')
    expect(out.headers['set-cookie']).toContainEqual(expect.stringMatching(/^__Host-Http-gp=; Path=\/;.*Max-Age=0/))
    expect((await copy.get('/auth/session')).status).toBe(401)
    expect((await copy.get('/auth/sessions')).status).toBe(401)
    expect((await copy.get('/account')).status).toBe(303)
  })

  test('attack 12: a token with any one character changed, and any other cookie in its place, is nobody', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    await ada.get('/login')
    const token = ada.token ?? ''
    const others = [...ada.cookies.values()].filter((value) => value !== token)
    const changed = Array.from(
      token,
      (character, at) => token.slice(0, at) + (character === 'A' ? 'B' : 'A') + token.slice(at + 1),
    )
    for (const value of [...changed, ...others, token.slice(0, 43), `${token}=`, ` ${token} x`]) {
      const visitor = server.visitor()
      visitor.cookies.set('gp', value)
      expect([value, (await visitor.get('/auth/session')).status]).toEqual([value, 401])
    }
  })

  test('attack 14: a session cookie that is sent twice is none, and that is noted', async () => {
    const server = await startHttpsServer()
    const ada = await loggedIn(server)
    const bob = await loggedIn(server, BOB)
    for (const pair of [
      [ada, bob],
      [bob, ada],
    ] as const) {
      const cookie = pair.map((who) => `__Host-Http-gp=${who.token}`)
      for (const sent of [cookie.join('; '), cookie]) {
        const answer = await server.visitor().ask('GET', '/auth/session', { headers: { cookie: sent } })
        expect(answer.status).toBe(401)
      }
    }
    expect(server.log.filter((line) => line.includes('cookie_duplicate'))).toHaveLength(4)
  })
})

describe('requests that another site makes a browser send', () => {
  const unsafe = [
    ['POST', '/auth/login'],
    ['POST', '/auth/register'],
    ['POST', '/auth/logout'],
    ['DELETE', '/auth/sessions'],
    ['DELETE', '/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA'],
    ['POST', '/account/sessions/end-others'],
    ['POST', '/account/sessions/AAAAAAAAAAAAAAAAAAAAAA/end'],
  ] as const

  test.each(unsafe)('attack 21: %s %s from another site is refused', async (method, path) => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const other = await loggedIn(server)
    for (const headers of [
      CROSS_SITE,
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'http://localhost.evil.example' },
      { origin: server.origin, 'sec-fetch-site': 'cross-site' },
      {},
    ]) {
      const body = new URLSearchParams(BOB).toString()
      const answer = await ada.ask(method, path, {
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } as Record<string, string>,
        body,
      })
      expect([headers, answer.status]).toEqual([headers, 403])
    }
    expect((await ada.get('/auth/session')).data.user.email).toBe(ADA.email)
    expect((await other.get('/auth/session')).status).toBe(200)
    expect(server.log.some((line) => line.includes('malicious_csrf'))).toBe(true)
  })

  test('attack 22: a sibling domain is another site, unless it is listed', async () => {
    const sibling = { origin: 'https://a.example.test', 'sec-fetch-site': 'same-site' }
    const strict = await startHttpsServer()
    const ada = await loggedIn(strict)
    expect((await ada.json('POST', '/auth/logout', undefined, sibling)).status).toBe(403)
    const open = await startHttpsServer({ trustedOrigins: ['https://a.example.test'] })
    const eve = await loggedIn(open)
    expect((await eve.json('POST', '/auth/logout', undefined, sibling)).status).toBe(204)
  })

  test.each([
    'text/plain',
    'text/plain;application/json',
    'APPLICATION/JSON;x',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded;charset=',
    'application/x-www-form-urlencoded; charset=utf-16',
    'application/jsonp',
    undefined,
  ])('attack 24: a JSON body called %s is not read', async (type) => {
    const server = await startTestServer()
    const answer = await server.visitor().ask('POST', '/auth/register', {
      headers: { origin: server.origin, ...(type !== undefined && { 'content-type': type }) },
      body: JSON.stringify(ADA),
    })
    expect(answer.status).toBe(415)
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(401)
  })

  test('attack 24: application/json is recognised in any case, and whole', async () => {
    const server = await startTestServer()
    const answer = await server.visitor().ask('POST', '/auth/register', {
      headers: { origin: server.origin, 'content-type': 'Application/JSON; charset=UTF-8' },
      body: JSON.stringify(ADA),
    })
    expect(answer.status).toBe(202)
  })

  test('attack 27: nobody is logged in as the attacker by a form on another page', async () => {
    const server = await startTestServer()
    await server.visitor().json('POST', '/auth/register', BOB)
    const victim = server.visitor()
    await victim.get('/login')
    const answer = await victim.post('/auth/login', BOB, CROSS_SITE)
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('href="/login"')
    expect(victim.token).toBeUndefined()
  })

  test('attack 28: no address that another page can load logs anybody out', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    for (const method of ['GET', 'HEAD']) {
      const answer = await ada.ask(method, '/auth/logout', {
        headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' },
      })
      expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
    }
    expect((await ada.get('/auth/logout', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' })).status).toBe(
      403,
    )
    expect((await ada.get('/auth/session')).status).toBe(200)
  })

  test('who is logged in is no image or script of another page', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    for (const dest of ['image', 'script', 'iframe', 'empty']) {
      const path = dest === 'script' ? '/%61uth/session' : '/auth/session'
      const answer = await ada.get(path, { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': dest })
      expect(answer.status).toBe(403)
      expect(answer.body).not.toContain(ADA.email)
      const head = await ada.ask('HEAD', path, { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': dest } })
      expect(head.status).toBe(403)
    }
  })

  test('a browser that says nothing about itself gets through with the token of a form, and only with its own', async () => {
    const server = await startTestServer()
    await server.visitor().json('POST', '/auth/register', ADA)
    const old = server.visitor()
    const send = (fields: Record<string, string>): Promise<Answer> =>
      old.ask('POST', '/auth/login', {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ ...ADA, ...fields }).toString(),
      })
    const csrf = hidden((await old.get('/login')).body, 'csrf')
    const stranger = hidden((await server.visitor().get('/login')).body, 'csrf')
    expect((await send({})).status).toBe(403)
    expect((await send({ csrf: stranger })).status).toBe(403)
    expect((await send({ csrf: `${csrf}x` })).status).toBe(403)
    expect((await send({ csrf })).status).toBe(303)
    // Logged in, the token from before does not do any more: it was bound to the browser, not to the session.
    const out = (token: string): Promise<Answer> =>
      old.ask('POST', '/auth/logout', {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ csrf: token }).toString(),
      })
    expect((await out(csrf)).status).toBe(403)
    expect((await out(hidden((await old.get('/account')).body, 'csrf'))).status).toBe(303)
  })
})

test('a request that says nothing about itself, with a body that cannot be read, is refused like any other', async () => {
  const server = await startTestServer()
  const send = (type: string, body: string): Promise<Answer> =>
    server.visitor().ask('POST', '/auth/login', { headers: { 'content-type': type }, body })
  // Who sent it comes first: a body that can hold no token is not what is wrong with it.
  expect((await send('text/plain', 'x')).status).toBe(403)
  expect((await send('application/json', '{')).status).toBe(400)
  expect((await send('application/json', JSON.stringify({ csrf: 'x'.repeat(20_000) }))).status).toBe(413)
})

describe('input that reaches a header, a page or the database', () => {
  test('attack 13: fields that nobody asked for change nothing', async () => {
    const server = await startTestServer()
    const visitor = server.visitor()
    const body = `{"email":"${ADA.email}","password":"${ADA.password}","id":"root","userId":"root","role":"admin","createdAt":0,"disabled_at":1,"emailVerified":true,"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}`
    const headers = { origin: server.origin, 'content-type': 'application/json' }
    expect((await visitor.ask('POST', '/auth/register', { headers, body })).status).toBe(202)
    expect((await visitor.ask('POST', '/auth/login', { headers, body })).status).toBe(200)
    const { user, session } = (await visitor.get('/auth/session')).data
    expect(Object.keys(user)).toEqual(['id', 'email', 'name'])
    expect(user.id).toMatch(/^[\w-]{22}$/)
    expect(Date.parse(session.createdAt)).toBeGreaterThan(Date.now() - 60_000)
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  const CRLF = [
    'a\r\nSet-Cookie: x=1',
    'a\nX: y',
    'a;b,c',
    'a\0b',
    'a\u2028b',
    '\u010d\u010a',
    '%0d%0aSet-Cookie:%20x=1',
  ]
  test.each(CRLF)('attack 18: %j brings no header field of its own', async (text) => {
    const server = await startTestServer()
    await server.visitor().json('POST', '/auth/register', ADA)
    const visitor = server.visitor()
    const next = await visitor.post('/auth/login', { ...ADA, next: `/account?${text}` })
    const query = await server
      .visitor()
      .get(`/login?next=${encodeURIComponent(`/${text}`)}&notice=${encodeURIComponent(text)}`)
    const name = await server.visitor().post('/auth/register', { ...BOB, name: text })
    const email = await server.visitor().post('/auth/login', { email: text, password: text })
    for (const answer of [next, query, name, email]) {
      expect(answer.status).toBeLessThan(500)
      expect(answer.headers.x).toBeUndefined()
      expect((answer.headers['set-cookie'] ?? []).filter((field) => field.startsWith('x='))).toEqual([])
    }
  })

  test.each([
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/%5Cevil.example',
    '/\tevil.example',
    '/\t/evil.example',
    'https:evil.example',
    'https:///evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    'data:text/html,x',
    'http://localhost@evil.example',
    'http://localhost%40evil.example',
    'http://localhost.evil.example',
    '//evil.example%2f..',
    '/%2f%2fevil.example',
    '/%2Fevil.example',
    '//evil\u3002example',
    'http://xn--evil',
    '/\r\nLocation: //evil.example',
    '/.//evil.example',
    '/a/..//evil.example',
    '/..//evil.example',
    '///evil.example',
    '////evil.example',
    '/ /evil.example',
    ' //evil.example',
    '/\u2028/evil.example',
    '?next=//evil.example',
    '#//evil.example',
    '',
    'evil.example',
    '.',
    '..',
    '/auth/logout',
    '/auth/../auth/login',
    '/x'.repeat(600),
    '/;@evil.example/..//evil.example',
    'ftp://evil.example',
    'blob:https://evil.example/x',
  ])('attack 30: after the login, next=%j stays here', async (next) => {
    const server = await startTestServer()
    const target = (answer: Answer): string =>
      new URL(answer.headers.location ?? '', `${server.origin}/auth/login`).href
    const ada = await loggedIn(server)
    const shown = await ada.get(`/login?next=${encodeURIComponent(next)}`)
    const posted = await ada.post('/auth/login', { ...ADA, next })
    for (const answer of [shown, posted]) {
      expect(answer.status).toBe(303)
      expect(new URL(target(answer)).origin).toBe(server.origin)
      expect(target(answer)).not.toMatch(/\/auth\/|^[^/]*\/\/[^/]*\/\//)
    }
  })

  test('attack 30: an address on this site is kept', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    for (const next of ['/account/sessions', '/account?a=b&c=%2F#d', '/']) {
      expect((await ada.post('/auth/login', { ...ADA, next })).headers.location).toBe(next)
    }
  })
})

describe('names that point to this server', () => {
  test('attack 33: an unknown Host is refused, and no answer repeats it', async () => {
    const server = await startHttpsServer()
    for (const headers of [
      { host: 'evil.example' },
      { host: 'login.example.test.evil.example' },
      { host: 'login.example.test:8080' },
      { host: 'login.example.test@evil.example' },
      { host: 'evil.example', 'x-forwarded-host': 'other.example' },
      { host: 'evil.example', 'x-forwarded-host': 'login.example.test, other.example' },
      { host: 'evil.example', 'x-forwarded-host': `login.example.test${','.repeat(12_000)}` },
      { host: 'evil.example', forwarded: 'host=login.example.test' },
    ]) {
      const answer = await server
        .visitor()
        .ask('GET', '/login', { headers: { accept: 'text/html', ...headers } as Record<string, string> })
      expect([headers, answer.status]).toEqual([headers, 421])
      expect(answer.body).not.toContain('evil.example')
    }
    expect((await server.visitor().ask('GET', '/login', { headers: { host: 'LOGIN.example.test:443' } })).status).toBe(
      200,
    )
    expect((await server.visitor().ask('GET', '/healthz', { headers: { host: '10.0.0.7' } })).status).toBe(200)
  })

  test('attack 33: two Host fields, none, and a foreign absolute target are refused', async () => {
    const server = await startHttpsServer()
    const end = 'Connection: close\r\n\r\n'
    const host = 'Host: login.example.test\r\n'
    expect(await raw(server.port, `GET / HTTP/1.1\r\n${host}Host: evil.example\r\n${end}`)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await raw(server.port, `GET / HTTP/1.1\r\n${end}`)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await raw(server.port, `GET http://evil.example/ HTTP/1.1\r\n${host}${end}`)).toMatch(/^HTTP\/1\.1 421 /)
    expect(await raw(server.port, `GET https://login.example.test/login HTTP/1.1\r\n${host}${end}`)).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  })

  test('attack 33: a Host field is host and port, and nothing of an address besides', async () => {
    const server = await startTestServer()
    for (const rest of ['/', '?', '#x', '/x', '@localhost']) {
      const host = `localhost:${server.port}${rest}`
      const answer = await raw(server.port, `GET /login HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect([host, answer.slice(9, 12)]).toEqual([host, '421'])
    }
  })

  test('attack 33: a redirect never leads to a name that the request brought', async () => {
    const server = await startHttpsServer()
    const visitor = server.visitor()
    const answer = await visitor.post('/auth/register', ADA, {
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
    })
    expect(answer.headers.location).toBe('/login')
  })

  test('attack 33: X-Forwarded-Host counts from a trusted proxy alone', async () => {
    const server = await startHttpsServer({ trustProxy: ['192.0.2.1'] })
    const headers = { host: 'evil.example', 'x-forwarded-host': 'login.example.test' }
    expect((await server.visitor().ask('GET', '/login', { headers })).status).toBe(421)
  })

  test('behind a proxy that names the host in X-Forwarded-Host, that name counts', async () => {
    const server = await startHttpsServer()
    const answer = await server.visitor().ask('GET', '/login', {
      headers: {
        host: '127.0.0.1:8080',
        'x-forwarded-host': 'login.example.test',
        'x-forwarded-for': '203.0.113.9',
        'x-forwarded-proto': 'https',
      },
    })
    expect(answer.status).toBe(200)
  })
})

describe('caches', () => {
  test('attack 40: whatever has a cookie or somebody’s data in it is kept by nobody', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    for (const path of [
      '/',
      '/login',
      '/register',
      '/account',
      '/account/sessions',
      '/auth/session',
      '/auth/sessions',
      '/nothing',
    ]) {
      for (const visitor of [ada, server.visitor()]) {
        const { headers } = await visitor.get(path, {
          'if-modified-since': new Date().toUTCString(),
          'if-none-match': '*',
        })
        expect([path, headers['cache-control']]).toEqual([path, 'no-store'])
        expect(headers.vary).toContain('Cookie')
        expect([headers.etag, headers.age, headers['last-modified']]).toEqual([undefined, undefined, undefined])
      }
    }
  })

  test('the stylesheet may be kept, and has no cookie in it', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const [, path = ''] = /href="(\/assets\/style\.[^"]+)"/.exec((await ada.get('/account')).body) ?? []
    const answer = await ada.get(path)
    expect(answer.headers['content-type']).toBe('text/css; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect(answer.headers['set-cookie']).toBeUndefined()
  })

  test('an address that only looks like a stylesheet is none', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    for (const path of ['/auth/session/x.css', '/account/x.css', '/account;x.css', '/auth/session%2fx.css']) {
      const answer = await ada.get(path)
      expect([path, answer.status, answer.headers['cache-control']]).toEqual([path, 404, 'no-store'])
      expect(answer.body).not.toContain(`${ADA.email}"`)
    }
  })
})

describe('passwords', () => {
  test('attack 42: of a long password every character counts', async () => {
    const server = await startTestServer({ limits: { freeFailures: 10 } })
    const password = `${'kx7 vq'.repeat(13)}!?`
    const person = { ...ADA, password }
    await loggedIn(server, person)
    const wrong = [
      password.slice(0, 72),
      `${password}\0junk`,
      `${password.slice(0, 79)}.`,
      `${password} `,
      password.toUpperCase(),
      password.trim().slice(1),
    ]
    for (const tried of wrong) {
      const answer = await server.visitor().json('POST', '/auth/login', { ...ADA, password: tried })
      expect([tried.length, answer.status]).toEqual([tried.length, 401])
    }
  })

  test('attack 43: a password beyond 1,024 bytes is refused before it is hashed, whoever it is for', async () => {
    const server = await startTestServer()
    await loggedIn(server)
    const long = 'x'.repeat(1025)
    const known = await server.visitor().json('POST', '/auth/login', { email: ADA.email, password: long })
    const unknown = await server.visitor().json('POST', '/auth/login', { email: BOB.email, password: long })
    expect([known.status, known.body]).toEqual([401, unknown.body])
    expect(
      (await server.visitor().json('POST', '/auth/register', { ...BOB, password: long })).data.error.fields.password,
    ).toContain('too long')
  })

  test('attack 43: a body beyond 16 KiB is refused, also one that does not say how long it is', async () => {
    const server = await startTestServer()
    const big = JSON.stringify({ ...ADA, name: 'x'.repeat(17_000) })
    const announced = await server.visitor().json('POST', '/auth/register', { ...ADA, name: 'x'.repeat(17_000) })
    expect([announced.status, announced.data.error.code]).toEqual([413, 'ERR_BODY_TOO_LARGE'])
    const chunk = `${big.length.toString(16)}\r\n${big}\r\n`
    const chunked = await raw(
      server.port,
      `POST /auth/register HTTP/1.1\r\nHost: localhost:${server.port}\r\nOrigin: ${server.origin}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
    )
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /)
    expect((await server.visitor().get('/healthz')).status).toBe(200)
  })

  test('attack 43: beyond the queue logins are answered 503 with Retry-After, and the rest goes on', async () => {
    const server = await startTestServer({ limits: { loginsPerAddress: 10_000, loginsPerPair: 10_000 } })
    const attempts = Array.from({ length: 400 }, (_, n) =>
      server
        .visitor()
        .json('POST', '/auth/login', { email: `person${n}@example.com`, password: 'wrong but long enough' }),
    )
    const health = await server.visitor().get('/healthz')
    expect(health.status).toBe(200)
    const answers = await Promise.all(attempts)
    const busy = answers.filter((answer) => answer.status === 503)
    expect(busy.length).toBeGreaterThan(0)
    expect(answers.filter((answer) => answer.status === 401).length + busy.length).toBe(400)
    for (const answer of busy) {
      expect(answer.headers['retry-after']).toMatch(/^\d+$/)
      expect(answer.data.error.code).toBe('ERR_PASSWORD_BUSY')
    }
    // As many refusals as there were, they are a few lines.
    const lines = server.log.filter((line) => line.includes('sys_password_busy'))
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.length).toBeLessThan(busy.length / 2)
    expect((await server.visitor().json('POST', '/auth/register', ADA)).status).toBe(202)
  })

  test('attack 45: of 50 registrations of one address at once, one makes the account', async () => {
    const server = await startTestServer({ limits: { registrationsPerAddress: 1000 } })
    const spellings = ['ada@example.com', 'ADA@example.com', 'Ada@EXAMPLE.com', 'ada@Example.COM ', 'aDa@example.com']
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        server.visitor().json('POST', '/auth/register', { ...ADA, email: spellings[n % 5] }),
      ),
    )
    expect(new Set(answers.map((answer) => `${answer.status} ${answer.body}`)).size).toBe(1)
    const database = new DatabaseSync(join(server.data, 'gatepass.db'), { readOnly: true })
    expect(database.prepare('select count(*) as n from accounts').get()).toEqual({ n: 1 })
    database.close()
    expect(server.log.filter((line) => line.includes('user_created'))).toHaveLength(1)
  })

  test('no accounts come with the server', async () => {
    const server = await startTestServer()
    const database = new DatabaseSync(join(server.data, 'gatepass.db'), { readOnly: true })
    expect(database.prepare('select count(*) as n from accounts').get()).toEqual({ n: 0 })
    database.close()
  })
})

describe('attack 39: who has an account', () => {
  /** What a stranger can compare. */
  function comparable({ status, headers, body }: Answer): object {
    const { date: _, 'set-cookie': cookies = [], ...rest } = headers
    return {
      status,
      rest,
      cookies: cookies.map((field) => field.replace(/=[^;]*/, '=')),
      body: body.replace(/value="[^"]*"/g, ''),
    }
  }

  test('cannot be learnt from the answer to a registration', async () => {
    const server = await startTestServer()
    await server.visitor().json('POST', '/auth/register', ADA)
    const [taken, free] = [ADA, BOB]
    for (const send of ['post', 'json'] as const) {
      const answers = await Promise.all(
        [taken, free].map((person) =>
          send === 'post'
            ? server.visitor().post('/auth/register', person)
            : server.visitor().json('POST', '/auth/register', person),
        ),
      )
      expect(comparable(answers[0] as Answer)).toEqual(comparable(answers[1] as Answer))
    }
    // The one who asked for it with another password did not get into it.
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
  })

  test('cannot be learnt from the answer to a login', async () => {
    const server = await startTestServer({ limits: { loginsPerAddress: 1000, loginsPerPair: 1000 } })
    await server.visitor().json('POST', '/auth/register', ADA)
    const wrong = 'wrong but long enough'
    for (const passwordOf of [() => wrong, () => 'x'.repeat(2000), () => 'a\0b']) {
      const [known, unknown] = await Promise.all(
        [ADA.email, BOB.email].map((email) => server.visitor().post('/auth/login', { email, password: passwordOf() })),
      )
      expect(comparable(known as Answer)).toEqual(comparable(unknown as Answer))
    }
  })

  test('cannot be learnt from how many tries are let through', async () => {
    const server = await startTestServer({ limits: { loginsPerPair: 1000 } })
    await server.visitor().json('POST', '/auth/register', ADA)
    const tries = async (email: string): Promise<number[]> => {
      const statuses: number[] = []
      for (let n = 0; n < 7; n++) {
        statuses.push(
          (await server.visitor().json('POST', '/auth/login', { email, password: 'wrong but long enough' })).status,
        )
      }
      return statuses
    }
    expect(await tries(ADA.email)).toEqual(await tries(BOB.email))
  })
})

describe('attack 75: what is no request', () => {
  const paths = [
    '/%E0%A4%A',
    '/%',
    '/\\',
    '//',
    '/..',
    '/%00',
    '/auth/sessions/%E0%A4%A',
    '/?%E0%A4%A',
    '/login?next=%E0%A4%A',
    '/a'.repeat(4000),
    '*',
    '/é',
    '/login?next[]=1&next=2',
  ]
  test.each(paths)('the address %s is answered, and not with 5xx', async (path) => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'PUT', 'PATCH']) {
      const answer = await raw(
        server.port,
        Buffer.from(
          `${method} ${path} HTTP/1.1\r\nHost: localhost:${server.port}\r\nOrigin: ${server.origin}\r\nCookie: gp=${ada.token}; gp-dev=%E0%A4%A; gp-csrf="\r\nConnection: close\r\n\r\n`,
          'latin1',
        ),
      )
      expect([method, answer.slice(9, 10)]).not.toEqual([method, '5'])
      expect(answer).toMatch(/^HTTP\/1\.1 [2-4]/)
    }
  })

  test.each([
    ['{', 'application/json', 400],
    ['[]', 'application/json', 400],
    ['"x"', 'application/json', 400],
    ['null', 'application/json', 400],
    ['{"email":NaN}', 'application/json', 400],
    ['\ufeff{"email":"a"}', 'application/json', 400],
    ['{"email":"\\ud800","password":"\\udc00"}', 'application/json', 400],
    [`{"email":${'['.repeat(1000)}${']'.repeat(1000)}}`, 'application/json', 400],
    ['{"email":{"$ne":null},"password":["a"]}', 'application/json', 400],
    ['email=%E0%A4%A', 'application/x-www-form-urlencoded', 400],
    ['email=a&email=b&password=x', 'application/x-www-form-urlencoded', 400],
    ['&&&=&=', 'application/x-www-form-urlencoded', 400],
  ])('the body %s is answered with 4xx', async (body, type, status) => {
    const server = await startTestServer()
    const headers = { origin: server.origin, 'content-type': type }
    expect((await server.visitor().ask('POST', '/auth/login', { headers, body })).status).toBe(status)
    expect((await server.visitor().ask('POST', '/auth/register', { headers, body })).status).toBe(status)
  })

  test('odd header fields do no harm', async () => {
    const server = await startTestServer()
    for (const headers of [
      { authorization: 'Bearer %' },
      { authorization: 'Basic junk' },
      { cookie: ';'.repeat(8000) },
      { cookie: '='.repeat(8000) },
      { cookie: 'gp=%E0%A4%A; __proto__=1; gp-dev=v1...' },
      { expect: 'everything' },
      { connection: 'upgrade', upgrade: 'websocket' },
      { 'user-agent': '\u0001\u001b[31m' },
      { 'x-forwarded-for': 'x, y, z', forwarded: 'for=' },
      { accept: '\\"(' },
    ]) {
      const answer = await server
        .visitor()
        .ask('GET', '/auth/session', { headers: headers as Record<string, string> })
        .catch(() => undefined)
      if (answer !== undefined) expect([headers, answer.status < 500]).toEqual([headers, true])
    }
    expect((await server.visitor().get('/healthz')).status).toBe(200)
  })

  test('attack 16: cookies that are too much are answered 431, and removed, since no other request could do it', async () => {
    const server = await startTestServer()
    const head = `GET /account HTTP/1.1\r\nHost: localhost:${server.port}\r\n`
    for (const cookies of [
      `a=${'x'.repeat(20_000)}`,
      Array.from({ length: 3000 }, (_, n) => `c${n}=x`).join('; '),
      ';'.repeat(60_000),
      // In lines of their own, as HTTP/2 sends them and proxies may pass them on.
      Array.from({ length: 25 }, (_, n) => `c${n}=${'x'.repeat(1000)}`).join('\r\nCookie: '),
      Array.from({ length: 70 }, (_, n) => `c${n}=${'x'.repeat(1000)}`).join('\r\nCookie: '),
    ]) {
      const answer = await raw(server.port, `${head}Cookie: ${cookies}\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 431 /)
      expect(answer).toMatch(/^Clear-Site-Data: "cookies"/im)
      expect(answer).toContain("frame-ancestors 'none'")
    }
    const long = await raw(
      server.port,
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost:${server.port}\r\nCookie: gp=1\r\n\r\n`,
    )
    expect(long).toMatch(/^HTTP\/1\.1 431 /)
    expect(long).not.toMatch(/Clear-Site-Data/i)
    // Another site can link to a long address; the cookies of whoever follows the link are not to blame.
    const linked = await raw(
      server.port,
      `GET /?${'a'.repeat(8000)} HTTP/1.1\r\nHost: localhost:${server.port}\r\nCookie: a=${'x'.repeat(9000)}\r\n\r\n`,
    )
    expect(linked).toMatch(/^HTTP\/1\.1 431 /)
    expect(linked).not.toMatch(/Clear-Site-Data/i)
    const inPieces = await raw(server.port, `${head}Cookie: ${`a=${'x'.repeat(3000)}; `.repeat(10)}\r\n\r\n`, 1400)
    expect(inPieces).toMatch(/^HTTP\/1\.1 431 [\s\S]*Clear-Site-Data: "cookies"/i)
    // A browser may keep 180 cookies of 4 KiB for a site: the answer must not depend on which packet was one too many.
    for (const bytes of [70_000, 200_000, 720_000]) {
      const huge = await raw(server.port, `${head}Cookie: ${`a=${'x'.repeat(4000)}; `.repeat(bytes / 4000)}\r\n\r\n`)
      expect([bytes, huge]).toEqual([
        bytes,
        expect.stringMatching(/^HTTP\/1\.1 431 [\s\S]*Clear-Site-Data: "cookies"/i),
      ])
      const pieces = `${head}Cookie: ${'x'.repeat(bytes)}\r\n\r\n`
      expect(await raw(server.port, pieces, 30_000)).toMatch(/^HTTP\/1\.1 431 [\s\S]*Clear-Site-Data: "cookies"/i)
    }
    for (const target of [5000, 70_000, 200_000]) {
      const address = `GET /?${'a'.repeat(target)} HTTP/1.1\r\nHost: localhost:${server.port}\r\n`
      for (const size of [undefined, 30_000]) {
        const linkedFar = await raw(server.port, `${address}Cookie: a=${'x'.repeat(70_000)}\r\n\r\n`, size)
        expect(linkedFar).toMatch(/^HTTP\/1\.1 431 /)
        expect(linkedFar).not.toMatch(/Clear-Site-Data/i)
      }
    }
    const many = await raw(server.port, `${head}${'X: 1\r\n'.repeat(3000)}Cookie: gp=1\r\n\r\n`)
    expect(many).toMatch(/^HTTP\/1\.1 431 /)
    expect(many).not.toMatch(/Clear-Site-Data/i)
    const fine = await raw(server.port, `${head}Cookie: a=${'x'.repeat(15_000)}\r\nConnection: close\r\n\r\n`)
    expect(fine).toMatch(/^HTTP\/1\.1 303 /)
  })

  test.each([
    ['a length', (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`],
    [
      'chunks',
      (body: string) => `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    ],
  ])('cookies that are too much are removed on a connection that has carried a body with %s', async (_what, sent) => {
    const server = await startTestServer()
    const host = `Host: localhost:${server.port}\r\n`
    const cookies = `Cookie: ${'x'.repeat(70_000)}\r\n\r\n`
    for (const body of ['x', 'x'.repeat(66_000)]) {
      const requests = [`POST /nothing HTTP/1.1\r\n${host}${sent(body)}`, `GET /healthz HTTP/1.1\r\n${host}\r\n`]
      const answers = await rawInTurn(server.port, [...requests, `GET /account HTTP/1.1\r\n${host}${cookies}`])
      expect(answers.map((answer) => answer.slice(0, 12))).toEqual(['HTTP/1.1 403', 'HTTP/1.1 200', 'HTTP/1.1 431'])
      expect(answers[2]).toMatch(/^Clear-Site-Data: "cookies"/im)
    }
  })

  test('a head of which the beginning came with the request before it does not lose its cookies', async () => {
    const server = await startTestServer()
    const host = `Host: localhost:${server.port}\r\n`
    const first = `GET /healthz HTTP/1.1\r\n${host}\r\nGET /?${'a'.repeat(5000)}`
    const rest = `${'a'.repeat(10)} HTTP/1.1\r\n${host}Cookie: ${'x'.repeat(70_000)}\r\n\r\n`
    const [, second] = await rawInTurn(server.port, [first, rest])
    expect(second).toMatch(/^HTTP\/1\.1 431 /)
    expect(second).not.toMatch(/Clear-Site-Data/i)
  })

  test('a body that looks like a request with cookies does not make those of the next request too much', async () => {
    const server = await startTestServer()
    const host = `Host: localhost:${server.port}\r\n`
    const body = `GET / HTTP/1.1\r\nCookie: ${'x'.repeat(5000)}\r\n`
    const post = `POST /nothing HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`
    const answers = await raw(server.port, `${post}GET /?${'a'.repeat(70_000)} HTTP/1.1\r\n${host}\r\n`, 4000)
    expect(answers).toMatch(/HTTP\/1\.1 431 /)
    expect(answers).not.toMatch(/Clear-Site-Data/i)
  })

  test('a request is answered whatever comes behind it, and what comes behind it after that', async () => {
    const server = await startTestServer()
    const login = `GET /login HTTP/1.1\r\nHost: localhost:${server.port}\r\n\r\n`
    const garbage = ['\0\0\0\r\n\r\n', 'no request\r\n\r\n', `GET / HTTP/1.1\r\nCookie: ${'x'.repeat(70_000)}\r\n\r\n`]
    for (const behind of garbage) {
      const statuses = (answers: string): string[] =>
        [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code ?? '')
      const refusal = behind.startsWith('GET') ? '431' : expect.stringMatching(/^40[05]$/)
      expect(statuses(await raw(server.port, login + behind))).toEqual(['200', refusal])
      expect(statuses(await raw(server.port, login + login + behind))).toEqual(['200', '200', refusal])
    }
  })

  test('CONNECT is answered like every method that there is not', async () => {
    const server = await startTestServer()
    const answer = await raw(server.port, `CONNECT example.com:443 HTTP/1.1\r\nHost: localhost:${server.port}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 405 [\s\S]*Allow: /)
    expect(answer).toContain("frame-ancestors 'none'")
  })

  test.each([
    ['GET /auth/session HTTP/2.0', ''],
    ['GET /auth/session#.css HTTP/1.1', ''],
    ['GET /auth\\session HTTP/1.1', ''],
    ['POST /auth/logout HTTP/1.1', 'Transfer-Encoding: gzip, chunked\r\n'],
  ])('%s, which a proxy could read in another way, is refused', async (line, field) => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const head = `${line}\r\nHost: localhost:${server.port}\r\nOrigin: ${server.origin}\r\nCookie: gp=${ada.token}\r\n`
    const body = field === '' ? '' : '0\r\n\r\n'
    expect(await raw(server.port, `${head}${field}Connection: close\r\n\r\n${body}`)).toMatch(/^HTTP\/1\.1 400 /)
    expect((await ada.json('GET', '/auth/session')).status).toBe(200)
    expect((await server.visitor().get('/login?next=/\\evil.example')).status).toBe(200)
  })

  test('a method that nobody knows, and two lengths, are refused', async () => {
    const server = await startTestServer()
    const host = `Host: localhost:${server.port}\r\n`
    expect(await raw(server.port, `FOO / HTTP/1.1\r\n${host}\r\n`)).toMatch(/^HTTP\/1\.1 405 [\s\S]*Allow: /)
    expect(
      await raw(server.port, `POST /auth/login HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`),
    ).toMatch(/^HTTP\/1\.1 400 /)
    expect(
      await raw(
        server.port,
        `POST /auth/login HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ),
    ).toMatch(/^HTTP\/1\.1 400 /)
  })
})
