#!/usr/bin/env node
import { readFileSync } from 'node:fs'

// `gatepass-migrate | head` reads no further: the rest is done, and not said.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  engines: { node: string }
}
const needed = engines.node.replace('>=', '')
if (process.versions.node.localeCompare(needed, 'en', { numeric: true }) < 0) {
  console.error(
    `gatepass-migrate: it needs Node ${needed} or newer, and this is Node ${process.versions.node}. Install a newer Node.`,
  )
  process.exitCode = 1
} else {
  // Imported after the check, because an old Node would fail on what it lacks.
  const { command } = await import('./command.ts')
  process.exitCode = await command(process.argv.slice(2))
}
