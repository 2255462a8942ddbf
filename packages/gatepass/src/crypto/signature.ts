import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKeyInput,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
  type SignKeyObjectInput,
  timingSafeEqual,
} from 'node:crypto'

/** A parsed key. Its kind was decided when it was read, so text that only looks like a key cannot get here. */
export type CryptoKeyObject = KeyObject

/** The signature algorithms that we use, with their names from RFC 7518 and RFC 9864. */
export type SignatureAlgorithm = 'Ed25519' | 'ES256' | 'RS256' | 'PS256' | 'HS256'

/** A key as JSON (RFC 7517). The type does not guarantee its members. */
export type Jwk = Readonly<Record<string, unknown>>

/** @throws {Error} if OpenSSL does not accept the key, for example a point that is not on its curve */
export function publicKeyOf(jwk: Jwk): CryptoKeyObject {
  return createPublicKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput)
}

/** @throws {Error} if OpenSSL does not accept the key */
export function privateKeyOf(jwk: Jwk): CryptoKeyObject {
  return createPrivateKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput)
}

export function secretKeyOf(bytes: Uint8Array): CryptoKeyObject {
  return createSecretKey(bytes)
}

/** The numbers that decide whether an RSA key is strong enough. */
export function rsaStrength(key: CryptoKeyObject): { readonly bits: number; readonly exponent: bigint } {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  return { bits: modulusLength, exponent: publicExponent }
}

/** Makes a new private key as JWK. */
export function generateSigningJwk(algorithm: 'Ed25519' | 'ES256'): Jwk {
  const { privateKey } =
    algorithm === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ format: 'jwk' })
}

export function makeSignature(algorithm: SignatureAlgorithm, key: CryptoKeyObject, data: Uint8Array): Buffer {
  if (algorithm === 'HS256') return createHmac('sha256', key).update(data).digest()
  return nodeSign(digests[algorithm], data, { key, ...settings[algorithm] })
}

/** Whether `signature` is a signature of `data` with this key. Never throws. */
export function checkSignature(
  algorithm: SignatureAlgorithm,
  key: CryptoKeyObject,
  { data, signature }: { readonly data: Uint8Array; readonly signature: Uint8Array },
): boolean {
  if (algorithm === 'HS256') {
    const own = makeSignature(algorithm, key, data)
    return own.length === signature.length && timingSafeEqual(own, signature)
  }
  if (algorithm !== 'ES256') return nodeVerify(digests[algorithm], data, { key, ...settings[algorithm] }, signature)
  const der = ecdsaDer(signature)
  return der !== undefined && nodeVerify('sha256', data, key, der)
}

const digests = { Ed25519: null, ES256: 'sha256', RS256: 'sha256', PS256: 'sha256' } as const

const settings: Readonly<Record<keyof typeof digests, Omit<SignKeyObjectInput, 'key'>>> = {
  Ed25519: {},
  ES256: { dsaEncoding: 'ieee-p1363' },
  RS256: {},
  // RFC 7518 §3.5: the salt is as long as the hash.
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
}

/**
 * Converts the two numbers of an ECDSA signature (RFC 7518 §3.4) to DER; `undefined` unless each has exactly 32 bytes.
 * OpenSSL checks that they lie between 1 and the order. Node could convert them, but takes 13 µs longer: bench `tokens`, ES256,
 * "verify a token for the first time".
 */
function ecdsaDer(signature: Uint8Array): Uint8Array | undefined {
  if (signature.length !== 64) return undefined
  const body = [...derInteger(signature.subarray(0, 32)), ...derInteger(signature.subarray(32))]
  return Uint8Array.from([0x30, body.length, ...body])
}

function derInteger(bytes: Uint8Array): number[] {
  const first = bytes.findIndex((byte) => byte !== 0)
  const digits = first === -1 ? [0] : [...bytes.subarray(first)]
  if ((digits[0] ?? 0) >= 0x80) digits.unshift(0)
  return [0x02, digits.length, ...digits]
}
