import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { hosts, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown) => void
const { SignedXml } = require('xml-crypto')
const keys = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

const IDP = 'http://idp.example/sso'

const saml: MakeStrategy = ({ origin, known }) => {
  const { Strategy } = require('@node-saml/passport-saml')
  const options = {
    callbackUrl: `${origin}/login`,
    entryPoint: IDP,
    issuer: 'us',
    idpCert: keys.publicKey,
    wantAuthnResponseSigned: false,
    audience: 'us',
  }
  const verify = (profile: { nameID: string }, done: Done): void => done(null, known({ id: profile.nameID }))
  return new Strategy(options, verify, verify)
}

/** What an identity provider posts by way of the browser: an assertion about `name`, signed with `key`. */
function samlResponse(name: string, destination: string, key = keys.privateKey): string {
  const at = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString()
  const assertion =
    `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a1" Version="2.0" IssueInstant="${at(0)}">` +
    `<saml:Issuer>${IDP}</saml:Issuer>` +
    `<saml:Subject><saml:NameID>${name}</saml:NameID>` +
    `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">` +
    `<saml:SubjectConfirmationData NotOnOrAfter="${at(5)}" Recipient="${destination}"/></saml:SubjectConfirmation></saml:Subject>` +
    `<saml:Conditions NotBefore="${at(-5)}" NotOnOrAfter="${at(5)}">` +
    `<saml:AudienceRestriction><saml:Audience>us</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
    `<saml:AuthnStatement AuthnInstant="${at(0)}"><saml:AuthnContext/></saml:AuthnStatement></saml:Assertion>`
  const response =
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r1" Version="2.0" IssueInstant="${at(0)}" Destination="${destination}">` +
    `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>${assertion}</samlp:Response>`
  const signature = new SignedXml({
    privateKey: key,
    signatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    canonicalizationAlgorithm: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  })
  signature.addReference({
    xpath: "//*[local-name(.)='Assertion']",
    transforms: ['http://www.w3.org/2000/09/xmldsig#enveloped-signature', 'http://www.w3.org/2001/10/xml-exc-c14n#'],
    digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
  })
  signature.computeSignature(response, { location: { reference: "//*[local-name(.)='Issuer']", action: 'after' } })
  return Buffer.from(signature.getSignedXml()).toString('base64')
}

/** The identity provider's page posts, so the browser says that the request comes from there. */
const fromIdp = { 'sec-fetch-site': 'cross-site', origin: 'http://idp.example' }

describe.each(hosts)('%s', (_, host) => {
  test('passport-saml sends the browser to the identity provider', async () => {
    const browser = await host(saml)
    const response = await browser.fetch('/login', { manual: true })
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toMatch(/^http:\/\/idp\.example\/sso\?SAMLRequest=/)
  })

  test('passport-saml accepts a signed response, and the login is kept', async () => {
    const browser = await host(saml, { trustedOrigins: ['http://idp.example'] })
    const form = { SAMLResponse: samlResponse('ada', `${browser.origin}/login`) }
    const login = await browser.fetch('/login', { form, headers: fromIdp })
    expect(await login.json()).toEqual({ id: 'ada' })
    expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'ada' })
  })

  test('passport-saml refuses a response that somebody else signed', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const other = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const browser = await host(saml, { trustedOrigins: ['http://idp.example'] })
    const form = { SAMLResponse: samlResponse('ada', `${browser.origin}/login`, other) }
    expect((await browser.fetch('/login', { form, headers: fromIdp })).status).toBe(500)
    expect(await (await browser.fetch('/me')).json()).toBeNull()
  })
})
