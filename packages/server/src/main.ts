#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { help } from './commands/help.ts'
import { DONE, FAILED, MISUSED, type Output, processOutput } from './commands/output.ts'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
  engines: { node: string }
}

/** Who started this process; noted at once, since it may end while a server starts. */
const parent = process.ppid

/** Runs one command, and says with which code the process should end. */
async function main([command, ...args]: readonly string[], output: Output): Promise<number> {
  if (command === '--help' || command === '-h' || command === 'help' || args.includes('--help')) {
    output.out(help)
    return DONE
  }
  if (command === '--version' || args.includes('--version')) {
    output.out(manifest.version)
    return DONE
  }
  const needed = manifest.engines.node.replace('>=', '')
  if (process.versions.node.localeCompare(needed, 'en', { numeric: true }) < 0) {
    output.err(
      `gatepass: it needs Node ${needed} or newer, and this is Node ${process.versions.node}. Install a newer Node, and start it with that.`,
    )
    return FAILED
  }
  // Loaded when asked for, so that a word of help does not wait for a server, and an old Node does not fail at what it lacks.
  switch (command) {
    case 'dev':
      return (await import('./commands/start.ts')).start('dev', args, { output, parent })
    case 'serve':
      return (await import('./commands/start.ts')).start('production', args, { output, parent })
    case 'key':
      return (await import('./commands/key.ts')).key(args, output)
    case 'unlock':
      return (await import('./commands/unlock.ts')).unlock(args, output)
    default:
      output.err(
        `gatepass: ${command === undefined ? 'say what to do' : `there is no command "${command}"`}\n\n${help}`,
      )
      return MISUSED
  }
}

process.exitCode = await main(process.argv.slice(2), processOutput)
