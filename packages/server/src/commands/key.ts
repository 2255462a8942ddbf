import { newKey } from '../secrets.ts'
import { DONE, type Output } from './output.ts'

/** `gatepass key`: what GATEPASS_KEYS wants. */
export function key(output: Output): number {
  output.out(newKey())
  return DONE
}
