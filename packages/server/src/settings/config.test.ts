import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Config, type ConfigProblem, type ConfigSources, readConfig } from './config.ts'

const KEY = 'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWo'
const PRODUCTION = { GATEPASS_ORIGIN: 'https://login.example.com', GATEPASS_KEYS: KEY }

function folder(file?: unknown): string {
  const path = mkdtempSync(join(tmpdir(), 'gatepass-config-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  if (file !== undefined)
    writeFileSync(join(path, 'gatepass.config.json'), typeof file === 'string' ? file : JSON.stringify(file))
  return path
}

function read(sources: Partial<ConfigSources> = {}): ReturnType<typeof readConfig> {
  return readConfig({ mode: 'dev', environment: {}, folder: folder(), ...sources })
}

function configOf(sources: Partial<ConfigSources>): Config {
  const result = read(sources)
  if ('problems' in result) throw new Error(JSON.stringify(result.problems))
  return result.config
}

function problemsOf(sources: Partial<ConfigSources>): readonly ConfigProblem[] {
  const result = read(sources)
  return 'problems' in result ? result.problems : []
}

describe('dev', () => {
  test('needs nothing', () => {
    const here = folder()
    expect(configOf({ folder: here })).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      origin: undefined,
      data: join(here, '.gatepass'),
      keys: undefined,
      registration: true,
      session: {
        idleTimeout: 86_400,
        absoluteTimeout: 604_800,
        rememberIdleTimeout: 1_209_600,
        rememberAbsoluteTimeout: 2_592_000,
        perAccount: 20,
      },
      password: { minLength: 15 },
      limits: {
        loginsPerAddress: 30,
        loginsPerPair: 10,
        freeFailures: 5,
        longestDelay: 900,
        registrationsPerAddress: 1000,
      },
    })
  })

  test.each(['127.0.0.1', '127.0.0.2', '127.1', 'localhost', 'LOCALHOST', '::1', '0:0:0:0:0:0:0:1'])(
    'listens on %s, which this machine alone reaches',
    (host) => {
      expect(configOf({ flags: { host } }).host).toBe(host)
    },
  )

  test.each(['0.0.0.0', '::', '0', '192.168.1.4', '::ffff:127.0.0.1', 'myhost', 'localhost.evil.example', ''])(
    'does not listen on %j, which other machines could reach',
    (host) => {
      expect(problemsOf({ flags: { host } })).toEqual([expect.objectContaining({ key: 'host' })])
      expect(problemsOf({ mode: 'production', environment: PRODUCTION, flags: { host } })).toHaveLength(
        host === '' ? 1 : 0,
      )
    },
  )

  test.each(['host', 'data', 'tenant'])('an empty %s is a mistake, not the default', (key) => {
    const file = key === 'tenant' ? { providers: { microsoft: { clientId: 'a', tenant: '' } } } : { [key]: '' }
    expect(problemsOf({ folder: folder(file) }).map((problem) => problem.key)).toContain(
      key === 'tenant' ? 'providers.microsoft.tenant' : key,
    )
  })
})

describe('flags, environment and file', () => {
  test('win over each other in this order', () => {
    const here = folder({ port: 1, host: '127.0.0.3', name: 'File' })
    const environment = { GATEPASS_PORT: '2', GATEPASS_HOST: '127.0.0.2' }
    expect(configOf({ folder: here, environment, flags: { port: '3' } })).toMatchObject({
      port: 3,
      host: '127.0.0.2',
      name: 'File',
    })
  })

  test('the file may have everything but keys', () => {
    const here = folder({
      trustProxy: ['loopback', '10.0.0.0/8'],
      trustedOrigins: ['https://app.example.com/'],
      registration: false,
      session: { idleTimeout: 600 },
      password: { words: ['Acme'] },
      limits: { longestDelay: 60 },
    })
    expect(configOf({ folder: here })).toMatchObject({
      trustProxy: ['loopback', '10.0.0.0/8'],
      trustedOrigins: ['https://app.example.com'],
      registration: false,
      session: { idleTimeout: 600, absoluteTimeout: 604_800 },
      password: { words: ['Acme'] },
      limits: { longestDelay: 60 },
    })
    expect(problemsOf({ folder: folder({ keys: [KEY] }) })).toMatchObject([
      { key: 'keys', message: 'is not a key of this file' },
    ])
  })

  test('an idle timeout beyond the absolute one is a mistake, and one that is not given fits', () => {
    const read = (session: object) => ({ folder: folder({ session }) })
    expect(problemsOf(read({ idleTimeout: 86_400_000 })).map(({ key }) => key)).toEqual(['session.idleTimeout'])
    expect(problemsOf(read({ rememberIdleTimeout: 86_400 * 31 })).map(({ key }) => key)).toEqual([
      'session.rememberIdleTimeout',
    ])
    const { session } = configOf(read({ absoluteTimeout: 3600, rememberAbsoluteTimeout: 7200 }))
    expect([session.idleTimeout, session.rememberIdleTimeout]).toEqual([3600, 7200])
    expect(problemsOf(read({ absoluteTimeout: 604_800_000 }))).toMatchObject([{ key: 'session.absoluteTimeout' }])
  })

  test('a proxy is a number or addresses', () => {
    expect(configOf({ environment: { GATEPASS_TRUST_PROXY: '1' } }).trustProxy).toBe(1)
    expect(configOf({ environment: { GATEPASS_TRUST_PROXY: '10.0.0.1, ::1/128' } }).trustProxy).toEqual([
      '10.0.0.1',
      '::1/128',
    ])
    expect(problemsOf({ environment: { GATEPASS_TRUST_PROXY: 'yes' } })).toMatchObject([{ key: 'trustProxy' }])
  })

  test('a file that is named must be there; the usual one need not', () => {
    expect(problemsOf({ flags: { config: 'nowhere.json' } })).toMatchObject([{ key: 'config' }])
    expect(problemsOf({ folder: folder('{"port": ') })).toMatchObject([
      { key: 'config', message: expect.stringContaining('not a JSON object') },
    ])
    expect(problemsOf({ folder: folder('[]') })).toHaveLength(1)
  })
})

describe('what is wrong', () => {
  test('is said all at once, with the key, what was given, and the fix', () => {
    const here = folder({
      port: 'x',
      prot: 4,
      session: { idleTimeout: -1, idle: 1 },
      limits: 7,
      logLevel: 'loud',
      registration: 'maybe',
      password: { words: [1] },
    })
    const problems = problemsOf({ mode: 'production', folder: here })
    expect(problems.map(({ key, message }) => `${key} ${message}`).sort()).toEqual([
      'keys are missing: production does not make its own',
      'limits is 7, not an object',
      'logLevel is "loud"',
      'origin is missing',
      'password.words is {"0":1}'.replace('{"0":1}', '[1]'),
      'port is "x"',
      'prot is not a key of this file',
      'registration is "maybe"',
      'session.idle is not a key of this file',
      'session.idleTimeout is -1',
    ])
    for (const { fix } of problems) expect(fix).toMatch(/\w+/)
  })
})

describe('production', () => {
  test('starts with an https origin and a key', () => {
    expect(configOf({ mode: 'production', environment: PRODUCTION })).toMatchObject({
      origin: 'https://login.example.com',
      keys: [KEY],
    })
  })

  test('takes plain http for this machine alone', () => {
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:80']) {
      expect(problemsOf({ mode: 'production', environment: { ...PRODUCTION, GATEPASS_ORIGIN: origin } })).toEqual([])
    }
    for (const origin of [
      'http://login.example.com',
      'http://10.0.0.1',
      'http://localhost.example.com',
      'http://127.0.0.1.example.com',
    ]) {
      expect(problemsOf({ mode: 'production', environment: { ...PRODUCTION, GATEPASS_ORIGIN: origin } })).toMatchObject(
        [{ key: 'origin', message: expect.stringContaining('over plain http') }],
      )
    }
  })

  test.each([
    'https://login.example.com/x',
    'login.example.com',
    'https://user:pw@login.example.com',
    'ftp://login.example.com',
    'https://*.example.com',
    'https://a.example,https://b.example',
  ])('%s is no origin', (origin) => {
    expect(problemsOf({ mode: 'production', environment: { ...PRODUCTION, GATEPASS_ORIGIN: origin } })).toMatchObject([
      { key: 'origin' },
    ])
  })

  test.each([
    ['too-short-0123456789', 'shorter than 32 bytes'],
    ['äöüßéèêëñçåøìíîï', 'not a text of 32 to 1024 characters'],
    ['please-change-me-0123456789-abcdefghijk', 'looks like a sample'],
    ['a'.repeat(50), 'repeats the same few characters'],
    [`${KEY},short`, 'number 2 of 2 is shorter'],
    ['', 'shorter than 32 bytes'],
  ])('the key %s is refused, and not repeated: %s', (keys, said) => {
    const problems = problemsOf({ mode: 'production', environment: { ...PRODUCTION, GATEPASS_KEYS: keys } })
    expect(problems).toMatchObject([
      { key: 'keys', message: expect.stringContaining(said), fix: expect.stringContaining('gatepass key') },
    ])
    if (keys !== '') expect(JSON.stringify(problems)).not.toContain(keys)
  })

  test('empty keys beside a file of keys count as nothing, and so does an empty name of the file', () => {
    const here = folder()
    writeFileSync(join(here, 'keys.json'), JSON.stringify({ keys: [KEY] }), { mode: 0o600 })
    const environment = { ...PRODUCTION, GATEPASS_KEYS: '', GATEPASS_KEYS_FILE: 'keys.json', GATEPASS_CONFIG: '' }
    expect(configOf({ mode: 'production', folder: here, environment }).keys).toEqual([KEY])
  })

  test('keys come from a file of their own, the first one current', () => {
    const here = folder()
    const older = KEY.split('').reverse().join('')
    writeFileSync(join(here, 'keys.json'), JSON.stringify({ keys: [KEY, older] }), { mode: 0o600 })
    const environment = { GATEPASS_ORIGIN: PRODUCTION.GATEPASS_ORIGIN, GATEPASS_KEYS_FILE: 'keys.json' }
    expect(configOf({ mode: 'production', folder: here, environment }).keys).toEqual([KEY, older])
    writeFileSync(join(here, 'keys.json'), KEY)
    const problems = problemsOf({ mode: 'production', folder: here, environment })
    expect(problems).toMatchObject([{ key: 'keys', message: expect.stringContaining('is not JSON') }])
    expect(JSON.stringify(problems)).not.toContain(KEY)
  })
})

test('what a proxy entry cannot be is said before anything starts', () => {
  for (const value of [
    '999.1.1.1',
    '1.2.3.4/33',
    '::1/129',
    '10.0.0.0/0',
    '1,2',
    '33',
    'proxy.example',
    '10.0.0.0/8/8',
  ]) {
    const problems = problemsOf({ environment: { GATEPASS_TRUST_PROXY: value } })
    expect([value, problems.map(({ key }) => key)]).toEqual([value, ['trustProxy']])
  }
  for (const value of ['10.0.0.0/8,::1', 'loopback', 'fd00::/8', '192.0.2.1'])
    expect(configOf({ environment: { GATEPASS_TRUST_PROXY: value } }).trustProxy).toEqual(value.split(','))
})

test('a byte order mark is no mistake, and an empty name none at all', () => {
  expect(configOf({ folder: folder('\ufeff{"name":" "}') }).name).toBe('Gatepass')
})

describe.skipIf(process.platform === 'win32')('files that others may open', () => {
  test.each([
    ['600', false],
    ['400', false],
    ['440', false],
    // As Docker and Kubernetes mount secrets.
    ['444', false],
    ['644', false],
    ['620', true],
    ['602', true],
    ['666', true],
  ] as const)('a file of secrets of mode %s is refused if others may change it', (mode, isRefused) => {
    const here = folder({ providers: { github: { clientId: 'a', clientSecretFile: 'secret' } } })
    writeFileSync(join(here, 'keys.json'), JSON.stringify({ keys: [KEY] }))
    writeFileSync(join(here, 'secret'), 'very secret')
    for (const name of ['keys.json', 'secret']) chmodSync(join(here, name), Number.parseInt(mode, 8))
    const environment = { GATEPASS_ORIGIN: 'https://login.example.com', GATEPASS_KEYS_FILE: 'keys.json' }
    const problems = problemsOf({ mode: 'production', folder: here, environment })
    const expected = (key: string, name: string) => ({
      key,
      message: `is ${join(here, name)}, which other users may change`,
      fix: `Run: chmod go-w ${join(here, name)}.`,
    })
    const refused = [expected('keysFile', 'keys.json'), expected('providers.github.clientSecretFile', 'secret')]
    expect(problems).toEqual(isRefused ? refused : [])
    expect(problemsOf({ folder: here, environment })).toEqual([])
  })

  test('a configuration that every user may change is refused in production', () => {
    const here = folder({ name: 'Example' })
    const path = join(here, 'gatepass.config.json')
    for (const [mode, count] of [
      [0o644, 0],
      [0o664, 0],
      [0o666, 1],
    ] as const) {
      chmodSync(path, mode)
      const problems = problemsOf({ mode: 'production', folder: here, environment: PRODUCTION })
      expect(problems.map(({ key, fix }) => [key, fix])).toEqual(
        Array(count).fill(['config', `Run: chmod o-w ${path}`]),
      )
    }
  })
})
