export type { Awaitable } from '../awaitable.ts'
export type { Exchange, Reply } from '../http/exchange.ts'
export { Gatepass, type GatepassOptions } from './gatepass.ts'
export type { RequireLoginOptions } from './guard.ts'
export type { LinkRouteOptions, LoginRouteOptions } from './login-route.ts'
export type { BackChannelLogoutOptions, LogoutRouteOptions } from './logout-route.ts'
export type { Failure, Found, Outcome, Pass, Redirect, Respond, Success, UserObject } from './outcome.ts'
export { allowCrossOrigin } from './own-pages.ts'
export {
  type Anonymity,
  type LoginOptions,
  Passport,
  type PassportOptions,
  type Rejection,
  type Verdict,
} from './passport.ts'
export type { Attempt, EndedLogin, Linking, LoginFlow, LoginIntent, Strategy } from './strategy.ts'
export type { Users } from './users.ts'
