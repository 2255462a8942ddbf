import { plainCookie } from 'gatepass/cookie'
import { TestExchange, TestJar, testClock } from 'gatepass/testing'
import { expect, test } from 'vitest'

test('a jar keeps what a response sets, sends it with the next request, and drops what a response deletes', () => {
  const theme = plainCookie('theme')
  const jar = new TestJar()
  const first = jar.exchange()
  expect(first.cookies.get(theme)).toBeUndefined()
  first.cookies.set(theme, 'dark')
  jar.receive(first)
  const second = jar.exchange({ target: '/page', headers: { accept: 'text/html' } })
  expect(second.cookies.get(theme)).toBe('dark')
  expect([second.target, second.header('accept'), second.secure]).toEqual(['/page', 'text/html', true])
  second.cookies.delete(theme)
  jar.receive(second)
  expect(jar.names).toEqual([])
})

test('an exchange is what the test says it is', async () => {
  const exchange = new TestExchange({
    method: 'POST',
    origin: 'http://localhost',
    fields: { name: 'a' },
    remoteAddress: '::1',
  })
  expect([exchange.method, exchange.secure, exchange.remoteAddress, await exchange.fields()]).toEqual([
    'POST',
    false,
    '::1',
    { name: 'a' },
  ])
})

test('a clock stands still until it is told to move', () => {
  const clock = testClock(1000)
  expect([clock(), clock()]).toEqual([1000, 1000])
  clock.advance(2)
  expect(clock()).toBe(3000)
})
