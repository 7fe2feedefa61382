import { systemClock } from '#platform/clock.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';

/** A small Nightjar for embedded-postgres.test.ts: owns the folder given, prints its URL, stops on SIGTERM. */
const [dataDir = '', ending = 'stop'] = process.argv.slice(2);
const embedded = await startEmbeddedPostgres({ dataDir, clock: systemClock, durability: 'fast' });
const stayAlive = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  // An abrupt end is process.exit() before anybody called stop().
  if (ending === 'exit') process.exit(3);
  clearInterval(stayAlive);
  void embedded.stop();
});
console.log(JSON.stringify({ url: embedded.url, mode: embedded.mode }));
