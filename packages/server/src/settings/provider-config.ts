import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConfigReader } from './config-reader.ts'
import { othersMayChange } from './secrets.ts'

/** A place where people may log in instead of here, as it is registered there. */
export type ProviderConfig = ProviderClient &
  (
    | {
        readonly kind: 'google'
        /** Lets in these organisations alone; empty: everybody. */
        readonly hostedDomains: readonly string[]
        /** Where it is, if it is a pretend one. */
        readonly issuer?: string
      }
    | { readonly kind: 'facebook'; readonly endpoints?: { readonly web: string; readonly graph: string } }
    | { readonly kind: 'github' }
    | { readonly kind: 'microsoft'; readonly tenant: string }
    | { readonly kind: 'apple'; readonly teamId: string; readonly keyId: string }
    | { readonly kind: 'oidc'; readonly issuer: string }
  )

interface ProviderClient {
  /** In addresses, and in the table of identities: changing it unlinks nothing, but whose button it was is not known any more. */
  readonly name: string
  /** What people call it. */
  readonly label: string
  readonly clientId: string
  /** Apple: the text of the key file. */
  readonly clientSecret: string
}

/** Those with a strategy of their own; every other name is an OpenID provider by its issuer. */
const labels = {
  google: 'Google',
  facebook: 'Facebook',
  github: 'GitHub',
  microsoft: 'Microsoft',
  apple: 'Apple',
} as const

/** The names that the environment alone can configure. */
const namesOfEnvironment = [...Object.keys(labels), 'oidc']

/** Addresses below /auth that are something else. */
const taken: ReadonlySet<string> = new Set(['login', 'logout', 'register', 'session', 'sessions', 'token'])

export interface ProviderSources {
  readonly mode: 'dev' | 'production'
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Relative paths start here. */
  readonly folder: string
}

/** Reads the section `providers`; of each, the environment wins, and the secret is there or in a file, never in this one. */
export function readProviders(section: ConfigReader, sources: ProviderSources): readonly ProviderConfig[] {
  const inFile = section.keys()
  const inEnvironment = namesOfEnvironment.filter((name) => variable(sources, name, 'clientId') !== undefined)
  const names = [...inFile, ...inEnvironment.filter((name) => !inFile.includes(name))]
  const providers = names.flatMap((name) => readProvider(section, name, sources) ?? [])
  section.refuseRest()
  return providers
}

const settings = ['clientId', 'clientSecretFile', 'label', 'issuer', 'tenant', 'teamId', 'keyId', 'hostedDomains']

function readProvider(section: ConfigReader, name: string, sources: ProviderSources): ProviderConfig | undefined {
  const overrides = Object.fromEntries(
    settings.flatMap((key) => {
      const value = variable(sources, name, key)
      return value === undefined ? [] : [[key, value]]
    }),
  )
  const reader = section.section(name, overrides)
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(name) || taken.has(name)) {
    section.problem(name, 'cannot be part of an address', 'Name it with small letters and digits, like "acme".')
    return undefined
  }
  const provider = { ...readClient(reader, name, sources), ...readKind(reader, name) }
  reader.refuseRest()
  return provider
}

function readClient(reader: ConfigReader, name: string, sources: ProviderSources): ProviderClient {
  const known = Object.hasOwn(labels, name) ? labels[name as keyof typeof labels] : name
  return {
    name,
    label: reader.text('label', known, 40).trim() || known,
    clientId: reader.required('clientId', 'Write what the provider gave you when you registered this server there.'),
    clientSecret: readSecret(reader, name, sources),
  }
}

type Kind<Config = ProviderConfig> = Config extends ProviderConfig ? Omit<Config, keyof ProviderClient> : never

function readKind(reader: ConfigReader, name: string): Kind {
  switch (name) {
    case 'google':
      return { kind: name, hostedDomains: reader.list('hostedDomains') }
    case 'facebook':
    case 'github':
      return { kind: name }
    case 'microsoft':
      return { kind: name, tenant: readTenant(reader) }
    case 'apple':
      return {
        kind: name,
        teamId: reader.required('teamId', 'Write the ten characters of your team at Apple.'),
        keyId: reader.required('keyId', 'Write the ten characters of the key.'),
      }
    default:
      return { kind: 'oidc', issuer: readIssuer(reader) }
  }
}

function readTenant(reader: ConfigReader): string {
  const tenant = reader.text('tenant', 'common')
  const known = /^(?:common|organizations|consumers|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.test(tenant)
  if (!known)
    reader.problem('tenant', 'is neither an id nor a word', 'Write an id, common, organizations or consumers.')
  return tenant
}

function readIssuer(reader: ConfigReader): string {
  const issuer = reader.required('issuer', 'Write it as the provider’s metadata have it, to the last slash.')
  if (issuer !== '' && !URL.canParse(issuer)) {
    reader.problem('issuer', 'is not an address', 'Write it as the provider’s metadata have it: https://id.example.com')
  }
  return issuer
}

function readSecret(reader: ConfigReader, name: string, sources: ProviderSources): string {
  const given = variable(sources, name, 'clientSecret')
  const file = reader.text('clientSecretFile', '')
  const path = resolve(sources.folder, file)
  const asked = sources.mode === 'production' && given === undefined && file !== ''
  if (asked && othersMayChange(path)) {
    reader.problem('clientSecretFile', `is ${path}, which other users may change`, `Run: chmod go-w ${path}.`)
    return ''
  }
  const text = given ?? (file === '' ? '' : readSecretFile(path))
  if (text === '') {
    reader.problem(
      'clientSecret',
      file === '' ? 'is missing' : 'cannot be read, or is empty',
      `Set ${variableName(name, 'clientSecret')}, or name a file that holds nothing else: clientSecretFile.`,
    )
  }
  return text
}

function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function variable({ environment }: ProviderSources, name: string, key: string): string | undefined {
  return environment[variableName(name, key)] || undefined
}

/** `GATEPASS_GOOGLE_CLIENT_ID` */
function variableName(name: string, key: string): string {
  const words = `${name}-${key.replace(/[A-Z]/g, (letter) => `-${letter}`)}`
  return `GATEPASS_${words.replaceAll('-', '_').toUpperCase()}`
}
