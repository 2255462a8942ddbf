import type { Exchange, Strategy } from 'gatepass'
import { apple } from 'gatepass/strategies/apple'
import { facebook } from 'gatepass/strategies/facebook'
import { github } from 'gatepass/strategies/github'
import { google } from 'gatepass/strategies/google'
import { microsoft } from 'gatepass/strategies/microsoft'
import { oidc, type ProviderCallOptions, type ProviderLoginOptions } from 'gatepass/strategies/oidc'
import type { Account } from '../accounts/accounts.ts'
import type { Log } from '../operation/log.ts'
import type { ProviderConfig } from '../settings/provider-config.ts'
import type { Decision, WhoseAccount } from './whose-account.ts'

export interface StrategySettings {
  readonly whose: WhoseAccount
  readonly log: Log
  /** Epoch milliseconds. */
  readonly clock: () => number
}

/** A strategy for each configured provider, under the provider's name. */
export function providerStrategies(
  providers: readonly ProviderConfig[],
  settings: StrategySettings,
): Strategy<Account, string>[] {
  return providers.map((provider) => strategyFor(provider, optionsFor(provider, settings)))
}

type CommonOptions = ProviderLoginOptions<Account> & { clientSecret: string }

function optionsFor(
  { name, clientId, clientSecret }: ProviderConfig,
  { whose, log, clock }: StrategySettings,
): CommonOptions {
  return {
    clientId,
    clientSecret,
    callback: callbackPath(name),
    clock,
    // The person is told what to do; what exactly was wrong is for operators. Our own refusals are in the audit.
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
  }
}

const decisions = new WeakMap<Exchange, Decision>()

/** What was decided about the identity that this request brought; `undefined`: it brought none that can be believed. */
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

/** How the provider is told that the person must prove again who they are, where it can be told. */
export function askAgain({ kind }: ProviderConfig): ProviderCallOptions {
  switch (kind) {
    case 'google':
      // Google has no `login`; this, at least, is not passed without a click.
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
