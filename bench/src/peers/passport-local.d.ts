type Verify = (name: string, password: string, done: (error: unknown, user?: unknown) => void) => void

export class Strategy {
  constructor(verify: Verify)
}
