// Looks for sentences where words could be left lying about: every column of every table, and every octet of every file.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { findCanary } from '@siegel/testkit';
import { Client } from 'pg';

/** Where each sentence was found. */
export type Found = ReadonlyMap<string, readonly string[]>;

type Collected = { add(place: string, bytes: Buffer): void; readonly found: Found };

function collect(sentences: readonly string[]): Collected {
  const found = new Map<string, string[]>(sentences.map((sentence) => [sentence, []]));
  return {
    found,
    add(place, bytes) {
      for (const [sentence, places] of found) {
        if (places.includes(place)) continue;
        if (findCanary(bytes, sentence) !== undefined) places.push(place);
      }
    },
  };
}

type Column = { readonly table: string; readonly column: string; readonly type: string };

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

async function columnsOf(client: Client): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `SELECT quote_ident(t.table_schema) || '.' || quote_ident(t.table_name) AS table,
       c.column_name AS column, c.data_type AS type
     FROM information_schema.tables t
     JOIN information_schema.columns c USING (table_schema, table_name)
     WHERE t.table_type = 'BASE TABLE'
       AND t.table_schema NOT IN ('pg_catalog', 'information_schema')
     ORDER BY 1, c.ordinal_position`,
  );
  return rows;
}

/** Octets are searched as they are, everything else as PostgreSQL writes it. Answers how much there was, too. */
export async function searchTables(
  url: string,
  sentences: readonly string[],
): Promise<{ readonly found: Found; readonly columns: number; readonly values: number }> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 60_000,
  });
  await client.connect();
  try {
    const { add, found } = collect(sentences);
    const columns = await columnsOf(client);
    let values = 0;
    for (const { table, column, type } of columns) {
      const name = quoted(column);
      const { rows } = await client.query<{ value: Buffer | string }>(
        `SELECT ${type === 'bytea' ? name : `${name}::text`} AS value FROM ${table}
         WHERE ${name} IS NOT NULL`,
      );
      values += rows.length;
      const parts = rows.flatMap(({ value }) => [
        Buffer.isBuffer(value) ? value : Buffer.from(value),
        Buffer.from('\n'),
      ]);
      add(`${table}.${column}`, Buffer.concat(parts));
    }
    return { found, columns: columns.length, values };
  } finally {
    await client.end();
  }
}

/** Every file below a folder, whole. */
export function searchFiles(
  folder: string,
  sentences: readonly string[],
): { readonly found: Found; readonly files: number; readonly bytes: number } {
  const { add, found } = collect(sentences);
  let files = 0;
  let bytes = 0;
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const content = readFileSync(path);
    files += 1;
    bytes += content.length;
    add(relative(folder, path), content);
  }
  return { found, files, bytes };
}
