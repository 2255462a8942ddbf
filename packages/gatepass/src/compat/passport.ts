import { AuthenticationError } from './passport/authenticate.ts'
import { Authenticator, type AuthenticatorClass } from './passport/authenticator.ts'
import { SessionStrategy as OwnSessionStrategy, type SessionStrategyClass } from './passport/logins.ts'
import { type LegacyStrategy, Strategy, type StrategyClass } from './passport/strategy.ts'
import type * as types from './passport.ts'

export type { Refusal } from './passport/authenticate.ts'
export type { AuthenticatorClass } from './passport/authenticator.ts'
export type { SessionStrategy, SessionStrategyClass } from './passport/logins.ts'
export type {
  StrategyActions,
  StrategyClass,
  StrategyCreated,
  StrategyCreatedStatic,
  StrategyFailure,
} from './passport/strategy.ts'
export type {
  AuthenticateCallback,
  AuthenticateOptions,
  AuthorizeCallback,
  DeserializeUserFunction,
  DoneCallback,
  FlashWish,
  Framework,
  Handler,
  InitializeOptions,
  LogInOptions,
  LogOutOptions,
  Profile,
  SessionOptions,
  SessionStrategyOptions,
} from './passport/types.ts'
export type { LegacyStrategy }
export { AuthenticationError, Authenticator, Strategy }

/** Another name of {@link Authenticator}, as in Passport. */
export const Passport: AuthenticatorClass = Authenticator
/** A Passport beside the application's `passport`. */
export type Passport = Authenticator

/** The strategies that come with Passport. */
export const strategies: { readonly SessionStrategy: SessionStrategyClass } = { SessionStrategy: OwnSessionStrategy }

/** What `import passport` and `require()` give: one Passport for the whole application, and the classes. */
export interface PassportStatic extends Authenticator {
  readonly Authenticator: AuthenticatorClass
  readonly Passport: AuthenticatorClass
  readonly Strategy: StrategyClass
  readonly strategies: typeof strategies
}

const classes = { AuthenticationError, Authenticator, Passport, Strategy, strategies }

/** The application's Passport. */
const passport: PassportStatic = Object.assign(new Authenticator(), classes)
Object.defineProperty(passport, 'default', { value: passport })

declare namespace passport {
  type AuthenticateCallback = types.AuthenticateCallback
  type AuthenticateOptions = types.AuthenticateOptions
  type Authenticator<
    InitializeRet = types.Handler,
    AuthenticateRet = types.Handler,
    AuthorizeRet = AuthenticateRet,
  > = types.Authenticator<InitializeRet, AuthenticateRet, AuthorizeRet>
  type AuthorizeCallback = types.AuthorizeCallback
  type DeserializeUserFunction = types.DeserializeUserFunction
  type DoneCallback = types.DoneCallback
  type Framework<InitializeRet = unknown, AuthenticateRet = unknown, AuthorizeRet = AuthenticateRet> = types.Framework<
    InitializeRet,
    AuthenticateRet,
    AuthorizeRet
  >
  type InitializeOptions = types.InitializeOptions
  type LogInOptions = types.LogInOptions
  type LogOutOptions = types.LogOutOptions
  type PassportStatic = types.PassportStatic
  type Profile = types.Profile
  type SessionOptions = types.SessionOptions
  type SessionStrategy = types.SessionStrategy
  type SessionStrategyOptions = types.SessionStrategyOptions
  type Strategy = LegacyStrategy
  type StrategyCreated<T, Created = T & types.StrategyCreatedStatic> = types.StrategyCreated<T, Created>
  type StrategyCreatedStatic = types.StrategyCreatedStatic
  type StrategyFailure = types.StrategyFailure
}

// biome-ignore lint/style/noDefaultExport: as Passport has it
export default passport
export { passport as 'module.exports' }
