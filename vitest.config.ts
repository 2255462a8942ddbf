import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// No 'import' or 'default' here: Vitest hands these to Node, and CommonJS packages would then be given ES modules.
const conditions = ['gatepass:source', 'node', 'module']

/** The longest, in the order in which they start. A long file that starts late keeps one worker busy while the others wait. */
const longest = [
  'packages/server/test/command-line.test.ts',
  'packages/server/test/browser.test.ts',
  'packages/gatepass/test/engines/redis-cluster-faults.test.ts',
  'packages/server/test/process.test.ts',
  'packages/gatepass/test/invariants/protocol.test.ts',
  'packages/gatepass/src/stores/mysql.test.ts',
  'packages/gatepass/src/stores/postgres.test.ts',
  'packages/gatepass/test/model/servers.test.ts',
  'packages/gatepass/test/stores/redis-feed.test.ts',
  'packages/gatepass/test/processes/processes.test.ts',
  'packages/gatepass/test/invariants/session.test.ts',
  'packages/gatepass/test/engines/browser-faults.test.ts',
  'packages/gatepass/test/stores/redis-faults.test.ts',
  'interop/express-session/types.test.ts',
  'bench/src/simulation/simulation.test.ts',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((path) => moduleId.endsWith(path))
      return at === -1 ? longest.length : at
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['gatepass:source'] } },
  test: {
    include: ['{packages,examples,tools,bench,interop}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    execArgv: ['--conditions=gatepass:source'],
    // Programs that tests start find here what the first of them has compiled.
    env: { NODE_COMPILE_CACHE: `${import.meta.dirname}/node_modules/.cache/node-compile` },
    // Ends a test that hangs. No test is to depend on how fast the machine is.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // One more than there are cores: many files wait for a database or a program most of the time.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
  },
})
