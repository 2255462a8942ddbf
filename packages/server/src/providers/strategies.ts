import type { Exchange, Strategy } from 'gatepass'
import { apple } from 'gatepass/strategies/apple'
import { facebook } from 'gatepass/strategies/facebook'
import { github } from 'gatepass/strategies/github'
import { google } from 'gatepass/strategies/google'
import { microsoft } from 'gatepass/strategies/microsoft'
import { oidc, type ProviderCallOptions, type ProviderLoginOptions } from 'gatepass/strategies/oidc'
import type { Account } from '../accounts/accounts.ts'
import type { Services } from '../services.ts'
import type { ProviderConfig } from '../settings/provider-config.ts'
import { registrationClosed, tooManyTries } from '../web/problem.ts'
import { type Decision, whoseAccount } from './whose-account.ts'

type StrategyServices = Pick<Services, 'config' | 'stores' | 'providers' | 'limits' | 'log' | 'clock'>

/** A strategy for each configured provider, under the provider's name. */
export function providerStrategies(services: StrategyServices): Strategy<Account, string>[] {
  const { config, stores, providers, limits, log, clock } = services
  const whose = whoseAccount(stores, async ({ remoteAddress }) => {
    if (!config.registration) return registrationClosed
    const wait = await limits.admitRegistration(remoteAddress)
    return wait === undefined ? undefined : tooManyTries(wait)
  })
  return providers.map((provider) => {
    const { name, clientId, clientSecret } = provider
    return strategyFor(provider, {
      clientId,
      clientSecret,
      callback: callbackPath(name),
      clock,
      // Operators need the exact reason; the person is told what to do. The audit has the refusals by `account`.
      onEvent: ({ strategy, code, error }) => {
        if (code !== 'ERR_OAUTH_ACCOUNT') log.warn({ event: 'provider_refused', provider: strategy, err: error })
      },
      account: async (identity, { linking, exchange }) => {
        const decision =
          linking === undefined
            ? await whose.toLogIn(name, identity, exchange)
            : await whose.toLink(name, identity, linking)
        decisions.set(exchange, decision)
        return decision.type === 'opened' ? decision.account : undefined
      },
    })
  })
}

type CommonOptions = ProviderLoginOptions<Account> & { clientSecret: string }

const decisions = new WeakMap<Exchange, Decision>()

/** The decision about this request's identity; `undefined` if the request has no verified identity. */
export function decisionOf(exchange: Exchange): Decision | undefined {
  return decisions.get(exchange)
}

/** Where a provider sends people back to. */
export function callbackPath(name: string): string {
  return `/auth/${name}/callback`
}

function strategyFor(provider: ProviderConfig, options: CommonOptions): Strategy<Account, string> {
  switch (provider.kind) {
    case 'google': {
      const { issuer, hostedDomains } = provider
      const domains = hostedDomains.length === 0 ? {} : { hostedDomain: hostedDomains }
      return google({ ...options, ...domains, ...(issuer !== undefined && { issuer }) })
    }
    case 'facebook':
      return facebook({ ...options, ...(provider.endpoints !== undefined && { endpoints: provider.endpoints }) })
    case 'github':
      return github(options)
    case 'microsoft':
      return microsoft({ ...options, tenant: provider.tenant })
    case 'apple': {
      const { clientSecret: privateKey, ...rest } = options
      return apple({ ...rest, teamId: provider.teamId, keyId: provider.keyId, privateKey })
    }
    case 'oidc':
      return oidc({ ...options, name: provider.name, label: provider.label, issuer: provider.issuer })
  }
}

/** Asks the provider to let the person prove again who they are, where it can be asked. */
export function askAgain({ kind }: ProviderConfig): ProviderCallOptions {
  switch (kind) {
    case 'google':
      // Google has no `login`. This needs a click, at least.
      return { prompt: 'consent' }
    case 'microsoft':
    case 'oidc':
      return { prompt: 'login' }
    case 'facebook':
      return { parameters: { auth_type: 'reauthenticate' } }
    case 'github':
    case 'apple':
      return {}
  }
}
