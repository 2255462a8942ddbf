/** A value, or a promise of it. Awaiting it is always right; not awaiting a plain value saves a turn of the event loop. */
export type Awaitable<T> = T | Promise<T>

/** What applications hand over may be any thenable (a query that runs when awaited): here it becomes a promise. */
export function settled<T>(value: T | PromiseLike<T>): Awaitable<T> {
  if (value instanceof Promise || typeof value !== 'object' || value === null) return value as Awaitable<T>
  return 'then' in value && typeof value.then === 'function' ? Promise.resolve(value) : (value as T)
}

/** Continues with `next` at once where the value is there, and after it where it is promised. */
export function andThen<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** An application may ask for something and not wait for it. Its failure must not end the process. */
export function unawaited<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {})
  return work
}

/** The value of `step`, or what `otherwise` makes of its failure. */
export function orElse<T>(step: () => Awaitable<T>, otherwise: (error: unknown) => Awaitable<T>): Awaitable<T> {
  try {
    const value = step()
    return value instanceof Promise ? value.catch(otherwise) : value
  } catch (error) {
    return otherwise(error)
  }
}

/** Makes a look-up that calls share while it runs. Once it has settled, also if it failed, the next call runs it again. */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}

/** Remembers a running look-up under `key`, so that calls share it. If it fails it is forgotten, and the next call looks again. */
export function remembered<Key, T>(memory: Map<Key, unknown>, key: Key, looking: Promise<T>): Promise<T> {
  const known = looking.catch((error: unknown) => {
    if (memory.get(key) === known) memory.delete(key)
    throw error
  })
  memory.set(key, known)
  return known
}
