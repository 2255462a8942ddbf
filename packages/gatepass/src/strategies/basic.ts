import { checkOptions, type OptionKinds } from '../error.ts'
import { type Authorization, authorizationOf, challenge } from '../http/authorization.ts'
import type { Failure, UserObject } from '../passport/outcome.ts'
import type { Strategy } from '../passport/strategy.ts'
import { type Credentials, type LocalAccounts, type LocalVerifier, localOptions, passwordVerifier } from './local.ts'

/** The options of `local`, without the names of form fields. */
export type BasicOptions<User> = (Omit<LocalAccounts<User>, 'fields'> | Omit<LocalVerifier<User>, 'fields'>) & {
  /** The realm in WWW-Authenticate. Default `api`. */
  realm?: string
}

const { fields: _fields, ...common } = localOptions
const basicOptions: OptionKinds<BasicOptions<unknown>> = { ...common, realm: 'string' }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads name and password from `Authorization: Basic` (RFC 7617) in UTF-8, with every request. It is for machines. Password
 * hashes are slow on purpose, so an API key is usually better.
 */
export function basic<User extends UserObject>(options: BasicOptions<User>): Strategy<User, 'basic'> {
  checkOptions('basic()', options, basicOptions, 'ERR_PASSPORT_OPTIONS')
  const basicChallenge = challenge('Basic', { realm: options.realm ?? 'api', charset: 'UTF-8' })
  const prove = passwordVerifier('basic()', options)
  return {
    name: 'basic',
    async authenticate(exchange, attempt) {
      const given = authorizationOf(exchange)
      if (given?.scheme !== 'basic') return { type: 'failure', reason: 'missing', challenge: basicChallenge }
      const credentials = readCredentials(given)
      const refused: Failure = { type: 'failure', reason: 'invalid', challenge: basicChallenge }
      if (credentials === undefined) return refused
      const outcome = await prove(credentials, exchange, attempt)
      if (outcome.type === 'success') return { ...outcome, persist: false }
      return { challenge: basicChallenge, ...outcome }
    },
  }
}

/** RFC 7617 §2: base64 of name, colon and password. The name has no colon; the password may have one. */
function readCredentials({ credentials }: Authorization): Credentials | undefined {
  const bytes = Buffer.from(credentials, 'base64')
  if (unpadded(bytes.toString('base64')) !== unpadded(credentials)) return undefined
  try {
    const text = utf8.decode(bytes)
    const colon = text.indexOf(':')
    return colon < 1 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
  } catch {
    return undefined
  }
}

/** Removes at most two `=` at the end. A pattern for any number of them would take quadratic time. */
function unpadded(base64: string): string {
  return base64.replace(/={1,2}$/, '')
}
