import { UsageError } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import { isLoopback } from '../../session/token.ts'

/**
 * The origin that a code may be sent to. It must not come from the Host field, which an attacker can write (RFC 9700 §4.1).
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` if no origin is configured and the request does not come to this machine
 */
export function trustedOrigin(strategy: string, { origin, originConfigured }: Exchange): string {
  if (originConfigured || isLoopback(origin)) return origin
  throw new UsageError(
    'ERR_OAUTH_OPTIONS',
    `${strategy}: only the request's Host field names the origin of \`callback\``,
    {
      hint: "Set the `origin` of gatepass(): 'https://app.example', or set `callback` to the whole address.",
    },
  )
}
