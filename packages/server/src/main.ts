#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { DONE, fail, MISUSED } from './commands/exit.ts'

const help = `gatepass: a login server on one SQLite file

  gatepass dev       start on this machine; makes its own secrets
  gatepass serve     start in production; demands an origin and keys
  gatepass key       print a new key
  gatepass unlock    let a password work again after 100 wrong ones

Flags of dev and serve
  --port <number>    default 3000; 0 takes any that is free
  --host <address>   default 127.0.0.1
  --origin <origin>  as browsers see the server: https://login.example.com
  --data <folder>    database and secrets; default .gatepass
  --config <file>    default gatepass.config.json, if it is there

Flags of unlock
  --data <folder>    as above
  --config <file>    as above
  <address>          the account's e-mail address

  gatepass --help, gatepass --version
`

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
  engines: { node: string }
}

/** The process that started this one. Read at once, since it may end while the server starts. */
const parent = process.ppid

/** Runs one command, and returns the exit code. */
async function main([command, ...args]: readonly string[]): Promise<number> {
  if (command === '--help' || command === '-h' || command === 'help' || args.includes('--help')) return print(help)
  if (command === '--version' || args.includes('--version')) return print(manifest.version)
  const needed = manifest.engines.node.replace('>=', '')
  if (process.versions.node.localeCompare(needed, 'en', { numeric: true }) < 0)
    return fail(`it needs Node ${needed} or newer, and this is Node ${process.versions.node}. Install a newer Node.`)
  // Loaded on demand, so that help does not wait for a server, and an old Node does not fail before it is named.
  switch (command) {
    case 'dev':
      return (await import('./commands/start.ts')).start('dev', args, parent)
    case 'serve':
      return (await import('./commands/start.ts')).start('production', args, parent)
    case 'key':
      if (args.length > 0) return fail('write gatepass key alone', MISUSED)
      return print((await import('./settings/secrets.ts')).newKey())
    case 'unlock':
      return (await import('./commands/unlock.ts')).unlock(args)
    default:
      return fail(
        `${command === undefined ? 'say what to do: no command is given' : `there is no command "${command}"`}\n\n${help}`,
        MISUSED,
      )
  }
}

function print(text: string): number {
  console.log(text)
  return DONE
}

process.exitCode = await main(process.argv.slice(2))
