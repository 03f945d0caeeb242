// Reads the code off whatever was thrown: the system's (ENOENT) or PostgreSQL's SQLSTATE.

export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
