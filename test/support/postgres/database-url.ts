/** Returns `url` with another database name. */
export function onDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

export function databaseOf(url: string): string {
  return new URL(url).pathname.slice(1);
}
