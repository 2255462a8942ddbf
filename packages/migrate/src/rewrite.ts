import MagicString from 'magic-string'
import { type Direction, replacementOf } from './drop-ins.ts'
import type { ModuleUse } from './imports.ts'
import type { Source } from './project.ts'

/** A source file after the migration. */
export interface FilePlan extends Source {
  readonly changes: readonly Rewrite[]
}

export interface Rewrite {
  readonly line: number
  readonly from: string
  readonly to: string
}

/** The file with other modules imported, and otherwise letter by letter as it was. */
export function rewritten({ path, text }: Source, uses: readonly ModuleUse[], direction: Direction): FilePlan {
  const edited = new MagicString(text)
  const changes: Rewrite[] = []
  for (const { specifier, start, end, line } of uses) {
    const replacement = replacementOf(specifier, direction)
    if (replacement === undefined) continue
    // The quotes stay as they are.
    edited.overwrite(start + 1, end - 1, replacement)
    changes.push({ line, from: specifier, to: replacement })
  }
  return { path, text: edited.toString(), changes }
}
