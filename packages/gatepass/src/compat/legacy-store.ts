export { expressStore } from './legacy-store/express-store.ts'
export { type ExpressSessionStore, legacyStore } from './legacy-store/legacy-store.ts'
