import { Random } from './random.ts'
import { Timeline } from './timeline.ts'

/** One server process that coalesces its lookups. Times in microseconds. */
export interface ProcessOptions {
  /** How busy the process's only thread is, from 0 to 1. */
  readonly load: number
  /** Time of the thread for a request, Gatepass and the application together. */
  readonly request: number
  /** Time of the thread for a command. */
  readonly command: number
  /** From the command to the answer. */
  readonly answer: number
  readonly seed: number
}

export interface Turns {
  readonly requestsPerSecond: number
  /** Lookups of each command. */
  readonly batches: readonly number[]
  readonly meanBatch: number
}

const REQUESTS = 100_000

/**
 * Simulates an event loop. Each turn works on what has arrived: first halves of requests, and second halves after the store's
 * answer. At its end, one command asks for all sessions of the turn.
 */
export function simulateTurns({ load, request, command, answer, seed }: ProcessOptions): Turns {
  const random = new Random(seed)
  const between = request / load
  const answers = new Timeline<number>()
  const batches: number[] = []
  let [now, nextRequest] = [0, random.exponential(between)]
  for (let requests = 0; requests < REQUESTS; ) {
    now = Math.max(now, Math.min(nextRequest, answers.nextAt))
    const turnBegan = now
    let wanted = 0
    while (nextRequest <= turnBegan) {
      wanted++
      now += request / 2
      nextRequest += random.exponential(between)
    }
    while (answers.nextAt <= turnBegan) now += ((answers.take() as number) * request) / 2
    if (wanted === 0) continue
    requests += wanted
    now += command
    batches.push(wanted)
    answers.add(now + answer, wanted)
  }
  const meanBatch = batches.reduce((sum, batch) => sum + batch, 0) / batches.length
  return { requestsPerSecond: 1e6 / between, batches, meanBatch }
}
