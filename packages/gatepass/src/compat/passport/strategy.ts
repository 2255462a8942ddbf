import { UsageError } from '../../error.ts'

/** What strategies inherit from: by `extends`, and by `Strategy.call(this)` with `util.inherits`. */
export interface Strategy {
  name?: string | undefined
  authenticate(req: never, options: never): unknown
}

/** The five ways in which a strategy concludes; it has them while it is asked. */
export interface StrategyActions {
  success(user: unknown, info?: unknown): void
  fail(challenge?: unknown, status?: number): void
  redirect(url: string, status?: number): void
  pass(): void
  error(error: unknown): void
}

/** The class of {@link Strategy}. */
export interface StrategyClass {
  new (): Strategy & StrategyActions
  (this: object): void
  readonly prototype: Strategy & StrategyActions
}

// A function, since a class cannot be called with another object as `this`.
function BaseStrategy(): void {}

BaseStrategy.prototype.authenticate = (): never => {
  throw new UsageError('ERR_PASSPORT_STRATEGY', 'Strategy#authenticate must be overridden by subclass', {
    hint: 'Give the strategy a method authenticate(req, options).',
  })
}

/** The base class of strategies; theirs and ours are the same to every Passport. */
export const Strategy: StrategyClass = Object.defineProperty(BaseStrategy, 'name', {
  value: 'Strategy',
}) as unknown as StrategyClass
