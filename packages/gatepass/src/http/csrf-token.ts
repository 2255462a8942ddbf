import type { Keyring } from '../crypto/keyring.ts'
import { randomHandle } from '../crypto/random.ts'

/**
 * A token for one session's forms, different each time it is asked for, so that a compressed page does not reveal it
 * byte by byte (BREACH).
 *
 * @param binding what it is bound to: the session id; not the session's token
 */
export function csrfToken(keyring: Keyring, binding: string): string {
  const nonce = randomHandle()
  return `${nonce}.${keyring.sign(signedText(nonce, binding))}`
}

/** Whether {@link csrfToken} made this token for this binding. */
export function csrfTokenMatches(keyring: Keyring, binding: string, presented: unknown): boolean {
  if (typeof presented !== 'string' || !tokenShape.test(presented)) return false
  const [nonce = '', signature = ''] = presented.split('.')
  return keyring.verify(signedText(nonce, binding), signature) !== undefined
}

const tokenShape = /^[\w-]{22}\.[\w-]{43}$/

function signedText(nonce: string, binding: string): string {
  return `${nonce}.${binding}`
}
