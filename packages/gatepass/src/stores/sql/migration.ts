/** Makes the tables once, before the first operation. If that fails, the next operation tries again. */
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

  /** Runs the migration. Calls while it runs share it. */
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
