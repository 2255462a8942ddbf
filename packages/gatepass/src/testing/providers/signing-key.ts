import { randomHandle } from '../../crypto/random.ts'
import { type Jwk, makeSignature, privateKeyOf } from '../../crypto/signature.ts'

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

/** The RS256 signature of a token's first two parts. */
export function signature(input: string, key: Jwk): string {
  return makeSignature('RS256', privateKeyOf(key), Buffer.from(input)).toString('base64url')
}
