import { parseArgs } from 'node:util'

/** Flags by key of the configuration, or the first mistake. */
export type Flags = { readonly flags: Readonly<Record<string, string>> } | { readonly mistake: string }

/** The flags that `serve` and `dev` take; each has a value. */
const known = ['port', 'host', 'origin', 'data', 'config'] as const

export function readFlags(args: readonly string[]): Flags {
  const { tokens } = parseArgs({ args: [...args], strict: false, tokens: true, options: options() })
  const flags: Record<string, string> = {}
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') return { mistake: `"${token.value}" is not expected here` }
    if (!(known as readonly string[]).includes(token.name)) return { mistake: `there is no flag ${token.rawName}` }
    // `--port --data x`: a flag is hardly meant as a value.
    if (!token.value || (token.value.startsWith('--') && !token.inlineValue))
      return { mistake: `${token.rawName} needs a value` }
    flags[token.name] = token.value
  }
  return { flags }
}

function options(): Record<string, { type: 'string' }> {
  return Object.fromEntries(known.map((name) => [name, { type: 'string' as const }]))
}
