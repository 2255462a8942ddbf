import type { SessionStore } from 'gatepass/session'
import { expect } from 'vitest'
import type { FaultyProxy } from './faulty-proxy.ts'
import { until } from './until.ts'
import { expectKept, Load, session, unavailable } from './visitors.ts'

/** What is true of both: a restart under load is a 503 while it lasts, and loses nothing acknowledged. */
export async function surviveRestart(
  store: SessionStore,
  server: { stop(): Promise<void>; start(): Promise<void> },
): Promise<void> {
  const load = new Load(store, 'restart')
  await load.goesOn(100)
  await server.stop()
  await load.isRefused()
  await server.start()
  await load.goesOn(100)
  await load.end()
  expect(await expectKept(store, load.visitors)).toBeGreaterThan(200)
}

/** The server never hears of the write. */
export async function surviveCutBefore(store: SessionStore, proxy: FaultyProxy): Promise<void> {
  const record = session()
  await store.insert(record)
  const cut = proxy.cutAtNextRequest('before')
  await expect(store.replace({ ...record, version: 2 }, 1)).rejects.toEqual(unavailable)
  await cut
  expect(await store.load(record.id)).toEqual(record)
}

/** The server has written; nobody hears of it. */
export async function surviveCutAfter(store: SessionStore, proxy: FaultyProxy): Promise<void> {
  const record = session({ subject: 'cut' })
  await store.insert(record)
  // Prepares the statement, so that the next thing sent is the write itself.
  expect(await store.replace({ ...record, version: 2 }, 1)).toBe('done')
  const cut = proxy.cutAtNextRequest('after')
  await expect(store.replace({ ...record, version: 3, data: '{"n":1}' }, 2)).rejects.toEqual(unavailable)
  await cut
  expect(await store.load(record.id)).toEqual({ ...record, version: 3, data: '{"n":1}' })
}

/** @param store one with a time limit below half a second */
export async function keepAnswersApart(store: SessionStore, proxy: FaultyProxy): Promise<void> {
  const records = Array.from({ length: 20 }, (_, n) => session({ data: `{"n":${n}}` }))
  for (const record of records) await store.insert(record)
  for (const [n, record] of records.entries()) {
    proxy.holdAnswers()
    const unanswered = Promise.resolve(store.load(record.id)).catch((error: unknown) => error)
    if (n % 2) expect(await unanswered).toEqual(unavailable)
    proxy.letThrough()
    await unanswered
    const other = records[(n + 7) % records.length]
    await until(() => answers(store))
    expect(await store.load(other?.id ?? record.id)).toEqual(other)
  }
}

/** @param store one with a time limit of a second */
export async function failAtOnce(store: SessionStore, proxy: FaultyProxy): Promise<void> {
  const record = session()
  await store.insert(record)
  proxy.holdAnswers()
  await expect(store.load(record.id)).rejects.toMatchObject({ message: expect.stringMatching(/ within 1 s$/) })
  // Meanwhile a plain question finds out whether the server answers that.
  await expect(store.load(record.id)).rejects.toMatchObject({ message: expect.stringMatching(/ does not answer$/) })
  const before = proxy.approaches
  const calls = Array.from({ length: 50 }, (_, n) => (n % 2 ? store.remove(record.id) : store.insert(session())))
  for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
    expect(reason).toEqual(unavailable)
    expect(reason.message).toContain(`127.0.0.1:${proxy.port}/`)
  }
  expect(proxy.approaches).toBe(before)
  proxy.letThrough()
  await until(() => answers(store))
  expect(await store.load(record.id)).toEqual(record)
}

async function answers(store: SessionStore): Promise<boolean> {
  try {
    await store.load(session().id)
    return true
  } catch {
    return false
  }
}
