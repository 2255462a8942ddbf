import { UsageError } from '../../error.ts'

/** A name goes into SQL as it is, so it is one plain word. Room is left for what is put behind it. */
export function sqlName(name: string, option: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]{0,47}$/.test(name)) return name
  throw new UsageError('ERR_STORE_OPTIONS', `\`${option}\` is no name that SQL takes as it is`, {
    hint: 'Letters, digits and underscores, at most 48, not starting with a digit.',
  })
}
