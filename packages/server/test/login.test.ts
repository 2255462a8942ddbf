import { describe, expect, test } from 'vitest'
import { ADA, BOB, loggedIn, startHttpsServer, startTestServer } from './test-server.ts'
import { hidden } from './visitor.ts'

describe('register, log in, log out', () => {
  test('a stranger registers, logs in, sees the account, and logs out, by forms alone', async () => {
    const server = await startTestServer()
    const visitor = server.visitor()
    const form = await visitor.get('/register')
    const registered = await visitor.post('/auth/register', { ...ADA, csrf: hidden(form.body, 'csrf') })
    expect(registered.status).toBe(303)
    expect(registered.headers.location).toBe('/login')
    const login = await visitor.get('/login')
    expect(login.body).toContain('You can log in now.')
    expect((await visitor.get('/login')).body).not.toContain('You can log in now.')
    const answer = await visitor.post('/auth/login', { ...ADA, next: hidden(login.body, 'next') })
    expect([answer.status, answer.headers.location]).toEqual([303, '/account'])
    expect((await visitor.get('/account')).body).toContain('ada@example.com')
    const out = await visitor.post('/auth/logout', {})
    expect([out.status, out.headers.location]).toEqual([303, '/login'])
    expect((await visitor.get('/account')).headers.location).toBe('/login')
  })

  test('GET /auth/session says who it is with the cookie, and 401 without', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const mine = await ada.get('/auth/session')
    expect(mine.status).toBe(200)
    expect(mine.data.user).toEqual({ id: expect.any(String), email: 'ada@example.com', name: 'Ada' })
    expect(mine.data.session).toMatchObject({
      amr: ['pwd'],
      remembered: false,
      handle: expect.stringMatching(/^[\w-]{22}$/),
    })
    const theirs = await server.visitor().get('/auth/session')
    expect([theirs.status, theirs.data.error.code]).toEqual([401, 'ERR_LOGIN_REQUIRED'])
    expect(theirs.headers['www-authenticate']).toBeDefined()
  })

  test('registering does not log in', async () => {
    const server = await startTestServer()
    const visitor = server.visitor()
    expect((await visitor.json('POST', '/auth/register', ADA)).status).toBe(202)
    expect(visitor.token).toBeUndefined()
    expect((await visitor.get('/auth/session')).status).toBe(401)
  })

  test('a wrong password gets the form again, with the address and without the password', async () => {
    const server = await startTestServer()
    await loggedIn(server)
    const visitor = server.visitor()
    const answer = await visitor.post('/auth/login', {
      email: ADA.email,
      password: 'wrong <horse>',
      remember: 'on',
      next: '/account/sessions',
    })
    expect(answer.status).toBe(401)
    expect(answer.body).toContain('<title>Error: Log in')
    expect(answer.body).toContain('role="alert"')
    expect(answer.body).toContain('value="ada@example.com"')
    expect(answer.body).toContain('value="/account/sessions"')
    expect(answer.body).toMatch(/name="remember"[^>]* checked/)
    expect(answer.body).not.toContain('wrong')
    expect(visitor.token).toBeUndefined()
  })

  test('the address of a form leads a person to the page that has the form, and stays refused to a program', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const pages = {
      '/auth/login?next=%2Faccount%2Fsessions': '/login?next=%2Faccount%2Fsessions',
      '/auth/register': '/register',
      '/auth/logout': '/account',
      '/account/sessions/x/end': '/account/sessions',
      '/account/sessions/end-others': '/account/sessions',
      '/account/identities/x/unlink': '/account',
    }
    for (const [address, page] of Object.entries(pages)) {
      const answer = await ada.get(address)
      expect([address, answer.status, answer.headers.location]).toEqual([address, 303, page])
      expect((await ada.get(address, { accept: 'application/json' })).status).toBe(405)
      expect((await ada.json('DELETE', address)).status).toBe(405)
    }
    expect((await ada.get('/auth/session')).status).toBe(200)
  })

  test('a notice that was planted says nothing but words of ours', async () => {
    const visitor = (await startTestServer()).visitor()
    for (const planted of ['You%20were%20hacked', '__proto__', 'constructor', '<b>']) {
      visitor.cookies.set('gp-notice', planted)
      expect((await visitor.get('/login')).body).not.toContain('role="status"')
      expect(visitor.cookies.has('gp-notice')).toBe(false)
    }
  })

  test('the address is the same in any case and any spelling of its domain', async () => {
    const server = await startTestServer()
    await loggedIn(server, { ...ADA, email: 'Ada@Bücher.example' })
    const answer = await server.visitor().json('POST', '/auth/login', { ...ADA, email: ' aDA@xn--bcher-kva.EXAMPLE' })
    expect([answer.status, answer.data.user.email]).toEqual([200, 'Ada@Bücher.example'])
  })

  test('an empty form is told which fields are missing', async () => {
    const server = await startTestServer()
    const page = await server.visitor().post('/auth/login', {})
    expect(page.status).toBe(400)
    expect(page.body).toContain('<a href="#email">Enter your e-mail address.</a>')
    expect(page.body).toMatch(/id="password"[^>]*aria-describedby="password-problem"[^>]*aria-invalid="true"/)
    const program = await server.visitor().json('POST', '/auth/login', { email: ADA.email })
    expect(program.data.error.fields).toEqual({ password: 'Enter your password.' })
  })

  test('a password that is too short or made of the own name is refused, and the rest of the form stays', async () => {
    const server = await startTestServer()
    for (const password of ['short', 'ada@example.com', 'gatepassgatepass', 'passwordpassword']) {
      const page = await server.visitor().post('/auth/register', { ...ADA, password })
      expect([password, page.status]).toEqual([password, 400])
      expect(page.body).toContain('value="ada@example.com"')
      expect(page.body).toContain('id="password-problem"')
      expect(/<input id="password"[^>]*>/.exec(page.body)?.[0]).not.toContain('value=')
    }
  })

  test('a name that turns the text around it is refused, and typing begins where the first mistake is', async () => {
    const server = await startTestServer()
    const answer = await server.visitor().post('/auth/register', { email: 'ada', name: '\u202eadA', password: 'short' })
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('id="name-problem"')
    expect(answer.body.match(/<input id="\w+"[^>]* autofocus/g)).toEqual([expect.stringContaining('id="email"')])
  })

  test('logging in while logged in as somebody else leaves nothing of the first', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    await server.visitor().json('POST', '/auth/register', BOB)
    const before = ada.token
    expect((await ada.post('/auth/login', BOB)).status).toBe(303)
    expect(ada.token).not.toBe(before)
    expect((await ada.get('/auth/session')).data.user.email).toBe(BOB.email)
    const replay = server.visitor()
    replay.cookies.set('gp', before ?? '')
    expect((await replay.get('/auth/session')).status).toBe(401)
  })

  test('the login form sends whoever is logged in already on', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    expect((await ada.get('/login?next=/account/sessions')).headers.location).toBe('/account/sessions')
    expect((await ada.get('/')).headers.location).toBe('/account')
    expect((await ada.get('/register')).headers.location).toBe('/account')
  })

  test('a form of a new account that a logged-in person posts makes no account', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const answer = await ada.post('/auth/register', BOB)
    expect([answer.status, answer.headers.location]).toEqual([303, '/account'])
    expect((await ada.get('/account')).body).not.toContain('You can log in now')
    expect((await server.visitor().json('POST', '/auth/login', BOB)).status).toBe(401)
  })

  test('no login leads to an address of a form, however it is written', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    for (const next of ['/auth/google', '/%61uth/google', '/account/../%61%75th/google']) {
      const answer = await ada.post('/auth/login', { ...ADA, next })
      expect([next, answer.headers.location]).toEqual([next, '/account'])
    }
  })

  test('logging out twice is no mistake', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    expect((await ada.json('POST', '/auth/logout')).status).toBe(204)
    expect((await ada.json('POST', '/auth/logout')).status).toBe(204)
    expect((await server.visitor().post('/auth/logout', {})).status).toBe(303)
  })

  test('remember-me makes the cookie outlive the browser', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    expect(ada.received.find((field) => field.startsWith('gp='))).not.toContain('Max-Age')
    await ada.post('/auth/login', { ...ADA, remember: 'on' })
    expect(ada.received.findLast((field) => field.startsWith('gp='))).toMatch(/Max-Age=\d+/)
    expect((await ada.get('/auth/session')).data.session.remembered).toBe(true)
  })

  test('a page behind the login leads back to itself after it', async () => {
    const server = await startTestServer()
    await loggedIn(server)
    const visitor = server.visitor()
    const away = await visitor.get('/account/sessions?x=1')
    expect(away.headers.location).toBe('/login?next=%2Faccount%2Fsessions%3Fx%3D1')
    const form = await visitor.get(away.headers.location ?? '')
    const answer = await visitor.post('/auth/login', { ...ADA, next: hidden(form.body, 'next') })
    expect(answer.headers.location).toBe('/account/sessions?x=1')
  })

  test('with registration closed there is no form, and no account is made', async () => {
    const server = await startTestServer({ registration: false })
    expect((await server.visitor().get('/register')).status).toBe(403)
    expect((await server.visitor().json('POST', '/auth/register', ADA)).data.error.code).toBe('ERR_REGISTRATION_CLOSED')
    expect((await server.visitor().get('/login')).body).not.toContain('/register')
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(401)
  })

  test('what a person enters is shown as text', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server, { ...ADA, name: '<img src=x onerror=alert(1)>' })
    const page = await ada.get('/account')
    expect(page.body).toContain('&lt;img src=x onerror=alert(1)&gt;')
    expect(page.body).not.toContain('<img')
  })
})

describe('over https', () => {
  test('every cookie is Secure, __Host- and has a SameSite', async () => {
    const server = await startHttpsServer()
    const visitor = server.visitor()
    await visitor.get('/login')
    await visitor.post('/auth/register', ADA)
    expect((await visitor.post('/auth/login', ADA)).status).toBe(303)
    await visitor.post('/auth/logout', {})
    expect(new Set(visitor.received.map((field) => field.split('=', 1)[0]))).toEqual(
      new Set(['__Host-gp-csrf', '__Host-gp-dev', '__Host-gp-notice', '__Host-Http-gp']),
    )
    for (const field of visitor.received) {
      expect(field).toMatch(/; Path=\/(;|$)/)
      expect(field).toMatch(/; Secure(;|$)/)
      expect(field).toMatch(/; HttpOnly(;|$)/)
      expect(field).toMatch(/; SameSite=(Lax|Strict)(;|$)/)
      expect(field).not.toMatch(/domain/i)
      if (field.startsWith('__Host-gp-csrf')) expect(field).toContain('SameSite=Strict')
    }
  })
})
