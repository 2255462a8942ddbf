/** A cache that forgets values that were not read recently. It has two generations and drops the older one as a whole. */
export class Recent<Value> {
  readonly #generation: number
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()

  /** @param generation how many values it keeps at least; at most twice as many */
  constructor(generation: number) {
    this.#generation = generation
  }

  get(text: string): Value | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const old = this.#old.get(text)
    if (old !== undefined) this.keep(text, old)
    return old
  }

  keep(text: string, value: Value): void {
    if (this.#young.size >= this.#generation) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, value)
  }

  drop(text: string): void {
    this.#young.delete(text)
    this.#old.delete(text)
  }
}
