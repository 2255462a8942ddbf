/** `gatepass/testing`: tools for tests of applications, stores and strategies. Gatepass tests itself with them. */
export { TestBrowser, type VisitOptions } from './browser.ts'
export { type TestClock, testClock } from './clock.ts'
export { TestExchange, TestJar, type TestRequest } from './exchange.ts'
export { type StoreSuiteOptions, type StoreUnderTest, storeSuite } from './store-suite.ts'
