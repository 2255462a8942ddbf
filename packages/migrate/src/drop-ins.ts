/** A package that Gatepass can replace. */
export interface DropIn {
  /** The package as applications import it now. */
  readonly original: string
  /** What they import instead. */
  readonly entry: string
  /** The versions that package.json asks for when an application goes back. */
  readonly range: string
}

export const dropIns: readonly DropIn[] = [
  { original: 'express-session', entry: 'gatepass/compat/express-session', range: '^1.19.0' },
  { original: 'passport', entry: 'gatepass/compat/passport', range: '^0.7.0' },
  { original: 'cookie-session', entry: 'gatepass/compat/cookie-session', range: '^2.1.1' },
  { original: 'cookie-parser', entry: 'gatepass/compat/cookie-parser', range: '^1.4.7' },
  { original: 'cookie', entry: 'gatepass/compat/cookie', range: '^1.0.2' },
]

/** The package that a specifier stands for: the original, also where the application imports the drop-in already. */
export function originalOf(specifier: string): string | undefined {
  return dropIns.find(({ original, entry }) => specifier === original || specifier === entry)?.original
}

/** The module to import instead of `specifier`; `undefined` if it stays. */
export function replacementOf(specifier: string, back: boolean): string | undefined {
  const dropIn = dropIns.find(({ original, entry }) => specifier === (back ? entry : original))
  return back ? dropIn?.original : dropIn?.entry
}

/** Whether a file may import one of these packages. A search costs less than parsing. */
export function mentionsDropIn(text: string): boolean {
  return dropIns.some(({ original }) => text.includes(original))
}
