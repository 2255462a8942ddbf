import { UsageError } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import { isLoopback } from '../../session/session-cookie.ts'

/**
 * An origin to which a code may be sent: not what anyone can write into the Host field (RFC 9700 §4.1).
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` if only the request says where we are, and that is not this machine
 */
export function trustedOrigin(strategy: string, { origin, originConfigured }: Exchange): string {
  if (originConfigured || isLoopback(origin)) return origin
  throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: where \`callback\` is, only the request's Host field says`, {
    hint: "Tell gatepass() its `origin`: 'https://app.example', or give the whole address as `callback`.",
  })
}
