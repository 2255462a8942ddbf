import { afterEach, expect, test, vi } from 'vitest'
import { providerFetch } from './provider-fetch.ts'

const resolver = vi.hoisted(() => ({ lookup: vi.fn() }))
vi.mock('node:dns/promises', () => resolver)

afterEach(() => {
  vi.restoreAllMocks()
})

test('a name that nobody looks up is waited for no longer than an answer', async () => {
  const limit = new AbortController()
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal)
  resolver.lookup.mockImplementation(() => {
    setImmediate(() => limit.abort())
    return new Promise(() => {})
  })
  const ask = providerFetch({ loopback: false, privateNetwork: false })
  await expect(ask('https://accounts.example/')).rejects.toMatchObject({ code: 'ERR_OAUTH_UNAVAILABLE', status: 502 })
})

test.each(['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1'])('a name that leads to %s is not asked', async (address) => {
  resolver.lookup.mockResolvedValue([{ address: '93.184.215.14' }, { address }])
  const ask = providerFetch({ loopback: false, privateNetwork: false })
  await expect(ask('https://accounts.example/')).rejects.toMatchObject({ code: 'ERR_OAUTH_ADDRESS' })
})
