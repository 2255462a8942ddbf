/** Who may add a way to log in to an account: attack 65, and the rules on linking. */

import { Passport, type Strategy } from 'gatepass/passport'
import { type OAuthEvent, oidc } from 'gatepass/strategies/oidc'
import { testClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import type { Account } from './express-site.ts'
import { CLIENT_ID, CLIENT_SECRET, codeFor, lyingProvider } from './lying-provider.ts'
import { origin, Visited } from './visitor.ts'

type World = Awaited<ReturnType<typeof world>>

async function world() {
  const clock = testClock(Date.now())
  const provider = await lyingProvider(clock)
  const events: OAuthEvent[] = []
  const app = new Visited(
    (accounts): Strategy<Account, string> =>
      oidc({
        ...{ name: 'acme', issuer: provider.issuer, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, clock },
        callback: '/auth/acme/callback',
        account: accounts.find,
        onEvent: (event) => void events.push(event),
      }),
    clock,
  )
  const browser = app.browser()
  const parametersOf = (location: string | undefined) => {
    const url = new URL(location ?? '')
    return { state: url.searchParams.get('state') ?? '', code: codeFor(url) }
  }
  const logIn = async (person = 'ada') => {
    provider.lies.claims = { sub: person }
    return browser.back(parametersOf((await browser.begin()).href))
  }
  return {
    clock,
    provider,
    app,
    browser,
    logIn,
    parametersOf,
    codes: () => events.map(({ code }) => code),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

describe('linking', () => {
  test('leads to the provider and back to the account page, and adds what it found', async () => {
    await using w = await world()
    const { subject } = await w.logIn()
    w.provider.lies.claims = { sub: 'ada-at-work' }
    const begun = await w.browser.link()
    expect(await w.browser.back(w.parametersOf(begun.location))).toMatchObject({ location: '/account', subject })
    expect([...w.app.accounts.byIdentity.values()]).toEqual([subject, subject])
  })

  test('needs a login, of the last ten minutes', async () => {
    await using w = await world()
    expect((await w.browser.link()).status).toBe(401)
    await w.logIn()
    w.clock.advance(601)
    expect((await w.browser.link()).status).toBe(401)
    expect((await w.browser.link({}, 3600)).location).toContain('/authorize?')
  })

  test.each([
    ['from another site', { headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' } }],
    ['from a browser that says nothing', { headers: {} }],
  ])('is not begun %s', async (_where, request) => {
    await using w = await world()
    await w.logIn()
    await expect(w.browser.link(request)).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
  })

  test('is not begun by GET', async () => {
    await using w = await world()
    await w.logIn()
    await expect(w.browser.link({ method: 'GET' })).rejects.toMatchObject({ code: 'ERR_PASSPORT_OPTIONS' })
  })

  test('ends if whoever began it is not logged in any more when the provider answers', async () => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    w.provider.lies.claims = { sub: 'ada-at-work' }
    const begun = await w.browser.link()
    w.app.accounts.byId.delete(subject)
    expect(await w.browser.back(w.parametersOf(begun.location))).toMatchObject({ location: '/login?failure=expired' })
    expect(w.app.accounts.byIdentity.size).toBe(1)
  })

  test.each<[string, (w: World, subject: string) => unknown]>([
    ['their session is ended from elsewhere', (w, subject) => w.app.gatepass.sessions.revokeAll(subject)],
    ['they log out', (w) => w.browser.logOut()],
    ['their credentials change', (w, subject) => w.app.accounts.byId.set(subject, { id: subject, name: 'changed' })],
    ['their account is deleted', (w, subject) => w.app.accounts.byId.delete(subject)],
    ['somebody else logs in in this browser', (w) => w.browser.logInAs({ id: 'eve', name: 'Eve' })],
    ['they log in again with other credentials', (w, subject) => w.browser.logInAs({ id: subject, name: 'changed' })],
  ])('ends if %s while the provider answers: nothing is linked', async (_what, meanwhile) => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    const begun = await w.browser.link()
    w.provider.lies.claims = { sub: 'ada-at-work' }
    w.provider.lies.token = async (token) => {
      await meanwhile(w, subject)
      return token
    }
    const back = await w.browser.back(w.parametersOf(begun.location))
    expect(back).toMatchObject({ location: '/account?failure=expired' })
    expect(w.codes()).toEqual(['ERR_OAUTH_LINK_ENDED'])
    expect([...w.app.accounts.byIdentity.keys()].filter((key) => key.includes('ada-at-work'))).toEqual([])
  })

  test('ends if they have logged in with other credentials since, in the same session', async () => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    const begun = await w.browser.link()
    await w.browser.logInAs({ id: subject, name: 'changed' })
    const back = await w.browser.back(w.parametersOf(begun.location))
    expect(back).toMatchObject({ location: '/login?failure=expired', subject })
    expect(w.provider.exchanges).toHaveLength(1)
  })

  test('ends in another session of the same person, also if the application copied what the first one remembered', async () => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    const begun = await w.browser.link()
    w.provider.lies.claims = { sub: 'ada-at-work' }
    const { sessions } = w.app.gatepass
    const remembered = { ...(await sessions.open(w.browser.jar.exchange())).data }
    await w.browser.logOut()
    await w.browser.logInAs({ id: subject, name: 'Ada' })
    const exchange = w.browser.jar.exchange()
    Object.assign((await sessions.open(exchange)).data, remembered)
    await sessions.commit(exchange)
    const back = await w.browser.back(w.parametersOf(begun.location))
    expect(back).toMatchObject({ location: '/login?failure=expired', subject })
    expect(w.app.accounts.byIdentity.size).toBe(1)
    expect(w.provider.exchanges, 'the code is sent nowhere').toHaveLength(1)
  })

  test('tells the application who began it as they are now, and whether that still stands when it writes', async () => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    const standing: (boolean | undefined)[] = []
    w.app.accounts.beforeWriting = async ({ linking }) => {
      standing.push(await linking?.stillStands())
      await w.app.gatepass.sessions.revokeAll(subject)
      standing.push(await linking?.stillStands())
    }
    const begun = await w.browser.link()
    await w.browser.back(w.parametersOf(begun.location))
    expect(standing).toEqual([true, false])
    const { linking } = w.app.accounts.seen.at(-1)?.request ?? {}
    expect(linking).toMatchObject({ subject, stamp: 'Ada', sessionId: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })

  test('by a verdict, which a strategy without `account` gives, ends with the session too', async () => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    const wish = { purpose: 'link', subject } as const
    const slow = {
      name: 'slow',
      authenticate: async () => ({ type: 'success', user: { id: 'other', name: '' } }) as const,
    }
    const { sessions } = w.app.gatepass
    const users = { find: (id: string) => w.app.accounts.byId.get(id), subject: (user: Account) => user.id }
    const passport = new Passport<Account>({ users, strategies: [slow], sessions })
    expect(await passport.authenticate(w.browser.jar.exchange(), 'slow', {}, wish)).toMatchObject({ type: 'success' })
    const exchange = w.browser.jar.exchange()
    await sessions.open(exchange)
    await sessions.revokeAll(subject)
    const verdict = await passport.authenticate(exchange, 'slow', {}, wish)
    expect(verdict).toMatchObject({
      type: 'rejection',
      failures: [{ reason: 'expired', code: 'ERR_OAUTH_LINK_ENDED' }],
    })
  })

  test('ends if somebody else has logged in in this browser meanwhile', async () => {
    await using w = await world()
    await w.logIn()
    const begun = await w.browser.link()
    const { subject } = await w.logIn('eve')
    expect(await w.browser.back(w.parametersOf(begun.location))).toMatchObject({ location: '/', subject })
  })

  test('that is refused leads back to the account page, and changes nothing', async () => {
    await using w = await world()
    const { subject } = await w.logIn()
    const begun = await w.browser.link()
    const { state } = w.parametersOf(begun.location)
    expect(await w.browser.back({ state, error: 'access_denied' })).toMatchObject({
      location: '/account?failure=denied',
      subject,
    })
  })

  test('a flow that was begun to log in does not link, whatever its callback says', async () => {
    await using w = await world()
    await w.logIn()
    const begun = await w.browser.begin()
    w.provider.lies.claims = { sub: 'eve' }
    const back = await w.browser.back({ ...w.parametersOf(begun.href), purpose: 'link' })
    expect(back.location).toBe('/')
    expect(w.app.accounts.seen.at(-1)?.request).toMatchObject({ purpose: 'login', subject: undefined })
    expect(origin).toBe('https://app.example')
  })

  test('is no login, also where an application logs in by itself', async () => {
    await using w = await world()
    const { subject = '' } = await w.logIn()
    const success = { type: 'success', user: { id: subject, name: '' }, intent: { purpose: 'link', subject } } as const
    const exchange = w.browser.jar.exchange()
    await expect(w.app.gatepass.passport.login(exchange, success)).rejects.toMatchObject({
      code: 'ERR_PASSPORT_OPTIONS',
    })
  })
})
