import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pretendOpenId } from 'gatepass/testing/providers'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Identities } from '../src/accounts/identities.ts'
import { linkAt, logInAt, slowFacebook, visitProvider } from './provider-visit.ts'
import { ADA, BOB, loggedIn, startTestServer, type TestServer } from './test-server.ts'
import { type Answer, hidden, type Visitor } from './visitor.ts'

/** At Google: a mailbox that Google runs, and one that it does not. At Facebook no address is verified. */
const ADA_AT_GOOGLE = { person: '101' }
const ALAN = { person: '103' }
const MALLORY = { person: '104' }
const NEMO = { person: '105' }
const ADAS_MAILBOX = { ...ADA, email: 'ada.lovelace@gmail.com' }

function events(server: TestServer): string[] {
  return server.log.map((line) => String((JSON.parse(line) as { event?: unknown }).event))
}

async function who(visitor: Visitor): Promise<string | undefined> {
  return (await visitor.get('/auth/session')).data.user?.id
}

/** The handles that the account page has buttons for. */
function unlinkable(page: Answer): string[] {
  return [...page.body.matchAll(/identities\/([\w-]+)\/unlink/g)].map(([, handle = '']) => handle)
}

describe('logging in by a provider', () => {
  test('makes an account the first time, and opens it from then on', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = server.visitor()
    expect((await ada.get('/login')).body).toContain('href="/auth/google"')
    expect((await logInAt(ada, 'google', ADA_AT_GOOGLE)).headers.location).toBe('/account')
    const page = await ada.get('/account')
    expect(page.body).toContain('Ada Lovelace')
    expect(page.body).toContain('Confirmed')
    expect(page.body).toContain('with Google')
    const again = server.visitor()
    await logInAt(again, 'google', ADA_AT_GOOGLE)
    expect(await who(again)).toBe(await who(ada))
    expect(events(server)).toEqual(expect.arrayContaining(['user_created', 'link_added', 'authn_login_success']))
  })

  test('leads back to where it began', async () => {
    const server = await startTestServer({ pretend: true })
    const done = await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE, '?next=%2Faccount%2Fsessions')
    expect(done.headers.location).toBe('/account/sessions')
    const away = await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE, '?next=https%3A%2F%2Fevil.example')
    expect(away.headers.location).toBe('/account')
  })

  test('takes somebody without an e-mail address, too', async () => {
    const server = await startTestServer({ pretend: true })
    const nemo = server.visitor()
    await logInAt(nemo, 'facebook', NEMO)
    expect((await nemo.get('/auth/session')).data.user).toMatchObject({ email: null, name: 'Nemo' })
    expect((await nemo.get('/account')).status).toBe(200)
  })

  test('of an account without a password is the only way in: no password opens it', async () => {
    const server = await startTestServer({ pretend: true })
    await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)
    for (const password of ['undefined', 'null', ADA.password]) {
      const { status } = await server.visitor().json('POST', '/auth/login', { email: ADAS_MAILBOX.email, password })
      expect(status).toBe(401)
    }
  })

  test('makes no account where strangers may not make any', async () => {
    const server = await startTestServer({ pretend: true, registration: false })
    const answer = await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('ERR_REGISTRATION_CLOSED') })
    expect(events(server)).not.toContain('user_created')
  })

  test('makes no more accounts than registering may', async () => {
    const server = await startTestServer({ pretend: true, limits: { registrationsPerAddress: 1 } })
    await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)
    expect((await logInAt(server.visitor(), 'google', ALAN)).status).toBe(429)
  })

  test('opens no disabled account, and makes no new one', async () => {
    const server = await startTestServer({ pretend: true })
    await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)
    const database = new DatabaseSync(join(server.data, 'gatepass.db'))
    database.exec('update accounts set disabled_at = 1')
    const answer = await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('ERR_ACCOUNT_DISABLED') })
    expect(database.prepare('select count(*) as n from accounts').get()).toEqual({ n: 1 })
    database.close()
  })

  test('attack 65: a link on another site leads to a question, and to no provider', async () => {
    const server = await startTestServer({ pretend: true })
    const foreign = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate' }
    const answer = await server.visitor().get('/auth/google', foreign)
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('Another site sent you here')
    const image = await server.visitor().get('/auth/google', { ...foreign, 'sec-fetch-dest': 'image' })
    expect(image.status).toBe(403)
  })
})

test('any OpenID provider lets people in, asks anew where that is needed, and confirms no address', async () => {
  const client = { clientId: 'gatepass', clientSecret: 'a secret' }
  const server = await startTestServer({
    moreProviders: async ({ origins }) => {
      const redirectUris = origins.map((origin) => `${origin}/auth/acme/callback`)
      const { issuer, close } = await pretendOpenId({ clients: [{ ...client, redirectUris }] })
      return { providers: [{ ...client, kind: 'oidc', name: 'acme', label: 'Acme', issuer }], close }
    },
  })
  const ada = server.visitor()
  expect((await logInAt(ada, 'acme', ADA_AT_GOOGLE)).headers.location).toBe('/account')
  expect((await ada.get('/account')).body).toContain('with Acme')
  expect((await ada.get('/account')).body).not.toContain('Confirmed')
  const again = await ada.get('/auth/acme?again=1')
  expect(new URL(again.headers.location ?? '').searchParams.get('prompt')).toBe('login')
  const callback = await visitProvider(again.headers.location ?? '', ADA_AT_GOOGLE)
  expect((await ada.get(callback)).headers.location).toBe('/account')
})

test('a provider’s page may post its answer, which our own page then posts once more; to nowhere else', async () => {
  const apple = { kind: 'apple', name: 'apple', label: 'Apple', teamId: 'T', keyId: 'K' } as const
  const server = await startTestServer({ providers: [{ ...apple, clientId: 'app', clientSecret: 'the key' }] })
  const foreign = { origin: 'https://appleid.apple.com', 'sec-fetch-site': 'cross-site' }
  const visitor = server.visitor()
  const relayed = await visitor.post('/auth/apple/callback', { state: 's', code: 'c' }, foreign)
  expect(relayed).toMatchObject({ status: 200, body: expect.stringContaining('action="/auth/apple/callback"') })
  expect(relayed.headers['content-security-policy']).toContain("form-action 'self'")
  expect(visitor.cookies.size).toBe(0)
  for (const path of ['/auth/login', '/account/identities/apple/link', '/auth/apple']) {
    expect((await visitor.post(path, ADA, foreign)).status).toBe(403)
  }
})

describe('linking', () => {
  test('from a logged-in session adds a way to log in to this account', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = server.visitor()
    await logInAt(ada, 'google', ADA_AT_GOOGLE)
    expect((await linkAt(ada, 'facebook', ALAN)).headers.location).toBe('/account')
    expect(ada.cookies.get('gp-notice')).toBe('linked')
    const page = await ada.get('/account')
    expect(page.body).toContain('From now on you can log in with this, too.')
    const elsewhere = server.visitor()
    await logInAt(elsewhere, 'facebook', ALAN)
    expect(await who(elsewhere)).toBe(await who(ada))
  })

  test.each<[string, (server: TestServer, mallory: Visitor) => Promise<unknown>]>([
    ['the account goes to the owner of its mailbox', (server) => logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)],
    [
      'the other sessions are ended',
      async (server) => {
        const other = server.visitor()
        await other.json('POST', '/auth/login', ADAS_MAILBOX)
        await other.json('DELETE', '/auth/sessions')
      },
    ],
    ['the session is logged out', (_server, mallory) => mallory.json('POST', '/auth/logout', {})],
  ])('is not done if %s while the provider answers', async (_what, meanwhile) => {
    let once: (() => Promise<unknown>) | undefined
    const moreProviders = slowFacebook(async () => {
      const act = once
      once = undefined
      await act?.()
    })
    const server = await startTestServer({ moreProviders })
    const mallory = await loggedIn(server, ADAS_MAILBOX)
    once = () => meanwhile(server, mallory)
    const answer = await linkAt(mallory, 'facebook', NEMO)
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('ERR_OAUTH_LINK_ENDED') })
    expect(answer.body).toContain('href="/login?next=%2Faccount"')
    expect(events(server)).toContain('link_fail')
    const owner = server.visitor()
    await logInAt(owner, 'google', ADA_AT_GOOGLE)
    const byLink = server.visitor()
    await logInAt(byLink, 'facebook', NEMO)
    expect(await who(byLink)).not.toBe(await who(owner))
  })

  test('needs a login of the last ten minutes, and comes back after one', async () => {
    let now = Date.now()
    const server = await startTestServer({ pretend: true, clock: () => now })
    const ada = await loggedIn(server)
    now += 601_000
    const begun = await ada.post('/account/identities/google/link', {})
    expect(begun.headers.location).toBe('/login?again=1&next=%2Faccount')
    const form = await ada.get(begun.headers.location ?? '')
    expect(form.body).toContain('Log in again')
    expect(form.body).toContain('href="/auth/google?again=1"')
    expect(form.body).toContain('name="password"')
    expect((await ada.post('/auth/login', { ...ADA, next: '/account' })).headers.location).toBe('/account')
    expect((await ada.post('/account/identities/google/link', {})).status).toBe(200)
    now += 601_000
    const program = await ada.json('POST', '/account/identities/google/link', {})
    expect(program).toMatchObject({ status: 401, data: { error: { code: 'ERR_LOGIN_TOO_OLD' } } })
  })

  test('after ten minutes keeps the form after a wrong password, and whether the browser is remembered', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    await linkAt(ada, 'google', ALAN)
    expect((await ada.get('/login?again=1')).body).not.toMatch(/name="remember"[^>]* checked/)
    await ada.post('/auth/login', { ...ADA, remember: 'on' })
    const form = await ada.get('/login?again=1')
    expect(form.body).toMatch(/name="remember"[^>]* checked/)
    const again = hidden(form.body, 'again')
    const wrong = await ada.post('/auth/login', { ...ADA, password: 'wrong but long enough', again, remember: 'on' })
    expect(wrong.status).toBe(401)
    expect(wrong.body).toContain('<title>Error: Log in again')
    expect(wrong.body).toContain('role="alert"')
    expect(wrong.body).toContain('action="/auth/login?again=1"')
    expect(wrong.body).toContain('href="/auth/google?again=1"')
    await logInAt(ada, 'google', ALAN, '?again=1')
    expect((await ada.get('/auth/session')).data.session.remembered).toBe(true)
    const stranger = await server.visitor().post('/auth/login', { ...ADA, password: 'wrong but long enough', again })
    expect(stranger.body).toContain('<title>Error: Log in –')
  })

  test.each(['google', 'facebook'])(
    'after ten minutes asks somebody without a password for %s alone, and that does',
    async (provider) => {
      let now = Date.now()
      const server = await startTestServer({ pretend: true, clock: () => now })
      const nemo = server.visitor()
      await logInAt(nemo, provider, NEMO)
      now += 601_000
      const form = await nemo.get('/login?again=1&next=%2Faccount')
      expect(form.body).toContain(`href="/auth/${provider}?again=1"`)
      expect(form.body).not.toContain('name="password"')
      expect((await logInAt(nemo, provider, NEMO, '?again=1')).headers.location).toBe('/account')
      expect((await nemo.post(`/account/identities/${provider}/link`, {})).status).toBe(200)
    },
  )

  test('attack 65: is no GET, and no POST of another site', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    expect((await ada.get('/account/identities/google/link')).headers.location).toBe('/account')
    const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    expect((await ada.post('/account/identities/google/link', {}, foreign)).status).toBe(403)
    expect((await server.visitor().post('/account/identities/google/link', {})).headers.location).toBe('/login')
  })

  test('takes no identity away from another account', async () => {
    const server = await startTestServer({ pretend: true })
    const alan = server.visitor()
    await logInAt(alan, 'google', ALAN)
    const ada = await loggedIn(server)
    const answer = await linkAt(ada, 'google', ALAN)
    expect(answer).toMatchObject({ status: 409, body: expect.stringContaining('ERR_IDENTITY_TAKEN') })
    const again = server.visitor()
    await logInAt(again, 'google', ALAN)
    expect(await who(again)).toBe(await who(alan))
    expect(events(server)).toContain('link_fail')
  })

  test('confirms the account’s own address where the provider runs the mailbox, and removes nothing', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server, ADAS_MAILBOX)
    await linkAt(ada, 'google', ADA_AT_GOOGLE)
    expect((await ada.get('/account')).body).toContain('Confirmed')
    expect((await server.visitor().json('POST', '/auth/login', ADAS_MAILBOX)).status).toBe(200)
  })

  test.each([
    ['that the provider does not run', 'google', ALAN, 'alan@bletchley.example'],
    ['that is not verified', 'google', MALLORY, 'ada.lovelace@gmail.com'],
    ['that was typed at Facebook', 'facebook', { person: '101' }, 'ada.lovelace@gmail.com'],
  ])('confirms no address %s', async (_what, provider, person, email) => {
    const server = await startTestServer({ pretend: true })
    const owner = await loggedIn(server, { ...ADA, email })
    expect((await linkAt(owner, provider, person)).headers.location).toBe('/account')
    expect(owner.cookies.get('gp-notice')).toBe('linked')
    expect((await owner.get('/account')).body).not.toContain('Confirmed')
  })
})

describe('an e-mail address that has an account', () => {
  test.each([
    ['is not verified', 'google', MALLORY, 'ada.lovelace@gmail.com'],
    ['is in a mailbox that the provider does not run', 'google', ALAN, 'alan@bletchley.example'],
    ['was typed at Facebook', 'facebook', { person: '101' }, 'ada.lovelace@gmail.com'],
  ])('attack 69: opens nothing if it %s, and the page says what to do', async (_what, provider, person, email) => {
    const server = await startTestServer({ pretend: true })
    const owner = await loggedIn(server, { ...ADA, email })
    const visitor = server.visitor()
    const answer = await logInAt(visitor, provider, person)
    expect(answer).toMatchObject({ status: 409, body: expect.stringContaining('ERR_EMAIL_IN_USE') })
    expect(answer.body).toContain('link this way to log in on your account page')
    expect(answer.body).toContain('href="/login?next=%2Faccount"')
    expect(await who(visitor)).toBeUndefined()
    expect(await who(owner)).toBeDefined()
    // What the page advises works.
    expect((await linkAt(owner, provider, person)).headers.location).toBe('/account')
    expect(owner.cookies.get('gp-notice')).toBe('linked')
    await logInAt(visitor, provider, person)
    expect(await who(visitor)).toBe(await who(owner))
  })

  test('of an account that another provider began is not confirmed by that, and goes to the owner of the mailbox', async () => {
    const server = await startTestServer({ pretend: true })
    const mallory = server.visitor()
    await logInAt(mallory, 'google', MALLORY)
    expect((await mallory.get('/account')).body).toContain('ada.lovelace@gmail.com')
    expect((await mallory.get('/account')).body).not.toContain('Confirmed')
    expect(mallory.cookies.has('gp-dev')).toBe(false)
    const ada = server.visitor()
    expect((await logInAt(ada, 'google', ADA_AT_GOOGLE)).headers.location).toBe('/account')
    expect(ada.cookies.get('gp-notice')).toBe('reclaimed')
    expect(ada.cookies.has('gp-dev')).toBe(true)
    expect(await who(mallory)).toBeUndefined()
    const again = await logInAt(mallory, 'google', MALLORY)
    expect(again).toMatchObject({ status: 409, body: expect.stringContaining('ERR_EMAIL_IN_USE') })
  })

  test('and was confirmed opens it where the provider runs the mailbox', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server, ADAS_MAILBOX)
    await linkAt(ada, 'google', ADA_AT_GOOGLE)
    await linkAt(ada, 'facebook', NEMO)
    const [google = ''] = unlinkable(await ada.get('/account'))
    await ada.post(`/account/identities/${google}/unlink`, {})
    const again = server.visitor()
    expect((await logInAt(again, 'google', ADA_AT_GOOGLE)).headers.location).toBe('/account')
    expect(await who(again)).toBe(await who(ada))
    expect((await server.visitor().json('POST', '/auth/login', ADAS_MAILBOX)).status).toBe(200)
  })

  test('attack 53: and was not confirmed goes to the owner of the mailbox, without what a stranger left', async () => {
    const server = await startTestServer({ pretend: true })
    const stranger = await loggedIn(server, ADAS_MAILBOX)
    await linkAt(stranger, 'facebook', NEMO)
    const owner = server.visitor()
    expect((await logInAt(owner, 'google', ADA_AT_GOOGLE)).headers.location).toBe('/account')
    expect(owner.cookies.get('gp-notice')).toBe('reclaimed')
    const page = await owner.get('/account')
    expect(page.body).toContain('this account is yours')
    expect(page.body).toContain('Ada Lovelace')
    // Neither session, nor password, nor link.
    expect(await who(stranger)).toBeUndefined()
    expect((await server.visitor().json('POST', '/auth/login', ADAS_MAILBOX)).status).toBe(401)
    const byLink = server.visitor()
    await logInAt(byLink, 'facebook', NEMO)
    expect(await who(byLink)).not.toBe(await who(owner))
    expect((await owner.get('/auth/sessions')).data.sessions).toHaveLength(1)
    expect(events(server)).toEqual(expect.arrayContaining(['user_reclaimed', 'user_email_verified', 'session_ended']))
  })
})

describe('the account page', () => {
  test('names the only way to log in once, and the provider of a login that is no longer offered', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    await linkAt(ada, 'google', ALAN)
    const database = new DatabaseSync(join(server.data, 'gatepass.db'))
    database.exec('update accounts set password_disabled_at = 1')
    database.close()
    expect((await ada.get('/account')).body.match(/Your only way to log in/g)).toHaveLength(1)
    await logInAt(ada, 'google', ALAN)
    await server.stop()
    const later = await startTestServer({ data: server.data })
    const back = later.visitor()
    for (const [name, value] of ada.cookies) back.cookies.set(name, value)
    const page = (await back.get('/account')).body
    expect(page).toContain(', with google')
    expect(page).not.toContain('with your password')
  })
})

describe('unlinking', () => {
  test('takes a way in away', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    await linkAt(ada, 'google', ALAN)
    const [handle = ''] = unlinkable(await ada.get('/account'))
    const done = await ada.post(`/account/identities/${handle}/unlink`, {})
    expect(done.headers.location).toBe('/account')
    expect(ada.cookies.get('gp-notice')).toBe('unlinked')
    const alan = server.visitor()
    await logInAt(alan, 'google', ALAN)
    expect(await who(alan)).not.toBe(await who(ada))
    expect(events(server)).toContain('link_removed')
  })

  test('a second time changes nothing and is not an attack', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    await linkAt(ada, 'google', ALAN)
    const [handle = ''] = unlinkable(await ada.get('/account'))
    for (let n = 0; n < 2; n++) {
      expect((await ada.post(`/account/identities/${handle}/unlink`, {})).headers.location).toBe('/account')
      expect(ada.cookies.get('gp-notice')).toBe('unlinked')
    }
    expect((await ada.json('POST', `/account/identities/${handle}/unlink`, {})).status).toBe(404)
    expect(events(server)).not.toContain('malicious_direct_reference')
  })

  test('leads to the login if the session ends meanwhile', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = await loggedIn(server)
    await linkAt(ada, 'google', ALAN)
    const [handle = ''] = unlinkable(await ada.get('/account'))
    const { remove } = Identities.prototype
    const meanwhile = vi.spyOn(Identities.prototype, 'remove').mockImplementation(function (this: Identities, ...args) {
      const database = new DatabaseSync(join(server.data, 'gatepass.db'))
      database.exec('delete from gatepass_sessions')
      database.close()
      return remove.apply(this, args)
    })
    onTestFinished(() => meanwhile.mockRestore())
    const answer = await ada.post(`/account/identities/${handle}/unlink`, {})
    expect([answer.status, answer.headers.location]).toEqual([303, '/login'])
  })

  test('never takes the last one', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = server.visitor()
    await logInAt(ada, 'google', ADA_AT_GOOGLE)
    await linkAt(ada, 'facebook', NEMO)
    const [first = '', second = ''] = unlinkable(await ada.get('/account'))
    expect((await ada.post(`/account/identities/${first}/unlink`, {})).status).toBe(303)
    const page = await ada.get('/account')
    expect(page.body).toContain('Your only way to log in')
    expect(unlinkable(page)).toEqual([])
    const answer = await ada.post(`/account/identities/${second}/unlink`, {})
    expect(answer).toMatchObject({ status: 409, body: expect.stringContaining('ERR_LAST_WAY_IN') })
    await logInAt(server.visitor(), 'facebook', NEMO)
    expect((await ada.get('/account')).body).toContain('Facebook')
  })

  test('needs a login of the last ten minutes, and touches nobody else’s', async () => {
    let now = Date.now()
    const server = await startTestServer({ pretend: true, clock: () => now })
    const ada = await loggedIn(server)
    await linkAt(ada, 'google', ALAN)
    const [handle = ''] = unlinkable(await ada.get('/account'))
    const bob = await loggedIn(server, BOB)
    expect((await bob.post(`/account/identities/${handle}/unlink`, {})).status).toBe(404)
    expect(events(server)).toContain('malicious_direct_reference')
    now += 601_000
    expect((await ada.post(`/account/identities/${handle}/unlink`, {})).headers.location).toContain('/login?again=1')
    expect(unlinkable(await ada.get('/account'))).toEqual([handle])
  })
})

describe('what goes wrong has a page that says what to do', () => {
  test('cancelled', async () => {
    const server = await startTestServer({ pretend: true })
    const answer = await logInAt(server.visitor(), 'google', { cancel: 'yes' })
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('You cancelled') })
    expect(answer.body).toContain('href="/auth/google"')
    expect(answer.body).toContain('Log in another way')
    expect(answer.headers['referrer-policy']).toBe('no-referrer')
    expect(events(server)).toContain('authn_login_fail')
  })

  test('opened twice', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = server.visitor()
    const begun = await ada.get('/auth/google')
    const callback = await visitProvider(begun.headers.location ?? '', ADA_AT_GOOGLE)
    expect((await ada.get(callback)).status).toBe(303)
    const id = await who(ada)
    const twice = await ada.get(callback)
    expect(twice).toMatchObject({ status: 400, body: expect.stringContaining('This login has ended') })
    expect(twice.body).toContain('href="/account"')
    expect(await who(ada)).toBe(id)
    const thief = server.visitor()
    expect((await thief.get(callback)).status).toBe(400)
    expect(await who(thief)).toBeUndefined()
  })

  test('too late', async () => {
    let now = Date.now()
    const server = await startTestServer({ pretend: true, clock: () => now })
    const ada = server.visitor()
    const begun = await ada.get('/auth/google')
    const callback = await visitProvider(begun.headers.location ?? '', ADA_AT_GOOGLE)
    now += 601_000
    expect((await ada.get(callback)).status).toBe(400)
  })

  test.each([
    ['down', 503, 'does not answer'],
    ['wrong-nonce', 502, 'could not be verified'],
    ['bad-signature', 502, 'could not be verified'],
  ])('a provider: %s', async (fault, status, title) => {
    const server = await startTestServer({ pretend: true })
    const visitor = server.visitor()
    const answer = await logInAt(visitor, 'google', { ...ADA_AT_GOOGLE, fault })
    expect(answer).toMatchObject({ status, body: expect.stringContaining(title) })
    expect(await who(visitor)).toBeUndefined()
  })

  test('a provider that is not there at all', async () => {
    const nowhere = { kind: 'oidc', name: 'acme', label: 'Acme', issuer: 'http://127.0.0.1:9' } as const
    const server = await startTestServer({ providers: [{ ...nowhere, clientId: 'a', clientSecret: 'b' }] })
    const answer = await server.visitor().get('/auth/acme')
    expect(answer).toMatchObject({ status: 503, body: expect.stringContaining('Acme does not answer') })
    expect(answer.headers['retry-after']).toBe('60')
    const program = await server.visitor().ask('GET', '/auth/acme')
    expect(program.data.error.code).toBe('ERR_OAUTH_UNAVAILABLE')
  })

  test('two tabs do not get in each other’s way', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = server.visitor()
    const first = await ada.get('/auth/google')
    const second = await ada.get('/auth/google?next=%2Faccount%2Fsessions')
    const callbacks = [
      await visitProvider(first.headers.location ?? '', ADA_AT_GOOGLE),
      await visitProvider(second.headers.location ?? '', ADA_AT_GOOGLE),
    ]
    expect((await ada.get(callbacks[1] ?? '')).headers.location).toBe('/account/sessions')
    const id = await who(ada)
    expect(id).toBeDefined()
    expect((await ada.get(callbacks[0] ?? '')).headers.location).toBe('/account')
    expect(await who(ada)).toBe(id)
    expect([...ada.cookies.keys()].filter((name) => name.startsWith('gp-tx-'))).toEqual([])
  })

  test.each([
    ['five cookies', 300, 5],
    ['as many cookies as one request can bring back', 2000, 1],
  ])(
    'a visitor who begins logins leaves %s in the browser and nothing in the database',
    async (_what, length, count) => {
      const server = await startTestServer({ pretend: true })
      const stranger = server.visitor()
      for (let n = 0; n < 12; n++) {
        expect((await stranger.get(`/auth/google?next=%2F${'n'.repeat(length)}`)).status).toBe(303)
      }
      const cookies = [...stranger.cookies].filter(([name]) => name.startsWith('gp-tx-'))
      expect([...stranger.cookies.keys()]).toEqual(cookies.map(([name]) => name))
      expect(cookies).toHaveLength(count)
      expect(JSON.stringify(cookies).length).toBeLessThan(6000)
      const database = new DatabaseSync(join(server.data, 'gatepass.db'))
      expect(database.prepare('select count(*) as rows from gatepass_sessions').get()).toEqual({ rows: 0 })
      database.close()
    },
  )

  test('callbacks that bring nobody in are limited by address, those of other addresses and right ones are not', async () => {
    const server = await startTestServer({ pretend: true, limits: { loginsPerAddress: 3 } })
    for (let n = 0; n < 4; n++) await logInAt(server.visitor(), 'google', ADA_AT_GOOGLE)
    const forged = `/auth/google/callback?code=x&state=${'A'.repeat(43)}`
    for (let n = 0; n < 3; n++) expect((await server.visitor().get(forged)).status).toBe(400)
    const refused = await server.visitor().get(forged)
    expect(refused).toMatchObject({ status: 429, body: expect.stringContaining('ERR_TOO_MANY_TRIES') })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(events(server)).toContain('excess_rate_limit_exceeded')
    expect((await server.visitor({ localAddress: '127.0.0.77' }).get(forged)).status).toBe(400)
  })

  test('neither codes nor states nor secrets are in the log', async () => {
    const server = await startTestServer({ pretend: true })
    const ada = server.visitor()
    const begun = await ada.get('/auth/google')
    const callback = await visitProvider(begun.headers.location ?? '', { ...ADA_AT_GOOGLE, fault: 'wrong-nonce' })
    await ada.get(callback)
    const log = server.log.join('\n')
    expect(log).toContain('ERR_OIDC_NONCE')
    for (const secret of new URLSearchParams(callback.split('?')[1]).values()) expect(log).not.toContain(secret)
    expect(log).not.toContain('ada.lovelace')
  })
})
