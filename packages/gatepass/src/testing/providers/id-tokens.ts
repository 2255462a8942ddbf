import { randomHandle, randomToken } from '../../crypto/random.ts'
import { type Jwk, makeSignature, privateKeyOf } from '../../crypto/signature.ts'
import type { Fault } from './fault.ts'

/** Makes a private RSA key of a provider. Google signs with RS256. */
export async function rsaKey(): Promise<Jwk> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  }
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const { key_ops: _operations, ext: _extractable, ...jwk } = await crypto.subtle.exportKey('jwk', privateKey)
  return { ...jwk, kid: randomHandle(), alg: 'RS256', use: 'sig' }
}

/** Replaces an honest ID token by one with the fault. Other faults leave the token unchanged. */
export function untrue(honest: string, fault: Fault | undefined, key: Jwk): string {
  switch (fault) {
    case 'expired':
      return saying(honest, key, { iat: anHourAgo() - 60, exp: anHourAgo() })
    case 'wrong-audience':
      return saying(honest, key, { aud: 'another-application' })
    case 'wrong-issuer':
      return saying(honest, key, { iss: 'https://another-provider.example' })
    case 'wrong-nonce':
      return saying(honest, key, { nonce: randomToken() })
    case 'unverified-email':
      return saying(honest, key, { email_verified: false })
    case 'bad-signature':
      return wronglySigned(honest, key)
    default:
      return honest
  }
}

/** The same token with other claims and a valid signature. */
function saying(token: string, key: Jwk, claims: Readonly<Record<string, unknown>>): string {
  const [header = '', payload = ''] = token.split('.')
  const honest = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const input = `${header}.${Buffer.from(JSON.stringify({ ...honest, ...claims })).toString('base64url')}`
  return `${input}.${signature(input, key)}`
}

/** The same token with the key's signature of another text. */
function wronglySigned(token: string, key: Jwk): string {
  const input = token.slice(0, token.lastIndexOf('.'))
  return `${input}.${signature(`${input}.`, key)}`
}

/** The RS256 signature of a token's first two parts. */
function signature(input: string, key: Jwk): string {
  return makeSignature('RS256', privateKeyOf(key), Buffer.from(input)).toString('base64url')
}

/** Seconds since 1970. */
function anHourAgo(): number {
  return Math.floor(Date.now() / 1000) - 3600
}
