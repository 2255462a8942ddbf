import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { commandLine, runCommand, startProcess, startProgram } from './process.ts'
import { ADA, startTestServer, temporaryFolder } from './test-server.ts'
import { Visitor } from './visitor.ts'

const KEY = 'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWo'

describe('gatepass', () => {
  test.each([['--help'], ['dev', '--help']])('%s explains itself', async (...args) => {
    const { code, output } = await runCommand(args)
    expect([code, output]).toEqual([0, expect.stringContaining('gatepass serve')])
  })

  test('--version says which it is', async () => {
    expect(await runCommand(['--version'])).toEqual({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })

  test.each([
    [['dev', '--prot', '4000'], 'there is no flag --prot'],
    [[], 'say what to do'],
    [['unlock', 'nobody'], 'unlock <address>'],
    [['key', '--twice'], 'gatepass key alone'],
    [['dev', '--data='], '--data needs a value'],
  ] as const)('%j is not understood, says why, and ends with 2', async (args, said) => {
    const { code, output } = await runCommand(args, { folder: temporaryFolder() })
    expect([code, output]).toEqual([2, expect.stringContaining(said)])
  })

  test('an old Node is told which one is needed, before it fails at what it lacks', async () => {
    const older = 'Object.defineProperty(process.versions, "node", { value: "22.12.0" })'
    const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(older)}` }
    for (const args of [['dev'], ['serve'], ['unlock', ADA.email]]) {
      const { code, output } = await runCommand(args, { environment })
      expect([code, output]).toEqual([
        1,
        expect.stringContaining('needs Node 22.13 or newer, and this is Node 22.12.0'),
      ])
    }
    expect((await runCommand(['--version'], { environment })).code).toBe(0)
  })

  test('key prints a key that serve takes', async () => {
    const { output } = await runCommand(['key'])
    expect(output).toMatch(/^[\w-]{43}\n$/)
  })
})

describe('gatepass dev', () => {
  test('listens on the port and with the folder it is told, and prints the address', async () => {
    const folder = temporaryFolder()
    const server = await startProcess(['dev', '--port', '0', '--data', 'some/folder'], { folder })
    expect(server.output()).toContain(`Gatepass listens on http://localhost:${server.port}\n`)
    const visitor = new Visitor(server)
    expect((await visitor.get('/login')).status).toBe(200)
    const second = await startTestServer({ data: join(folder, 'some/folder') })
    expect((await second.visitor().get('/login')).status).toBe(200)
  })

  test('says which port is taken, and what to do', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const { code, output } = await runCommand(['dev', '--port', String(port), '--data', temporaryFolder()])
    taken.close()
    expect([code, output]).toEqual([1, expect.stringContaining(`port ${port} is taken on 127.0.0.1`)])
    expect(output).toContain(`--port ${port + 1}`)
  })

  test('says that the database is damaged, and leaves it as it is', async () => {
    const data = temporaryFolder()
    const file = join(data, 'gatepass.db')
    writeFileSync(file, 'no database '.repeat(1000))
    const { code, output } = await runCommand(['dev', '--port', '0', '--data', data])
    expect([code, output]).toEqual([1, expect.stringContaining('Restore a backup')])
    expect(readFileSync(file, 'utf8')).toBe('no database '.repeat(1000))
  })

  test.each([
    ['is empty', (file: string) => writeFileSync(file, '')],
    ['is gone, but its side file is there', (file: string) => writeFileSync(`${file}-wal`, 'accounts')],
    ['is not a file', (file: string) => mkdirSync(file)],
  ])('does not begin anew where the database %s', async (what, make) => {
    const data = temporaryFolder()
    const file = join(data, 'gatepass.db')
    make(file)
    const before = readdirSync(data)
    for (const args of [
      ['dev', '--port', '0', '--data', data],
      ...(what.includes('gone') ? [] : [['unlock', ADA.email, '--data', data]]),
    ]) {
      const { code, output } = await runCommand(args)
      expect([code, output]).toEqual([1, expect.stringContaining(`The database ${file} ${what}`)])
      expect(output).toContain('Restore a backup')
    }
    expect(readdirSync(data).filter((name) => name !== 'secrets.json')).toEqual(before)
  })

  test.skipIf(process.platform === 'win32')(
    'a start that could write nothing leaves nothing that stops the next',
    async () => {
      const data = temporaryFolder()
      const start = commandLine(['dev', '--port', '0', '--data', data]).map((part) => JSON.stringify(part))
      for (const environment of [{}, { GATEPASS_KEYS: KEY }]) {
        // No file may grow, as on a disk without room.
        const server = startProgram('sh', ['-c', `ulimit -f 0; exec ${start.join(' ')}`], { environment })
        await expect(server).rejects.toThrow('gatepass: ')
        expect(readdirSync(data)).toEqual([])
      }
      await startProcess(['dev', '--port', '0', '--data', data])
    },
  )

  test.each(['file', 'file/below'])('says that the data folder %s is not one', async (below) => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'file'), '')
    const { code, output } = await runCommand(['dev', '--port', '0', '--data', join(folder, below)])
    expect([code, output]).toEqual([1, expect.stringContaining(`${join(folder, below)} is not a folder`)])
  })

  test('says that another program holds the database', async () => {
    const server = await startTestServer()
    const other = new DatabaseSync(join(server.data, 'gatepass.db'))
    other.exec('begin exclusive')
    const { code, output } = await runCommand(['dev', '--port', '0', '--data', server.data])
    other.close()
    expect([code, output]).toEqual([1, expect.stringContaining('another program holds the database')])
  })

  test('keeps logins over a restart', async () => {
    const data = temporaryFolder()
    const first = await startProcess(['dev', '--port', '0', '--data', data])
    const visitor = new Visitor(first)
    await visitor.json('POST', '/auth/register', ADA)
    await visitor.json('POST', '/auth/login', ADA)
    first.child.kill('SIGINT')
    expect(await first.ended).toBe(0)
    const second = await startProcess(['dev', '--port', '0', '--data', data])
    const later = new Visitor(second)
    for (const [name, value] of visitor.cookies) later.cookies.set(name, value)
    expect((await later.get('/auth/session')).status).toBe(200)
  })
})

describe('gatepass serve', () => {
  const folder = (): string => temporaryFolder()

  test('says all that is missing at once, and ends with 1', async () => {
    const { code, output } = await runCommand(['serve', '--port', 'x'], { folder: folder() })
    expect(code).toBe(1)
    for (const key of ['origin is missing', 'keys are missing', 'port is "x"', 'GATEPASS_ORIGIN', 'gatepass key'])
      expect(output).toContain(key)
  })

  test('starts with an https origin and a key, and logs JSON', async () => {
    const environment = { GATEPASS_ORIGIN: 'https://login.example.com', GATEPASS_KEYS: KEY }
    const server = await startProcess(['serve', '--port', '0', '--data', 'data'], { folder: folder(), environment })
    expect(server.origin).toBe('https://login.example.com')
    const answer = await new Visitor({ origin: server.origin, port: server.port }).get('/login')
    expect(answer.headers['set-cookie']?.[0]).toMatch(/^__Host-gp-csrf=.*; Secure/)
    server.child.kill('SIGTERM')
    expect(await server.ended).toBe(0)
    const lines = server
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => line.event)).toEqual(['sys_startup', 'sys_shutdown'])
    expect(server.output()).not.toContain(KEY)
  })

  test('says so where other machines reach it over plain http', async () => {
    const environment = { GATEPASS_ORIGIN: 'http://localhost:3000', GATEPASS_KEYS: KEY }
    const outputOf = async (host: string): Promise<string> => {
      const server = await startProcess(['serve', '--port', '0', '--host', host, '--data', folder()], { environment })
      return server.output()
    }
    expect(await outputOf('0.0.0.0')).toContain('"event":"sys_plain_http","host":"0.0.0.0"')
    expect(await outputOf('127.0.0.1')).not.toContain('sys_plain_http')
  })

  test('reads the file in the working folder, under the environment, under the flags', async () => {
    const here = folder()
    writeFileSync(
      join(here, 'gatepass.config.json'),
      JSON.stringify({ origin: 'https://file.example', name: 'From the file', port: 1 }),
    )
    const environment = { GATEPASS_ORIGIN: 'https://environment.example', GATEPASS_KEYS: KEY }
    const server = await startProcess(['serve', '--port', '0'], { folder: here, environment })
    expect(server.origin).toBe('https://environment.example')
    expect((await new Visitor(server).get('/')).body).toContain('Welcome to From the file')
  })
})

describe('providers', () => {
  test('in dev there are pretend ones, unless real ones are configured', async () => {
    const environment = { GATEPASS_FACEBOOK_CLIENT_ID: 'f', GATEPASS_FACEBOOK_CLIENT_SECRET: 's' }
    const server = await startProcess(['dev', '--port', '0', '--data', temporaryFolder()], { environment })
    const visitor = new Visitor(server)
    const google = await visitor.get('/auth/google')
    expect(google.headers.location).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//)
    const metadata = new URL('/.well-known/openid-configuration', google.headers.location)
    expect((await fetch(metadata)).status).toBe(200)
    expect((await visitor.get('/auth/facebook')).headers.location).toContain('https://www.facebook.com/')
    server.child.kill('SIGTERM')
    expect(await server.ended).toBe(0)
  })

  test('production offers no pretend provider', async () => {
    const environment = {
      GATEPASS_ORIGIN: 'https://login.example.com',
      GATEPASS_KEYS: KEY,
      GATEPASS_GITHUB_CLIENT_ID: 'g',
      GATEPASS_GITHUB_CLIENT_SECRET: 'very secret',
    }
    const server = await startProcess(['serve', '--port', '0', '--data', temporaryFolder()], { environment })
    const visitor = new Visitor(server)
    const form = await visitor.get('/login')
    expect(form.body).toContain('Continue with GitHub')
    expect(form.body).not.toMatch(/Google|Facebook/)
    expect((await visitor.get('/auth/google')).status).toBe(404)
    const redirectUri = encodeURIComponent('https://login.example.com/auth/github/callback')
    expect((await visitor.get('/auth/github')).headers.location).toContain(redirectUri)
    expect(server.output()).not.toContain('very secret')
  })
})

describe('gatepass unlock', () => {
  test('lets a disabled password work again', async () => {
    const data = temporaryFolder()
    const server = await startTestServer({
      data,
      limits: { loginsPerAddress: 1e6, loginsPerPair: 1e6, freeFailures: 10 },
    })
    await server.visitor().json('POST', '/auth/register', ADA)
    const database = new DatabaseSync(join(data, 'gatepass.db'))
    database.exec('update accounts set failures = 100, password_disabled_at = 1')
    database.close()
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(401)
    expect(await runCommand(['unlock', 'ADA@example.com', '--data', data])).toEqual({
      code: 0,
      output: 'The password works again.\n',
    })
    expect((await server.visitor().json('POST', '/auth/login', ADA)).status).toBe(200)
    expect((await runCommand(['unlock', 'nobody@example.com', '--data', data])).code).toBe(1)
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'other.json'), JSON.stringify({ data }))
    const unlock = ['unlock', ADA.email]
    expect((await runCommand([...unlock, '--config', 'other.json'], { folder })).code).toBe(0)
    expect((await runCommand(unlock, { folder, environment: { GATEPASS_CONFIG: 'other.json' } })).code).toBe(0)
    writeFileSync(join(folder, 'gatepass.config.json'), JSON.stringify({ data }))
    expect((await runCommand(unlock, { folder })).code).toBe(0)
    expect((await runCommand(unlock, { folder, environment: { GATEPASS_CONFIG: 'none.json' } })).code).toBe(1)
    expect((await runCommand(['unlock', 'nobody@example.com', '--data', join(data, 'nowhere')])).code).toBe(1)
  })
})
