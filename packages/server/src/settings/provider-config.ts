import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { isObject, list, required, said, section, text } from './schema.ts'
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

/** The section `providers`. Of each, the environment wins; the secret is there or in a file of its own, never in this one. */
export function providersSchema(
  inFile: unknown,
  sources: ProviderSources,
): v.GenericSchema<unknown, readonly ProviderConfig[]> {
  const inEnvironment = namesOfEnvironment.filter((name) => variable(sources, name, 'clientId') !== undefined)
  const names = new Set([...(isObject(inFile) ? Object.keys(inFile) : []), ...inEnvironment])
  const entries = Object.fromEntries([...names].map((name) => [name, v.nullish(providerSchema(name, sources), {})]))
  return v.pipe(
    section('providers', entries),
    v.transform((providers) => Object.values(providers)),
  )
}

function providerSchema(name: string, sources: ProviderSources): v.GenericSchema<unknown, ProviderConfig> {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(name) || taken.has(name)) {
    const fix = 'Name it with small letters and digits, like "acme".'
    return v.custom<ProviderConfig>(() => false, said('cannot be part of an address', fix))
  }
  const common = {
    label: v.nullish(text({ longest: 40, empty: false })),
    clientId: required('Write what the provider gave you when you registered this server there.'),
    clientSecretFile: v.nullish(secretSchema(name, sources), ''),
  }
  const given = <const Entries extends v.ObjectEntries>(entries: Entries) => {
    const keys = { ...common, ...entries }
    const overrides = Object.keys(keys).flatMap((key) => {
      const value = variable(sources, name, key)
      return value === undefined ? [] : [[key, value] as const]
    })
    return v.pipe(
      v.unknown(),
      v.transform((file) => (isObject(file) ? { ...file, ...Object.fromEntries(overrides) } : file)),
      section(name, keys),
    )
  }
  const client = ({ label, clientId, clientSecretFile }: ClientValues): ProviderClient => {
    const known = Object.hasOwn(labels, name) ? labels[name as keyof typeof labels] : name
    return { name, label: label?.trim() || known, clientId, clientSecret: clientSecretFile }
  }
  switch (name) {
    case 'google':
      return v.pipe(
        given({ hostedDomains: v.nullish(list(), []) }),
        v.transform((values) => ({ ...client(values), kind: name, hostedDomains: values.hostedDomains })),
      )
    case 'facebook':
    case 'github':
      return v.pipe(
        given({}),
        v.transform((values) => ({ ...client(values), kind: name })),
      )
    case 'microsoft':
      return v.pipe(
        given({ tenant: v.nullish(tenant, 'common') }),
        v.transform((values) => ({ ...client(values), kind: name, tenant: values.tenant })),
      )
    case 'apple':
      return v.pipe(
        given({
          teamId: required('Write the ten characters of your team at Apple.'),
          keyId: required('Write the ten characters of the key.'),
        }),
        v.transform((values) => ({ ...client(values), kind: name, teamId: values.teamId, keyId: values.keyId })),
      )
    default:
      return v.pipe(
        given({ issuer }),
        v.transform((values) => ({ ...client(values), kind: 'oidc' as const, issuer: values.issuer })),
      )
  }
}

interface ClientValues {
  readonly label?: string | null | undefined
  readonly clientId: string
  /** What the file holds. */
  readonly clientSecretFile: string
}

const tenant = v.pipe(
  text({ empty: false }),
  v.regex(
    /^(?:common|organizations|consumers|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
    said('is neither an id nor a word', 'Write an id, common, organizations or consumers.'),
  ),
)

const issuer = v.pipe(
  required('Write it as the provider’s metadata have it, to the last slash.'),
  v.check(
    (text) => text === '' || URL.canParse(text),
    said('is not an address', 'Write it as the provider’s metadata have it: https://id.example.com'),
  ),
)

/** Reads the secret, from the environment or from the file of this name. */
function secretSchema(name: string, sources: ProviderSources): v.GenericSchema<unknown, string> {
  return v.pipe(
    text(),
    v.rawTransform(({ dataset: { value: file }, addIssue, NEVER }) => {
      const given = variable(sources, name, 'clientSecret')
      const path = resolve(sources.folder, file)
      const asked = sources.mode === 'production' && given === undefined && file !== ''
      if (asked && othersMayChange(path)) {
        addIssue({ message: said(`is ${path}, which other users may change`, `Run: chmod go-w ${path}.`) })
        return NEVER
      }
      const secret = given ?? (file === '' ? '' : readSecretFile(path))
      if (secret !== '') return secret
      const message = file === '' ? 'is missing' : 'cannot be read, or is empty'
      const fix = `Set ${variableName(name, 'clientSecret')}, or name a file that holds nothing else: clientSecretFile.`
      addIssue({ message: said(message, fix, 'clientSecret') })
      return NEVER
    }),
  )
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
