/** A package that Gatepass can replace. */
export interface DropIn {
  /** The package as applications import it now. */
  readonly original: string
  /** What they import instead. */
  readonly entry: string
  /** The versions that package.json asks for when an application goes back and nothing says what it asked for before. */
  readonly range: string
  /** The package that is installed under the name of the original, for all who load it by that name. */
  readonly alias: string
  /** The versions of the alias. They satisfy what packages ask of the original. */
  readonly aliasRange: string
  /** Internal files of the original that the alias has, too. */
  readonly files: readonly string[]
  /** Whether two copies in one process do not know of each other's logins or sessions. */
  readonly stateful: boolean
}

export const dropIns: readonly DropIn[] = [
  dropIn('express-session', '^1.19.0', '^1.19.1000', {
    files: ['session/cookie', 'session/memory', 'session/session', 'session/store'],
    stateful: true,
  }),
  dropIn('passport', '^0.7.0', '^0.7.1000', {
    files: ['lib', 'lib/index', 'lib/authenticator', 'lib/errors/authenticationerror', 'lib/strategies/session'],
    stateful: true,
  }),
  dropIn('cookie-session', '^2.1.1', '^2.1.1000'),
  dropIn('cookie-parser', '^1.4.7', '^1.4.1000'),
  dropIn('cookie', '^1.0.2', '^1.1.1000'),
]

function dropIn(
  original: string,
  range: string,
  aliasRange: string,
  { files, stateful }: Pick<DropIn, 'files' | 'stateful'> = { files: [], stateful: false },
): DropIn {
  const [entry, alias] = [`gatepass/compat/${original}`, `@gatepass/${original}`]
  return { original, entry, range, alias, aliasRange, files, stateful }
}

/** The package that a specifier stands for: the original, also where the application imports the drop-in already. */
export function originalOf(specifier: string): string | undefined {
  return dropIns.find(({ original, entry }) => specifier === original || specifier === entry)?.original
}

/** The drop-in for the package of a specifier, which may name an internal file: `express-session/session/store`. */
export function dropInFor(specifier: string): DropIn | undefined {
  return dropIns.find(({ original }) => specifier === original || specifier.startsWith(`${original}/`))
}

/** Whether a specifier names an internal file of an original that neither the drop-in nor its alias has. */
export function isMissingFile(specifier: string): boolean {
  const { original, files } = dropInFor(specifier) ?? {}
  if (original === undefined || specifier === original) return false
  const file = specifier.slice(original.length + 1).replace(/\.js$/, '')
  return file !== 'package.json' && files?.includes(file) !== true
}

/** Whether a dependency asks for the alias of an original, in the registry or in a clone. */
export function isAliasSpec(spec: string | undefined, original: string): boolean {
  return (
    spec?.startsWith(`npm:@gatepass/${original}@`) === true || spec?.endsWith(`/packages/aliases/${original}`) === true
  )
}

/** Whether a file may load one of these packages. A search costs less than parsing. */
export function mentionsDropIn(text: string): boolean {
  return dropIns.some(({ original }) => text.includes(original))
}
