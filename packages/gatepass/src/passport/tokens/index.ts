export type { Keys } from '../../crypto/keyring.ts'
export type { Jwk, VerificationKey, VerificationKeys } from '../../protocols/jwt/jwk.ts'
export {
  type AccessGrant,
  type AccessTokenOptions,
  AccessTokens,
  accessTokens,
  type IssuedToken,
} from './access-tokens.ts'
export {
  type RefreshEvent,
  type Refreshed,
  type RefreshGrant,
  type RefreshRefusal,
  type RefreshTokenOptions,
  RefreshTokens,
  refreshTokens,
} from './refresh-tokens.ts'
export {
  memorySigningKeyStore,
  type SigningKey,
  type SigningKeyEvent,
  type SigningKeyOptions,
  type SigningKeyStore,
  SigningKeys,
  type StoredSigningKeys,
  signingKeys,
} from './signing-keys.ts'
