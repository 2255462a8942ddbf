import type { ProviderTokens } from 'gatepass/strategies/oauth2'
import { tokenVault } from 'gatepass/strategies/oidc'
import { testClock } from 'gatepass/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

vi.mock('../../timers.ts', () => import('../../../test/replaceable-timers.ts'))

const issuer = 'https://accounts.example'

function world() {
  const clock = testClock()
  const rows = new Map<string, string>()
  const refreshed: string[] = []
  /** One for each process; the rows are shared. */
  const process = () =>
    tokenVault({
      keys: ['a-key-of-at-least-thirty-two-characters'],
      load: async (subject, at) => rows.get(`${subject} ${at}`),
      save: async (subject, at, sealed) => rows.set(`${subject} ${at}`, sealed),
      replace: async (subject, at, { from, to }) => {
        const same = rows.get(`${subject} ${at}`) === from
        if (same) rows.set(`${subject} ${at}`, to)
        return same
      },
      clock,
    })
  const vault = process()
  const tokens: ProviderTokens = {
    accessToken: 'access-1',
    expiresAt: clock() + 3600_000,
    refreshToken: 'refresh-1',
    idToken: 'proof',
    scope: undefined,
  }
  const strategy = {
    async refresh(token: string): Promise<ProviderTokens> {
      refreshed.push(token)
      return { ...tokens, accessToken: 'access-2', refreshToken: 'refresh-2', expiresAt: clock() + 3600_000 }
    },
  }
  return { clock, rows, refreshed, vault, process, tokens, strategy }
}

describe('a provider’s tokens', () => {
  test('are sealed where they are stored, and handed out again', async () => {
    const { vault, rows, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    expect([...rows.values()].join()).toMatch(/^v1\./)
    expect([...rows.values()].join()).not.toMatch(/access-1|refresh-1|proof/)
    expect(await vault.accessToken('ada', issuer, strategy)).toBe('access-1')
    expect(await vault.accessToken('eve', issuer, strategy)).toBeUndefined()
  })

  test('OA-16: of one user and provider do not open for another', async () => {
    const { vault, rows, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    const sealed = rows.get(`ada ${issuer}`) ?? ''
    rows.set(`eve ${issuer}`, sealed).set('ada https://other.example', sealed)
    expect(await vault.accessToken('eve', issuer, strategy)).toBeUndefined()
    expect(await vault.accessToken('ada', 'https://other.example', strategy)).toBeUndefined()
  })

  test('are renewed when they are about to expire, once for all who ask', async () => {
    const { vault, clock, refreshed, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    clock.advance(3550)
    const asked = await Promise.all([1, 2, 3].map(() => vault.accessToken('ada', issuer, strategy)))
    expect(asked).toEqual(['access-2', 'access-2', 'access-2'])
    expect(await vault.accessToken('ada', issuer, strategy)).toBe('access-2')
    expect(refreshed).toEqual(['refresh-1'])
    clock.advance(3600)
    await vault.accessToken('ada', issuer, strategy)
    expect(refreshed).toEqual(['refresh-1', 'refresh-2'])
  })

  test('are renewed by one of the processes that share them, and the others wait for that', async () => {
    const { vault, process, clock, refreshed, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    clock.advance(3600)
    const refresh = async (token: string) => {
      // By then the two others have seen the row, lost it, and looked again.
      for (let turn = 0; turn < 200; turn++) await Promise.resolve()
      return strategy.refresh(token)
    }
    const asked = [vault, process(), process()].map((one) => one.accessToken('ada', issuer, { refresh }))
    expect(await Promise.all(asked)).toEqual(['access-2', 'access-2', 'access-2'])
    expect(refreshed).toEqual(['refresh-1'])
  })

  test('of a renewal that a process did not live to finish are renewed by the next', async () => {
    const { vault, process, clock, refreshed, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    clock.advance(3600)
    let claimed = () => {}
    const begun = new Promise<void>((resolve) => (claimed = resolve))
    const dying = { refresh: () => new Promise<never>(() => claimed()) }
    void vault.accessToken('ada', issuer, dying)
    await begun
    clock.advance(15)
    expect(await process().accessToken('ada', issuer, strategy)).toBe('access-2')
    expect(refreshed).toEqual(['refresh-1'])
  })

  test('that the provider refuses to renew can be tried again at once, by every process', async () => {
    const { vault, process, clock, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    clock.advance(3600)
    const refusing = { refresh: () => Promise.reject(new Error('no')) }
    await expect(vault.accessToken('ada', issuer, refusing)).rejects.toThrow('no')
    expect(await process().accessToken('ada', issuer, strategy)).toBe('access-2')
  })

  test.each([
    [
      'a login has replaced',
      (w: ReturnType<typeof world>) => w.vault.keep('ada', issuer, { ...w.tokens, accessToken: 'new' }),
    ],
    ['the application has deleted', (w: ReturnType<typeof world>) => w.rows.clear()],
  ])('that %s while they were renewed stay so', async (_what, meanwhile) => {
    const w = world()
    await w.vault.keep('ada', issuer, w.tokens)
    w.clock.advance(3600)
    let after: string[] = []
    const refresh = async (token: string) => {
      await meanwhile(w)
      after = [...w.rows.values()]
      return w.strategy.refresh(token)
    }
    expect(await w.vault.accessToken('ada', issuer, { refresh })).toBe('access-2')
    expect([...w.rows.values()]).toEqual(after)
  })

  describe('that are renewed and cannot be stored at once', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }))
    afterEach(() => {
      vi.useRealTimers()
      vi.restoreAllMocks()
    })

    /** The first writes after the claim fail; `after` says whether the row has changed all the same. */
    function failing(w: ReturnType<typeof world>, failures: number, after = false) {
      const warnings: string[] = []
      vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)))
      let left = failures
      const write = (name: string, to: string): void => {
        const fails = w.refreshed.length > 0 && left-- > 0
        if (!fails || after) w.rows.set(name, to)
        if (fails) throw new Error('postgres://app:hunter2@db went away')
      }
      const options = {
        keys: ['a-key-of-at-least-thirty-two-characters'] as const,
        load: (subject: string, at: string) => w.rows.get(`${subject} ${at}`),
        save: (subject: string, at: string, sealed: string) => write(`${subject} ${at}`, sealed),
        clock: w.clock,
      }
      const vault = tokenVault({
        ...options,
        replace: async (subject, at, { from, to }) => {
          const same = w.rows.get(`${subject} ${at}`) === from
          if (same) write(`${subject} ${at}`, to)
          return same
        },
      })
      return { vault, alone: tokenVault(options), warnings }
    }

    test.each([
      ['once', 1, false],
      ['eight times', 8, false],
      ['once, and the row has changed all the same', 1, true],
    ])('are handed out, and stored later: writing fails %s', async (_what, failures, after) => {
      for (const kind of ['vault', 'alone'] as const) {
        const w = world()
        const { [kind]: vault, warnings } = failing(w, failures, after)
        await w.vault.keep('ada', issuer, w.tokens)
        w.clock.advance(3600)
        expect(await vault.accessToken('ada', issuer, w.strategy)).toBe('access-2')
        expect(await vault.accessToken('ada', issuer, w.strategy)).toBe('access-2')
        await vi.advanceTimersByTimeAsync(5000)
        w.clock.advance(20)
        expect(await w.process().accessToken('ada', issuer, w.strategy)).toBe('access-2')
        expect(w.refreshed, 'the refresh token is spent once').toEqual(['refresh-1'])
        expect(warnings).toEqual(['tokenVault: renewed tokens are not stored yet: postgres://…@db went away'])
        expect(vi.getTimerCount()).toBe(0)
      }
    })

    test('do not overwrite those of a login that came meanwhile', async () => {
      const w = world()
      const { vault } = failing(w, 1)
      await w.vault.keep('ada', issuer, w.tokens)
      w.clock.advance(3600)
      await vault.accessToken('ada', issuer, w.strategy)
      await w.vault.keep('ada', issuer, { ...w.tokens, accessToken: 'new', expiresAt: w.clock() + 3600_000 })
      await vi.advanceTimersByTimeAsync(5000)
      expect(await vault.accessToken('ada', issuer, w.strategy)).toBe('new')
      expect(vi.getTimerCount()).toBe(0)
    })

    test('until they have expired are an error, and the spent refresh token is not sent again', async () => {
      const w = world()
      const { vault } = failing(w, Number.POSITIVE_INFINITY)
      await w.vault.keep('ada', issuer, w.tokens)
      w.clock.advance(3600)
      await vault.accessToken('ada', issuer, w.strategy)
      w.clock.advance(3600)
      await expect(vault.accessToken('ada', issuer, w.strategy)).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
      })
      expect(w.refreshed).toEqual(['refresh-1'])
    })
  })

  test('are not renewed with a `replace` that never stores: an error says so', async () => {
    const { rows, clock, refreshed, tokens, strategy } = world()
    const broken = tokenVault({
      keys: ['a-key-of-at-least-thirty-two-characters'],
      load: (subject) => rows.get(subject),
      save: (subject, _at, sealed) => rows.set(subject, sealed),
      replace: () => false,
      clock,
    })
    await broken.keep('ada', issuer, tokens)
    clock.advance(3600)
    await expect(broken.accessToken('ada', issuer, strategy)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(refreshed).toEqual([])
  })

  test('of one process need no `replace`', async () => {
    const { rows, clock, refreshed, tokens, strategy } = world()
    const alone = tokenVault({
      keys: ['a-key-of-at-least-thirty-two-characters'],
      load: (subject) => rows.get(subject),
      save: (subject, _at, sealed) => rows.set(subject, sealed),
      clock,
    })
    await alone.keep('ada', issuer, tokens)
    clock.advance(3600)
    expect(await Promise.all([1, 2].map(() => alone.accessToken('ada', issuer, strategy)))).toEqual([
      'access-2',
      'access-2',
    ])
    expect(refreshed).toEqual(['refresh-1'])
  })

  test('that have expired and cannot be renewed are none', async () => {
    const { vault, clock, tokens, strategy } = world()
    await vault.keep('ada', issuer, { ...tokens, refreshToken: undefined })
    clock.advance(3600)
    expect(await vault.accessToken('ada', issuer, strategy)).toBeUndefined()
  })
})
