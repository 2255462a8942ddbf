import { AuthenticationError } from './passport/authenticate.ts'
import { Authenticator } from './passport/authenticator.ts'
import { SessionStrategy } from './passport/logins.ts'
import { type LegacyStrategy, Strategy } from './passport/strategy.ts'
import type * as types from './passport/types.ts'

export type { Refusal } from './passport/authenticate.ts'
export type { StrategyActions, StrategyClass } from './passport/strategy.ts'
export type {
  AuthenticateCallback,
  AuthenticateOptions,
  DoneCallback,
  FlashWish,
  Framework,
  Handler,
  InitializeOptions,
  LogInOptions,
  LogOutOptions,
  Profile,
  SessionOptions,
} from './passport/types.ts'
export type { LegacyStrategy }
export { AuthenticationError, Authenticator, Strategy }

/** Another name of {@link Authenticator}, as in Passport. */
export const Passport: typeof Authenticator = Authenticator
/** A Passport beside the application's `passport`. */
export type Passport = Authenticator

/** The strategies that come with Passport. */
export const strategies: { readonly SessionStrategy: typeof SessionStrategy } = { SessionStrategy }

/** What `import passport` and `require()` give: one Passport for the whole application, and the classes. */
export interface PassportStatic extends Authenticator {
  readonly Authenticator: typeof Authenticator
  readonly Passport: typeof Authenticator
  readonly Strategy: typeof Strategy
  readonly strategies: typeof strategies
}

const classes = { AuthenticationError, Authenticator, Passport, Strategy, strategies }

/** The application's Passport. */
const passport: PassportStatic = Object.assign(new Authenticator(), classes)
Object.defineProperty(passport, 'default', { value: passport })

declare namespace passport {
  type AuthenticateCallback = types.AuthenticateCallback
  type AuthenticateOptions = types.AuthenticateOptions
  type DoneCallback = types.DoneCallback
  type InitializeOptions = types.InitializeOptions
  type LogInOptions = types.LogInOptions
  type LogOutOptions = types.LogOutOptions
  type Profile = types.Profile
  type SessionOptions = types.SessionOptions
  type Strategy = LegacyStrategy
}

// biome-ignore lint/style/noDefaultExport: as Passport has it
export default passport
export { passport as 'module.exports' }
