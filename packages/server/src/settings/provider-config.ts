import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as v from 'valibot'
import {
  environmentValues,
  isObject,
  list,
  Refusal,
  reading,
  required,
  said,
  section,
  text,
  variableName,
} from './schema.ts'
import { othersMayChange } from './secrets.ts'

/** A place where people may log in instead of here, as this server is registered there. */
export type ProviderConfig = ProviderClient &
  (
    | {
        readonly kind: 'google'
        /** Only people of these organisations may log in; empty: everyone may. */
        readonly hostedDomains: readonly string[]
        /** The address of a pretend provider. */
        readonly issuer?: string
      }
    | { readonly kind: 'facebook'; readonly endpoints?: { readonly web: string; readonly graph: string } }
    | { readonly kind: 'github' }
    | { readonly kind: 'microsoft'; readonly tenant: string }
    | { readonly kind: 'apple'; readonly teamId: string; readonly keyId: string }
    | { readonly kind: 'oidc'; readonly issuer: string }
  )

interface ProviderClient {
  /** In addresses, and in the table of identities. After a change, existing links stay, but their provider is unknown. */
  readonly name: string
  /** What people call it. */
  readonly label: string
  readonly clientId: string
  /** Apple: the text of the key file. */
  readonly clientSecret: string
}

const tenant = v.pipe(
  text({ empty: false }),
  v.regex(
    /^(?:common|organizations|consumers|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
    said('is neither an id nor a known word', 'Write an id, common, organizations or consumers.'),
  ),
)

const issuer = reading(required('Write it exactly as the provider’s metadata have it, to the last slash.'), (issuer) =>
  URL.canParse(issuer)
    ? issuer
    : new Refusal('is not an address', 'Write it as the provider’s metadata have it: https://id.example.com'),
)

/** The label and the extra keys of each kind. Every name that is not here is an OpenID provider. */
const kinds = {
  google: { label: 'Google', keys: { hostedDomains: v.nullish(list(), []) } },
  facebook: { label: 'Facebook', keys: {} },
  github: { label: 'GitHub', keys: {} },
  microsoft: { label: 'Microsoft', keys: { tenant: v.nullish(tenant, 'common') } },
  apple: {
    label: 'Apple',
    keys: {
      teamId: required('Write the ten characters of your team at Apple.'),
      keyId: required('Write the ten characters of the key.'),
    },
  },
  oidc: { label: undefined, keys: { issuer } },
}

/** Addresses below /auth that are not a provider's. */
const taken: ReadonlySet<string> = new Set(['login', 'logout', 'register', 'session', 'sessions', 'token'])

export interface ProviderSources {
  readonly mode: 'dev' | 'production'
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Relative paths start here. */
  readonly folder: string
}

/** The section `providers`. The environment wins over the file. A secret is never in the file itself. */
export function providersSchema(
  inFile: unknown,
  sources: ProviderSources,
): v.GenericSchema<unknown, readonly ProviderConfig[]> {
  const inEnvironment = Object.keys(kinds).filter(
    (name) => 'clientId' in environmentValues(sources.environment, ['clientId'], name),
  )
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
  const kind = Object.hasOwn(kinds, name) ? (name as keyof typeof kinds) : 'oidc'
  const keys = {
    label: v.nullish(text({ longest: 40, empty: false })),
    clientId: required('Write what the provider gave you when you registered this server there.'),
    clientSecretFile: v.nullish(secretSchema(name, sources), ''),
    ...kinds[kind].keys,
  }
  const overrides = environmentValues(sources.environment, Object.keys(keys), name)
  return v.pipe(
    v.unknown(),
    v.transform((file) => (isObject(file) ? { ...file, ...overrides } : file)),
    section(name, keys),
    v.transform(({ label, clientSecretFile, ...rest }) => {
      const client = { name, label: label?.trim() || kinds[kind].label || name, clientSecret: clientSecretFile }
      return { ...rest, ...client, kind } as ProviderConfig
    }),
  )
}

/** Reads the secret, from the environment or from the file of this name. */
function secretSchema(name: string, { mode, environment, folder }: ProviderSources): v.GenericSchema<unknown, string> {
  return reading(text(), (file) => {
    const { clientSecret: given } = environmentValues(environment, ['clientSecret'], name)
    if (given !== undefined) return given
    const path = resolve(folder, file)
    if (mode === 'production' && file !== '' && othersMayChange(path))
      return new Refusal(`is ${path}, which other users may change`, `Run: chmod go-w ${path}.`)
    const secret = file === '' ? '' : readSecretFile(path)
    if (secret !== '') return secret
    const message = file === '' ? 'is missing' : 'cannot be read, or is empty'
    const variable = variableName('clientSecret', name)
    return new Refusal(
      message,
      `Set ${variable}, or set clientSecretFile to a file that contains only the secret.`,
      'clientSecret',
    )
  })
}

function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
