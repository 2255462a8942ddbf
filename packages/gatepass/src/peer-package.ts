import { createRequire } from 'node:module'

/** Loads a package that the application has installed, at the time of its use. Throws what `require` throws. */
export function peerPackage<Exports>(name: string): Exports {
  // esbuild leaves no `import.meta.url` in a CommonJS bundle.
  return createRequire(import.meta.url ?? `${process.cwd()}/`)(name) as Exports
}
