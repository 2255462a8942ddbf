/** Makes the tables once, before the first operation; where that fails, the next one tries again. */
export class Migration {
  readonly #migrate: () => Promise<void>
  #running: Promise<void> | undefined
  #done = false

  constructor(migrate: () => Promise<void>) {
    this.#migrate = migrate
  }

  get done(): boolean {
    return this.#done
  }

  /** Whoever asks while it is under way waits for the same. */
  async run(): Promise<void> {
    this.#running ??= this.#attempt()
    await this.#running
  }

  async #attempt(): Promise<void> {
    try {
      await this.#migrate()
      this.#done = true
    } catch (error) {
      this.#running = undefined
      throw error
    }
  }
}
