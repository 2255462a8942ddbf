import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { type ConfigProblem, ConfigReader, isObject, shown } from './config-reader.ts'
import { isLoopbackAddress, isLoopbackHost, parseOrigin } from './origin.ts'
import { type ProviderConfig, readProviders } from './provider-config.ts'
import { type Keys, modeOf, othersMayChange, parseKeys, parseKeysFile } from './secrets.ts'

/** Everything the server is told from outside, checked once; what is here can be relied upon. */
export interface Config {
  /** `dev` makes its own secrets and knows its own address; `production` must be told both. */
  readonly mode: 'dev' | 'production'
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** As browsers see this server; in dev `undefined` until it is known which port it got. */
  readonly origin: string | undefined
  /** Folder of the database and, in dev, the secrets; absolute. */
  readonly data: string
  /** `undefined` in dev, where `<data>/secrets.json` is made at the first start. */
  readonly keys: Keys | undefined
  /** How many proxies stand in front, or their addresses; none are believed by default. */
  readonly trustProxy: number | readonly string[] | undefined
  readonly trustedOrigins: readonly string[]
  /** What the pages call this place. */
  readonly name: string
  /** Whether strangers may make accounts. */
  readonly registration: boolean
  readonly logLevel: LogLevel
  readonly session: SessionConfig
  readonly password: PasswordConfig
  readonly limits: LimitConfig
  /** Where people may log in besides here, in the order of the buttons. */
  readonly providers: readonly ProviderConfig[]
}

export type { ConfigProblem } from './config-reader.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Seconds, but for `perAccount`. */
export interface SessionConfig {
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly rememberIdleTimeout: number
  readonly rememberAbsoluteTimeout: number
  /** How many an account may have at once; the oldest ends. */
  readonly perAccount: number
}

export interface PasswordConfig {
  /** Code points. */
  readonly minLength: number
  /** Words that a password must not be: names of the company, the product. */
  readonly words: readonly string[]
}

export interface LimitConfig {
  /** Failed logins of one address in 5 minutes. */
  readonly loginsPerAddress: number
  /** Failed logins of one address at one account in 15 minutes. */
  readonly loginsPerPair: number
  /** Failed logins of one account before each further one has to wait, twice as long each time. */
  readonly freeFailures: number
  /** The longest such wait in seconds. */
  readonly longestDelay: number
  /** Registrations of one address in an hour. */
  readonly registrationsPerAddress: number
}

export interface ConfigSources {
  readonly mode: Config['mode']
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Flags of the command line, by key; they win over the environment, which wins over the file. */
  readonly flags?: Readonly<Record<string, string>>
  /** Relative paths start here. */
  readonly folder: string
}

export const CONFIG_FILE = 'gatepass.config.json'

/** Reads file, environment and flags into a {@link Config}, or says everything that is wrong with them at once. */
export function readConfig(sources: ConfigSources): { config: Config } | { problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const file = readConfigFile(sources, problems)
  const top = new ConfigReader(withOverrides(file, sources), '', problems)
  const config = readKeys(top, sources)
  top.refuseRest()
  return problems.length === 0 ? { config } : { problems }
}

function readKeys(top: ConfigReader, sources: ConfigSources): Config {
  const production = sources.mode === 'production'
  const session = top.section('session')
  const password = top.section('password')
  const limits = top.section('limits')
  const config: Config = {
    mode: sources.mode,
    host: readHost(top, production),
    port: top.whole('port', 3000, { from: 0, to: 65_535 }),
    origin: readOrigin(top, production),
    data: resolve(sources.folder, top.text('data', '.gatepass')),
    keys: readSecretKeys(top, sources),
    trustProxy: readTrustProxy(top),
    trustedOrigins: readTrustedOrigins(top),
    // The environment cannot say "nothing", and a page without a name is nobody's.
    name: top.text('name', '', 40).trim() || 'Gatepass',
    registration: top.flag('registration', true),
    logLevel: top.oneOf('logLevel', ['info', 'debug', 'warn', 'error', 'silent']),
    session: {
      ...readTimeouts(session),
      perAccount: session.whole('perAccount', 20, { from: 1, to: 1000 }),
    },
    password: {
      minLength: password.whole('minLength', 15, { from: 8, to: 64 }),
      words: password.list('words'),
    },
    limits: {
      loginsPerAddress: limits.whole('loginsPerAddress', 30, { from: 1 }),
      loginsPerPair: limits.whole('loginsPerPair', 10, { from: 1 }),
      freeFailures: limits.whole('freeFailures', 5, { from: 1, to: 10 }),
      longestDelay: limits.whole('longestDelay', 900, { from: 1, to: 86_400 }),
      // In dev all browsers have one address, and trying things out takes many accounts.
      registrationsPerAddress: limits.whole('registrationsPerAddress', production ? 10 : 1000, { from: 1 }),
    },
    providers: readProviders(top.section('providers'), sources),
  }
  for (const section of [session, password, limits]) section.refuseRest()
  return config
}

function readTimeouts(session: ConfigReader): Omit<SessionConfig, 'perAccount'> {
  // 400 days is the longest that a browser keeps a cookie (RFC 6265bis §5.6.2).
  const longest = { from: 60, to: 400 * 86_400 }
  const absoluteTimeout = session.whole('absoluteTimeout', 7 * 86_400, longest)
  const rememberAbsoluteTimeout = session.whole('rememberAbsoluteTimeout', 30 * 86_400, longest)
  // Milliseconds where seconds are meant give themselves away: such a session would end before it is idle.
  const idleWithin = (absolute: number, key: string, fallback: number): number => {
    const idle = session.whole(key, Math.min(fallback, absolute), { from: 60 })
    if (idle > absolute) {
      const fix = `Write seconds, at most ${absolute}, or raise the absolute timeout as well.`
      session.problem(key, `is ${idle}, and the session ends after ${absolute} seconds anyway`, fix)
    }
    return idle
  }
  return {
    idleTimeout: idleWithin(absoluteTimeout, 'idleTimeout', 86_400),
    absoluteTimeout,
    rememberIdleTimeout: idleWithin(rememberAbsoluteTimeout, 'rememberIdleTimeout', 14 * 86_400),
    rememberAbsoluteTimeout,
  }
}

/** In dev passwords go over plain http, and pretend providers let a person be who they like. */
function readHost(top: ConfigReader, production: boolean): string {
  const host = top.text('host', '127.0.0.1')
  if (!production && !isLoopbackAddress(host)) {
    top.problem(
      'host',
      `is ${shown(host)}: other machines would reach a server that is in dev`,
      'Leave it out. For other machines, and for a container, use `gatepass serve`.',
    )
  }
  return host
}

function readOrigin(top: ConfigReader, production: boolean): string | undefined {
  const text = top.text('origin', '')
  if (text === '') {
    if (production)
      top.problem(
        'origin',
        'is missing',
        'Set GATEPASS_ORIGIN to the address that browsers use: https://login.example.com',
      )
    return undefined
  }
  const origin = parseOrigin(text)
  if (origin === undefined) {
    top.problem(
      'origin',
      `is ${shown(text)}, not a bare origin`,
      'Write scheme and host alone: https://login.example.com',
    )
    return undefined
  }
  if (!origin.startsWith('https:') && !isLoopbackHost(new URL(origin).hostname)) {
    top.problem(
      'origin',
      `is ${shown(text)}: over plain http, anyone on the way can read passwords`,
      'Put a proxy with TLS in front and use its https:// address; plain http is accepted for localhost alone.',
    )
  }
  return origin
}

function readSecretKeys(top: ConfigReader, { mode, environment, folder }: ConfigSources): Keys | undefined {
  const file = top.text('keysFile', '')
  const fromEnvironment = environment.GATEPASS_KEYS
  const fix =
    'Run `gatepass key` and give what it prints as GATEPASS_KEYS, or as {"keys":["…"]} in a file named by GATEPASS_KEYS_FILE.'
  if (fromEnvironment === undefined && file === '') {
    if (mode === 'production') top.problem('keys', 'are missing: production does not make its own', fix)
    return undefined
  }
  const path = resolve(folder, file)
  if (mode === 'production' && fromEnvironment === undefined && othersMayChange(path)) {
    top.problem('keysFile', `is ${path}, which other users may change`, `Run: chmod go-w ${path}.`)
    return undefined
  }
  const keys = fromEnvironment === undefined ? parseKeysFile(path) : parseKeys(fromEnvironment.split(','))
  if (!('refusal' in keys)) return keys.keys
  top.problem('keys', keys.refusal, fix)
  return undefined
}

function readTrustProxy(top: ConfigReader): Config['trustProxy'] {
  const value = top.take('trustProxy')
  if (value === undefined) return undefined
  const entries = Array.isArray(value)
    ? value
    : String(value)
        .split(',')
        .map((entry) => entry.trim())
  const [first] = entries
  if (entries.length === 1 && /^\d{1,2}$/.test(String(first)) && Number(first) <= MOST_PROXIES) return Number(first)
  if (entries.every(isProxy)) return entries
  top.problem(
    'trustProxy',
    `is ${shown(value)}`,
    'Write how many proxies stand in front (1), or their addresses (10.0.0.0/8, ::1).',
  )
  return undefined
}

const MOST_PROXIES = 32

function isProxy(entry: unknown): entry is string {
  if (typeof entry !== 'string') return false
  const [, address = entry, prefix = '32'] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? []
  const family = isIP(address)
  const fits = Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128)
  return /^(?:loopback|linklocal|uniquelocal)$/.test(entry) || (family !== 0 && fits)
}

function readTrustedOrigins(top: ConfigReader): readonly string[] {
  return top.list('trustedOrigins').flatMap((text) => {
    const origin = parseOrigin(text)
    if (origin !== undefined) return [origin]
    top.problem(
      'trustedOrigins',
      `has ${shown(text)}, not a bare origin`,
      'Write scheme and host alone: https://app.example.com',
    )
    return []
  })
}

const variables: Readonly<Record<string, string>> = {
  GATEPASS_HOST: 'host',
  GATEPASS_PORT: 'port',
  GATEPASS_ORIGIN: 'origin',
  GATEPASS_DATA: 'data',
  GATEPASS_KEYS_FILE: 'keysFile',
  GATEPASS_TRUST_PROXY: 'trustProxy',
  GATEPASS_TRUSTED_ORIGINS: 'trustedOrigins',
  GATEPASS_NAME: 'name',
  GATEPASS_REGISTRATION: 'registration',
  GATEPASS_LOG_LEVEL: 'logLevel',
}

function withOverrides(
  file: Record<string, unknown>,
  { environment, flags = {} }: ConfigSources,
): Record<string, unknown> {
  const fromEnvironment = Object.entries(variables).flatMap(([variable, key]) => {
    const value = environment[variable]
    return value === undefined || value === '' ? [] : [[key, value] as const]
  })
  return { ...file, ...Object.fromEntries(fromEnvironment), ...flags }
}

function readConfigFile(
  { mode, environment, flags, folder }: ConfigSources,
  problems: ConfigProblem[],
): Record<string, unknown> {
  const named = flags?.config ?? environment.GATEPASS_CONFIG
  const path = resolve(folder, named ?? CONFIG_FILE)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (named !== undefined || !absent) {
      problems.push({
        key: 'config',
        message: `${path} cannot be read`,
        fix: 'Check the path and who may read the file.',
      })
    }
    return {}
  }
  if (mode === 'production' && (modeOf(path) & 0o002) !== 0) {
    problems.push({ key: 'config', message: `is ${path}, which every user may change`, fix: `Run: chmod o-w ${path}` })
  }
  return parseConfigText(text, path, problems)
}

function parseConfigText(text: string, path: string, problems: ConfigProblem[]): Record<string, unknown> {
  try {
    // Some editors begin a file with a byte order mark, which JSON.parse does not know.
    const parsed: unknown = JSON.parse(text.replace(/^\ufeff/, ''))
    if (isObject(parsed)) return parsed
  } catch {
    // Said below: the parser's own message could quote a secret that has no business in this file.
  }
  problems.push({
    key: 'config',
    message: `${path} is not a JSON object`,
    fix: 'Write {"origin": "https://login.example.com"} and go from there.',
  })
  return {}
}
