/*
 * Why columns: an object per session costs 250 bytes and more (boxed timestamps, a 64-character key, a Map entry), and a
 * million of them is a heap that the garbage collector has to walk. Here the numbers lie outside that heap.
 *
 * Typed arrays are read `as number` below: a row handed out by `allocate` is always inside its page.
 */

const PAGE_BITS = 10
/** Rows on one page: growing adds a page of about 100 KB and copies nothing. */
export const PAGE_ROWS: number = 1 << PAGE_BITS
const NONE = -1

/** Words of 32 bits that a packed session id takes. */
export const KEY_WORDS = 8

/** The columns of {@link PAGE_ROWS} sessions. */
export class Page {
  readonly number: number
  readonly key: Uint32Array = new Uint32Array(PAGE_ROWS * KEY_WORDS)
  readonly version: Uint32Array = new Uint32Array(PAGE_ROWS)
  readonly createdAt: Float64Array = new Float64Array(PAGE_ROWS)
  readonly seenAt: Float64Array = new Float64Array(PAGE_ROWS)
  readonly expiresAt: Float64Array = new Float64Array(PAGE_ROWS)
  /** The expiry bucket this row is in, and its neighbours there. On a free row, `next` is the next free one. */
  readonly bucket: Int32Array = new Int32Array(PAGE_ROWS)
  readonly next: Int32Array = new Int32Array(PAGE_ROWS)
  readonly previous: Int32Array = new Int32Array(PAGE_ROWS)
  readonly subject: (string | null)[] = new Array<string | null>(PAGE_ROWS).fill(null)
  readonly handle: string[] = new Array<string>(PAGE_ROWS).fill('')
  readonly data: string[] = new Array<string>(PAGE_ROWS).fill('')
  readonly about: string[] = new Array<string>(PAGE_ROWS).fill('')
  firstFree: number
  used = 0

  constructor(number: number) {
    this.number = number
    this.firstFree = number << PAGE_BITS
    for (let at = 0; at < PAGE_ROWS; at++) this.next[at] = at === PAGE_ROWS - 1 ? NONE : this.firstFree + at + 1
  }
}

/** Where a row lies on its page. */
export function placeOf(row: number): number {
  return row & (PAGE_ROWS - 1)
}

/** Rows of session columns, numbered, in pages that come and go with the number of sessions. */
export class Rows {
  readonly #pages: (Page | undefined)[] = []
  /** Pages with at least one free row; the last one is filled first. */
  readonly #roomy: Page[] = []

  page(row: number): Page {
    const page = this.#pages[row >>> PAGE_BITS]
    if (page === undefined) throw new RangeError(`row ${row} is not in use`)
    return page
  }

  allocate(): number {
    const page = this.#roomy.at(-1) ?? this.#addPage()
    const row = page.firstFree
    page.firstFree = page.next[placeOf(row)] as number
    page.used++
    if (page.used === PAGE_ROWS) this.#roomy.pop()
    return row
  }

  release(row: number): void {
    const page = this.page(row)
    const at = placeOf(row)
    page.subject[at] = null
    page.handle[at] = ''
    page.data[at] = ''
    page.about[at] = ''
    page.next[at] = page.firstFree
    page.firstFree = row
    if (page.used === PAGE_ROWS) this.#roomy.push(page)
    page.used--
    // One page with room stays, so that a single session coming and going does not allocate each time.
    if (page.used === 0 && this.#roomy.length > 1) this.#dropPage(page)
  }

  expiresAt(row: number): number {
    return this.page(row).expiresAt[placeOf(row)] as number
  }

  subject(row: number): string | null {
    return this.page(row).subject[placeOf(row)] ?? null
  }

  #addPage(): Page {
    const vacant = this.#pages.indexOf(undefined)
    const page = new Page(vacant === NONE ? this.#pages.length : vacant)
    this.#pages[page.number] = page
    this.#roomy.push(page)
    return page
  }

  #dropPage(page: Page): void {
    this.#pages[page.number] = undefined
    this.#roomy.splice(this.#roomy.indexOf(page), 1)
  }
}
