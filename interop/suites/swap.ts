/** Loaded before a peer's tests. Imports of the peer's files load the drop-in instead. */
import { registerHooks } from 'node:module'

const { SUITE_SWAPS } = process.env
if (SUITE_SWAPS === undefined) throw new Error('interop/suites/run.ts says what to swap')
const swaps: Readonly<Record<string, string>> = JSON.parse(SUITE_SWAPS)

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    const url = swaps[found.url]
    return url === undefined ? found : { url, shortCircuit: true }
  },
})
