import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { recordAt } from '../../testing/store-records.ts'
import { Checkpoints } from './checkpoints.ts'
import { openDatabase } from './database.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatepass-checkpoints-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const freshPath = (): string => join(folder, `${++files}.db`)

// Node.js before 22.18 runs the thread's TypeScript only when told, and then the writes make the checkpoints.
const threadsRun = process.features.typescript !== false

/** A thread that runs `code` for each message instead. */
function threadRunning(code: string): () => URL {
  const file = `import { parentPort } from 'node:worker_threads'
    parentPort.on('message', () => { ${code} })`
  return () => new URL(`data:text/javascript,${encodeURIComponent(file)}`)
}

/** Checkpoints of a fresh database with another thread. */
function checkpointsWith(thread: () => URL) {
  const path = freshPath()
  const database = openDatabase(path, false)
  const checkpoints = new Checkpoints(database, path, thread)
  const pagesBeforeAWriteCopies = () => database.prepare('PRAGMA wal_autocheckpoint').get()
  onTestFinished(() => {
    // No answer is awaited from a thread that gives none.
    vi.spyOn(Atomics, 'wait').mockReturnValueOnce('ok')
    checkpoints.close()
    database.close()
  })
  return { checkpoints, pagesBeforeAWriteCopies }
}

test.runIf(threadsRun)(
  'what was written is copied into the database by the thread, and not by the writes',
  async () => {
    const path = freshPath()
    const store = sqliteStore(path)
    store.insert(recordAt(Date.now()))
    const before = statSync(path).size
    for (let n = 0; n < 400; n++) store.insert(recordAt(Date.now()))
    expect(statSync(path).size).toBe(before)
    await vi.waitFor(() => expect(statSync(path).size).toBeGreaterThan(100_000), 10_000)
    store.close()
  },
)

test.runIf(threadsRun)('after close the file is alone, although the thread had it open', async () => {
  const path = freshPath()
  const store = sqliteStore(path)
  const before = statSync(path).size
  for (let n = 0; n < 400; n++) store.insert(recordAt(Date.now()))
  await vi.waitFor(() => expect(statSync(path).size).toBeGreaterThan(before), 10_000)
  store.close()
  expect(existsSync(`${path}-wal`)).toBe(false)
  const database = new DatabaseSync(path)
  expect(database.prepare('SELECT count(*) AS n FROM gatepass_sessions').get()).toEqual({ n: 400 })
  database.close()
})

test.each([
  [
    'does not start',
    () => {
      throw new Error('not bundled')
    },
  ],
  ['ends', threadRunning('process.exit()')],
  ['fails', threadRunning('throw new Error()')],
])('if the thread %s, the writes make the checkpoints', async (_, thread) => {
  const { checkpoints, pagesBeforeAWriteCopies } = checkpointsWith(thread)
  expect(pagesBeforeAWriteCopies()).toEqual({ wal_autocheckpoint: 20_000 })
  checkpoints.wrote(300)
  await vi.waitFor(() => expect(pagesBeforeAWriteCopies()).toEqual({ wal_autocheckpoint: 1000 }), 10_000)
  expect(checkpoints.caughtUp()).toBeUndefined()
})

test('a sweep waits when much is written during a checkpoint, and only then', async () => {
  const { checkpoints } = checkpointsWith(threadRunning('setTimeout(() => parentPort.postMessage(10), 500)'))
  checkpoints.wrote(1800)
  expect(checkpoints.caughtUp()).toBeUndefined()
  checkpoints.wrote(1499)
  expect(checkpoints.caughtUp()).toBeUndefined()
  checkpoints.wrote(1)
  await checkpoints.caughtUp()
  expect(checkpoints.caughtUp()).toBeUndefined()
})

test('a sweep waits during each checkpoint of a long log, so that a new one can begin', async () => {
  const { checkpoints } = checkpointsWith(threadRunning('parentPort.postMessage(4000)'))
  checkpoints.wrote(300)
  checkpoints.wrote(1500)
  await checkpoints.caughtUp()
  // The rows that were written meanwhile are due, too.
  expect(checkpoints.caughtUp()).toBeInstanceOf(Promise)
  await checkpoints.caughtUp()
  expect(checkpoints.caughtUp()).toBeUndefined()
})

test.runIf(threadsRun)('the thread keeps no process alive', async () => {
  const program = `
    import { sqliteStore } from ${JSON.stringify(new URL('../sqlite.ts', import.meta.url).href)}
    const store = sqliteStore(${JSON.stringify(freshPath())})
    const times = { createdAt: Date.now(), seenAt: Date.now(), expiresAt: Date.now() + 60_000 }
    for (let n = 0; n < 400; n++) store.insert({ id: String(n), handle: 'h', version: 1, subject: null, data: '', about: '', ...times })
    setTimeout(() => {}, 500)`
  const args = ['--conditions=gatepass:source', '--input-type=module', '--eval', program]
  // It rejects if the process has to be ended.
  await expect(promisify(execFile)(process.execPath, args, { timeout: 25_000 })).resolves.toBeDefined()
})
