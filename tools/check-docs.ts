/**
 * Checks that the documentation is true: its code compiles, its links lead somewhere, every error code has its entry, the
 * tests and files it names exist, and every public export has a docstring.
 *
 * Why it exists: a page is read as a promise, and nothing else notices when the code moves on without it.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { blocksIn, compileFaults, markFaults, modulesOf } from './doc-blocks.ts'
import { docstringFaults, errorFaults, linkFaults, mentionFaults, testFaults } from './doc-claims.ts'
import { conclude, type Fault, type Files, readFiles, root } from './project.ts'

/** Everything in the documentation of `files` that is not true. */
export function docFaults(files: Files, exists: (path: string) => boolean, folder?: string): Fault[] {
  const blocks = blocksIn(files)
  return [
    ...markFaults(blocks),
    ...compileFaults(modulesOf(blocks), folder),
    ...linkFaults(files, exists),
    ...mentionFaults(files),
    ...errorFaults(files),
    ...testFaults(files),
    ...docstringFaults(files),
  ]
}

if (import.meta.main) {
  const files = readFiles()
  const faults = docFaults(files, (path) => existsSync(resolve(root, path)))
  const count = blocksIn(files).length
  conclude('check-docs', faults, `${count} blocks, and all links, files, errors, tests and docstrings are in order`)
}
