// pg-boss: a trigger adds a job in the writer's transaction, and notifies. Arguments: setup, latency or drain, and the URL.
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { read, stamp, up } from './notes.mjs';

const [work, connectionString] = process.argv.slice(2);
const boss = new PgBoss({ connectionString, useListenNotify: true, supervise: false, schedule: false });
boss.on('error', (error) => console.log('ERROR', error));
await boss.start();
if (work === 'setup') {
  await boss.createQueue('alert', { notify: true });
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`
    create function add_pg_boss_job() returns trigger language plpgsql as
    $$ begin
      insert into pgboss.job (name, data) values ('alert', to_jsonb(new));
      perform pg_notify('pgboss_' || left(encode(sha224('pgboss'), 'hex'), 24), 'alert');
      return null;
    end $$;
    create trigger add_pg_boss_job after insert on pg_boss_feed
      for each row when (new.c2 > 9999) execute function add_pg_boss_job()`);
  await client.end();
  await boss.stop({ graceful: false });
} else if (work === 'drain') {
  const options = { batchSize: 1000, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true };
  await boss.work('alert', options, async (jobs) => jobs.forEach((job) => read(job.data.id, 1000)));
  up();
} else {
  await boss.work('alert', { pollingIntervalSeconds: 0.5 }, async ([job]) => stamp(job.data.id));
  up();
}
