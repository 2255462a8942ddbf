import type { SessionStore } from 'gatepass/session'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { eventually, until } from './until.ts'
import { expectKept, Load, session, unavailable } from './visitors.ts'

interface Server {
  readonly port: number
  close(): Promise<void>
}

interface Opened {
  readonly store: SessionStore
  close(): Promise<void>
}

/** A server for the tests of one file, a proxy in front of it, and stores on either, which are closed after each test. */
export interface SqlSetUp<Started extends Server, Options, Store extends Opened> {
  readonly server: Started
  readonly proxy: FaultyProxy
  /** @param through the server itself, or the proxy */
  open(through: { readonly port: number }, options?: Options): Store
}

/**
 * Starts the server before the first test.
 *
 * @param installed whether there is a server to start
 * @param open makes a store with a time limit of a second, unless the options name another
 */
export function setUp<Started extends Server, Options, Store extends Opened>(
  installed: boolean,
  start: () => Promise<Started>,
  open: (port: number, options: Options | undefined) => Store,
): SqlSetUp<Started, Options, Store> {
  let server: Started
  let proxy: FaultyProxy
  const opened: Store[] = []
  beforeAll(async () => {
    if (!installed) return
    server = await start()
    proxy = await faultyProxy(server.port)
  })
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
  })
  return {
    get server() {
      return server
    },
    get proxy() {
      return proxy
    },
    open({ port }, options) {
      const made = open(port, options)
      opened.push(made)
      return made
    },
  }
}

/** Registers the tests that every SQL store must pass behind a proxy. */
export function proxyTests<Store extends Opened>(
  set: SqlSetUp<Server, { timeout?: number }, Store>,
  connectionOf: (opened: Store) => Promise<unknown>,
): void {
  test('a connection that is cut before a commit is a 503, and nothing was written', () =>
    surviveCutBefore(set.open(set.proxy).store, set.proxy))

  test('an answer that never comes is a 503 after the time limit, and its connection is not used again', async () => {
    const opened = set.open(set.proxy, { timeout: 0.3 })
    const { store } = opened
    const record = session()
    await store.insert(record)
    const before = await connectionOf(opened)
    set.proxy.holdAnswers()
    await expect(store.load(record.id)).rejects.toEqual(unavailable)
    await expect(store.touch(record.id, Date.now(), record.expiresAt)).rejects.toEqual(unavailable)
    set.proxy.letThrough()
    await eventually(async () => expect(await store.load(record.id)).toMatchObject({ id: record.id, version: 1 }))
    expect(await connectionOf(opened)).not.toBe(before)
  })

  test('a server that leaves one request without an answer is left alone, and serves again by itself', () =>
    failAtOnce(set.open(set.proxy).store, set.proxy))

  test('an answer that comes late never becomes the answer to another question', () =>
    keepAnswersApart(set.open(set.proxy, { timeout: 0.2 }).store, set.proxy))
}

/** A restart under load is a 503 while it lasts, and loses no acknowledged write. */
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

/** The server never gets the write. */
async function surviveCutBefore(store: SessionStore, proxy: FaultyProxy): Promise<void> {
  const record = session()
  await store.insert(record)
  const cut = proxy.cutAtNextRequest('before')
  await expect(store.replace({ ...record, version: 2 }, 1)).rejects.toEqual(unavailable)
  await cut
  expect(await store.load(record.id)).toEqual(record)
}

/** The server has written, and its answer is lost. */
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
async function keepAnswersApart(store: SessionStore, proxy: FaultyProxy): Promise<void> {
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
async function failAtOnce(store: SessionStore, proxy: FaultyProxy): Promise<void> {
  const record = session()
  await store.insert(record)
  proxy.holdAnswers()
  await expect(store.load(record.id)).rejects.toMatchObject({ message: expect.stringMatching(/ within 1 s$/) })
  // Meanwhile a plain query finds out whether the server answers.
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
