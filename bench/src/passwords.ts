/** The CPU of a password hash, and how much logins delay other requests. */
import type { ChildProcess } from 'node:child_process'
import { argon2Sync, randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import * as packagedArgon2 from '@node-rs/argon2'
import bcrypt from 'bcryptjs'
import { hashPassword } from 'gatepass/password'
import { startServer } from './engines.ts'
import type { Row } from './rows.ts'

const password = 'tractor violin umbrella'

/** @param rounds in which each server has a quiet second and a busy one */
export async function benchPasswords(rounds = 25): Promise<Row[]> {
  return [...(await hashRows()), ...(await neighbourRows(rounds))]
}

async function hashRows(): Promise<Row[]> {
  const [ours = Number.NaN, argon2 = Number.NaN, node = Number.NaN, bcryptjs = Number.NaN] = await cpuOfEach([
    () => hashPassword(password),
    () => packagedArgon2.hash(password, { memoryCost: 19_456, timeCost: 2 }),
    nodeArgon2,
    () => bcrypt.hash(password, 10),
  ])
  const row = (peerName: string, peer: number): Row => ({
    group: 'passwords',
    name: 'CPU of one hash',
    ours,
    peer,
    peerName,
    unit: 'ms',
  })
  return [row('@node-rs/argon2', argon2), row('argon2 of node:crypto', node), row('bcryptjs, cost 10', bcryptjs)]
}

function nodeArgon2(): unknown {
  const cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 }
  return argon2Sync('argon2id', { message: password, nonce: randomBytes(16), ...cost })
}

/** Milliseconds of CPU on all threads, the median of 25 rounds. The works take turns. */
async function cpuOfEach(works: readonly (() => unknown)[]): Promise<number[]> {
  const measured = works.map((work) => ({ work, samples: [] as number[] }))
  for (let round = 0; round < 28; round++) {
    for (const { work, samples } of measured) {
      const before = process.cpuUsage()
      await work()
      const { user, system } = process.cpuUsage(before)
      if (round >= 3) samples.push((user + system) / 1000)
    }
  }
  return measured.map(({ samples }) => quantile(samples, 0.5))
}

async function neighbourRows(rounds: number): Promise<Row[]> {
  const [ours = Number.NaN, argon2 = Number.NaN, bcryptjs = Number.NaN] = await slowdowns(
    ['gatepass', '@node-rs/argon2', 'bcryptjs'],
    rounds,
  )
  const row = (peerName: string, peer: number): Row => ({
    group: 'passwords',
    name: 'p99 of 200 other requests/s at 20 logins/s, ÷ quiet',
    ours,
    peer,
    peerName,
    unit: '×',
    goal: '≤ 1.5',
  })
  return [row('@node-rs/argon2', argon2), row('bcryptjs, cost 10', bcryptjs)]
}

/**
 * The p99 of reads while people log in, divided by the p99 without logins. It is the median of many short pairs of a quiet and
 * a busy window. Each round measures all variants, so that other work on the machine disturbs some pairs of each.
 */
async function slowdowns(variants: readonly string[], rounds: number): Promise<number[]> {
  const servers = await Promise.all(variants.map(start))
  const measured = servers.map((server) => ({ server, ratios: [] as number[] }))
  try {
    for (const server of servers) await load(server, 20)
    for (let round = 0; round < rounds; round++) {
      for (const { server, ratios } of measured) {
        const quiet = quantile(await load(server, 0), 0.99)
        ratios.push(quantile(await load(server, 20), 0.99) / quiet)
      }
    }
  } finally {
    for (const { child, agent } of servers) {
      agent.destroy()
      child.disconnect()
    }
  }
  return measured.map(({ ratios }) => quantile(ratios, 0.5))
}

interface Server {
  readonly child: ChildProcess
  readonly port: number
  /** Keeps connections open between windows. Opening them would be the slowest hundredth of the reads. */
  readonly agent: Agent
}

async function start(variant: string): Promise<Server> {
  const server = await startServer('./password-server.ts', [variant, password])
  return { ...server, agent: new Agent({ keepAlive: true, maxFreeSockets: 1000 }) }
}

/** Sends 200 reads at random moments of a second, and logins at even ones. Returns the milliseconds of each read. */
async function load(server: Server, logins: number): Promise<number[]> {
  const random = Array.from({ length: 200 }, () => Math.random() * 1000)
  const even = Array.from({ length: logins }, (_, n) => (n * 1000) / logins)
  const readings = at(random, () => send(server, 'GET'))
  const loggingIn = at(even, () => send(server, 'POST'))
  const [took] = await Promise.all([readings, loggingIn])
  return took
}

function at<T>(moments: readonly number[], act: () => Promise<T>): Promise<T[]> {
  return Promise.all(moments.map((moment) => sleep(moment).then(act)))
}

function send({ agent, port }: Server, method: string): Promise<number> {
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
