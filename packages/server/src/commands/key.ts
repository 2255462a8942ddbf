import { newKey } from '../settings/secrets.ts'
import { DONE, MISUSED, type Output } from './output.ts'

/** `gatepass key`: what GATEPASS_KEYS wants. */
export function key(args: readonly string[], output: Output): number {
  if (args.length > 0) {
    output.err('gatepass: write gatepass key alone')
    return MISUSED
  }
  output.out(newKey())
  return DONE
}
