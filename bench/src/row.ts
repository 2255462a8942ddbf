/** One line of the table that `npm run bench` prints: the same work, done by Gatepass and by a peer in the same run. */
export interface Row {
  group: string
  name: string
  ours: number
  peer: number
  peerName: string
  unit: string
  /** What `ours` should be, in words. */
  goal?: string
}
