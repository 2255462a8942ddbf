import { defineConfig } from 'vitest/config'

// No 'import' or 'default' here: Vitest hands these to Node, and CommonJS packages would then be given ES modules.
const conditions = ['gatepass:source', 'node', 'module']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['gatepass:source'] } },
  test: {
    include: ['{packages,examples,tools,bench,interop}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    execArgv: ['--conditions=gatepass:source'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
