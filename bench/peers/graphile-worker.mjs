// graphile-worker: a trigger adds a job in the writer's transaction. Arguments: setup, latency or drain, and the URL.
import { Logger, run, runMigrations } from 'graphile-worker';
import pg from 'pg';
import { read, stamp, up } from './notes.mjs';

const [work, connectionString] = process.argv.slice(2);
if (work === 'setup') {
  await runMigrations({ connectionString });
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`
    create function add_graphile_job() returns trigger language plpgsql as
    $$ begin perform graphile_worker.add_job('alert', to_json(new)); return null; end $$;
    create trigger add_graphile_job after insert on graphile_worker_feed
      for each row when (new.c2 > 9999) execute function add_graphile_job()`);
  await client.end();
} else {
  // as its own page on performance has it; one alert at a time takes no local queue
  const drain = {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  };
  await run({
    connectionString,
    preset: { worker: work === 'drain' ? drain : { concurrentJobs: 4 } },
    // a line for each job costs more than the job
    logger: new Logger(() => () => {}),
    taskList: { alert: async (row) => (work === 'drain' ? read(row.id, 500) : stamp(row.id)) },
  });
  up();
}
