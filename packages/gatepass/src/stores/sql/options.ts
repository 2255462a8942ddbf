import { UsageError } from '../../error.ts'

/** Checks a name that is put into SQL unquoted: one plain word, short enough for the suffixes that are added. */
export function sqlName(name: string, option: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]{0,47}$/.test(name)) return name
  throw new UsageError('ERR_STORE_OPTIONS', `\`${option}\` is not a plain SQL name`, {
    hint: 'Use letters, digits and underscores, at most 48, and no digit at the start.',
  })
}
