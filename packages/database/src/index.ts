// What relay, gateway and the command line may use of this package.
export { type Batcher, type BatcherOptions, createBatcher } from './batcher.ts';
export {
  connectDatabase,
  type Database,
  type DatabaseOptions,
  type Isolation,
  type Parameter,
  type Queryable,
  type Rows,
} from './connect-database.ts';
export {
  DatabaseFailure,
  type DatabaseFailureCode,
  type DatabaseFailureDetails,
  isRetryable,
} from './database-failure.ts';
export {
  addressUrl,
  type ClusterEvent,
  type DatabaseAddress,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from './embedded/embedded-postgres.ts';
export { type EnsureDatabaseRequest, ensureDatabase } from './ensure-database.ts';
export { type MigrationFile, migrate, readMigrations } from './migrate.ts';
export { retryConflicts } from './retry-conflicts.ts';
