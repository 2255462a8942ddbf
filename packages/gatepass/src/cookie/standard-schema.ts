import { UsageError } from '../error.ts'

/** What zod, valibot, arktype and others have in common: the part of the Standard Schema interface that is used here. */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

/** The value when `issues` is absent. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly unknown[] }

/**
 * The value as the schema gives it, or `undefined` if the schema refuses it or fails.
 *
 * @throws {UsageError} `ERR_COOKIE_SCHEMA` if the schema answers with a promise
 */
export function validate<Output>(name: string, schema: StandardSchema<Output>, value: unknown): Output | undefined {
  const result = attempt(schema, value)
  if (result instanceof Promise) {
    // Nobody waits for it; a rejection must not end the process.
    result.catch(() => undefined)
    throw new UsageError('ERR_COOKIE_SCHEMA', `The schema of cookie ${name} validates asynchronously`, {
      hint: 'Cookies are read synchronously. Leave asynchronous checks out of the schema and make them afterwards.',
    })
  }
  return result === undefined || result.issues ? undefined : result.value
}

function attempt<Output>(
  schema: StandardSchema<Output>,
  value: unknown,
): ReturnType<StandardSchema<Output>['~standard']['validate']> | undefined {
  try {
    return schema['~standard'].validate(value)
  } catch {
    // What a browser sent does not throw, not even where a transformation of the schema stumbles over it.
    return undefined
  }
}
