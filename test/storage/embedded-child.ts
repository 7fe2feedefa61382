import { systemClock } from '#platform/clock.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';

/**
 * A minimal owner for embedded-postgres.test.ts: starts Postgres on the given folder, prints its URL, stops on SIGTERM.
 */
const [dataDir = '', ending = 'stop'] = process.argv.slice(2);
const embedded = await startEmbeddedPostgres({ dataDir, clock: systemClock, durability: 'fast' });
const stayAlive = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  // Exits without stop(), as after an uncaught error.
  if (ending === 'exit') process.exit(3);
  clearInterval(stayAlive);
  void embedded.stop();
});
console.log(JSON.stringify({ url: embedded.url, mode: embedded.mode }));
