import { expect, test } from 'vitest'
import { parseEmailAddress } from './email-address.ts'

test.each([
  ['ada@example.com', 'ada@example.com'],
  ['Ada.Lovelace+notes@Example.COM', 'ada.lovelace+notes@example.com'],
  ['  ada@example.com\t', 'ada@example.com'],
  ["o'hara_x-1@sub.example.co.uk", "o'hara_x-1@sub.example.co.uk"],
  ['ada@Bücher.example', 'ada@xn--bcher-kva.example'],
  ['Ädä@example.com', 'ädä@example.com'],
  ['用户@例子.广告', '用户@xn--fsqu00a.xn--4rr70v'],
])('%j is kept as typed, and found under %s', (typed, key) => {
  expect(parseEmailAddress(typed)).toEqual({ address: typed.trim(), key })
})

test('composed and decomposed accents are one address', () => {
  expect(parseEmailAddress('a\u0308@example.com')?.key).toBe(parseEmailAddress('\u00e4@example.com')?.key)
})

test.each([
  '',
  '@',
  'ada',
  'ada@',
  '@example.com',
  'ada@@example.com',
  'a@x.example,b@y.example',
  '"e@evil"@victim.example',
  '"ada"@example.com',
  'a@evil.example\uff20victim.example',
  'ada\uff20example.com',
  'a\uff41@example.com',
  'ada@example.com\r\nBcc: x@y.example',
  'ada@exa mple.com',
  'a da@example.com',
  '<ada@example.com>',
  'Ada <ada@example.com>',
  'ada@example',
  'ada@localhost',
  'ada@127.0.0.1',
  'ada@[127.0.0.1]',
  'ada@1.2',
  'ada@-example.com',
  'ada@example..com',
  'ada@example.com.',
  '.ada@example.com',
  'ada.@example.com',
  'a..da@example.com',
  'ada\0@example.com',
  'ada\u200b@example.com',
  'ada\u202e@example.com',
  'ada(x)@example.com',
  'ada@example.com/x',
  'ada@example.com:25',
  'ada@ex%41mple.com',
  'ada@example.com?x',
  `${'a'.repeat(65)}@example.com`,
  `a@${'b'.repeat(250)}.example`,
  'ada@\u2100.example',
  '\u212aada@example.com',
  'ada\u1fef@example.com',
  'ada@exa\u00admple.com',
  'ada@exa\u200bmple.com',
  'ada@\u202eexample.com',
  'ada@example\u3002com',
])('%j is no address', (typed) => {
  expect(parseEmailAddress(typed)).toBeUndefined()
})

test('what is no text is no address', () => {
  for (const value of [undefined, null, 1, {}, ['ada@example.com'], { toString: () => 'ada@example.com' }]) {
    expect(parseEmailAddress(value)).toBeUndefined()
  }
})

test('a very long text is refused before it is looked at', () => {
  expect(parseEmailAddress(`${'a.'.repeat(500_000)}@example.com`)).toBeUndefined()
})
