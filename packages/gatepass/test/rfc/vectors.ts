import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

const shared = resolve(import.meta.dirname, '../../../../../shared')
const vectors = resolve(shared, 'vectors')

/** False in a clone that has no vectors beside it; where they belong but are missing, the tests fail instead of skipping. */
export const vectorsPresent: boolean = existsSync(vectors) || (Boolean(process.env.CI) && existsSync(shared))

/** What a test's name says when it could not run. */
export const vectorsNote: string = vectorsPresent ? '' : ' (SKIPPED: no vectors beside the repository)'

/** A file of test vectors; the caller says what it knows to be in it. */
export function readVectors<Content>(path: string): Content {
  return JSON.parse(readFileSync(resolve(vectors, path), 'utf8')) as Content
}
