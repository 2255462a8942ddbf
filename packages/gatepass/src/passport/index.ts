export type { Awaitable } from '../awaitable.ts'
export type { Exchange, Reply } from '../http/exchange.ts'
export {
  allowCrossOrigin,
  type BackChannelLogoutOptions,
  Gatepass,
  type GatepassOptions,
  type LinkRouteOptions,
  type LoginRouteOptions,
  type LogoutRouteOptions,
  type RequireLoginOptions,
} from './gatepass.ts'
export type { Linking, LoginIntent } from './intent.ts'
export type { Failure, Found, Outcome, Pass, Redirect, Respond, Success, UserObject } from './outcome.ts'
export {
  type Anonymity,
  type LoginOptions,
  Passport,
  type PassportOptions,
  type Rejection,
  type Verdict,
} from './passport.ts'
export type { Attempt, EndedLogin, LoginFlow, Strategy } from './strategy.ts'
export type { Users } from './users.ts'
