import { UsageError } from '../error.ts'

/** The part of the Standard Schema interface (zod, valibot, arktype and others) that is used here. */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

/** The result of a schema: the value, or `issues` if the schema refused it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly unknown[] }

/**
 * Returns the value that the schema outputs, or `undefined` if the schema refuses the value or throws.
 *
 * @throws {UsageError} `ERR_COOKIE_SCHEMA` if the schema returns a promise
 */
export function validate<Output>(name: string, schema: StandardSchema<Output>, value: unknown): Output | undefined {
  const result = attempt(schema, value)
  if (result instanceof Promise) {
    // No code awaits this promise: its rejection must not end the process.
    result.catch(() => undefined)
    throw new UsageError('ERR_COOKIE_SCHEMA', `The schema of cookie ${name} validates asynchronously`, {
      hint: 'Cookies are read synchronously. Do asynchronous checks afterwards, outside the schema.',
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
    // Input from a browser never throws, not even if a transformation of the schema fails on it.
    return undefined
  }
}
