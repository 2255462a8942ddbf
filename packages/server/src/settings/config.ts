import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { isLoopbackAddress, isLoopbackHost, parseOrigin } from './origin.ts'
import { type ProviderConfig, type ProviderSources, providersSchema } from './provider-config.ts'
import {
  type ConfigProblem,
  environmentValues,
  flag,
  isObject,
  list,
  oneOf,
  problemOf,
  Refusal,
  reading,
  section,
  shown,
  splitAtCommas,
  text,
  whole,
} from './schema.ts'
import { type Keys, modeOf, othersMayChange, parseKeys, parseKeysFile } from './secrets.ts'

/** Everything that the server is told from outside, checked once. */
export interface Config {
  /** `dev` makes its own secrets and knows its own address; `production` must be told both. */
  readonly mode: 'dev' | 'production'
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** As browsers see this server. In dev `undefined` until it listens. */
  readonly origin: string | undefined
  /** Absolute path of the folder with the database and, in dev, the secrets. */
  readonly data: string
  /** `undefined` in dev, where `<data>/secrets.json` is made at the first start. */
  readonly keys: Keys | undefined
  /** The number of proxies in front, or their addresses. Default: none is trusted. */
  readonly trustProxy: number | readonly string[] | undefined
  readonly trustedOrigins: readonly string[]
  /** What the pages call this site. */
  readonly name: string
  /** Whether visitors may create accounts. */
  readonly registration: boolean
  readonly logLevel: LogLevel
  readonly session: SessionConfig
  readonly password: PasswordConfig
  readonly limits: LimitConfig
  /** Where people may log in besides here, in the order of the buttons. */
  readonly providers: readonly ProviderConfig[]
}

export type { ConfigProblem } from './schema.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Seconds, except `perAccount`. */
export interface SessionConfig {
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly rememberIdleTimeout: number
  readonly rememberAbsoluteTimeout: number
  /** How many sessions an account may have at once. The oldest ends. */
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

export interface ConfigSources extends ProviderSources {
  /** Flags of the command line, by key. They win over the environment, which wins over the file. */
  readonly flags?: Readonly<Record<string, string>>
}

/** The keys that the environment may set: `GATEPASS_PORT`, `GATEPASS_KEYS_FILE`. Those of providers come on top. */
const inEnvironment = 'host port origin data keysFile trustProxy trustedOrigins name registration logLevel'.split(' ')

/** Reads file, environment and flags into a {@link Config}, or returns everything that is wrong with them at once. */
export function readConfig(sources: ConfigSources): { config: Config } | { problems: readonly ConfigProblem[] } {
  const file = readConfigFile(sources)
  // The flag `config` names the file, and is not a key of it.
  const { config: _, ...flags } = sources.flags ?? {}
  const values = { ...file.values, ...environmentValues(sources.environment, inEnvironment), ...flags }
  const result = v.safeParse(configSchema(sources, values), values)
  const problems = [file.problem ?? [], (result.issues ?? []).map(problemOf)].flat()
  return result.success && problems.length === 0 ? { config: result.output } : { problems }
}

/** Reads only the data folder, as an absolute path, for a command that needs nothing else. */
export function readDataFolder(sources: ConfigSources): { data: string } | { problems: readonly ConfigProblem[] } {
  const { values, problem } = readConfigFile(sources)
  if (problem !== undefined) return { problems: [problem] }
  const inUse = { data: values?.data, ...environmentValues(sources.environment, ['data']), ...sources.flags }
  const result = v.safeParse(v.object({ data: dataSchema }), inUse)
  return result.success
    ? { data: resolve(sources.folder, result.output.data) }
    : { problems: result.issues.map(problemOf) }
}

const dataSchema = v.nullish(text({ empty: false }), '.gatepass')

function configSchema(
  sources: ConfigSources,
  { session, providers }: { session?: unknown; providers?: unknown },
): v.GenericSchema<unknown, Config> {
  const production = sources.mode === 'production'
  const password = section('password', {
    minLength: v.nullish(whole({ from: 8, to: 64 }), 15),
    words: v.nullish(list(), []),
  })
  const limits = section('limits', {
    loginsPerAddress: v.nullish(whole({ from: 1 }), 30),
    loginsPerPair: v.nullish(whole({ from: 1 }), 10),
    freeFailures: v.nullish(whole({ from: 1, to: 10 }), 5),
    longestDelay: v.nullish(whole({ from: 1, to: 86_400 }), 900),
    // In dev all browsers have one address, and people create many accounts to try things out.
    registrationsPerAddress: v.nullish(whole({ from: 1 }), production ? 10 : 1000),
  })
  const file = section('config', {
    host: v.nullish(hostSchema(production), '127.0.0.1'),
    port: v.nullish(whole({ from: 0, to: 65_535 }), 3000),
    origin: v.nullish(originSchema(production), ''),
    data: dataSchema,
    keysFile: v.nullish(keysSchema(sources), ''),
    trustProxy: v.nullish(reading(v.unknown(), readProxies)),
    trustedOrigins: v.nullish(reading(list(), readOrigins), []),
    name: v.nullish(text({ longest: 40 }), ''),
    registration: v.nullish(flag(), true),
    logLevel: v.nullish(oneOf(['info', 'debug', 'warn', 'error', 'silent']), 'info'),
    session: v.nullish(sessionSchema(isObject(session) ? session : {}), {}),
    password: v.nullish(password, {}),
    limits: v.nullish(limits, {}),
    providers: v.nullish(providersSchema(providers, sources), {}),
  })
  return v.pipe(
    file,
    v.transform(({ keysFile, data, name, trustProxy, ...rest }) => ({
      ...rest,
      mode: sources.mode,
      data: resolve(sources.folder, data),
      keys: keysFile,
      trustProxy: trustProxy ?? undefined,
      // The environment cannot say "nothing", and every page needs a name.
      name: name.trim() || 'Gatepass',
    })),
  )
}

/** In dev passwords go over plain http, and everyone can log in as any person of a pretend provider. */
function hostSchema(production: boolean): v.GenericSchema<unknown, string> {
  return reading(text({ empty: false }), (host) => {
    if (production || isLoopbackAddress(host)) return host
    const fix = 'Leave it out. For other machines, and for a container, use `gatepass serve`.'
    return new Refusal(`is ${shown(host)}: other machines would reach a server that is in dev`, fix)
  })
}

function originSchema(production: boolean): v.GenericSchema<unknown, string | undefined> {
  return reading(text(), (text) => {
    if (text === '') {
      const fix = 'Set GATEPASS_ORIGIN to the address that browsers use: https://login.example.com'
      return production ? new Refusal('is missing', fix) : undefined
    }
    const origin = parseOrigin(text)
    if (origin === undefined)
      return new Refusal(
        `is ${shown(text)}, not a bare origin`,
        'Write only scheme and host: https://login.example.com',
      )
    if (origin.startsWith('https:') || isLoopbackHost(new URL(origin).hostname)) return origin
    return new Refusal(
      `is ${shown(text)}: over plain http, anyone on the way can read passwords`,
      'Put a proxy with TLS in front and use its https:// address. Plain http is accepted only for localhost.',
    )
  })
}

/** Reads the keys, from the environment or from the file of this name. */
function keysSchema({ mode, environment, folder }: ConfigSources): v.GenericSchema<unknown, Keys | undefined> {
  const fix =
    'Run `gatepass key` and set its output as GATEPASS_KEYS, or as {"keys":["…"]} in a file named by GATEPASS_KEYS_FILE.'
  return reading(text(), (file) => {
    // Beside a file, empty text counts as nothing. Alone it is a mistake, most likely of a script.
    const given = environment.GATEPASS_KEYS === '' && file !== '' ? undefined : environment.GATEPASS_KEYS
    if (given === undefined && file === '') {
      if (mode === 'dev') return undefined
      return new Refusal('are missing: production does not make its own', fix, 'keys')
    }
    const path = resolve(folder, file)
    if (mode === 'production' && given === undefined && othersMayChange(path))
      return new Refusal(`is ${path}, which other users may change`, `Run: chmod go-w ${path}.`)
    const keys = given === undefined ? parseKeysFile(path) : parseKeys(given.split(','))
    return 'refusal' in keys ? new Refusal(keys.refusal, fix, 'keys') : keys.keys
  })
}

const MOST_PROXIES = 32

function readProxies(value: unknown): number | string[] | Refusal {
  const entries: unknown[] = Array.isArray(value) ? value : splitAtCommas(String(value))
  const [first] = entries
  if (entries.length === 1 && /^\d{1,2}$/.test(String(first)) && Number(first) <= MOST_PROXIES) return Number(first)
  if (entries.every(isProxy)) return entries
  return new Refusal(
    `is ${shown(value)}`,
    'Write how many proxies stand in front (1), or their addresses (10.0.0.0/8, ::1).',
  )
}

function isProxy(entry: unknown): entry is string {
  if (typeof entry !== 'string') return false
  const [, address = entry, prefix = '32'] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? []
  const family = isIP(address)
  const fits = Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128)
  return /^(?:loopback|linklocal|uniquelocal)$/.test(entry) || (family !== 0 && fits)
}

function readOrigins(texts: readonly string[]): string[] | Refusal {
  const bad = texts.filter((text) => parseOrigin(text) === undefined)
  if (bad.length === 0) return texts.flatMap((text) => parseOrigin(text) ?? [])
  return new Refusal(
    `has ${bad.map(shown).join(', ')}, not a bare origin`,
    'Write only scheme and host: https://app.example.com',
  )
}

/** @param given the section as it is, since each idle timeout is compared with its absolute timeout */
function sessionSchema(given: Readonly<Record<string, unknown>>): v.GenericSchema<unknown, SessionConfig> {
  // 400 days is the longest that a browser keeps a cookie (RFC 6265bis §5.6.2).
  const absolute = whole({ from: 60, to: 400 * 86_400 })
  // Milliseconds in place of seconds are noticed here: such a session would end before it is idle.
  const idle = (usual: number, end: number) => {
    const fits = reading(whole({ from: 60 }), (seconds) =>
      seconds <= end
        ? seconds
        : new Refusal(
            `is ${seconds}, and the session ends after ${end} seconds anyway`,
            `Write seconds, at most ${end}, or raise the absolute timeout as well.`,
          ),
    )
    return v.nullish(fits, Math.min(usual, end))
  }
  const { absoluteTimeout, rememberAbsoluteTimeout } = given
  const [week, month] = [7 * 86_400, 30 * 86_400]
  return section('session', {
    idleTimeout: idle(86_400, secondsIn(absoluteTimeout ?? week)),
    absoluteTimeout: v.nullish(absolute, week),
    rememberIdleTimeout: idle(14 * 86_400, secondsIn(rememberAbsoluteTimeout ?? month)),
    rememberAbsoluteTimeout: v.nullish(absolute, month),
    perAccount: v.nullish(whole({ from: 1, to: 1000 }), 20),
  })
}

/** A value that is not a number has a problem of its own, so nothing is compared with it. */
function secondsIn(value: unknown): number {
  const parsed = v.safeParse(whole({ from: 60 }), value)
  return parsed.success ? parsed.output : Number.POSITIVE_INFINITY
}

/** Reads the file. A file that others may change is a problem, and is read nevertheless. */
function readConfigFile({ mode, environment, flags, folder }: ConfigSources): {
  values?: Record<string, unknown>
  problem?: ConfigProblem
} {
  const named = flags?.config ?? environmentValues(environment, ['config']).config
  const path = resolve(folder, named ?? 'gatepass.config.json')
  const problem = (message: string, fix: string) => ({ problem: { key: 'config', message, fix } })
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (named === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    return problem(`${path} cannot be read`, 'Check the path and who may read the file.')
  }
  const values = objectIn(text)
  if (values === undefined)
    return problem(`${path} is not a JSON object`, 'Begin with {"origin": "https://login.example.com"}.')
  const open = mode === 'production' && (modeOf(path) & 0o002) !== 0
  return { values, ...(open && problem(`is ${path}, which every user may change`, `Run: chmod o-w ${path}`)) }
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    // Some editors begin a file with a byte order mark, which JSON.parse does not accept.
    const parsed: unknown = JSON.parse(text.replace(/^\ufeff/, ''))
    return isObject(parsed) ? parsed : undefined
  } catch {
    // The parser's own message could quote a secret that does not belong in this file.
    return undefined
  }
}
