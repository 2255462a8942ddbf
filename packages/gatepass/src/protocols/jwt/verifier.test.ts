import { generateKeyPairSync } from 'node:crypto'
import type { Jwk, JwtAlgorithm, VerificationKeys } from 'gatepass/strategies/jwt'
import { testClock } from 'gatepass/testing'
import { importJWK, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { generateSigningJwk, privateKeyOf, type SignatureAlgorithm } from '../../crypto/signature.ts'
import { ownKeySet, publicJwk, thumbprint } from './jwk.ts'
import { signCompact } from './jws.ts'
import { JwtVerifier, type JwtVerifierOptions } from './verifier.ts'

const issuer = 'https://login.example'
const audience = 'https://api.example'
const pair = generateSigningJwk('Ed25519')
const kid = thumbprint(pair) ?? ''
const clock = testClock()
const now = clock() / 1000

const claims = {
  iss: issuer,
  aud: audience,
  sub: 'alice',
  client_id: 'web',
  jti: 'one',
  iat: now,
  exp: now + 600,
}

interface Made {
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
  jwk?: Jwk
  algorithm?: SignatureAlgorithm
}

function token(made: Made = {}): string {
  const header = { alg: 'EdDSA', typ: 'at+jwt', kid, ...made.header }
  const key = privateKeyOf(made.jwk ?? pair)
  return signCompact(header, { ...claims, ...made.claims }, { algorithm: made.algorithm ?? 'Ed25519', key })
}

function verifier(options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  const keys = ownKeySet([publicJwk(pair)], ['EdDSA', 'ES256'])
  return new JwtVerifier({ keys, issuer, audience, clock, ...options })
}

function encoded(value: unknown): string {
  const bytes = typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)
  return Buffer.from(bytes as string).toString('base64url')
}

/** Signed rightly, whatever it is that is signed. */
async function signedAs(header: string, payload: string | Buffer): Promise<string> {
  const { sign } = await import('node:crypto')
  const text = `${encoded(header)}.${encoded(payload)}`
  return `${text}.${sign(null, Buffer.from(text), privateKeyOf(pair)).toString('base64url')}`
}

test('a token of ours is accepted, and says what it said', () => {
  expect(verifier().verify(token())).toEqual(claims)
})

test('a token that jose has signed is accepted, under either name of the algorithm', async () => {
  for (const alg of ['EdDSA', 'Ed25519']) {
    const made = await new SignJWT(claims)
      .setProtectedHeader({ alg, typ: 'at+jwt', kid })
      .sign(await importJWK(pair as never, alg))
    expect(verifier().verify(made)).toEqual(claims)
  }
})

describe('JW-1, 9.1.2, CVE-2015-9235 and attacks 54 to 56: the algorithm is the key’s, never the header’s', () => {
  test('attack 54: none, in every spelling, is refused', () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, ['EdDSA'], undefined]) {
      for (const signature of ['', token().split('.')[2] ?? '']) {
        const unsigned = `${encoded({ alg, typ: 'at+jwt', kid })}.${encoded(claims)}`
        expect(typeof verifier().verify(`${unsigned}.${signature}`), String(alg)).toBe('string')
        expect(typeof verifier().verify(unsigned), String(alg)).toBe('string')
      }
    }
  })

  test('attack 55, CVE-2023-48223: a public key is no secret for HS256, in whatever form', async () => {
    const { createHmac, createPublicKey } = await import('node:crypto')
    const object = createPublicKey({ key: publicJwk(pair) as never, format: 'jwk' })
    const pem = object.export({ type: 'spki', format: 'pem' }) as string
    const secrets = [
      pem,
      pem.trim(),
      ` ${pem}`,
      object.export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicJwk(pair)),
      Buffer.from(String(pair.x), 'base64url'),
    ]
    for (const secret of secrets) {
      const text = `${encoded({ alg: 'HS256', typ: 'at+jwt', kid })}.${encoded(claims)}`
      const signature = createHmac('sha256', secret).update(text).digest('base64url')
      expect(verifier().verify(`${text}.${signature}`)).toBe('unsupported')
    }
  })

  test('attack 56: a key is used with no other algorithm than its own', () => {
    const other = generateSigningJwk('ES256')
    expect(verifier().verify(token({ header: { alg: 'ES256' }, jwk: other, algorithm: 'ES256' }))).toBe('unsupported')
    expect(verifier().verify(token({ header: { alg: 'ES256' } }))).toBe('unsupported')
  })

  test('GHSA-f67f-6cw9-8mq4: an RSA key that does not say for which algorithm it is cannot be used', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = publicKey.export({ format: 'jwk' }) as Jwk
    expect(() => ownKeySet([jwk], ['RS256', 'PS256'])).toThrowError(expect.objectContaining({ code: 'ERR_JWT_KEYS' }))
    expect(ownKeySet([jwk], ['RS256']).size).toBe(1)
    expect(ownKeySet([{ ...jwk, alg: 'PS256' }], ['RS256', 'PS256']).size).toBe(1)
  })
})

test('JW-2, CVE-2026-35042: crit, b64, zip and enc are refused, understood or not', () => {
  for (const header of [{ crit: ['exp'] }, { crit: [] }, { b64: true }, { zip: 'DEF' }, { enc: 'A256GCM' }])
    expect(verifier().verify(token({ header }))).toBe('unsupported')
})

test('JW-3, 9.1.3, attack 57, CVE-2018-0114: keys and addresses in the header are not looked at', () => {
  const attacker = generateSigningJwk('Ed25519')
  const offers = {
    jwk: publicJwk(attacker),
    jku: 'https://attacker.example',
    x5u: 'https://attacker.example',
    x5c: ['a'],
  }
  expect(verifier().verify(token({ header: offers, jwk: attacker }))).toBe('bad-signature')
  expect(verifier().verify(token({ header: { ...offers, kid: thumbprint(attacker) }, jwk: attacker }))).toBe(
    'unknown-key',
  )
  expect(verifier().verify(token({ header: offers }))).toEqual(claims)
})

test('JW-4, attack 58, CVE-2026-44351: an unknown kid is no key, and never a default one', () => {
  const keys = ownKeySet([publicJwk(pair), publicJwk(generateSigningJwk('Ed25519'))], ['EdDSA'])
  const several = verifier({ keys })
  for (const name of ['', 'other', '__proto__', 'constructor', '../../dev/null', "' or 1=1", 'a'.repeat(4000)])
    expect(several.verify(token({ header: { kid: name } })), name).toBe('unknown-key')
  for (const name of [null, 1, ['x'], {}]) expect(several.verify(token({ header: { kid: name } }))).toBe('malformed')
  // Without a name there must be no choice.
  expect(several.verify(token({ header: { kid: undefined } }))).toBe('unknown-key')
  expect(verifier().verify(token({ header: { kid: undefined } }))).toEqual(claims)
  const longName = { ...publicJwk(pair), kid: 'a'.repeat(129) }
  expect(() => ownKeySet([longName], ['EdDSA'])).toThrow()
})

test('JW-5: a token has one spelling', () => {
  const [header = '', payload = '', signature = ''] = token().split('.')
  const spellings = [
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.${signature} `,
    ` ${header}.${payload}.${signature}`,
    `${header}.${payload}\n.${signature}`,
    `${header}.${payload}.${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload}.`,
    `${header}..${signature}`,
    `.${payload}.${signature}`,
    '',
    '.',
    '..',
  ]
  for (const spelling of spellings) expect(typeof verifier().verify(spelling), spelling).toBe('string')
})

describe('JW-6 and attack 59: one reading of every token', () => {
  test('a token of more than 8 KiB is refused before it is read', () => {
    const large = token({ claims: { padding: 'x'.repeat(8192) } })
    expect(verifier().verify(large)).toBe('malformed')
    expect(typeof verifier().verify(token({ claims: { padding: 'x'.repeat(4000) } }))).toBe('object')
  })

  test('members that are there twice are refused, at any depth and however they are written', async () => {
    const header = JSON.stringify({ alg: 'EdDSA', typ: 'at+jwt', kid })
    const members = JSON.stringify(claims).slice(1, -1)
    const once = await signedAs(
      header,
      `{${members},"a":{"sub":"x"},"b":[{"sub":"y"},{"sub":"z"}],"c":"{\\"sub\\":1}"}`,
    )
    expect(typeof verifier().verify(once)).toBe('object')
    for (const more of ['"sub":"bob"', '"s\\u0075b":"bob"', '"a":{"x":1,"x":2}', '"a":[{"x":1,"x" :2}]'])
      expect(verifier().verify(await signedAs(header, `{${members},${more}}`)), more).toBe('malformed')
    const twice = `{"alg":"none",${header.slice(1)}`
    expect(verifier().verify(await signedAs(twice, `{${members}}`))).toBe('malformed')
  })

  test('what is no JSON object in UTF-8 is refused', async () => {
    const header = JSON.stringify({ alg: 'EdDSA', typ: 'at+jwt', kid })
    for (const payload of ['[]', 'null', '"x"', '1', '', 'NaN', '\ufeff{}', `{"sub":"\\ud800"`, '['.repeat(2000)])
      expect(verifier().verify(await signedAs(header, payload)), payload.slice(0, 20)).toBe('malformed')
    const broken = Buffer.from(JSON.stringify({ ...claims, sub: 'alice?' }).replace('?', '\xff'), 'latin1')
    expect(verifier().verify(await signedAs(header, broken))).toBe('malformed')
    const invalid = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')
    expect(verifier().verify(`${invalid}.${invalid}.${invalid}`)).toBe('malformed')
  })
})

test('9.1.1: nothing is read of a token whose signature is wrong', () => {
  const [header, payload, signature = ''] = token().split('.')
  const bytes = Buffer.from(signature, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    expect(verifier().verify(`${header}.${payload}.${flipped.toString('base64url')}`)).toBe('bad-signature')
  }
  expect(verifier().verify(`${header}.${encoded({ ...claims, sub: 'bob' })}.${signature}`)).toBe('bad-signature')
})

describe('JW-7, 9.2.3: the right type of token for the purpose', () => {
  test('typ must be at+jwt', () => {
    for (const typ of ['JWT', 'jwt', '', undefined, null, 'at+jwt;x', 'logout+jwt', 'dpop+jwt', ['at+jwt']])
      expect(verifier().verify(token({ header: { typ } })), String(typ)).toBe('wrong-type')
    for (const typ of ['AT+JWT', 'application/at+jwt'])
      expect(verifier().verify(token({ header: { typ } }))).toEqual(claims)
  })

  test('a verifier of plain tokens takes no access token', () => {
    const plain = verifier({ type: 'JWT' })
    expect(plain.verify(token())).toBe('wrong-type')
    expect(plain.verify(token({ header: { typ: undefined } }))).toEqual(claims)
    expect(plain.verify(token({ header: { typ: 'JWT' } }))).toEqual(claims)
  })

  test('every claim of RFC 9068 must be there, with its type', () => {
    for (const name of ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'])
      expect(verifier().verify(token({ claims: { [name]: undefined } })), name).toBe('incomplete')
    for (const name of ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti', 'nbf', 'auth_time', 'sid'])
      for (const value of [null, true, {}, [], [1], ''])
        expect(verifier().verify(token({ claims: { [name]: value } })), name).toBe('malformed')
  })
})

test('JW-8, 10.3.1: issuer and audience are compared character by character', () => {
  for (const iss of [`${issuer}/`, issuer.toUpperCase(), `${issuer}.attacker.example`, 'https://login', ` ${issuer}`])
    expect(verifier().verify(token({ claims: { iss } })), iss).toBe('wrong-issuer')
  for (const aud of [`${audience}/`, audience.slice(0, -1), audience.toUpperCase(), ['x', 'y']])
    expect(verifier().verify(token({ claims: { aud } })), String(aud)).toBe('wrong-audience')
  expect(verifier().verify(token({ claims: { iss: [issuer] } }))).toBe('malformed')
  const shared = { ...claims, aud: ['https://other.example', audience] }
  expect(verifier().verify(token({ claims: shared }))).toEqual(shared)
})

test('9.2.1: a token counts from nbf and iat to exp, give or take 30 seconds', () => {
  const at = (change: Record<string, unknown>) => verifier().verify(token({ claims: change }))
  expect(at({ exp: now - 29 })).toMatchObject({ sub: 'alice' })
  expect(at({ exp: now - 30 })).toBe('expired')
  expect(at({ nbf: now + 30 })).toMatchObject({ sub: 'alice' })
  expect(at({ nbf: now + 31 })).toBe('not-yet-valid')
  expect(at({ iat: now + 31 })).toBe('not-yet-valid')
  for (const exp of ['9999999999', Number.NaN, null, -1]) expect(at({ exp })).toBe('malformed')
})

test('9.2.1: a number that JavaScript reads as infinity is no time', async () => {
  const header = JSON.stringify({ alg: 'EdDSA', typ: 'at+jwt', kid })
  const payload = JSON.stringify(claims).replace(`"exp":${claims.exp}`, '"exp":1e400')
  expect(verifier().verify(await signedAs(header, payload))).toBe('malformed')
})

test('JW-9: a secret shorter than its hash is refused at boot', () => {
  const oct = (bytes: number) => ({ kty: 'oct', k: Buffer.alloc(bytes, 7).toString('base64url') })
  expect(() => ownKeySet([oct(31)], ['HS256'])).toThrowError(expect.objectContaining({ code: 'ERR_JWT_KEYS' }))
  expect(() => ownKeySet([oct(0)], ['HS256'])).toThrow()
  expect(ownKeySet([oct(32)], ['HS256']).size).toBe(1)
  expect(() => ownKeySet([oct(32)], ['EdDSA', 'ES256'])).toThrow()
})

test('boot refuses keys that are weak, doubled, mixed, for another use, or none', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const any: readonly JwtAlgorithm[] = ['EdDSA', 'ES256', 'RS256', 'HS256']
  const key = publicJwk(pair)
  const secret = { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url') }
  for (const keys of [[{ ...small, alg: 'RS256' }], [key, key], [key, secret], [], [{ ...key, use: 'enc' }]])
    expect(() => ownKeySet(keys, any)).toThrowError(expect.objectContaining({ code: 'ERR_JWT_KEYS' }))
  for (const broken of [
    { ...key, key_ops: ['sign'] },
    { ...key, x: 'AAAA' },
    { ...key, crv: 'X25519' },
    { kty: 'OKP' },
  ])
    expect(() => ownKeySet([broken], any)).toThrow()
})

describe('attack 85, CVE-2026-35039: a token seen before', () => {
  function counted(): { keys: VerificationKeys; finds: () => number; distrust: () => void } {
    const own = ownKeySet([publicJwk(pair)], ['EdDSA'])
    let [count, trusted] = [0, true]
    return {
      keys: {
        find(name) {
          count++
          return trusted ? own.find(name) : undefined
        },
        trusts: (key) => trusted && own.trusts(key),
      },
      finds: () => count,
      distrust: () => {
        trusted = false
      },
    }
  }

  test('its signature is checked once', () => {
    const { keys, finds } = counted()
    const remembering = verifier({ keys })
    const one = token()
    for (let n = 0; n < 5; n++) expect(remembering.verify(one)).toEqual(claims)
    expect(finds()).toBe(1)
  })

  test('each token has claims of its own, and none is found by a part of it', () => {
    const remembering = verifier()
    const tokens = Array.from({ length: 50 }, (_, n) => token({ claims: { sub: `user ${n}` } }))
    for (let round = 0; round < 2; round++)
      for (const [n, one] of tokens.entries()) expect(remembering.verify(one)).toMatchObject({ sub: `user ${n}` })
    const [header, payload] = token().split('.')
    expect(remembering.verify(`${header}.${payload}.${'A'.repeat(86)}`)).toBe('bad-signature')
  })

  test('it is refused when it has expired, and when its key is withdrawn', () => {
    const time = testClock()
    const { keys, distrust } = counted()
    const remembering = verifier({ keys, clock: time })
    const [one, other] = [token(), token({ claims: { jti: 'two' } })]
    expect(remembering.verify(one)).toEqual(claims)
    time.advance(629)
    expect(remembering.verify(one)).toEqual(claims)
    time.advance(1)
    expect(remembering.verify(one)).toBe('expired')
    time.advance(-600)
    expect(remembering.verify(other)).toMatchObject({ jti: 'two' })
    distrust()
    expect(remembering.verify(other)).toBe('unknown-key')
  })

  test('what one request does to the claims, another does not see', () => {
    const remembering = verifier()
    const one = token({ claims: { roles: ['reader'] } })
    const said = remembering.verify(one) as unknown as { roles: string[] }
    expect(() => said.roles.push('admin')).toThrow()
    expect(remembering.verify(one)).toMatchObject({ roles: ['reader'] })
  })

  test('a flood of tokens does not grow memory: the oldest are forgotten, and verified again', () => {
    const { keys, finds } = counted()
    const remembering = verifier({ keys, type: 'JWT' })
    const secretly = (n: number) => token({ header: { typ: 'JWT' }, claims: { n } })
    const first = secretly(0)
    remembering.verify(first)
    for (let n = 1; n <= 2048; n++) remembering.verify(secretly(n))
    const before = finds()
    remembering.verify(first)
    expect(finds()).toBe(before + 1)
  })
})

test('a verifier without issuer or audience does not start', () => {
  for (const wrong of [{ issuer: '' }, { audience: [] }, { audience: '' }, { type: 'jwt' as never }])
    expect(() => verifier(wrong)).toThrowError(expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }))
})
