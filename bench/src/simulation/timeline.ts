/** Future events, the earliest first: a binary heap. */
export class Timeline<Event> {
  readonly #entries: { readonly at: number; readonly event: Event }[] = []

  get nextAt(): number {
    return this.#entries[0]?.at ?? Number.POSITIVE_INFINITY
  }

  add(at: number, event: Event): void {
    const entries = this.#entries
    let place = entries.length
    const entry = { at, event }
    for (let parent = (place - 1) >> 1; place > 0 && at < this.#at(parent); parent = (place - 1) >> 1) {
      entries[place] = entries[parent] as typeof entry
      place = parent
    }
    entries[place] = entry
  }

  take(): Event | undefined {
    const [first] = this.#entries
    const last = this.#entries.pop()
    if (first !== undefined && last !== undefined && this.#entries.length > 0) this.#sink(last)
    return first?.event
  }

  #sink(entry: { at: number; event: Event }): void {
    const entries = this.#entries
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= entries.length) break
      if (this.#at(child + 1) < this.#at(child)) child++
      if (this.#at(child) >= entry.at) break
      entries[place] = entries[child] as typeof entry
      place = child
    }
    entries[place] = entry
  }

  #at(place: number): number {
    return this.#entries[place]?.at ?? Number.POSITIVE_INFINITY
  }
}
