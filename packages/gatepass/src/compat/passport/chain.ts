import { callEitherWay, type Done } from './promises.ts'

/** A function that serialises, finds or transforms: it takes the request first if it names three parameters. */
export type Layer = (...args: never[]) => unknown

/** What is asked of the layers, one after the other, until one of them knows. */
export interface Chain {
  readonly layers: readonly Layer[]
  readonly req: object | undefined
  readonly subject: unknown
  /** Whether a layer's value ends the asking. */
  readonly answers: (value: unknown) => boolean
  /** No layer knew. */
  readonly exhausted: () => void
  /** Whether a layer with one parameter answers at once, by what it returns. */
  readonly synchronous?: boolean
}

/** Asks one layer after the other; one that says `pass` instead of an error leaves it to the next. */
export function askInTurn(chain: Chain, done: Done, at = 0): unknown {
  const layer = chain.layers[at]
  if (layer === undefined) return chain.exhausted()
  return callLayer(chain, layer, (said, value) => {
    const error = said === 'pass' ? undefined : said
    if (error || chain.answers(value)) done(error, value)
    else askInTurn(chain, done, at + 1)
  })
}

function callLayer({ req, subject, synchronous }: Chain, layer: Layer, done: Done): void {
  const call = layer as (...args: unknown[]) => unknown
  if (call.length === 3) callEitherWay(call, [req, subject], done)
  else if (call.length !== 1 || synchronous !== true) callEitherWay(call, [subject], done)
  else callEitherWay(returning(call) as typeof call, [subject], done)
}

/** A function that returns its answer, as one that gives it to a callback. */
function returning(call: (subject: unknown) => unknown): (subject: unknown, done: Done) => unknown {
  return (subject, done) => {
    const value = call(subject)
    if (value instanceof Promise) value.then((settled: unknown) => done(null, settled), done)
    else done(null, value)
  }
}
