import { chromium } from 'playwright-core'
const B = 'http://localhost:4567'
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--headless','--no-sandbox','--disable-gpu','--disable-quic','--no-first-run','--disable-background-networking','--disable-component-update','--disable-sync'] })
const P = 'correct horse battery staple 9'
async function login(ua) {
  const r = await fetch(B + '/auth/login', { method: 'POST', headers: { origin: B, 'content-type': 'application/json', 'user-agent': ua }, body: JSON.stringify({ email: 'ada@example.com', password: P, remember: ua.includes('iPhone') }) })
  if (r.status !== 200) console.log(ua, r.status, await r.text())
}
await fetch(B + '/auth/register', { method: 'POST', headers: { origin: B, 'content-type': 'application/json' }, body: JSON.stringify({ email: 'ada@example.com', name: 'Ada Lovelace', password: P }) })
await login('Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile/15E148 Safari/604.1')
await login('curl/8.7')
await login('Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0')
for (const scheme of ['light', 'dark']) for (const width of [390, 1280]) {
  const ctx = await browser.newContext({ viewport: { width, height: 844 }, colorScheme: scheme })
  const page = await ctx.newPage()
  const shot = (n) => page.screenshot({ path: `/tmp/shots/${n}-${width}-${scheme}.png`, fullPage: true })
  await page.goto(B + '/'); await shot('home')
  await page.goto(B + '/register'); await shot('register')
  await page.fill('#email', 'someone@example.com'); await page.fill('#password', 'short'); await page.click('button[type=submit]'); await shot('register-error')
  await page.goto(B + '/nothing'); await shot('404')
  await page.goto(B + '/login?notice=registered'); await shot('login')
  await page.fill('#email', 'ada@example.com'); await page.fill('#password', 'wrong'); await page.click('main button[type=submit]'); await shot('login-error')
  await page.fill('#password', P); await page.click('main button[type=submit]'); await page.waitForURL('**/account'); await shot('account')
  await page.goto(B + '/account/sessions'); await shot('devices')
  await page.click('.top form button'); await page.waitForURL('**/login**'); await shot('logout')
  await ctx.close()
}
await browser.close()
