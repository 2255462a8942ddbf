// `npm run bench`: every number beside its peer's, measured in this run. `npm run bench -- stores redis` runs only these parts,
// and `requests:redis requests:fastify` only the rows of a part that have one of these words in their names.
import { cpus } from 'node:os'
import { benchCookies } from './cookies.ts'
import { benchCosts } from './costs.ts'
import type { Stall } from './event-loop.ts'
import { benchMillion, type MillionRow } from './million.ts'
import { benchPasswords } from './passwords.ts'
import { benchRedis } from './redis.ts'
import { benchRequests, type RequestRow } from './requests.ts'
import { benchRevocation, type RevocationRow } from './revocation.ts'
import { type Row, tableLines } from './rows.ts'
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
  requests: async (words) => printRequests(await benchRequests(words)),
  simulation: async () => printSimulation(simulationTables(measuredCosts())),
  costs: async () => console.log(JSON.stringify(await benchCosts(), null, 2)),
}
/** Writes down what the simulation reckons with. */
const onlyIfNamed = 'costs'

const wanted = partsAndWords(process.argv.slice(2))
const unknown = [...wanted.keys()].filter((name) => !(name in parts))
if (unknown.length > 0) {
  console.error(`No such part: ${unknown.join(', ')}. Parts: ${Object.keys(parts).join(', ')}.`)
  process.exit(2)
}

const { model = 'unknown processor' } = cpus()[0] ?? {}
console.log(`Node ${process.version}, ${cpus().length} × ${model.trim()}, ${new Date().toISOString().slice(0, 10)}\n`)
for (const [name, run] of Object.entries(parts)) {
  if (wanted.size > 0 ? !wanted.has(name) : name === onlyIfNamed) continue
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

function printRequests(rows: readonly RequestRow[]): void {
  console.log(
    'B: CPU per request added over the bare framework, divided by what a bare node:http request costs in this run.\n',
  )
  printTable(
    ['server', 'B', 'goal', 'µs of CPU', 'requests/s'],
    rows.map((row) => [
      row.name,
      row.b.toFixed(2),
      row.goal?.toFixed(2) ?? '',
      row.microseconds.toFixed(1),
      String(row.requestsPerSecond),
    ]),
  )
}

function printMillion(rows: readonly MillionRow[]): void {
  console.log(
    'Sessions with subject and index, half of which expire. Stalls: the longest time in which this process could do nothing else.\n',
  )
  printTable(
    ['store', 'sessions', 'bytes each', 'stall while growing', 'while half expire', 'slowest read then', 'removed in'],
    rows.map((row) => [
      row.store,
      String(row.sessions),
      figure(row.bytesEach),
      stall(row.stallWhileGrowing),
      stall(row.stallWhileExpiring),
      `${figure(row.slowestRead)} ms`,
      `${figure(row.removal / 1000)} s`,
    ]),
  )
}

function stall({ elapsed, computing }: Stall): string {
  return `${figure(elapsed)} ms, ${figure(computing)} computing`
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
