import { GatepassError } from 'gatepass'
import type { Jwk, JwtAlgorithm } from 'gatepass/strategies/jwt'
import { describe, expect, test } from 'vitest'
import { checkSignature, makeSignature, privateKeyOf, publicKeyOf } from '../../src/crypto/signature.ts'
import { decodeBase64url, ownKeySet, thumbprint } from '../../src/protocols/jwt/jwk.ts'
import { verifyCompact } from '../../src/protocols/jwt/jws.ts'
import { readVectors, vectorsNote, vectorsPresent } from './vectors.ts'

const all: readonly JwtAlgorithm[] = ['EdDSA', 'ES256', 'RS256', 'PS256', 'HS256']

/** What was signed, if the keys can be used and the signature is one of theirs. */
function accepted(keys: readonly Jwk[], jws: string): string | undefined {
  try {
    const result = verifyCompact(jws, ownKeySet(keys, all))
    if (result instanceof Promise) throw new Error('own keys are at hand')
    return typeof result === 'string' ? undefined : Buffer.from(result.payload).toString()
  } catch (error) {
    if (error instanceof GatepassError && error.code === 'ERR_JWT_KEYS') return undefined
    throw error
  }
}

interface Case {
  tcId: number
  comment: string
  jws?: string | object
  jwe?: string | object
  result: string
}
interface Suite {
  testGroups: { comment: string; public?: Keys; private: Keys; tests: Case[] }[]
}
type Keys = Jwk | { keys: Jwk[] }

function text(token: string | object): string {
  return typeof token === 'string' ? token : JSON.stringify(token)
}

function keysOf(keys: Keys): readonly Jwk[] {
  return 'keys' in keys && Array.isArray(keys.keys) ? keys.keys : [keys as Jwk]
}

/** Runs a file of Wycheproof and gives the cases whose verdict is another one than ours, by our verdict. */
function differences(file: string): { count: number; refused: number[]; accepted: number[] } {
  const differing = { count: 0, refused: [] as number[], accepted: [] as number[] }
  for (const { public: shared, private: own, tests } of readVectors<Suite>(`wycheproof/${file}`).testGroups) {
    for (const { tcId, jws, jwe = '', result } of tests) {
      differing.count++
      // A JWS in JSON form: a header field holds text.
      const ok = accepted(keysOf(shared ?? own), text(jws ?? jwe)) !== undefined
      if (ok && result !== 'valid') differing.accepted.push(tcId)
      if (!ok && result === 'valid') differing.refused.push(tcId)
    }
  }
  return differing
}

/** The cases of a file that use an algorithm which we do not verify at all. */
function foreignAlgorithms(file: string): number[] {
  const ours = /^(EdDSA|Ed25519|ES256|RS256|PS256|HS256)$/
  return readVectors<Suite>(`wycheproof/${file}`).testGroups.flatMap(({ public: shared, private: own, tests }) =>
    keysOf(shared ?? own).some((jwk) => ours.test(String(jwk.alg))) ? [] : tests.map(({ tcId }) => tcId),
  )
}

describe.skipIf(!vectorsPresent)(`Wycheproof${vectorsNote}`, () => {
  test('every JWS has its verdict, but for those that are listed', () => {
    const { count, refused, accepted: lax } = differences('json_web_signature_test.json')
    expect(count).toBe(401)
    // 367, 370: by their names with wrong padding, but the file holds the very text that it calls valid as 357.
    expect(lax).toEqual([367, 370])
    const foreign = foreignAlgorithms('json_web_signature_test.json')
    // 346, 350: PS384 under a key that says PS256; the algorithm is the key's.
    // 372, 373: an illegal character within base64url is called valid there, and refused by RFC 7515 §2.
    expect(refused.filter((tcId) => !foreign.includes(tcId))).toEqual([346, 350, 372, 373])
    // RS384, RS512, PS384, PS512 and ES512 (which the file writes ES521).
    expect(foreign.length).toBeGreaterThan(30)
  })

  test('every JWK has its verdict, but for those that are listed', () => {
    const { count, refused, accepted: lax } = differences('json_web_key_test.json')
    expect(count).toBe(26)
    // 14, 15: HS384 and HS512 are not among our algorithms.
    expect(refused).toEqual([14, 15])
    // 7: a key from a broken generator (CVE-2017-15361). Whoever can configure or publish keys can publish any key.
    expect(lax).toEqual([7])
  })

  test('of JSON web crypto every JWS has its verdict, and every JWE is refused', () => {
    const { count, refused, accepted: lax } = differences('json_web_crypto_test.json')
    expect(count).toBe(83)
    const encrypted = readVectors<Suite>('wycheproof/json_web_crypto_test.json').testGroups.flatMap(({ tests }) =>
      tests.filter(({ jwe, result }) => jwe !== undefined && result === 'valid').map(({ tcId }) => tcId),
    )
    expect(refused).toEqual(encrypted)
    // The broken generator again.
    expect(lax).toEqual([46])
  })

  test('every JWE is refused, whatever key is there', () => {
    const { count, accepted: lax } = differences('json_web_encryption_test.json')
    expect(count).toBe(139)
    expect(lax).toEqual([])
  })

  interface SignatureSuite<Jwks> {
    testGroups: (Jwks & { tests: { tcId: number; msg: string; sig: string; result: string }[] })[]
  }
  const hex = (text: string) => Buffer.from(text, 'hex')

  test('RFC 8032: every Ed25519 signature has its verdict', () => {
    const suite = readVectors<SignatureSuite<{ publicKeyJwk: Jwk }>>('wycheproof/ed25519_test.json')
    for (const { publicKeyJwk, tests } of suite.testGroups) {
      const key = publicKeyOf(publicKeyJwk)
      for (const { tcId, msg, sig, result } of tests) {
        const ok = checkSignature('Ed25519', key, { data: hex(msg), signature: hex(sig) })
        expect(ok, `tcId ${tcId}`).toBe(result === 'valid')
      }
    }
  })

  test('RFC 7518 §3.4: every ECDSA signature of two numbers has its verdict', () => {
    const suite = readVectors<SignatureSuite<{ publicKey: { uncompressed: string } }>>(
      'wycheproof/ecdsa_secp256r1_sha256_p1363_test.json',
    )
    let count = 0
    for (const { publicKey, tests } of suite.testGroups) {
      const key = publicKeyOf(ecJwk(publicKey.uncompressed))
      for (const { tcId, msg, sig, result } of tests) {
        const ok = checkSignature('ES256', key, { data: hex(msg), signature: hex(sig) })
        expect(ok, `tcId ${tcId}`).toBe(result === 'valid')
        count++
      }
    }
    expect(count).toBe(262)
  })

  test.each([
    ['RS256', 'rsa_signature_2048_sha256_test.json'],
    ['PS256', 'rsa_pss_2048_sha256_mgf1_32_test.json'],
  ] as const)('%s: every RSA signature has its verdict', (algorithm, file) => {
    type Group = { publicKeyJwk?: Jwk; publicKey?: { modulus: string; publicExponent: string } }
    for (const { publicKeyJwk, publicKey, tests } of readVectors<SignatureSuite<Group>>(`wycheproof/${file}`)
      .testGroups) {
      const key = publicKeyOf(publicKeyJwk ?? rsaJwk(publicKey))
      for (const { tcId, msg, sig, result } of tests) {
        // "acceptable": PKCS #1 v1.5 without the NULL parameter, which OpenSSL refuses.
        const ok = checkSignature(algorithm, key, { data: hex(msg), signature: hex(sig) })
        expect(ok, `tcId ${tcId}`).toBe(result === 'valid')
      }
    }
  })

  function ecJwk(point: string): Jwk {
    const [x, y] = [hex(point.slice(2, 66)), hex(point.slice(66))]
    return { kty: 'EC', crv: 'P-256', x: x.toString('base64url'), y: y.toString('base64url') }
  }

  function rsaJwk(key: { modulus: string; publicExponent: string } = { modulus: '', publicExponent: '' }): Jwk {
    const number = (text: string) => hex(text.replace(/^00/, '')).toString('base64url')
    return { kty: 'RSA', n: number(key.modulus), e: number(key.publicExponent) }
  }
})

interface Examples {
  rfc7515_A1: { key: Jwk; jws: string; payloadUtf8: string }
  rfc7515_A5_unsecured: { jws: string }
  rfc7515_E_crit_negative: { jws: string }
  rfc7638: { jwk: Jwk; thumbprint: string }
  rfc8037: { jwk: Jwk; jws: string; thumbprint: string }
}

describe.skipIf(!vectorsPresent)(`JOSE${vectorsNote}`, () => {
  const examples = vectorsPresent ? readVectors<Examples>('jose/rfc7515-7638-8037.json') : ({} as Examples)

  test('RFC 7515 A.1: the JWS of the example is accepted', () => {
    const { key, jws, payloadUtf8 } = examples.rfc7515_A1
    expect(accepted([key], jws)).toBe(payloadUtf8)
  })

  test('RFC 7515 A.5: an unsecured JWS is refused, whatever key is there', () => {
    expect(accepted([examples.rfc7515_A1.key], examples.rfc7515_A5_unsecured.jws)).toBeUndefined()
  })

  test('RFC 7515 E: an extension that we do not understand and must is refused', () => {
    const keys = ownKeySet([examples.rfc7515_A1.key], all)
    expect(verifyCompact(examples.rfc7515_E_crit_negative.jws, keys)).toBe('unsupported')
  })

  test('RFC 7638 3.1: the thumbprint of the example', () => {
    expect(thumbprint(examples.rfc7638.jwk)).toBe(examples.rfc7638.thumbprint)
  })

  test('RFC 8037 A.3 to A.5: the thumbprint, the signature and its verification', () => {
    const { jwk, jws, thumbprint: print } = examples.rfc8037
    const [header, payload, signature] = jws.split('.')
    expect(thumbprint(jwk)).toBe(print)
    const made = makeSignature('Ed25519', privateKeyOf(jwk), Buffer.from(`${header}.${payload}`))
    expect(made.toString('base64url')).toBe(signature)
    expect(accepted([jwk], jws)).toBe('Example of Ed25519 signing')
  })

  interface Cookbook {
    input: { key: Jwk | Jwk[]; payload: string }
    output: { compact?: string; json?: unknown }
  }

  test.each([
    ['4.4', 'jws/4_4.hmac-sha2_integrity_protection.json'],
    ['8037', 'curve25519/jws.json'],
  ])('RFC 7520 %s: the JWS of the cookbook is accepted', (_, file) => {
    const { input, output } = readVectors<Cookbook>(`jose/rfc7520/${file}`)
    expect(accepted([input.key as Jwk], output.compact ?? '')).toBe(input.payload)
  })

  test('RFC 7520 4.1: the RS256 signature of the cookbook is accepted once the key is said to be for it', () => {
    const { input, output } = readVectors<Cookbook>('jose/rfc7520/jws/4_1.rsa_v15_signature.json')
    const key = input.key as Jwk
    expect(accepted([key], output.compact ?? '')).toBeUndefined()
    expect(accepted([{ ...key, alg: 'RS256' }], output.compact ?? '')).toBe(input.payload)
  })

  test.each([
    ['4.2, PS384', 'jws/4_2.rsa-pss_signature.json'],
    ['4.3, ES512', 'jws/4_3.ecdsa_signature.json'],
    ['4.5, detached content', 'jws/4_5.signature_with_detached_content.json'],
    ['RFC 7797, b64', 'rfc7797/hmac-sha2_b64_false.json'],
  ])('RFC 7520 %s: refused, since we do not take it', (_, file) => {
    const { input, output } = readVectors<Cookbook>(`jose/rfc7520/${file}`)
    expect(accepted([input.key as Jwk], output.compact ?? JSON.stringify(output.json))).toBeUndefined()
  })

  test('RFC 4648 §5: what is not the one spelling of its bytes is no base64url', () => {
    expect(decodeBase64url('Zm9v')?.toString()).toBe('foo')
    for (const text of ['Zm9v=', 'Zm9vYg==', 'Zm 9v', 'Zm9v\n', 'Zm+v', 'Zm/v', 'Zm9vZ', 'Zm9vYh', 'Zm9vé'])
      expect(decodeBase64url(text), text).toBeUndefined()
  })
})
