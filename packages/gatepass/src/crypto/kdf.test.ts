import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { expect, test, vi } from 'vitest'
import { equalTags, installedKdfs, type Job, keyedTag, onThreads, Threads } from './kdf.ts'
import { builtInArgon2, packagedArgon2, poolKdfs } from './kdf-functions.ts'

const work = {
  variant: 'argon2id',
  password: Buffer.from('correct horse'),
  salt: Buffer.from('0123456789abcdef'),
  memory: 256,
  passes: 2,
  lanes: 1,
  tagLength: 32,
} as const

test('@node-rs/argon2 and the argon2 of Node.js compute the same', async () => {
  const packaged = packagedArgon2()
  const builtIn = builtInArgon2()
  expect(packaged).toBeDefined()
  expect(builtIn).toBeDefined()
  for (const variant of ['argon2d', 'argon2i', 'argon2id'] as const) {
    for (const lanes of [1, 2]) {
      const [one, other] = await Promise.all([
        packaged?.({ ...work, variant, lanes }),
        builtIn?.({ ...work, variant, lanes }),
      ])
      expect(Buffer.from(one ?? []).toString('hex')).toBe(Buffer.from(other ?? []).toString('hex'))
      expect(one).toHaveLength(32)
    }
  }
})

test('scrypt is allowed the memory of N=2^17, r=8', async () => {
  const { scrypt } = installedKdfs()
  const { password, salt } = work
  const tag = await scrypt({ password, salt, rounds: 2 ** 17, blockSize: 8, lanes: 1, tagLength: 32 })
  expect(tag).toHaveLength(32)
})

test('the slow functions are looked for once', () => {
  expect(installedKdfs()).toBe(installedKdfs())
})

test('a keyed tag is HMAC-SHA-256 (RFC 4231 §4.3)', () => {
  const tag = keyedTag('Jefe', Buffer.from('what do ya want for nothing?'))
  expect(Buffer.from(tag).toString('hex')).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
})

test('tags of different lengths are different', () => {
  expect(equalTags(Buffer.from('abc'), Buffer.from('abc'))).toBe(true)
  expect(equalTags(Buffer.from('abc'), Buffer.from('abd'))).toBe(false)
  expect(equalTags(Buffer.from('abc'), Buffer.from('abcd'))).toBe(false)
})

const password = Buffer.from('tractor violin umbrella')
const salt = Buffer.from('0123456789abcdef')
const job: Job = {
  name: 'pbkdf2',
  work: { digest: 'sha256', password, salt, iterations: 1000, tagLength: 32 },
}
// Node.js before 22.18 runs the thread's TypeScript only when told, and then the pool computes.
const threadsRun = process.features.typescript !== false

const noPool = () => Promise.reject(new Error('computed on the pool'))
const onPool = () => Promise.resolve(true)

/** Threads that run `code` instead, in which `answer(value)` answers and `job` was asked. */
function threadsRunning(code: string): Threads {
  const file = `import { parentPort } from 'node:worker_threads'
    const answer = (value) => parentPort.postMessage({ value })
    parentPort.on('message', (job) => { ${code} })`
  return new Threads(() => new URL(`data:text/javascript,${encodeURIComponent(file)}`))
}

function nicenessOfThreads(): number[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    // proc_pid_stat(5): nice is the 19th member, the 17th behind the name in parentheses.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  })
}

test.runIf(threadsRun)('a thread computes what the pool computes', async () => {
  const threads = new Threads()
  const pool = poolKdfs()
  const { argon2, bcrypt, scrypt, pbkdf2 } = onThreads(
    { argon2: noPool, bcrypt: noPool, scrypt: noPool, pbkdf2: noPool },
    threads,
  )
  const argon2Work = { variant: 'argon2id', password, salt, memory: 256, passes: 2, lanes: 1, tagLength: 32 } as const
  const scryptWork = { password, salt, rounds: 1024, blockSize: 8, lanes: 1, tagLength: 32 }
  const pbkdf2Work = { digest: 'sha512', password, salt, iterations: 1000, tagLength: 32 } as const
  const tags = await Promise.all([argon2?.(argon2Work), scrypt(scryptWork), pbkdf2(pbkdf2Work)])
  const expected = await Promise.all([pool.argon2?.(argon2Work), pool.scrypt(scryptWork), pool.pbkdf2(pbkdf2Work)])
  expect(tags.map((tag) => Buffer.from(tag ?? []))).toEqual(expected.map((tag) => Buffer.from(tag ?? [])))
  const hash = '$2b$04$V/xGgkS3bt1jq93kgOW4B.2F92KSWDhas2/0UYGcqOTlbDbbm5p2K'
  expect([await bcrypt?.(password, hash), await bcrypt?.(salt, hash)]).toEqual([true, false])
  threads.end()
})

test.runIf(threadsRun && process.platform === 'linux')(
  'on Linux a thread gives way, and the main thread keeps its priority',
  async () => {
    const threads = new Threads()
    const own = getPriority()
    await threads.run(job, noPool)
    expect(nicenessOfThreads()).toContain(10)
    expect(getPriority()).toBe(own)
    threads.end()
  },
)

test('an idle thread is asked again, and no more threads are started than there are jobs at once', async () => {
  const threads = threadsRunning('import("node:worker_threads").then(({ threadId }) => answer(threadId))')
  const ask = () => threads.run(job, noPool) as Promise<unknown>
  const both = await Promise.all([ask(), ask()])
  const next = [await ask(), await ask(), await ask()]
  expect(new Set(both).size).toBe(2)
  expect(both).toEqual(expect.arrayContaining(next))
  threads.end()
})

test('only the bytes of the job reach the thread, not what lies beside them in memory', async () => {
  const threads = threadsRunning('answer(job.work.password.buffer.byteLength === job.work.password.byteLength)')
  expect(password.buffer.byteLength).toBeGreaterThan(password.byteLength)
  expect(await threads.run(job, noPool)).toBe(true)
  threads.end()
})

test('what fails on a thread fails its caller alone', async () => {
  const threads = new Threads()
  const { scrypt, pbkdf2 } = onThreads(poolKdfs(), threads)
  const failing = scrypt({ password, salt, rounds: 3, blockSize: 8, lanes: 1, tagLength: 32 })
  await expect(failing).rejects.toThrow()
  expect(await pbkdf2(job.work as Parameters<typeof pbkdf2>[0])).toHaveLength(32)
  threads.end()
})

test('the pool computes the job that a thread did not survive, and another thread the next', async () => {
  const threads = threadsRunning('if (job.name === "scrypt") process.exit(1); else answer(false)')
  const deadly: Job = { name: 'scrypt', work: { password, salt, rounds: 2, blockSize: 8, lanes: 1, tagLength: 32 } }
  expect(await threads.run(job, onPool)).toBe(false)
  expect(await threads.run(deadly, onPool)).toBe(true)
  expect(await threads.run(job, onPool)).toBe(false)
  threads.end()
})

test('a thread that died without a job is not waited for', async () => {
  const threads = threadsRunning('answer(false); process.exit()')
  const died = new Promise((resolve) => process.once('worker', (worker) => worker.once('exit', resolve)))
  expect(await threads.run(job, onPool)).toBe(false)
  await died
  expect(await threads.run(job, onPool)).toBe(true)
})

test('a thread has no flags and no environment, so that nothing meant for the process is loaded into it', async () => {
  const threads = threadsRunning('answer(process.execArgv.length + Object.keys(process.env).length === 0)')
  expect(process.execArgv).not.toEqual([])
  expect(await threads.run(job, noPool)).toBe(true)
  threads.end()
})

test('the pool computes everything where threads cannot be started', async () => {
  const unstartable = vi.fn(() => {
    throw new Error('no such file')
  })
  const missing = vi.fn(() => new URL('./no-such-thread.js', import.meta.url))
  for (const file of [unstartable, missing]) {
    const threads = new Threads(file)
    expect(await threads.run(job, onPool)).toBe(true)
    expect(await threads.run(job, onPool)).toBe(true)
    expect(file).toHaveBeenCalledTimes(1)
  }
})

test('a minute without a job ends the threads, and the next job starts one', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const threads = threadsRunning('import("node:worker_threads").then(({ threadId }) => answer(threadId))')
    const ask = () => threads.run(job, noPool) as Promise<unknown>
    const first = await ask()
    vi.advanceTimersByTime(59_000)
    expect(await ask()).toBe(first)
    vi.advanceTimersByTime(59_000)
    expect(await ask()).toBe(first)
    vi.advanceTimersByTime(60_000)
    expect(await ask()).not.toBe(first)
    threads.end()
  } finally {
    vi.useRealTimers()
  }
})

test('the process waits for a job, and not for an idle thread', () => {
  const kdf = JSON.stringify(new URL('./kdf.ts', import.meta.url).href)
  const script = `import { installedKdfs } from ${kdf}
    const work = { digest: 'sha256', password: Buffer.from('p'), salt: Buffer.from('s'), iterations: 100_000, tagLength: 32 }
    await installedKdfs().pbkdf2(work)
    installedKdfs().pbkdf2(work).then((tag) => console.log(tag.length))`
  const options = { encoding: 'utf8', timeout: 20_000 } as const
  const flags = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning', '--input-type=module']
  expect(execFileSync(process.execPath, [...flags, '--eval', script], options).trim()).toBe('32')
})
