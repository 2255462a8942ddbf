import { statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import type { ServerPlace } from '../src/server.ts'
import { commandLine, type Running, spawnProgram, startProcess, startProgram } from './process.ts'
import { ADA, startTestServer, temporaryFolder } from './test-server.ts'
import { Visitor } from './visitor.ts'

function visitorOf({ origin, port }: { origin: string; port: number }, localAddress?: string): Visitor {
  return new Visitor({ origin, port, ...(localAddress !== undefined && { localAddress }) })
}

describe('kill -9', () => {
  test('in the middle of writes loses no acknowledged login, and leaves a database that opens', async () => {
    const data = temporaryFolder()
    const acknowledged: string[] = []
    for (let round = 0; round < 3; round++) {
      const server = await startProcess(['dev', '--port', '0', '--data', data])
      // Each of them registers and logs in, over and over, until the server is gone under its hands.
      const people = Array.from({ length: 6 }, async (_, who) => {
        for (let n = 0; ; n++) {
          const visitor = visitorOf(server, `127.${round + 1}.${who + 1}.${n + 1}`)
          const person = { ...ADA, email: `p-${round}-${who}-${n}@example.com` }
          await visitor.json('POST', '/auth/register', person)
          const { status } = await visitor.json('POST', '/auth/login', person)
          if (status === 200) acknowledged.push(visitor.token ?? '')
          if (acknowledged.length === 5 * (round + 1)) server.child.kill('SIGKILL')
        }
      })
      await Promise.allSettled(people)
      expect(await server.ended).toBe('SIGKILL')
      const database = new DatabaseSync(join(data, 'gatepass.db'))
      expect(database.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
      database.close()
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(15)
    const again = await startProcess(['dev', '--port', '0', '--data', data])
    for (const token of acknowledged) {
      const visitor = visitorOf(again)
      visitor.cookies.set('gp', token)
      expect((await visitor.get('/auth/session')).status).toBe(200)
    }
  })
})

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    '%s lets a request in flight finish, takes no new one, and ends with 0',
    async (signal) => {
      const data = temporaryFolder()
      const server = await startProcess(['dev', '--port', '0', '--data', data])
      const login = await loginInFlight(server)
      server.child.kill(signal)
      await refused(server.port)
      expect(await login.finish()).toMatch(/^HTTP\/1\.1 200 /)
      expect(await server.ended).toBe(0)
      expect(server.output()).toContain(`sys_shutdown reason=${signal}`)
    },
  )

  test('of a server that npm started comes in the same good order when npm is told to end', async () => {
    const data = temporaryFolder()
    const folder = temporaryFolder()
    const start = commandLine(['dev', '--port', '0', '--data', data]).map((part) => JSON.stringify(part))
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts: { start: start.join(' ') } }))
    const server = await startProgram('npm', ['start'], { folder })
    const login = await loginInFlight(server)
    server.child.kill('SIGTERM')
    await refused(server.port)
    expect(await login.finish()).toMatch(/^HTTP\/1\.1 200 /)
    // Standard output is closed when the last process that has it has ended.
    await server.ended
    expect(server.output()).toContain('sys_shutdown')
  })

  test('comes by itself where what started it ended during the start', async () => {
    const data = temporaryFolder()
    const start = commandLine(['dev', '--port', '0', '--data', data]).map((part) => JSON.stringify(part))
    // The shell ends as soon as there are secrets, which are made before the server listens.
    const shell = `${start.join(' ')} & while [ ! -e ${join(data, 'secrets.json')} ]; do sleep 0.01; done`
    const server = spawnProgram('sh', ['-c', shell], { environment: { npm_lifecycle_event: 'start' } })
    await server.ended
    expect(server.output()).toContain('sys_shutdown reason=parent_ended')
  })

  test('by a signal that npm passes on besides the terminal is in good order, too', async () => {
    const server = await startProcess(['dev', '--port', '0', '--data', temporaryFolder()])
    const login = await loginInFlight(server)
    // Two of one kind could become one on the way.
    server.child.kill('SIGINT')
    server.child.kill('SIGTERM')
    await refused(server.port)
    expect(await login.finish()).toMatch(/^HTTP\/1\.1 200 /)
    expect(await server.ended).toBe(0)
  })

  test('comes at once by a signal that is sent again', async () => {
    const server = await startProcess(['dev', '--port', '0', '--data', temporaryFolder()])
    await loginInFlight(server)
    let ended = false
    void server.ended.then(() => {
      ended = true
    })
    while (!ended) {
      server.child.kill('SIGTERM')
      await refused(server.port)
    }
    expect(await server.ended).toBe(1)
  })

  test('leaves nothing but the database and the secrets, which only their owner can read', async () => {
    const data = join(temporaryFolder(), 'new', 'folder')
    const server = await startProcess(['dev', '--port', '0', '--data', data])
    await visitorOf(server).json('POST', '/auth/register', ADA)
    const mode = (path: string): number => statSync(path).mode & 0o777
    expect(mode(data)).toBe(0o700)
    for (const file of ['gatepass.db', 'gatepass.db-wal', 'secrets.json'])
      expect([file, mode(join(data, file))]).toEqual([file, 0o600])
    server.child.kill('SIGTERM')
    expect(await server.ended).toBe(0)
  })
})

/** A login whose body is held back: a request in the middle of being answered. */
async function loginInFlight(server: Running): Promise<{ finish(): Promise<string> }> {
  await visitorOf(server).json('POST', '/auth/register', ADA)
  const body = JSON.stringify(ADA)
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    `POST /auth/login HTTP/1.1\r\nHost: localhost:${server.port}\r\nOrigin: ${server.origin}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
  )
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await visitorOf(server).get('/healthz')
  return {
    finish: async () => {
      socket.write(body)
      await closed
      return Buffer.concat(chunks).toString('latin1')
    },
  }
}

/** Until the port is closed. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (!open) return
  }
}

test('a request during the start is told to come again, and answered once the server is there', async () => {
  const start = Promise.withResolvers<void>()
  const place = Promise.withResolvers<ServerPlace>()
  const server = startTestServer({
    moreProviders: async (listening) => {
      place.resolve(listening)
      await start.promise
      return { providers: [], close: async () => {} }
    },
  })
  const { origins, port } = await place.promise
  const visitor = visitorOf({ origin: origins[0], port })
  for (const path of ['/', '/readyz', '/auth/session', '/nothing']) {
    const answer = await visitor.get(path, { accept: 'application/json' })
    expect([path, answer.status, answer.headers['retry-after']]).toEqual([path, 503, '1'])
    expect([answer.data.error.code, answer.headers['x-content-type-options']]).toEqual(['ERR_STARTING', 'nosniff'])
  }
  const page = await visitor.get('/login')
  expect([page.status, page.headers.refresh]).toEqual([503, '1'])
  expect(page.body).toContain('This server is starting.')
  const [, stylesheet = ''] = /rel="stylesheet" href="([^"]+)"/.exec(page.body) ?? []
  expect((await visitor.get(stylesheet)).status).toBe(200)
  start.resolve()
  await server
  expect((await visitor.get('/readyz')).status).toBe(200)
})

test('a start that fails leaves no port and no file open', async () => {
  const data = temporaryFolder()
  const { port, stop } = await startTestServer({ data })
  await stop()
  await expect(startTestServer({ data, port, trustProxy: ['nonsense'] })).rejects.toThrow('trustProxy')
  const again = await startTestServer({ data, port })
  expect((await again.visitor().get('/healthz')).status).toBe(200)
})

test('a server whose log has no reader any more says so and stops in good order', async () => {
  const server = await startProcess(['dev', '--port', '0', '--data', temporaryFolder()])
  server.child.stdout?.destroy()
  expect((await visitorOf(server).json('POST', '/auth/register', ADA)).status).toBe(202)
  expect(await server.ended).toBe(1)
  expect(server.output()).toContain('where its log goes, was closed')
})
