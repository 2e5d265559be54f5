-- The three queues of Rowbell and what a trigger needs to write into the first one.
-- Everything is in the schema rowbell; nothing else is touched.

-- Durable alerts on their way from a writer's transaction to routing. Emptied by delete-returning.
create table rowbell.feedback (
  crt_time timestamptz not null default clock_timestamp(),
  alert json not null
);
create index feedback_crt_time on rowbell.feedback (crt_time);

-- Deliveries that wait for their sink: one row per alert and sink.
create table rowbell.delivery (
  id bigint generated always as identity primary key,
  sink text not null,
  alert_id text not null,
  alert json not null,
  attempts int not null default 0,
  filed timestamptz not null default clock_timestamp(),
  due timestamptz not null default clock_timestamp(),
  -- kept out of the index: taking a delivery then writes no index entry
  taken_until timestamptz not null default '-infinity',
  taken_by uuid,
  last_error text
);
create index delivery_due on rowbell.delivery (sink, due, id);

-- Deliveries that were given up, and alerts that could not be routed (sink is null).
create table rowbell.dead_letter (
  id bigint generated always as identity primary key,
  sink text,
  alert_id text not null,
  alert json not null,
  attempts int not null,
  filed timestamptz not null,
  died timestamptz not null default clock_timestamp(),
  last_error text not null
);

-- A UUID of version 7 (RFC 9562): unique everywhere, and in the order of time. PostgreSQL has its own only since 18.
create function rowbell.new_id() returns uuid
language sql volatile parallel safe
as $fn$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        from 1 for 6),
      52, 1), 53, 1),
    'hex')::uuid
$fn$;

-- Builds the alert document for a trigger written by hand. Reads only the catalog; never fails on row data.
create function rowbell.alert(
  rule text,
  reason text,
  feed regclass,
  operation text,
  old json default null,
  new json default null,
  severity text default 'warning',
  status text default 'firing',
  channel text default null
) returns json
language sql volatile
as $fn$
  select json_build_object(
    'id', rowbell.new_id(),
    'rule', $1,
    'reason', $2,
    'severity', $7,
    'status', $8,
    'table', (select n.nspname || '.' || c.relname
              from pg_catalog.pg_class c
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace
              where c.oid = $3),
    'operation', $4,
    'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'old', $5,
    'new', $6,
    'channel', $9)
$fn$;

-- Rings the doorbell: "look at the feedback table now". One NOTIFY a transaction, however many statements it has.
create function rowbell.ring() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform pg_notify('rowbell_doorbell', '');
  return null;
end
$fn$;

create trigger ring
  after insert on rowbell.feedback
  for each statement
  execute function rowbell.ring();

-- Sends a dead letter again, with its id and only to the sink that failed; one that could not be routed is routed again.
-- In one transaction: it is waiting or it is dead, never both. False where there is no such dead letter.
create function rowbell.replay(dead_letter bigint) returns boolean
language plpgsql
as $fn$
declare
  dead rowbell.dead_letter;
begin
  delete from rowbell.dead_letter d
  where d.id = dead_letter
  returning d.* into dead;
  if not found then
    return false;
  elsif dead.sink is null then
    insert into rowbell.feedback (alert) values (dead.alert);
  else
    insert into rowbell.delivery (sink, alert_id, alert) values (dead.sink, dead.alert_id, dead.alert);
  end if;
  return true;
end
$fn$;

comment on schema rowbell is 'Rowbell: alerts on their way from tables to people';
comment on table rowbell.feedback is 'Durable alerts, written by triggers, emptied by delete-returning';
comment on table rowbell.delivery is 'The outbox: one row per alert and sink, deleted when delivered';
comment on table rowbell.dead_letter is 'Deliveries that were given up, with the last error; select rowbell.replay(id) sends one again';
