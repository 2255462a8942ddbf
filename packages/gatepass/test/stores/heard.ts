import type { ChangeListener, SessionId } from 'gatepass/session'
import { until } from '../engines/until.ts'

/** Notes the reports of a feed in order: ids, `up` and `down`. */
export class Heard implements ChangeListener {
  readonly all: string[] = []

  changed(id: SessionId): void {
    this.all.push(id)
  }

  up(): void {
    this.all.push('up')
  }

  down(): void {
    this.all.push('down')
  }

  /** Waits until `what` was reported. Takes it and the reports before it out of the list. */
  async take(what: string): Promise<string[]> {
    await until(async () => this.all.includes(what))
    return this.all.splice(0, this.all.indexOf(what) + 1)
  }
}
