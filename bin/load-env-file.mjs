// npm scripts that read settings load this module first, because Node's `--env-file-if-exists` prints a line when there
// is no file.
import { existsSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

// A worker thread must not read the file again, because the main thread has removed the secrets from the environment.
if (isMainThread && existsSync('.env')) process.loadEnvFile('.env');
