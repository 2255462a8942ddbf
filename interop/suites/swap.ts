/** Loaded before a peer's tests: whoever loads a file of the peer gets what takes its place. */
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
