import fc from 'fast-check'
import { safeLocation } from 'gatepass/node'
import { describe, expect, test } from 'vitest'

const origin = 'https://good.example'
const safe = (target: unknown, allowed: readonly string[] = []): string =>
  safeLocation(target, { origin, allowed, fallback: '/home' })

test.each([
  ['/', '/'],
  ['/account', '/account'],
  ['/search?q=a%20b&next=//evil.example#top', '/search?q=a%20b&next=//evil.example#top'],
  ['/a/../b/./c', '/b/c'],
  ['/caf\u00e9', '/caf%C3%A9'],
  ['/\ud83d\ude00', '/%F0%9F%98%80'],
  ['/a//b', '/a//b'],
  ['https://good.example/account', '/account'],
  ['HTTPS://GOOD.example:443/account', '/account'],
  ['//good.example/account', '/account'],
])('%j stays here, as %j', (target, location) => {
  expect(safe(target)).toBe(location)
})

describe('goes to the fallback', () => {
  test.each([
    ['a scheme-relative address', '//evil.example'],
    ['three slashes', '///evil.example'],
    ['many slashes', '/////evil.example'],
    ['a backslash for the second slash', '/\\evil.example'],
    ['a backslash for the first slash', '\\/evil.example'],
    ['two backslashes', '\\\\evil.example'],
    ['a backslash further on', '/a\\b'],
    ['an encoded backslash', '/%5Cevil.example'],
    ['an encoded slash', '/%2Fevil.example'],
    ['two encoded slashes', '/%2f%2fevil.example'],
    ['a scheme-relative address with encoded slashes', '//evil.example%2f..'],
    ['a tab between the slashes', '/\t/evil.example'],
    ['a line feed between the slashes', '/\n/evil.example'],
    ['a carriage return between the slashes', '/\r/evil.example'],
    ['a leading space', ' //evil.example'],
    ['a leading control', '\u0001//evil.example'],
    ['NUL', '/\u0000/evil.example'],
    ['a dot segment that leaves two slashes', '/.//evil.example'],
    ['an encoded dot segment that leaves two slashes', '/%2e//evil.example'],
    ['a parent segment that leaves two slashes', '/a/..//evil.example'],
    ['the scheme without slashes', 'http:evil.example'],
    ['the scheme with one slash', 'http:/evil.example'],
    ['the scheme with three slashes', 'https:///evil.example'],
    ['the scheme with backslashes', 'https:\\\\evil.example'],
    ['an upper-case scheme', 'HTTPS://evil.example'],
    ['another scheme of the same host', 'http://good.example/'],
    ['another port', 'https://good.example:8443/'],
    ['javascript:', 'javascript:alert(1)'],
    ['javascript: in capitals with a line break', 'jAvaScRipt\n:alert(1)'],
    ['javascript: with an authority', 'javascript://good.example/%0aalert(1)'],
    ['data:', 'data:text/html,<script>alert(1)</script>'],
    ['vbscript:', 'vbscript:x'],
    ['file:', 'file:///etc/passwd'],
    ['blob: of this origin', 'blob:https://good.example/5f0d'],
    ['our name as user', 'https://good.example@evil.example/'],
    ['our name as user, encoded', 'https://good.example%40evil.example/'],
    ['our name as user and password', '//good.example:x@evil.example'],
    ['a user on our own host', 'https://user@good.example/'],
    ['our name as a prefix', 'https://good.example.evil.example'],
    ['our name as a suffix', 'https://evilgood.example'],
    ['a trailing dot', 'https://good.example./'],
    ['our name after a backslash', 'https://evil.example\\@good.example'],
    ['our name after a hash', 'https://evil.example#good.example'],
    ['our name after a question mark', 'https://evil.example?good.example'],
    ['an ideographic full stop', '//evil\u3002example'],
    ['a full-width full stop', '//evil\uff0eexample'],
    ['full-width slashes in the authority', 'https://good.example\uff0f.evil.example'],
    ['punycode', '//xn--e1awd7f.example'],
    ['an IPv4 address as a number', '//3232235777'],
    ['an IPv6 address', '//[::1]/'],
    ['a header behind it', '/a\r\nSet-Cookie: a=1'],
    ['LINE SEPARATOR', '/a\u2028b'],
    ['a malformed address', 'https://'],
    ['a malformed host', '//a b/'],
    ['nothing', ''],
    ['too much', `/${'a'.repeat(3000)}`],
  ])('%s', (_name, target) => {
    expect(safe(target)).toBe('/home')
  })

  test.each([undefined, null, 5, ['/a'], { toString: () => '/a' }])('what is no text: %o', (target) => {
    expect(safe(target)).toBe('/home')
  })
})

test('a target without scheme stays within the origin even where it looks like a host', () => {
  expect(safe('evil.example')).toBe('/evil.example')
  expect(safe('https:evil.example')).toBe('/evil.example')
})

test('a listed origin may be gone to, and no other', () => {
  const allowed = ['https://other.example', 'https://APP.example:443', 'not an origin']
  expect(safe('https://other.example/a?b#c', allowed)).toBe('https://other.example/a?b#c')
  expect(safe('//app.example/', allowed)).toBe('https://app.example/')
  expect(safe('http://other.example/', allowed)).toBe('/home')
  expect(safe('https://sub.other.example/', allowed)).toBe('/home')
  expect(safe('https://user@other.example/', allowed)).toBe('/home')
  expect(safe('blob:https://other.example/5f0d', allowed)).toBe('/home')
})

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        '/',
        '\\',
        '//',
        '.',
        '..',
        ':',
        '@',
        '?',
        '#',
        '%2f',
        '%5c',
        '%2e',
        '\t',
        '\r\n',
        '\u0000',
        '\u2028',
        ' ',
        'https:',
        'http:',
        'javascript:',
        'data:',
        'blob:',
        'good.example',
        'evil.example',
        'other.example',
        '\u3002',
        '\uff0f',
        '[::1]',
        'a',
        '%',
        '\ud800',
      ),
      { maxLength: 10 },
    )
    .map((parts) => parts.join('')),
)

test('a redirect target from the request never leaves the origin unless it is listed', () => {
  fc.assert(
    fc.property(hostile, (target) => {
      const location = safe(target, ['https://other.example'])
      expect(location).toMatch(/^[\x21-\x7e]+$/)
      const arrived = new URL(location, origin)
      expect(['https://good.example', 'https://other.example']).toContain(arrived.origin)
      expect(safe(location, ['https://other.example'])).toBe(location)
    }),
    { numRuns: 5000 },
  )
})
