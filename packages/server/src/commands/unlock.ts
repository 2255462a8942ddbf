import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseEmailAddress } from '../accounts/email-address.ts'
import { openStores, type Stores } from '../accounts/stores.ts'
import { readDataFolder } from '../settings/config.ts'
import { DONE, fail, MISUSED } from './exit.ts'
import { dataFailure, failConfig } from './start.ts'

/** `gatepass unlock <address>` enables a password that was disabled after 100 wrong ones in a row. */
export async function unlock(args: readonly string[]): Promise<number> {
  const request = readRequest(args)
  if (request === undefined) return fail('write gatepass unlock <address> [--data <folder>] [--config <file>]', MISUSED)
  const { flags, key } = request
  const read = readDataFolder({ mode: 'dev', flags, environment: process.env, folder: process.cwd() })
  if ('problems' in read) return failConfig(read.problems)
  const { data } = read
  if (!existsSync(join(data, 'gatepass.db')))
    return fail(`there is no database in ${data}. Name its folder: --data <folder>`)
  let stores: Stores
  try {
    stores = await openStores({ data }, Date.now)
  } catch (error) {
    return fail(dataFailure(error, data))
  }
  try {
    if (!(await stores.accounts.enablePassword(key))) return fail('no account has this address')
    console.log('The password works again.')
    return DONE
  } finally {
    await stores.close()
  }
}

function readRequest(args: readonly string[]): { flags: Record<string, string>; key: string } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { data: { type: 'string' }, config: { type: 'string' } },
    })
    const email = parseEmailAddress(positionals[0])
    if (email === undefined || positionals.length > 1) return undefined
    return { flags: { ...values }, key: email.key }
  } catch {
    return undefined
  }
}
