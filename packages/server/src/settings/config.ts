import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { isLoopbackAddress, isLoopbackHost, parseOrigin } from './origin.ts'
import { type ProviderConfig, providersSchema } from './provider-config.ts'
import {
  type ConfigProblem,
  flag,
  isObject,
  list,
  oneOf,
  problemOf,
  said,
  section,
  shown,
  splitAtCommas,
  text,
  whole,
} from './schema.ts'
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

export type { ConfigProblem } from './schema.ts'

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
  const file = readConfigFile(sources)
  const values = withOverrides(file.values ?? {}, sources)
  const result = v.safeParse(configSchema(sources, values), values)
  const problems = [file.problem ?? [], (result.issues ?? []).map(problemOf)].flat()
  return result.success && problems.length === 0 ? { config: result.output } : { problems }
}

function configSchema(sources: ConfigSources, values: Record<string, unknown>): v.GenericSchema<unknown, Config> {
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
    // In dev all browsers have one address, and trying things out takes many accounts.
    registrationsPerAddress: v.nullish(whole({ from: 1 }), production ? 10 : 1000),
  })
  const file = section('config', {
    host: v.nullish(hostSchema(production), '127.0.0.1'),
    port: v.nullish(whole({ from: 0, to: 65_535 }), 3000),
    origin: v.nullish(originSchema(production), ''),
    data: v.nullish(text({ empty: false }), '.gatepass'),
    keysFile: v.nullish(keysSchema(sources), ''),
    trustProxy: v.nullish(proxySchema()),
    trustedOrigins: v.nullish(trustedOriginsSchema(), []),
    name: v.nullish(text({ longest: 40 }), ''),
    registration: v.nullish(flag(), true),
    logLevel: v.nullish(oneOf(['info', 'debug', 'warn', 'error', 'silent']), 'info'),
    session: v.nullish(sessionSchema(), {}),
    password: v.nullish(password, {}),
    limits: v.nullish(limits, {}),
    providers: v.nullish(providersSchema(values.providers, sources), {}),
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

/** In dev passwords go over plain http, and pretend providers let a person be who they like. */
function hostSchema(production: boolean): v.GenericSchema<unknown, string> {
  return v.pipe(
    text({ empty: false }),
    v.check(
      (host) => production || isLoopbackAddress(host),
      ({ input }) =>
        said(
          `is ${shown(input)}: other machines would reach a server that is in dev`,
          'Leave it out. For other machines, and for a container, use `gatepass serve`.',
        ),
    ),
  )
}

function originSchema(production: boolean): v.GenericSchema<unknown, string | undefined> {
  const isSafe = (text: string): boolean => {
    const origin = parseOrigin(text)
    return origin === undefined || origin.startsWith('https:') || isLoopbackHost(new URL(origin).hostname)
  }
  return v.pipe(
    text(),
    v.check(
      (text) => text !== '' || !production,
      said('is missing', 'Set GATEPASS_ORIGIN to the address that browsers use: https://login.example.com'),
    ),
    v.check(
      (text) => text === '' || parseOrigin(text) !== undefined,
      ({ input }) =>
        said(`is ${shown(input)}, not a bare origin`, 'Write scheme and host alone: https://login.example.com'),
    ),
    v.check(isSafe, ({ input }) =>
      said(
        `is ${shown(input)}: over plain http, anyone on the way can read passwords`,
        'Put a proxy with TLS in front and use its https:// address; plain http is accepted for localhost alone.',
      ),
    ),
    v.transform(parseOrigin),
  )
}

/** Reads the keys, from the environment or from the file of this name. */
function keysSchema({ mode, environment, folder }: ConfigSources): v.GenericSchema<unknown, Keys | undefined> {
  const fix =
    'Run `gatepass key` and give what it prints as GATEPASS_KEYS, or as {"keys":["…"]} in a file named by GATEPASS_KEYS_FILE.'
  return v.pipe(
    text(),
    v.rawTransform(({ dataset: { value: file }, addIssue, NEVER }) => {
      const refuse = (message: string): never => {
        addIssue({ message: said(message, fix, 'keys') })
        return NEVER
      }
      const given = environment.GATEPASS_KEYS
      if (given === undefined && file === '') {
        return mode === 'production' ? refuse('are missing: production does not make its own') : undefined
      }
      const path = resolve(folder, file)
      if (mode === 'production' && given === undefined && othersMayChange(path)) {
        addIssue({ message: said(`is ${path}, which other users may change`, `Run: chmod go-w ${path}.`) })
        return NEVER
      }
      const keys = given === undefined ? parseKeysFile(path) : parseKeys(given.split(','))
      return 'refusal' in keys ? refuse(keys.refusal) : keys.keys
    }),
  )
}

function proxySchema(): v.GenericSchema<unknown, number | string[]> {
  return v.pipe(
    v.unknown(),
    v.rawTransform(({ dataset: { value }, addIssue, NEVER }) => {
      const entries: unknown[] = Array.isArray(value) ? value : splitAtCommas(String(value))
      const [first] = entries
      if (entries.length === 1 && /^\d{1,2}$/.test(String(first)) && Number(first) <= MOST_PROXIES) return Number(first)
      if (entries.every(isProxy)) return entries
      const fix = 'Write how many proxies stand in front (1), or their addresses (10.0.0.0/8, ::1).'
      addIssue({ message: said(`is ${shown(value)}`, fix) })
      return NEVER
    }),
  )
}

const MOST_PROXIES = 32

function isProxy(entry: unknown): entry is string {
  if (typeof entry !== 'string') return false
  const [, address = entry, prefix = '32'] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? []
  const family = isIP(address)
  const fits = Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128)
  return /^(?:loopback|linklocal|uniquelocal)$/.test(entry) || (family !== 0 && fits)
}

function trustedOriginsSchema(): v.GenericSchema<unknown, string[]> {
  return v.pipe(
    list(),
    v.rawTransform(({ dataset: { value: texts }, addIssue }) =>
      texts.flatMap((text) => {
        const origin = parseOrigin(text)
        const fix = 'Write scheme and host alone: https://app.example.com'
        if (origin === undefined) addIssue({ message: said(`has ${shown(text)}, not a bare origin`, fix) })
        return origin ?? []
      }),
    ),
  )
}

function sessionSchema(): v.GenericSchema<unknown, SessionConfig> {
  // 400 days is the longest that a browser keeps a cookie (RFC 6265bis §5.6.2).
  const absolute = { from: 60, to: 400 * 86_400 }
  const given = section('session', {
    idleTimeout: v.nullish(whole({ from: 60 })),
    absoluteTimeout: v.nullish(whole(absolute), 7 * 86_400),
    rememberIdleTimeout: v.nullish(whole({ from: 60 })),
    rememberAbsoluteTimeout: v.nullish(whole(absolute), 30 * 86_400),
    perAccount: v.nullish(whole({ from: 1, to: 1000 }), 20),
  })
  // Milliseconds where seconds are meant show here: such a session would end before it is idle.
  const beyond = (idle: number | null | undefined, absolute: number): string =>
    said(
      `is ${idle}, and the session ends after ${absolute} seconds anyway`,
      `Write seconds, at most ${absolute}, or raise the absolute timeout as well.`,
    )
  return v.pipe(
    given,
    v.forward(
      v.partialCheck(
        [['idleTimeout'], ['absoluteTimeout']],
        ({ idleTimeout, absoluteTimeout }) => (idleTimeout ?? 0) <= absoluteTimeout,
        ({ input }) => beyond(input.idleTimeout, input.absoluteTimeout),
      ),
      ['idleTimeout'],
    ),
    v.forward(
      v.partialCheck(
        [['rememberIdleTimeout'], ['rememberAbsoluteTimeout']],
        ({ rememberIdleTimeout, rememberAbsoluteTimeout }) => (rememberIdleTimeout ?? 0) <= rememberAbsoluteTimeout,
        ({ input }) => beyond(input.rememberIdleTimeout, input.rememberAbsoluteTimeout),
      ),
      ['rememberIdleTimeout'],
    ),
    v.transform(({ idleTimeout, rememberIdleTimeout, ...rest }) => ({
      ...rest,
      idleTimeout: idleTimeout ?? Math.min(86_400, rest.absoluteTimeout),
      rememberIdleTimeout: rememberIdleTimeout ?? Math.min(14 * 86_400, rest.rememberAbsoluteTimeout),
    })),
  )
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
  // It names the file, and is not a key of it.
  const { config: _, ...fromFlags } = flags
  return { ...file, ...Object.fromEntries(fromEnvironment), ...fromFlags }
}

/** What the file says; without a file, nothing. A file that others may change is a problem, and is read all the same. */
function readConfigFile(sources: ConfigSources): { values?: Record<string, unknown>; problem?: ConfigProblem } {
  const { mode, environment, flags, folder } = sources
  const named = flags?.config ?? environment.GATEPASS_CONFIG
  const path = resolve(folder, named ?? CONFIG_FILE)
  const problem = (message: string, fix: string): ConfigProblem => ({ key: 'config', message, fix })
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (named === undefined && absent) return {}
    return { problem: problem(`${path} cannot be read`, 'Check the path and who may read the file.') }
  }
  const values = valuesIn(text)
  if (values === undefined) {
    const fix = 'Write {"origin": "https://login.example.com"} and go from there.'
    return { problem: problem(`${path} is not a JSON object`, fix) }
  }
  const open = mode === 'production' && (modeOf(path) & 0o002) !== 0
  return {
    values,
    ...(open && { problem: problem(`is ${path}, which every user may change`, `Run: chmod o-w ${path}`) }),
  }
}

function valuesIn(text: string): Record<string, unknown> | undefined {
  try {
    // Some editors begin a file with a byte order mark, which JSON.parse does not know.
    const parsed: unknown = JSON.parse(text.replace(/^\ufeff/, ''))
    return isObject(parsed) ? parsed : undefined
  } catch {
    // Without the parser's own message, which could quote a secret that does not belong in this file.
    return undefined
  }
}
