/** What a password hash costs, and what it costs everybody else while it is computed. */
import { type ChildProcess, fork } from 'node:child_process'
import { argon2Sync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import * as packagedArgon2 from '@node-rs/argon2'
import bcrypt from 'bcryptjs'
import { hashPassword } from 'gatepass/password'
import type { Row } from './row.ts'

const password = 'tractor violin umbrella'

/** @param rounds of quiet and busy seconds for each server, taken in turns */
export async function benchPasswords(rounds = 5): Promise<Row[]> {
  return [...(await hashRows()), ...(await neighbourRows(rounds))]
}

async function hashRows(): Promise<Row[]> {
  const ours = await cpuOf(() => hashPassword(password))
  const row = (peerName: string, peer: number): Row => ({
    group: 'passwords',
    name: 'CPU of one hash',
    ours,
    peer,
    peerName,
    unit: 'ms',
  })
  return [
    row('@node-rs/argon2', await cpuOf(() => packagedArgon2.hash(password, { memoryCost: 19_456, timeCost: 2 }))),
    row('argon2 of node:crypto', await cpuOf(nodeArgon2)),
    row('bcryptjs, cost 10', await cpuOf(() => bcrypt.hash(password, 10))),
  ]
}

function nodeArgon2(): unknown {
  const cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 }
  return argon2Sync('argon2id', { message: password, nonce: randomBytes(16), ...cost })
}

/** Milliseconds of CPU on all threads, the median of 15. */
async function cpuOf(work: () => unknown): Promise<number> {
  const samples: number[] = []
  for (let n = 0; n < 18; n++) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    if (n >= 3) samples.push((user + system) / 1000)
  }
  return quantile(samples, 0.5)
}

async function neighbourRows(rounds: number): Promise<Row[]> {
  const ours = await slowdown('gatepass', rounds)
  const row = (peerName: string, peer: number): Row => ({
    group: 'passwords',
    name: 'p99 of 200 other requests/s at 20 logins/s, ÷ quiet',
    ours,
    peer,
    peerName,
    unit: '×',
    goal: '≤ 1.5',
  })
  return [
    row('@node-rs/argon2', await slowdown('@node-rs/argon2', rounds)),
    // It falls behind at this rate: every further second only makes the queue longer.
    row('bcryptjs, cost 10', await slowdown('bcryptjs', 1)),
  ]
}

/** The p99 of reads while people log in, over the p99 without them. */
async function slowdown(variant: string, rounds: number): Promise<number> {
  const { child, port } = await start(variant)
  const quiet: number[] = []
  const busy: number[] = []
  try {
    await load(port, 1, 20)
    for (let round = 0; round < rounds; round++) {
      quiet.push(...(await load(port, 4, 0)))
      busy.push(...(await load(port, 4, 20)))
    }
  } finally {
    child.disconnect()
  }
  return quantile(busy, 0.99) / quantile(quiet, 0.99)
}

async function start(variant: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(new URL('./password-server.ts', import.meta.url), [variant, password], {
    execArgv: ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning'],
  })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, port }
}

/** How long each read took, in milliseconds: 200 a second at random moments, logins at even ones. */
async function load(port: number, seconds: number, loginsPerSecond: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true })
  const reads = at(momentsOfReads(seconds), () => send(agent, port, 'GET'))
  const logins = at(evenMoments(seconds, loginsPerSecond), () => send(agent, port, 'POST'))
  const [took] = await Promise.all([reads, logins])
  agent.destroy()
  return took
}

function momentsOfReads(seconds: number): number[] {
  return Array.from({ length: 200 * seconds }, () => Math.random() * seconds * 1000)
}

function evenMoments(seconds: number, perSecond: number): number[] {
  return Array.from({ length: perSecond * seconds }, (_, n) => (n * 1000) / perSecond)
}

function at<T>(moments: readonly number[], act: () => Promise<T>): Promise<T[]> {
  return Promise.all(moments.map((moment) => sleep(moment).then(act)))
}

function send(agent: Agent, port: number, method: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    request({ agent, port, method, host: '127.0.0.1' }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${method} answered ${response.statusCode}`))
      response.resume().on('end', () => resolve(performance.now() - began))
    })
      .on('error', reject)
      .end()
  })
}

function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
