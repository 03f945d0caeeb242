// What tests of other packages may use: databases cloned from a migrated template, and the proof
// that hot statements stay in one bucket.
export {
  type AssertOneBucketOptions,
  assertOneBucket,
  type HotStatement,
  type OneBucketOptions,
  type OneBucketProbe,
  oneBucketProbe,
  type Touch,
} from './testing/one-bucket.ts';
export {
  type TestDatabase,
  type TestDatabaseOptions,
  testDatabase,
} from './testing/test-database.ts';
export { testServer } from './testing/test-server.ts';
