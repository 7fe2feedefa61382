/** Bytes, because macOS limits the path of a socket to 104 bytes with its end, and Linux to 108. */
const socketPathBytesMax = 103;

/**
 * Returns the folder for the socket of Postgres, which is the folder of the database, because only its owner can enter
 * it. Returns undefined when the path would be too long for a socket.
 */
function socketFolder(clusterDir: string, port: number): string | undefined {
  const path = `${clusterDir}/.s.PGSQL.${port}`;
  return Buffer.byteLength(path) <= socketPathBytesMax && !/[,"]/.test(clusterDir) ? clusterDir : undefined;
}

/**
 * Returns the settings of the embedded Postgres as `name=value`. Its log contains server events, and errors without any
 * statement, parameter or row.
 */
export function postgresSettings(
  clusterDir: string,
  port: number,
  durability: 'crash-safe' | 'fast',
): readonly string[] {
  return [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    `unix_socket_directories=${socketFolder(clusterDir, port) ?? ''}`,
    'max_connections=200',
    'shared_buffers=128MB',
    'wal_level=minimal',
    // Postgres would reuse old WAL segments, in which expired data remains.
    'wal_recycle=off',
    'max_wal_senders=0',
    'max_logical_replication_workers=0',
    'timezone=UTC',
    'log_timezone=UTC',
    'idle_in_transaction_session_timeout=60000',
    'logging_collector=off',
    'log_min_messages=log',
    'log_min_error_statement=panic',
    'log_error_verbosity=terse',
    'log_parameter_max_length=0',
    'log_parameter_max_length_on_error=0',
    'log_checkpoints=off',
    'log_autovacuum_min_duration=-1',
    ...(durability === 'fast' ? ['fsync=off', 'full_page_writes=off'] : []),
  ];
}
