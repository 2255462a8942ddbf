import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type AdmittedTry, addressGroups, Limits, type LoginTry, type RefusedTry } from './limits.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const config = {
  loginsPerAddress: 30,
  loginsPerPair: 10,
  freeFailures: 5,
  longestDelay: 900,
  registrationsPerAddress: 10,
}

function fail(limits: Limits, attempt: Partial<LoginTry> = {}): Promise<AdmittedTry | RefusedTry> {
  return limits.admitLogin({ address: '192.0.2.1', account: 'ada', device: undefined, ...attempt })
}

test('from the fifth failure on each try waits twice as long, up to 15 minutes', async () => {
  const limits = new Limits({ ...config, loginsPerAddress: 1000, loginsPerPair: 1000 })
  for (let n = 0; n < 5; n++) expect(await fail(limits)).toMatchObject({ admitted: true })
  for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]) {
    expect(await fail(limits)).toEqual({ admitted: false, retryAfter: seconds })
    vi.advanceTimersByTime(seconds * 1000 - 1)
    expect(await fail(limits)).toEqual({ admitted: false, retryAfter: 1 })
    vi.advanceTimersByTime(1)
    expect(await fail(limits)).toMatchObject({ admitted: true })
  }
})

test('a success ends the waiting and says how many failures there were', async () => {
  const limits = new Limits(config)
  for (let n = 0; n < 5; n++) await fail(limits)
  vi.advanceTimersByTime(1000)
  const attempt = (await fail(limits)) as AdmittedTry
  expect(await attempt.succeeded()).toBe(5)
  for (let n = 0; n < 4; n++) expect(await fail(limits)).toMatchObject({ admitted: true })
})

test('a try that could not be decided counts for nothing', async () => {
  const limits = new Limits({ ...config, loginsPerPair: 2 })
  for (let n = 0; n < 20; n++) {
    const attempt = await fail(limits)
    expect(attempt.admitted).toBe(true)
    if (attempt.admitted) await attempt.undecided()
  }
})

test('one address may fail 30 times in 5 minutes, and 10 times in 15 at one account', async () => {
  const limits = new Limits({ ...config, freeFailures: 10, longestDelay: 1 })
  for (let n = 0; n < 10; n++) expect(await fail(limits)).toMatchObject({ admitted: true })
  vi.advanceTimersByTime(2000)
  expect(await fail(limits)).toMatchObject({ admitted: false, retryAfter: 898 })
  for (let n = 0; n < 20; n++) expect(await fail(limits, { account: `p${n}` })).toMatchObject({ admitted: true })
  expect(await fail(limits, { account: 'bob' })).toMatchObject({ admitted: false, retryAfter: 298 })
  expect(await fail(limits, { account: 'bob', address: '192.0.2.2' })).toMatchObject({ admitted: true })
})

test('all addresses of one /64 count as one, and those of one /48 as eight', async () => {
  const limits = new Limits({ ...config, loginsPerAddress: 2 })
  const at = (group: number, host: number): string => `2001:db8:0:${group.toString(16)}::${host.toString(16)}`
  for (let n = 1; n <= 2; n++)
    expect(await fail(limits, { account: `a${n}`, address: at(1, n) })).toMatchObject({ admitted: true })
  expect(await fail(limits, { account: 'a3', address: at(1, 3) })).toMatchObject({ admitted: false })
  for (let n = 2; n <= 15; n++)
    expect(await fail(limits, { account: `b${n}`, address: at(n, 1) })).toMatchObject({ admitted: true })
  expect(await fail(limits, { account: 'c', address: at(16, 1) })).toMatchObject({ admitted: false })
})

test('a known device has a count of its own', async () => {
  const limits = new Limits(config)
  for (let n = 0; n < 6; n++) await fail(limits)
  expect(await fail(limits)).toMatchObject({ admitted: false })
  for (let n = 0; n < 5; n++) expect(await fail(limits, { device: 'laptop' })).toMatchObject({ admitted: true })
  expect(await fail(limits, { device: 'laptop' })).toMatchObject({ admitted: false })
})

test('one address registers ten times an hour', async () => {
  const limits = new Limits(config)
  for (let n = 0; n < 10; n++) expect(await limits.admitRegistration('192.0.2.1')).toBeUndefined()
  expect(await limits.admitRegistration('192.0.2.1')).toBe(3600)
  expect(await limits.admitRegistration('192.0.2.2')).toBeUndefined()
  vi.advanceTimersByTime(3600_000)
  expect(await limits.admitRegistration('192.0.2.1')).toBeUndefined()
})

test('a home that is refused uses up nothing of its neighbours', async () => {
  const limits = new Limits(config)
  for (let n = 0; n < 200; n++) await limits.admitRegistration('2001:db8:0:1::1')
  expect(await limits.admitRegistration('2001:db8:0:2::1')).toBeUndefined()
})

test('an address that is refused leaves nothing behind, whatever it makes up', async () => {
  const limits = new Limits({ ...config, loginsPerAddress: 2 })
  for (let n = 0; n < 2; n++) await fail(limits, { address: '192.0.2.1', account: `a${n}` })
  const before = vi.getTimerCount()
  for (let n = 0; n < 100; n++) {
    expect(await fail(limits, { address: '192.0.2.1', account: `b${n}` })).toMatchObject({ admitted: false })
  }
  expect(vi.getTimerCount()).toBe(before)
})

test('a site that is refused leaves nothing behind, from however many networks of its own', async () => {
  const limits = new Limits({ ...config, loginsPerAddress: 1 })
  for (let n = 0; n < 8; n++) await fail(limits, { address: `2001:db8:0:${n}::1`, account: `a${n}` })
  const before = vi.getTimerCount()
  for (let n = 8; n < 100; n++) {
    const address = `2001:db8:0:${n.toString(16)}::1`
    expect(await fail(limits, { address, account: `a${n}` })).toMatchObject({ admitted: false })
  }
  expect(vi.getTimerCount()).toBe(before)
})

test.each([
  ['192.0.2.1', ['192.0.2.1']],
  ['::ffff:192.0.2.1', ['192.0.2.1']],
  ['2001:0DB8:0001:0002:0003:0004:0005:0006', ['2001:db8:1:2::/64', '2001:db8:1::/48']],
  ['2001:db8::1', ['2001:db8:0:0::/64', '2001:db8:0::/48']],
  ['::1', ['0:0:0:0::/64', '0:0:0::/48']],
  ['fe80::1%eth0', ['fe80:0:0:0::/64', 'fe80:0:0::/48']],
  [undefined, ['unknown']],
])('%s is counted as %j', (address, keys) => {
  expect(addressGroups(address).map((group) => group.key)).toEqual(keys)
})
