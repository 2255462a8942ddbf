declare module 'cookie-session' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  type Middleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void
  export default function cookieSession(options: { name: string; keys: string[] }): Middleware
}
