import { type PretendClient, pretendFacebook, pretendGoogle } from 'gatepass/testing/providers'
import type { ProviderConfig } from '../settings/provider-config.ts'
import { callbackPath } from './strategies.ts'

/** Providers on this machine, so that every button works without a registration at a provider. */
export interface PretendProviders {
  readonly providers: readonly ProviderConfig[]
  close(): Promise<void>
}

export interface PretendSettings {
  /** Of this server, as browsers see it. */
  readonly origins: readonly string[]
  /** This server's; theirs follow, so that the identities of yesterday are found today. */
  readonly port: number
  /** Providers that are there already. */
  readonly except: readonly string[]
}

/** Starts those that are not configured. */
export async function startPretendProviders(settings: PretendSettings): Promise<PretendProviders> {
  const started = await Promise.all([google(settings), facebook(settings)])
  const wanted = started.filter((provider) => provider !== undefined)
  return {
    providers: wanted.map(({ config }) => config),
    close: async () => {
      await Promise.all(wanted.map(({ close }) => close()))
    },
  }
}

interface Started {
  readonly config: ProviderConfig
  close(): Promise<void>
}

async function google({ origins, port, except }: PretendSettings): Promise<Started | undefined> {
  if (except.includes('google')) return undefined
  const pretend = await onPort(port + 1, (at) => pretendGoogle({ port: at, clients: [clientOf('google', origins)] }))
  const config = { ...registration, name: 'google', label: 'Google', kind: 'google', hostedDomains: [] } as const
  return { config: { ...config, issuer: pretend.issuer }, close: () => pretend.close() }
}

async function facebook({ origins, port, except }: PretendSettings): Promise<Started | undefined> {
  if (except.includes('facebook')) return undefined
  const pretend = await onPort(port + 2, (at) =>
    pretendFacebook({ port: at, clients: [clientOf('facebook', origins)] }),
  )
  const config = { ...registration, name: 'facebook', label: 'Facebook', kind: 'facebook' } as const
  return { config: { ...config, endpoints: pretend.endpoints }, close: () => pretend.close() }
}

/** Not a secret: the providers that know it let a person be any user they like. */
const registration = { clientId: 'gatepass-dev', clientSecret: 'pretend' }

function clientOf(name: string, origins: readonly string[]): PretendClient {
  return { ...registration, redirectUris: origins.map((origin) => origin + callbackPath(name)) }
}

/** On this port, or on any that is free. */
async function onPort<Provider>(port: number, start: (port: number) => Promise<Provider>): Promise<Provider> {
  try {
    return await start(port > 65_535 ? 0 : port)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return start(0)
  }
}
