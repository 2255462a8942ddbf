import { expect, test } from 'vitest'
import { deviceOf, readAbout } from './about.ts'

const client = { device: 'curl', address: '203.0.113.7' }

test('the notes of a record read back as they were written', () => {
  const login = { at: 1, amr: ['pwd'], by: 'local', stamp: 'x', remembered: true }
  expect(readAbout(JSON.stringify({ login, client }))).toEqual({ login, client })
  expect(readAbout(JSON.stringify({ login: undefined, client })).login).toBeUndefined()
})

test.each(['', 'null', '[]', '{}', '{"login":{}}', '{"secret"'])(
  'notes of somebody else (%j) are an error that does not quote them',
  (text) => {
    let thrown: unknown
    try {
      readAbout(text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'ERR_STORE_SCHEMA', status: 503 })
    expect((thrown as Error).cause).toBeUndefined()
    expect(String(thrown)).not.toContain('secret')
  },
)

test.each([
  ['Firefox on Linux', 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'],
  [
    'Chrome on Windows',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
  [
    'Edge on Windows',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0',
  ],
  [
    'Safari on macOS',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
  ],
  [
    'Safari on iPhone',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1',
  ],
  [
    'Chrome on iPad',
    'Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.46 Mobile/15E148 Safari/604.1',
  ],
  [
    'Samsung Internet on Android',
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36',
  ],
  [
    'Opera on Linux',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0',
  ],
  [
    'Chrome on ChromeOS',
    'Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
  ['curl', 'curl/8.17.0'],
  ['Node.js', 'node'],
  ['unknown browser on Linux', 'Something/1 (Linux)'],
  ['unknown device', 'Something/1'],
  ['unknown device', ''],
  ['unknown device', undefined],
])('%s is recognised', (device, userAgent) => {
  expect(deviceOf(userAgent)).toBe(device)
})

test('no more than 512 characters of a User-Agent count', () => {
  expect(deviceOf(`${'x'.repeat(512)}curl/8`)).toBe('unknown device')
})
