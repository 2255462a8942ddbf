import type { Adapter, AdapterPayload } from 'oidc-provider'

interface Entry {
  readonly record: AdapterPayload
  /** Milliseconds since 1970. */
  readonly until: number
}

/** The sessions, codes and tokens of one provider, in memory. */
export function providerRecords(): Adapter {
  const entries = new Map<string, Entry>()
  const live = (entry: Entry | undefined) =>
    entry !== undefined && entry.until > Date.now() ? entry.record : undefined
  return {
    async upsert(id, record, lifetime = Number.POSITIVE_INFINITY) {
      entries.set(id, { record, until: Date.now() + lifetime * 1000 })
    },
    find: async (id) => live(entries.get(id)),
    findByUid: async (uid) => live([...entries.values()].find(({ record }) => record.uid === uid)),
    // Only devices without a browser use such codes.
    findByUserCode: async () => undefined,
    async consume(id) {
      const record = entries.get(id)?.record
      if (record !== undefined) record.consumed = Math.floor(Date.now() / 1000)
    },
    async destroy(id) {
      entries.delete(id)
    },
    async revokeByGrantId(grantId) {
      for (const [id, { record }] of entries) if (record.grantId === grantId) entries.delete(id)
    },
  }
}
