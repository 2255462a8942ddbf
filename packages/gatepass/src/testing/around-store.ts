import type { Awaitable } from '../awaitable.ts'
import type { SessionStore, SubjectIndex } from '../session/store.ts'

type Store = SessionStore & SubjectIndex

export type StoreMethod = Exclude<keyof Store, 'synchronous'>

const methods: readonly StoreMethod[] = [
  ...(['load', 'insert', 'replace', 'touch', 'remove'] as const),
  ...(['listBySubject', 'removeBySubject', 'insertWithin'] as const),
]

/**
 * Makes a store of which every method calls `around`.
 *
 * @param around decides when, and on which store, to make the `call`
 */
export function aroundStore(
  around: <T>(call: (store: Store) => Awaitable<T>, method: StoreMethod, args: readonly unknown[]) => Awaitable<T>,
): Store {
  const calling =
    (method: StoreMethod) =>
    (...args: unknown[]) =>
      around((store) => Reflect.apply(store[method], store, args) as Awaitable<unknown>, method, args)
  return Object.fromEntries(methods.map((method) => [method, calling(method)])) as unknown as Store
}
