// Runs on each thread of `kdf-threads.ts`. It computes one job at a time and answers in order.
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { blockingKdfs } from './kdf-functions.ts'
import type { Answer, Job } from './kdf-threads.ts'

// A tenth of the weight of the main thread (sched(7)): on a busy machine a login waits, but does not starve as it would with 19.
const NICENESS = 10

// Only Linux has a priority per thread. Elsewhere this would slow down the whole process.
if (process.platform === 'linux') giveWay()

parentPort?.on('message', (job: Job) => parentPort?.postMessage(answer(job)))

function giveWay(): void {
  try {
    setPriority(NICENESS)
  } catch {
    // A sandbox may forbid it. Hashing still works.
  }
}

function answer(job: Job): Answer {
  try {
    return { value: compute(job) }
  } catch (error) {
    return { error }
  }
}

function compute(job: Job): Uint8Array | boolean {
  switch (job.name) {
    case 'argon2':
      return blockingKdfs.argon2(job.work)
    case 'bcrypt':
      return blockingKdfs.bcrypt(job.work.password, job.work.hash)
    case 'scrypt':
      return blockingKdfs.scrypt(job.work)
    case 'pbkdf2':
      return blockingKdfs.pbkdf2(job.work)
  }
}
