import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ADA, startTestServer, type TestServer } from './test-server.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

if (CHROMIUM === undefined) {
  test('Chromium is installed where CI is set: apt-get install chromium', () => {
    expect(process.env.CI).toBeUndefined()
  })
}

describe.skipIf(CHROMIUM === undefined)(
  `in Chromium${CHROMIUM === undefined ? ' (SKIPPED: no Chromium on this machine)' : ''}`,
  () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ARGUMENTS })
    })
    afterAll(() => browser.close())

    /** A device of its own: nothing shared with the others. */
    async function device(server: TestServer, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
      const context: BrowserContext = await browser.newContext({ baseURL: server.origin, ...options })
      const page = await context.newPage()
      page.setDefaultTimeout(10_000)
      page.on('console', (message) => complaints.push(message.text()))
      page.on('pageerror', (error) => complaints.push(error.message))
      return page
    }
    const complaints: string[] = []

    async function register(page: Page): Promise<void> {
      await page.goto('/')
      await page.getByRole('link', { name: 'Create an account' }).click()
      await page.getByLabel('E-mail address').fill(ADA.email)
      await page.getByLabel('Password').fill(ADA.password)
      await page.getByRole('button', { name: 'Create account' }).click()
      await page.waitForURL('**/login')
    }

    async function logIn(page: Page, password: string = ADA.password): Promise<void> {
      await page.goto('/login')
      await page.getByLabel('E-mail address').fill(ADA.email)
      await page.getByLabel('Password').fill(password)
      await page.getByRole('button', { name: 'Log in' }).click()
    }

    test('a person registers, logs in, sees the account, and logs out', async () => {
      const server = await startTestServer()
      const page = await device(server)
      await register(page)
      expect(await page.getByRole('status').textContent()).toContain('You can log in now.')
      await logIn(page)
      await page.waitForURL('**/account')
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Your account')
      expect(await page.locator('main').textContent()).toContain(ADA.email)
      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL('**/login')
      expect(await page.getByRole('status').textContent()).toBe('You are logged out.')
      expect(complaints.filter((text) => !text.startsWith('Clear-Site-Data header'))).toEqual([])
    })

    test('a wrong password is said, keeps the address, and loses the password', async () => {
      const server = await startTestServer()
      const page = await device(server)
      await register(page)
      await logIn(page, 'not the right password')
      expect(await page.title()).toBe('Error: Log in – Gatepass')
      expect(await page.getByRole('alert').textContent()).toContain('The e-mail address or the password is not right.')
      expect(await page.getByLabel('E-mail address').inputValue()).toBe(ADA.email)
      expect(await page.getByLabel('Password').inputValue()).toBe('')
      expect(await page.evaluate('document.activeElement.id')).toBe('password')
      await page.getByLabel('Password').fill(ADA.password)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.waitForURL('**/account')
    })

    test('a form that was refused can be reloaded and come back to, and a notice is shown once', async () => {
      const server = await startTestServer()
      const page = await device(server, { javaScriptEnabled: false })
      await register(page)
      expect(await page.getByRole('status').textContent()).toContain('You can log in now.')
      await page.reload()
      expect(await page.getByRole('status').count()).toBe(0)
      await page.goto('/account/sessions')
      await page.getByLabel('E-mail address').fill(ADA.email)
      await page.getByLabel('Password').fill('not the right password')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByRole('alert').waitFor()
      // As Enter in the address line does, and a tab that is restored.
      await page.goto(page.url())
      await page.waitForURL('**/login?next=%2Faccount%2Fsessions')
      expect(await page.getByRole('alert').count()).toBe(0)
      await page.goBack()
      await page.goForward()
      await page.getByLabel('E-mail address').fill(ADA.email)
      await page.getByLabel('Password').fill(ADA.password)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByRole('heading', { name: 'Devices', exact: true }).waitFor()
    })

    test('of two devices one ends the other', async () => {
      const server = await startTestServer()
      const laptop = await device(server)
      const phone = await device(server, {
        userAgent:
          'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1',
        viewport: { width: 390, height: 844 },
      })
      await register(laptop)
      await logIn(laptop)
      await logIn(phone)
      await phone.waitForURL('**/account')
      await laptop.getByRole('link', { name: 'Devices', exact: true }).click()
      const others = laptop.getByRole('region', { name: 'Other devices' })
      expect(await others.getByRole('listitem').count()).toBe(1)
      expect(await others.textContent()).toContain('Safari on iPhone')
      expect(await laptop.getByRole('region', { name: 'This device' }).textContent()).toContain('Current')
      await others.getByRole('button', { name: 'Log out' }).click()
      await laptop.waitForURL('**/account/sessions')
      expect(await laptop.getByRole('status').textContent()).toBe('That device is logged out.')
      expect(await laptop.locator('main').textContent()).toContain('No other device is logged in.')
      await phone.reload()
      expect(new URL(phone.url()).pathname).toBe('/login')
    })

    test('a person logs in with Google, links Facebook, unlinks Google, and is not let unlink the last way in', async () => {
      const server = await startTestServer({ pretend: true })
      const page = await device(server, { javaScriptEnabled: false })
      await page.goto('/login')
      await page.getByRole('link', { name: 'Continue with Google' }).click()
      await page.getByRole('button', { name: 'Ada Lovelace' }).click()
      await page.waitForURL('**/account')
      const ways = page.getByRole('region', { name: 'Ways to log in' })
      expect(await ways.textContent()).toContain('Your only way to log in')
      await ways.getByRole('button', { name: 'Link Facebook' }).click()
      await page.getByRole('button', { name: 'Nemo' }).click()
      await page.waitForURL('**/account')
      expect(await page.getByRole('status').textContent()).toBe('From now on you can log in with this, too.')
      await ways.getByRole('listitem').filter({ hasText: 'Google' }).getByRole('button', { name: 'Unlink' }).click()
      await page.getByText('You can no longer log in with that.').waitFor()
      expect(await ways.getByRole('button', { name: 'Unlink' }).count()).toBe(0)
      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL('**/login')
      await page.getByRole('link', { name: 'Continue with Facebook' }).click()
      await page.getByRole('button', { name: 'Nemo' }).click()
      await page.waitForURL('**/account')
      expect(await page.locator('main').textContent()).toContain('Ada Lovelace')
    })

    test('whoever cancels at the provider is told so, and gets in by another try', async () => {
      const server = await startTestServer({ pretend: true })
      const page = await device(server)
      await page.goto('/login?next=%2Faccount%2Fsessions')
      await page.getByRole('link', { name: 'Continue with Facebook' }).click()
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.getByRole('heading', { name: 'You cancelled' }).waitFor()
      await page.getByRole('link', { name: 'Try again with Facebook' }).click()
      await page.getByRole('button', { name: 'Alan Turing' }).click()
      await page.waitForURL('**/account/sessions')
      await page.goBack()
      await page.goForward()
      expect(new URL(page.url()).pathname).toBe('/account/sessions')
    })

    test('a login begun in two tabs arrives in both, and a callback that is opened twice logs nobody out', async () => {
      const server = await startTestServer({ pretend: true })
      const page = await device(server)
      const other = await page.context().newPage()
      for (const tab of [page, other]) {
        await tab.goto('/login')
        await tab.getByRole('link', { name: 'Continue with Google' }).click()
        await tab.getByRole('button', { name: 'Ada Lovelace' }).waitFor()
      }
      const callback = other.waitForRequest((request) => request.url().includes('/auth/google/callback'))
      await other.getByRole('button', { name: 'Ada Lovelace' }).click()
      const url = (await callback).url()
      await other.waitForURL('**/account')
      await page.getByRole('button', { name: 'Ada Lovelace' }).click()
      await page.waitForURL('**/account')
      await page.goto(url)
      await page.getByRole('heading', { name: 'This login has ended' }).waitFor()
      await page.getByRole('link', { name: 'To your account' }).click()
      await page.waitForURL('**/account')
    })

    test('a link on another site asks first', async () => {
      const server = await startTestServer({ pretend: true })
      const page = await device(server)
      await page.goto(
        await pageElsewhere(`<a href="${server.origin.replace('localhost', '127.0.0.1')}/auth/google">go</a>`),
      )
      await page.getByRole('link', { name: 'go' }).click()
      await page.getByRole('heading', { name: 'Log in with Google?' }).waitFor()
      await page.getByRole('link', { name: 'Log in with Google' }).click()
      await page.getByRole('button', { name: 'Ada Lovelace' }).click()
      await page.waitForURL('**/account')
    })

    test('after logout the back button shows nothing of the account', async () => {
      const server = await startTestServer()
      const page = await device(server)
      await register(page)
      await logIn(page)
      await page.waitForURL('**/account')
      await page.goto('/account/sessions')
      await page.getByRole('navigation').getByRole('link', { name: 'Account' }).click()
      await page.getByRole('banner').getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL('**/login')
      for (let n = 0; n < 3; n++) {
        await page.goBack()
        expect(new URL(page.url()).pathname).toBe('/login')
        expect(await page.content()).not.toContain(ADA.email)
      }
    })

    test('a form that was open before the login of another tab still works', async () => {
      const server = await startTestServer()
      const first = await device(server)
      await register(first)
      const second = await first.context().newPage()
      await first.goto('/login')
      await logIn(second)
      await second.waitForURL('**/account')
      await first.getByLabel('E-mail address').fill(ADA.email)
      await first.getByLabel('Password').fill(ADA.password)
      await first.getByRole('button', { name: 'Log in' }).click()
      await first.waitForURL('**/account')
      await second.goto('/account')
      await second.getByRole('button', { name: 'Log out' }).click()
      await first.reload()
      expect(new URL(first.url()).pathname).toBe('/login')
      await first.goto('/account')
      expect(new URL(first.url()).pathname).toBe('/login')
    })

    test('the keyboard alone logs in and out, and what has the focus can be seen', async () => {
      const server = await startTestServer()
      const page = await device(server)
      await register(page)
      await page.goto('/login')
      expect(await page.evaluate('document.activeElement.id')).toBe('email')
      await page.keyboard.type(ADA.email)
      await page.keyboard.press('Tab')
      await page.keyboard.type(ADA.password)
      await page.keyboard.press('Tab')
      await page.keyboard.press('Space')
      expect(await page.getByLabel('Keep me logged in').isChecked()).toBe(true)
      await page.keyboard.press('Tab')
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
      await page.keyboard.press('Enter')
      await page.waitForURL('**/account')
      await page.keyboard.press('Tab')
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content')
      await page.keyboard.press('Enter')
      expect(await page.evaluate('document.activeElement.id')).toBe('main')
      await page.goto('/account')
      for (let n = 0; n < 5; n++) await page.keyboard.press('Tab')
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Log out')
      await page.keyboard.press('Enter')
      await page.waitForURL('**/login')
    })

    test('on a phone no page is wider than the screen, however long name and address are', async () => {
      const server = await startTestServer()
      const page = await device(server, { viewport: { width: 390, height: 844 } })
      const email = `${'wolfeschlegelstein'.repeat(3)}@${'krankenversicherung'.repeat(3)}.example.com`
      const person = { email, password: ADA.password, name: 'x'.repeat(80) }
      await server.visitor().json('POST', '/auth/register', person)
      await page.goto('/login')
      await page.getByLabel('E-mail address').fill(email)
      await page.getByLabel('Password').fill('not the right password')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByRole('alert').waitFor()
      await page.getByLabel('Password').fill(ADA.password)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.waitForURL('**/account')
      for (const path of ['/account', '/account/sessions', '/nothing', '/', '/register']) {
        await page.goto(path)
        expect([path, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([path, 390])
      }
    })

    test('without JavaScript everything works', async () => {
      const server = await startTestServer()
      const page = await device(server, { javaScriptEnabled: false })
      await register(page)
      await logIn(page)
      await page.waitForURL('**/account')
      await page.getByRole('link', { name: 'Show devices' }).click()
      await page.getByRole('region', { name: 'This device' }).getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL('**/login')
    })

    test('another site cannot log anybody out', async () => {
      const server = await startTestServer()
      const page = await device(server)
      await register(page)
      await logIn(page)
      await page.waitForURL('**/account')
      const evil = await page.context().newPage()
      // Another port of the same machine is the same site to a browser, so it sends the cookies; but it is another origin.
      await evil.goto(
        await pageElsewhere(
          `<form method="post" action="${server.origin}/auth/logout"><button>Win a car</button></form>`,
        ),
      )
      const refusal = evil.waitForResponse('**/auth/logout')
      await evil.getByRole('button').click()
      expect((await refusal).status()).toBe(403)
      await page.reload()
      expect(new URL(page.url()).pathname).toBe('/account')
    })

    test.each([
      ['light', 390],
      ['light', 1280],
      ['dark', 390],
      ['dark', 1280],
    ] as const)(
      'in %s at %d pixels all text has contrast, and nothing has to be scrolled sideways',
      async (colorScheme, width) => {
        const server = await startTestServer({ pretend: true })
        const page = await device(server, { colorScheme, viewport: { width, height: 844 } })
        await register(page)
        const check = async (): Promise<void> => {
          expect(await page.evaluate(faintTexts)).toEqual([])
          expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
        }
        await check()
        await logIn(page, 'not the right password')
        await check()
        await page.goto('/register')
        await page.getByLabel('E-mail address').fill(`${'long'.repeat(15)}@${'very-'.repeat(12)}long.example.com`)
        await page.getByLabel('Password').fill('short')
        await page.getByRole('button', { name: 'Create account' }).click()
        await check()
        await logIn(page)
        await page.waitForURL('**/account')
        await check()
        await page.context().addCookies([{ name: 'gp-notice', value: 'device-ended', url: server.origin }])
        await page.goto('/account/sessions')
        expect(await page.getByRole('status').count()).toBe(1)
        await check()
        await page.goto('/nothing')
        await check()
        await page.goto('/account')
        await page.getByRole('button', { name: 'Link Google' }).click()
        await page.getByRole('button', { name: 'Alan Turing' }).click()
        await page.waitForURL('**/account')
        await check()
        await page.goto('/login?again=1')
        await check()
        await page.getByRole('link', { name: 'Continue with Facebook' }).click()
        await page.getByRole('button', { name: 'Cancel' }).click()
        await page.getByRole('link', { name: 'To your account' }).waitFor()
        await check()
      },
    )
  },
)

/** The address of a page that somebody else has made. */
async function pageElsewhere(body: string): Promise<string> {
  const elsewhere = createServer((_, res) => res.setHeader('content-type', 'text/html').end(body))
  onTestFinished(() => {
    elsewhere.close()
    elsewhere.closeAllConnections()
  })
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  return `http://localhost:${(elsewhere.address() as AddressInfo).port}/`
}

/** Runs in the page: texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3). */
const faintTexts = `(() => {
  const rgb = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a } }
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((value) => { const v = value / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 })
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor)
      if (colour.a === 1) return colour
    }
    return rgb(getComputedStyle(document.documentElement).backgroundColor)
  }
  const faint = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim()
    const element = walker.currentNode.parentElement
    if (text === '' || element.closest('.skip, svg') !== null) continue
    const [a, b] = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < 4.5) faint.push(text + ' ' + ratio.toFixed(2))
  }
  return faint
})()`
