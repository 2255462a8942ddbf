// `npm run bench`: what a request costs with Gatepass and with its peers, measured in this run. `npm run bench -- stores redis`
// runs these parts instead, and `requests:redis requests:fastify` only the rows of a part that have one of these words in their
// names. `--against ../other` compares Gatepass with that of another checkout, in `--rounds 90` instead of 45.
import { cpus, loadavg } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { benchCookies } from './cookies.ts'
import { benchCosts } from './costs.ts'
import type { Stall } from './event-loop.ts'
import { benchMillion, type MillionRow } from './million.ts'
import { benchPasswords } from './passwords.ts'
import { benchRedis } from './redis.ts'
import { benchRequests, type RequestReport, type RequestRow } from './requests.ts'
import { benchRevocation, type RevocationRow } from './revocation.ts'
import { type Estimate, type Row, tableLines, within } from './rows.ts'
import { measuredCosts } from './simulation/costs.ts'
import { simulationTables, type Table } from './simulation/tables.ts'
import { benchSql } from './sql.ts'
import { benchStores } from './stores.ts'
import { benchTokens } from './tokens.ts'

const parts: Record<string, (words: readonly string[]) => Promise<void>> = {
  cookies: async () => printRows(await benchCookies()),
  stores: async () => printRows(await benchStores()),
  redis: async () => printRows(await benchRedis()),
  sql: async () => printRows(await benchSql()),
  million: async (words) => printMillion(await benchMillion(words)),
  revocation: async () => printRevocation(await benchRevocation()),
  passwords: async () => printRows(await benchPasswords()),
  tokens: async () => printRows(await benchTokens()),
  requests: async (words) => printRequests(await benchRequests({ words, ...options })),
  simulation: async () => printSimulation(simulationTables(measuredCosts())),
  costs: async () => console.log(JSON.stringify(await benchCosts(), null, 2)),
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { against: { type: 'string' }, rounds: { type: 'string' } },
})
const options = {
  ...(values.rounds !== undefined && { rounds: Number(values.rounds) }),
  // npm changes the directory.
  ...(values.against !== undefined && { against: resolve(process.env.INIT_CWD ?? '.', values.against) }),
}
const wanted = partsAndWords(positionals.length === 0 ? ['requests'] : positionals)
const unknown = [...wanted.keys()].filter((name) => !(name in parts))
if (unknown.length > 0) {
  console.error(`No such part: ${unknown.join(', ')}. Parts: ${Object.keys(parts).join(', ')}.`)
  process.exit(2)
}

const { model = 'unknown processor' } = cpus()[0] ?? {}
console.log(`Node ${process.version}, ${cpus().length} × ${model.trim()}, ${new Date().toISOString().slice(0, 10)}\n`)
for (const [name, run] of Object.entries(parts)) {
  if (!wanted.has(name)) continue
  console.log(`## ${name}\n`)
  try {
    await run(wanted.get(name) ?? [])
  } catch (error) {
    // An engine that is not there, most likely: the other parts are measured all the same.
    console.log(`Not measured: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
  console.log()
}

function partsAndWords(args: readonly string[]): Map<string, string[]> {
  const wanted = new Map<string, string[]>()
  for (const argument of args) {
    const [part = '', ...word] = argument.split(':')
    const words = wanted.get(part) ?? []
    wanted.set(part, word.length === 0 ? words : [...words, word.join(':')])
  }
  return wanted
}

function printRows(rows: readonly Row[]): void {
  printTable(
    ['what', 'gatepass', 'peer', 'peer ÷ gatepass', 'unit', 'goal'],
    rows.map((row) => [
      `${row.group}: ${row.name}`,
      figure(row.ours),
      `${figure(row.peer)} (${row.peerName})`,
      (row.peer / row.ours).toFixed(1),
      row.unit,
      row.goal ?? '',
    ]),
  )
}

function printRequests({ rows, rounds, seconds }: RequestReport): void {
  const loads = loadavg().map((load) => load.toFixed(1))
  console.log(`${rounds} rounds in ${Math.round(seconds)} s, load average ${loads.join(', ')}. The machine varied:\n`)
  for (const { name, microseconds } of rows.filter(({ name }) => name.endsWith('bare'))) {
    const { median, quartiles, range } = microseconds
    console.log(`- ${name}: ${median.toFixed(1)} µs, half of the rounds ${between(quartiles)}, all ${between(range)}`)
  }
  console.log()
  if (rows.some(({ other }) => other !== undefined)) printDifferences(rows)
  else printCosts(rows)
}

/** Half of the interval. */
function noise({ interval: [low, high] }: Estimate): number {
  return (high - low) / 2
}

function between([low, high]: readonly [number, number]): string {
  return `${low.toFixed(1)}–${high.toFixed(1)}`
}

function printCosts(rows: readonly RequestRow[]): void {
  printTable(
    ['server', 'B', '±', 'goal', '', 'µs of CPU', 'half of the rounds', 'requests/s'],
    rows.map(({ name, b, goal, microseconds, requestsPerSecond }) => [
      name,
      b.median.toFixed(2),
      noise(b).toFixed(2),
      goal?.toFixed(2) ?? '',
      goal === undefined ? '' : within(goal, b) ? '≈' : b.median < goal ? 'reached' : 'missed',
      microseconds.median.toFixed(1),
      between(microseconds.quartiles),
      String(Math.round(requestsPerSecond)),
    ]),
  )
}

function printDifferences(rows: readonly RequestRow[]): void {
  printTable(
    ['server', 'B here', 'B there', 'here − there', '±', ''],
    rows.flatMap(({ name, b, other }) => {
      if (other === undefined) return []
      const { difference } = other
      const same = within(0, difference) ? '≈' : ''
      return [
        [
          name,
          b.median.toFixed(2),
          other.b.median.toFixed(2),
          difference.median.toFixed(3),
          noise(difference).toFixed(3),
          same,
        ],
      ]
    }),
  )
}

function printMillion(rows: readonly MillionRow[]): void {
  console.log(
    'Sessions with subject and index, half of which expire. Stalls: the longest time in which this process could do nothing else;\n' +
      'in parentheses without the time in which other processes had the cores.\n',
  )
  printTable(
    [
      'store',
      'sessions',
      'bytes each',
      'growing: stall',
      'control: stall',
      'slowest read',
      'expiring: stall',
      'slowest read',
      'removed in',
    ],
    rows.map((row) => [
      row.store,
      String(row.sessions),
      figure(row.bytesEach),
      stall(row.stallWhileGrowing),
      stall(row.control.stall),
      `${figure(row.control.slowestRead)} ms`,
      stall(row.expiring.stall),
      `${figure(row.expiring.slowestRead)} ms`,
      `${figure(row.removal / 1000)} s`,
    ]),
  )
}

function stall({ elapsed, own, computing }: Stall): string {
  return `${figure(elapsed)} (${figure(own)}; ${figure(computing)} computing) ms`
}

function printSimulation(tables: readonly Table[]): void {
  for (const { title, head, rows } of tables) {
    console.log(`${title}\n`)
    printTable(head, rows)
    console.log()
  }
}

function printRevocation(rows: readonly RevocationRow[]): void {
  console.log(
    'How long three other processes went on believing in a session after its revocation was acknowledged, in ms.\n',
  )
  printTable(
    ['engine', 'p50', 'p99', 'longest', 'histogram'],
    rows.map(({ engine, p50, p99, longest, histogram }) => [
      engine,
      figure(p50),
      figure(p99),
      figure(longest),
      histogram.map(({ below, count }) => `<${below}: ${count}`).join(', '),
    ]),
  )
}

function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(tableLines(head, rows).join('\n'))
}

function figure(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value >= 1 ? value.toFixed(1) : value.toFixed(3)
}
