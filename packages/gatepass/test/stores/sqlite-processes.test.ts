import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import type { SessionId } from 'gatepass/session'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { afterAll, expect, test } from 'vitest'
import { sha256Hex } from '../../src/crypto/random.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatepass-processes-'))
afterAll(() => rmSync(folder, { recursive: true }))

function startWriter(...args: string[]): ChildProcess {
  const program = fileURLToPath(new URL('./session-writer.ts', import.meta.url))
  const options = ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning', program, ...args]
  return spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** What a child writes until it has written `lines` lines and is killed, or ends by itself: its whole lines. */
async function linesOf(child: ChildProcess, lines = Number.POSITIVE_INFINITY): Promise<string[]> {
  let output = ''
  let breaks = 0
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
    breaks += chunk.split('\n').length - 1
    if (breaks >= lines) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return output.split('\n').slice(0, -1)
}

test('a process killed while it writes loses no acknowledged session and leaves a database that opens', async () => {
  const file = join(folder, 'killed.db')
  const acknowledged = new Map<string, number>()
  for (const [round, lines] of [1, 40, 7, 300, 1501].entries()) {
    for (const line of await linesOf(startWriter('write', file, `round ${round}`), lines)) {
      const [id = '', version] = line.split(' ')
      acknowledged.set(id, Number(version))
    }
    const store = sqliteStore(file)
    for (const [id, version] of acknowledged) {
      expect(store.load(id as SessionId)?.version).toBeGreaterThanOrEqual(version)
    }
    store.close()
    const database = new DatabaseSync(file)
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    database.close()
  }
  expect(acknowledged.size).toBeGreaterThan(900)
})

test('several processes begin on a file that none has made yet, and none of their increments is lost', async () => {
  const file = join(folder, 'shared.db')
  const id = sha256Hex('shared') as SessionId
  const starting = Array.from({ length: 3 }, (_, n) => startWriter('write', file, `start ${n}`))
  for (const lines of await Promise.all(starting.map((child) => linesOf(child, 2)))) {
    expect(lines.length).toBeGreaterThanOrEqual(2)
  }
  const store = sqliteStore(file)
  const now = Date.now()
  store.insert({
    id,
    handle: id.slice(0, 22),
    version: 1,
    subject: null,
    data: '0',
    about: '{}',
    createdAt: now,
    seenAt: now,
    expiresAt: now + 600_000,
  })
  const counting = Array.from({ length: 3 }, () => linesOf(startWriter('count', file, id)))
  const lines = (await Promise.all(counting)).flat()
  expect(new Set(lines).size).toBe(300)
  expect(store.load(id)).toMatchObject({ version: 301, data: '300' })
  store.close()
})
