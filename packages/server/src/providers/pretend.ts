import { pretendFacebook, pretendGoogle } from 'gatepass/testing/providers'
import type { MoreProviders, ServerPlace } from '../server.ts'
import type { ProviderConfig } from '../settings/provider-config.ts'
import { callbackPath } from './strategies.ts'

/** Not a secret: everyone can log in as any person of a pretend provider. */
const registration = { clientId: 'gatepass-dev', clientSecret: 'pretend' }

/**
 * Starts providers on this machine, so that every button works without a registration at a provider. Their ports follow the
 * server's port, so that their identities are the same at the next start.
 *
 * @param settings `except`: names of providers that are configured already
 */
export async function startPretendProviders(
  settings: ServerPlace & { readonly except: readonly string[] },
): Promise<MoreProviders> {
  const { origins, port, except } = settings
  const clientOf = (name: string) => ({
    ...registration,
    redirectUris: origins.map((origin) => origin + callbackPath(name)),
  })
  const google = async () => {
    const clients = [clientOf('google')]
    const pretend = await onPort(port + 1, (port) => pretendGoogle({ port, clients }))
    const { issuer } = pretend
    const config = {
      ...registration,
      name: 'google',
      label: 'Google',
      kind: 'google',
      hostedDomains: [],
      issuer,
    } as const
    return { config, close: () => pretend.close() }
  }
  const facebook = async () => {
    const clients = [clientOf('facebook')]
    const pretend = await onPort(port + 2, (port) => pretendFacebook({ port, clients }))
    const { endpoints } = pretend
    const config = { ...registration, name: 'facebook', label: 'Facebook', kind: 'facebook', endpoints } as const
    return { config, close: () => pretend.close() }
  }
  const started = await Promise.all([
    ...(except.includes('google') ? [] : [google()]),
    ...(except.includes('facebook') ? [] : [facebook()]),
  ])
  return {
    providers: started.map(({ config }): ProviderConfig => config),
    close: async () => {
      await Promise.all(started.map(({ close }) => close()))
    },
  }
}

/** Starts on this port, or on any free one. */
async function onPort<Provider>(port: number, start: (port: number) => Promise<Provider>): Promise<Provider> {
  try {
    return await start(port > 65_535 ? 0 : port)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return start(0)
  }
}
