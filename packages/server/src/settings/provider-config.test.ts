import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readConfig } from './config.ts'

type Environment = Readonly<Record<string, string>>

function read(providers: unknown, environment: Environment = {}, files: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-providers-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'gatepass.config.json'), JSON.stringify(providers === undefined ? {} : { providers }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const result = readConfig({ mode: 'dev', environment, folder })
  return 'config' in result ? result.config.providers : result.problems.map(({ key }) => key)
}

test('there are none unless they are configured', () => {
  expect(read(undefined)).toEqual([])
})

test('the environment alone configures those that are known by name, and one by its issuer', () => {
  expect(
    read(undefined, {
      GATEPASS_GOOGLE_CLIENT_ID: 'g',
      GATEPASS_GOOGLE_CLIENT_SECRET: 's',
      GATEPASS_GOOGLE_HOSTED_DOMAINS: 'example.com, example.org',
      GATEPASS_OIDC_CLIENT_ID: 'o',
      GATEPASS_OIDC_CLIENT_SECRET: 't',
      GATEPASS_OIDC_ISSUER: 'https://id.example.com/',
      GATEPASS_OIDC_LABEL: 'Acme',
    }),
  ).toEqual([
    {
      kind: 'google',
      name: 'google',
      label: 'Google',
      clientId: 'g',
      clientSecret: 's',
      hostedDomains: ['example.com', 'example.org'],
    },
    {
      kind: 'oidc',
      name: 'oidc',
      label: 'Acme',
      clientId: 'o',
      clientSecret: 't',
      issuer: 'https://id.example.com/',
    },
  ])
})

test('the file names any number of them, the environment wins, and a secret comes from a file of its own', () => {
  const section = {
    apple: { clientId: 'app', teamId: 'T', keyId: 'K', clientSecretFile: 'apple.p8' },
    acme: { label: 'Acme', issuer: 'https://id.acme.example', clientId: 'from the file' },
    microsoft: { clientId: 'm', tenant: 'organizations' },
  }
  const environment = {
    GATEPASS_ACME_CLIENT_ID: 'acme-id',
    GATEPASS_ACME_CLIENT_SECRET: 'acme-secret',
    GATEPASS_MICROSOFT_CLIENT_SECRET: 'm-secret',
  }
  expect(read(section, environment, { 'apple.p8': 'the key\n' })).toEqual([
    { kind: 'apple', name: 'apple', label: 'Apple', clientId: 'app', clientSecret: 'the key', teamId: 'T', keyId: 'K' },
    {
      kind: 'oidc',
      name: 'acme',
      label: 'Acme',
      clientId: 'acme-id',
      clientSecret: 'acme-secret',
      issuer: 'https://id.acme.example',
    },
    {
      kind: 'microsoft',
      name: 'microsoft',
      label: 'Microsoft',
      clientId: 'm',
      clientSecret: 'm-secret',
      tenant: 'organizations',
    },
  ])
})

const github = { clientId: 'g' }
const secret = {
  GATEPASS_GITHUB_CLIENT_SECRET: 's',
  GATEPASS_ACME_CLIENT_SECRET: 's',
  GATEPASS_MICROSOFT_CLIENT_SECRET: 's',
}

test.each([
  ['a secret in the file', { github: { ...github, clientSecret: 's' } }, secret, 'providers.github.clientSecret'],
  ['no secret', { github }, {}, 'providers.github.clientSecret'],
  [
    'a secret file that is not there',
    { github: { ...github, clientSecretFile: 'no' } },
    {},
    'providers.github.clientSecret',
  ],
  ['no client id', { github: {} }, secret, 'providers.github.clientId'],
  ['another provider’s key', { github: { ...github, tenant: 'x' } }, secret, 'providers.github.tenant'],
  ['no issuer', { acme: { clientId: 'a' } }, secret, 'providers.acme.issuer'],
  ['an issuer that is no address', { acme: { clientId: 'a', issuer: 'acme' } }, secret, 'providers.acme.issuer'],
  ['a tenant that is none', { microsoft: { clientId: 'a', tenant: 'contoso' } }, secret, 'providers.microsoft.tenant'],
  ['a name that is an address of ours', { login: { clientId: 'a' } }, {}, 'providers.login'],
  ['a name that is no part of an address', { 'a/b': { clientId: 'a' } }, {}, 'providers.a/b'],
  ['no object', { github: true }, secret, 'providers.github'],
])('%s is refused, and named', (_what, section, environment, key) => {
  expect(read(section, environment)).toContain(key)
})
