// `npm run bench [-- cookies stores redis sql revocation passwords requests]`: every number beside its peer's, measured in this run.
import { cpus } from 'node:os'
import { benchCookies } from './cookies.ts'
import { benchPasswords } from './passwords.ts'
import { benchRedis } from './redis.ts'
import { benchRequests, type RequestRow } from './requests.ts'
import { benchRevocation, type RevocationRow } from './revocation.ts'
import type { Row } from './row.ts'
import { benchSql } from './sql.ts'
import { benchStores } from './stores.ts'

const parts: Record<string, () => Promise<void>> = {
  cookies: async () => printRows(await benchCookies()),
  stores: async () => printRows(await benchStores()),
  redis: async () => printRows(await benchRedis()),
  sql: async () => printRows(await benchSql()),
  revocation: async () => printRevocation(await benchRevocation()),
  passwords: async () => printRows(await benchPasswords()),
  requests: async () => printRequests(await benchRequests()),
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in parts))
if (unknown.length > 0) {
  console.error(`No such part: ${unknown.join(', ')}. Parts: ${Object.keys(parts).join(', ')}.`)
  process.exit(2)
}

const { model = 'unknown processor' } = cpus()[0] ?? {}
console.log(`Node ${process.version}, ${cpus().length} × ${model.trim()}, ${new Date().toISOString().slice(0, 10)}\n`)
for (const [name, run] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`## ${name}\n`)
  try {
    await run()
  } catch (error) {
    // An engine that is not there, most likely: the other parts are measured all the same.
    console.log(`Not measured: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
  console.log()
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
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join(' | ')} |`
  console.log(line(head))
  console.log(`|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`)
  for (const row of rows) console.log(line(row))
}

function figure(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value >= 1 ? value.toFixed(1) : value.toFixed(3)
}
