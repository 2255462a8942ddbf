import { checkPassword, passwords } from 'gatepass/password'
import { describe, expect, test } from 'vitest'

const codeOf = async (...parameters: Parameters<typeof checkPassword>) => (await checkPassword(...parameters))?.code

test('a password of a few unrelated words may be chosen', async () => {
  expect(await checkPassword('tractor violin umbrella')).toBeUndefined()
})

test('fourteen characters are too few, fifteen are enough', async () => {
  expect(await codeOf('vq7-kmz+wd2_ht')).toBe('too_short')
  expect(await codeOf('vq7-kmz+wd2_hth')).toBeUndefined()
})

test('the message for a short password names the length wanted', async () => {
  expect((await checkPassword('short', { minimum: 12 }))?.message).toContain('12')
})

test('length is counted in code points after NFC', async () => {
  expect(await codeOf('\u{1f600}\u{1f680}\u{1f3a9}\u{1f431}\u{1f34b}\u{1f511}\u{1f3b2}\u{1f955}')).toBe('too_short')
  expect(await codeOf('vq7-kmz+wd2_e\u0301')).toBe('too_short')
})

test('more than 1,024 bytes are too long, whatever the number of characters', async () => {
  expect(await codeOf('tractor violin '.repeat(68))).toBeUndefined()
  expect(await codeOf('tractor violin '.repeat(69))).toBe('too_long')
  expect(await codeOf('\u{1f600}\u{1f680}\u{1f3a9}'.repeat(100))).toBe('too_long')
  expect(await codeOf('x'.repeat(1_000_000))).toBe('too_long')
})

test('half a surrogate pair is malformed', async () => {
  expect(await codeOf('tractor violin \ud800')).toBe('malformed')
})

describe('what is made of the predictable alone is guessable:', () => {
  test.each([
    'aaaaaaaaaaaaaaaaaaaa',
    'passwordpassword',
    'Password-Password-Password',
    'P@ssw0rdP@ssw0rd',
    'passwordpassword1',
    'password123456789',
    '123456789012345',
    '987654321098765',
    'abcdefghijklmnopqrst',
    'qwertyuiopasdfghjkl',
    '1qaz2wsx3edc4rfv',
    '1q2w3e4r5t6y7u8i',
    'iloveyouiloveyou',
    'qwerty1234567890',
    'abcabcabcabcabc',
    'welcomewelcome2026',
    'ilovemonkey1987',
    '               ',
    'xy'.repeat(512),
    'k7!'.repeat(6),
    'correct horse battery staple',
    'CorrectHorseBatteryStaple',
    'thequickbrownfoxjumpsoverthelazydog',
  ])('%s', async (password) => {
    expect(await codeOf(password)).toBe('guessable')
  })
})

test('a common word inside a phrase does no harm', async () => {
  expect(await codeOf('my password is a heron')).toBeUndefined()
})

describe('the own words of person and application, alone, are refused:', () => {
  const about = ['alice.smith@example.com', 'Alice Eleanor Smith']
  test.each([
    'alice.smith@example.com',
    'AliceEleanorSmith',
    'alicesmithalicesmith',
    'smith-alice-1990',
    'Al1ceSm1th!!!!2026',
    'gatepass-gatepass',
    'gatepassgatepass123',
  ])('%s', async (password) => {
    expect(await codeOf(password, { about, contextWords: ['Gatepass'] })).toBe('context')
  })

  test('and inside a phrase they do no harm', async () => {
    expect(await codeOf('alice likes rhubarb crumble', { about, contextWords: ['Gatepass'] })).toBeUndefined()
  })

  test('what is not known of the person is left out', async () => {
    expect(await codeOf('tractor violin umbrella', { about: [undefined, ''] })).toBeUndefined()
  })
})

describe('the blocklist', () => {
  test('of an application is compared whole, without regard to case', async () => {
    const blocklist = ['Tractor Violin Umbrella']
    expect(await codeOf('tractor violin UMBRELLA', { blocklist })).toBe('blocklisted')
    expect(await codeOf('tractor violin umbrella!', { blocklist })).toBeUndefined()
  })

  test('can be a function, which gets the password in NFC', async () => {
    const asked: string[] = []
    const blocklist = async (password: string) => asked.push(password) > 0
    expect(await codeOf('tractor violin cafe\u0301', { blocklist })).toBe('blocklisted')
    expect(asked).toEqual(['tractor violin caf\u00e9'])
  })

  test('that cannot answer allows the password, and is reported', async () => {
    const events: unknown[] = []
    const error = new Error('unreachable')
    const own = passwords({ blocklist: () => Promise.reject(error), onEvent: (event) => events.push(event) })
    expect(await own.check('tractor violin umbrella')).toBeUndefined()
    expect(events).toEqual([{ type: 'blocklist_unavailable', error }])
  })

  test('is not asked about a password that is refused anyway', async () => {
    const blocklist = () => expect.unreachable()
    expect(await codeOf('short', { blocklist })).toBe('too_short')
    expect(await codeOf('passwordpassword', { blocklist })).toBe('guessable')
  })

  test('given as one text is a mistake that is said', () => {
    expect(() => passwords({ blocklist: 'passwords.txt' })).toThrow(
      expect.objectContaining({ code: 'ERR_PASSWORD_OPTIONS' }),
    )
  })
})

test.each([7, 65, 15.5, Number.NaN])('a minimum of %s is refused', (minimum) => {
  expect(() => passwords({ minimum })).toThrow(expect.objectContaining({ code: 'ERR_PASSWORD_OPTIONS' }))
})

test('the longest password is judged in linear time: as many steps per character as a short one', async () => {
  // Nothing to measure but that it ends: a quadratic walk over 6,000 folded characters and 100 long names would not.
  const about = Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(5000, 'name '))
  expect(await codeOf('\ufdfa\ufdfb'.repeat(170), { about })).toBeUndefined()
})
