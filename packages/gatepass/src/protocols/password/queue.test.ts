import { expect, test, vi } from 'vitest'
import { WorkQueue } from './queue.ts'

/** A task that ends when told, and what has begun so far. */
function tasks() {
  const begun: number[] = []
  const ends = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  const task = (number: number) => () =>
    new Promise<number>((resolve, reject) => {
      begun.push(number)
      ends.set(number, { resolve: () => resolve(number), reject })
    })
  return {
    begun,
    task,
    end: (number: number) => ends.get(number)?.resolve(),
    fail: (number: number) => ends.get(number)?.reject(new Error('failed')),
  }
}

test('no more tasks run at once than allowed, and the others follow in their order', async () => {
  const queue = new WorkQueue({ concurrency: 2 })
  const { begun, task, end } = tasks()
  const results = [1, 2, 3, 4].map((number) => queue.run(task(number)))
  expect(begun).toEqual([1, 2])
  end(2)
  await results[1]
  expect(begun).toEqual([1, 2, 3])
  end(1)
  await results[0]
  expect(begun).toEqual([1, 2, 3, 4])
  end(3)
  end(4)
  expect(await Promise.all(results)).toEqual([1, 2, 3, 4])
})

test('beyond its length the queue refuses at once with 503 and Retry-After', async () => {
  const queue = new WorkQueue({ concurrency: 1, length: 1 })
  const { begun, task, end } = tasks()
  const first = queue.run(task(1))
  const second = queue.run(task(2))
  await expect(queue.run(task(3))).rejects.toMatchObject({ code: 'ERR_PASSWORD_BUSY', status: 503, retryAfter: 1 })
  end(1)
  await first
  end(2)
  await second
  expect(begun).toEqual([1, 2])
})

test('there is room again when the queue has emptied', async () => {
  const queue = new WorkQueue({ concurrency: 1, length: 0 })
  await queue.run(async () => {})
  expect(await queue.run(async () => 'done')).toBe('done')
})

test('a task that fails gives its place back, and its error to its caller alone', async () => {
  const queue = new WorkQueue({ concurrency: 1 })
  const { begun, task, end, fail } = tasks()
  const failing = queue.run(task(1))
  const next = queue.run(task(2))
  fail(1)
  await expect(failing).rejects.toThrow('failed')
  end(2)
  expect(await next).toBe(2)
  expect(begun).toEqual([1, 2])
})

test('a newcomer does not overtake those who wait', async () => {
  const queue = new WorkQueue({ concurrency: 1 })
  const { begun, task, end } = tasks()
  const first = queue.run(task(1))
  const second = queue.run(task(2))
  end(1)
  const third = first.then(() => queue.run(task(3)))
  await first
  end(2)
  await second
  expect(begun).toEqual([1, 2, 3])
  end(3)
  await third
})

test.each([{ concurrency: 0 }, { concurrency: 1.5 }, { length: -1 }, { length: Number.NaN }])(
  '%o is refused',
  (options) => {
    expect(() => new WorkQueue(options)).toThrow(expect.objectContaining({ code: 'ERR_PASSWORD_OPTIONS' }))
  },
)

test('by default one thread of Node.js stays free for files and host names', async () => {
  vi.stubEnv('UV_THREADPOOL_SIZE', '2')
  const queue = new WorkQueue()
  vi.unstubAllEnvs()
  const { begun, task, end } = tasks()
  const results = [1, 2].map((number) => queue.run(task(number)))
  expect(begun).toEqual([1])
  end(1)
  await results[0]
  end(2)
  await results[1]
})
