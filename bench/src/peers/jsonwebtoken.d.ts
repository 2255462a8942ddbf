declare module 'jsonwebtoken' {
  import type { KeyObject } from 'node:crypto'

  const jsonwebtoken: {
    verify(token: string, key: KeyObject, options: { algorithms: string[]; issuer: string; audience: string }): object
  }
  export default jsonwebtoken
}
