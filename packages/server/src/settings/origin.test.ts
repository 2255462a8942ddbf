import { expect, test } from 'vitest'
import { isLoopbackHost, parseOrigin } from './origin.ts'

test('an origin is scheme, host and port, as the URL standard writes them', () => {
  expect(parseOrigin('https://Login.Example.com')).toBe('https://login.example.com')
  expect(parseOrigin('https://login.example.com:443/')).toBe('https://login.example.com')
  expect(parseOrigin('http://[::1]:3000')).toBe('http://[::1]:3000')
})

test.each([
  '',
  'x',
  'https://',
  'https://a/b',
  'https://a?b',
  'https://a#b',
  'https://u@a',
  'ws://a',
  'https://*.a',
  'https:\\\\a',
  ' https://a',
])('%j is none', (text) => {
  expect(parseOrigin(text)).toBeUndefined()
})

test('loopback is localhost, 127.0.0.0/8 and ::1, and nothing that only looks like it', () => {
  for (const host of ['localhost', '127.0.0.1', '127.255.0.9', '[::1]']) expect(isLoopbackHost(host)).toBe(true)
  for (const host of ['localhost.example', '127.0.0.1.example', '128.0.0.1', '[::2]', '0.0.0.0'])
    expect(isLoopbackHost(host)).toBe(false)
})
