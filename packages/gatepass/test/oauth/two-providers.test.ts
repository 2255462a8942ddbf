/** What may not pass from one provider to another, in an application that has two. */
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { oidc } from '../../src/strategies/oidc.ts'
import type { TestBrowser } from '../../src/testing/browser.ts'
import { Accounts, site } from './express-site.ts'
import { CLIENT_ID, CLIENT_SECRET, codeFor, lyingProvider } from './lying-provider.ts'

async function world() {
  const [honest, other] = await Promise.all([lyingProvider(Date.now), lyingProvider(Date.now)])
  const accounts = new Accounts()
  const basics = { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, account: accounts.find }
  const app = await site(
    [
      oidc({ ...basics, name: 'honest', issuer: honest.issuer, callback: '/auth/honest/callback' }),
      oidc({ ...basics, name: 'other', issuer: other.issuer, callback: '/auth/other/callback' }),
    ],
    accounts,
  )
  return {
    ...{ honest, other, app, accounts },
    async [Symbol.asyncDispose]() {
      await Promise.all([app, honest, other].map((server) => server[Symbol.asyncDispose]()))
    },
  }
}

type Name = 'honest' | 'other'

/** Begins a login, and gives what the provider would send the browser back with. */
async function begin(browser: TestBrowser, name: Name): Promise<Record<string, string>> {
  const { headers } = await browser.fetch(`/auth/${name}`, { manual: true })
  const authorization = new URL(headers.get('location') ?? '')
  return { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
}

async function comeBack(browser: TestBrowser, name: Name, parameters: Record<string, string>) {
  const target = `/auth/${name}/callback?${new URLSearchParams(parameters)}`
  const { headers } = await browser.fetch(target, { manual: true, headers: { 'sec-fetch-site': 'cross-site' } })
  const page = await browser.fetch('/')
  return { location: headers.get('location'), user: ((await page.json()) as { user: unknown }).user }
}

/** Where a request leads; `fetch` would not let it name another host. */
async function locationOf(url: string, headers: Record<string, string>): Promise<URL> {
  const [response] = (await once(get(url, { headers }), 'response')) as [IncomingMessage]
  response.resume()
  return new URL(response.headers.location ?? '')
}

test('attack 64: the state of a login with one provider counts for nothing at another’s callback', async () => {
  await using w = await world()
  const browser = w.app.browser()
  const begun = await begin(browser, 'other')
  expect(await comeBack(browser, 'honest', begun)).toEqual({ location: '/login?failure=expired', user: null })
  expect([...w.honest.exchanges, ...w.other.exchanges]).toEqual([])
  expect(await comeBack(browser, 'other', begun)).toMatchObject({ location: '/', user: { id: 'user-1' } })
})

test('attack 67: a code of the one is not sent to the other', async () => {
  await using w = await world()
  const browser = w.app.browser()
  const begun = await begin(browser, 'other')
  expect(await comeBack(browser, 'other', { ...begun, iss: w.honest.issuer })).toMatchObject({ user: null })
  expect(w.other.exchanges).toEqual([])
})

test('ASVS 6.8.1: the same subject at two providers is two people', async () => {
  await using w = await world()
  for (const name of ['honest', 'other'] as const) {
    const browser = w.app.browser()
    await comeBack(browser, name, await begin(browser, name))
  }
  expect(w.accounts.seen.map(({ identity }) => [identity.issuer, identity.subject])).toEqual([
    [w.honest.issuer, 'ada'],
    [w.other.issuer, 'ada'],
  ])
  expect(w.accounts.byId.size).toBe(2)
})

test('OA-8: each provider is given a callback of its own, whatever host the request names', async () => {
  await using w = await world()
  for (const name of ['honest', 'other'] as const) {
    const location = await locationOf(`${w.app.origin}/auth/${name}`, { host: 'evil.example' })
    expect(location.searchParams.get('redirect_uri')).toBe(`${w.app.origin}/auth/${name}/callback`)
  }
})

test('OA-12: a form that leads to a provider is not sent on to it', async () => {
  await using w = await world()
  const browser = w.app.browser()
  await comeBack(browser, 'honest', await begin(browser, 'honest'))
  expect((await browser.fetch('/link/other', { form: {}, manual: true })).status).toBe(303)
})
