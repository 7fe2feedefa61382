// Runs before the npm scripts that read settings. Node's own --env-file-if-exists prints a line when there is no file.
import { existsSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

// Threads run it again, after the main thread has removed the secrets from the environment.
if (isMainThread && existsSync('.env')) process.loadEnvFile('.env');
