-- Notifications and the doorbell.

-- Whether the server's queue of notifications has room and the transaction lets Rowbell notify. In plpgsql, which keeps its plan: a function in
-- SQL that is not inlined is planned at each call.
create or replace function rowbell.may_notify() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return current_setting('rowbell.notify', true) is distinct from 'off' and pg_notification_queue_usage() < 0.95;
end
$fn$;

-- Sends alerts as notifications. Sends nothing while the server's queue of notifications is nearly full: a full one fails the commit of
-- whoever notifies. Nor where the transaction said rowbell.notify = off, as one must that will be prepared for two-phase commit.
create or replace function rowbell.send(docs text[], channels text[], key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if rowbell.may_notify() then
    for i in 1 .. cardinality(docs) loop
      perform pg_notify(channels[i], rowbell.fit(docs[i], key));
    end loop;
  else
    raise warning 'rowbell: % notifications were not sent', cardinality(docs);
  end if;
end
$fn$;

-- Rings the doorbell: "look at the feedback table now". One NOTIFY a transaction, however many statements it has, and none while no process
-- listens or polls follow each other anyway. So a transaction that commits long after its statement may be found by the next poll only. A lease
-- that ends later than any can, because the clock was set back, does not suppress the doorbell.
-- Every durable alert comes by here, and to set search_path costs more than to ask: so each name and operator says its schema instead, and
-- nothing here depends on the search_path of whoever writes. That rules out between and is distinct from, whose operators have no schema.
create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
as $fn$
begin
  perform from rowbell.doorbell_lease a
  where a.relation operator(pg_catalog.=) tg_relid
    and a.listening_until operator(pg_catalog.>) pg_catalog.clock_timestamp()
    and (a.suppressed_until operator(pg_catalog.<) pg_catalog.clock_timestamp()
      or a.suppressed_until operator(pg_catalog.>) (pg_catalog.clock_timestamp() operator(pg_catalog.+) interval '5 s'));
  if found then
    if rowbell.may_notify() then
      perform pg_catalog.pg_notify('rowbell_doorbell', '');
    end if;
  end if;
  -- new is null in a trigger for statements; the word null would be an expression to set up
  return new;
end
$fn$;

-- Says that a rule could not be judged: by an alert, at most one a minute for each rule. Waits for nobody and never fails its caller.
create or replace function rowbell.rule_failed(failed_rule text, error text, state text, feed text, operation text, key json) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform from rowbell.rule_state s
  where s.rule = failed_rule
    and (s.reported is null or clock_timestamp() not between s.reported and s.reported + interval '1 minute')
  for update skip locked;
  if found then
    update rowbell.rule_state s
    set failure = error, failed = clock_timestamp(), reported = clock_timestamp()
    where s.rule = failed_rule;
    insert into rowbell.feedback (alert) values (json_build_object(
      'id', rowbell.new_id(),
      'rule', 'rowbell-rule-failed',
      'reason', format('rule %s failed: %s', failed_rule, error),
      'severity', 'critical',
      'status', 'firing',
      'table', feed,
      'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'payload', json_strip_nulls(json_build_object(
        'rule', failed_rule, 'error', error, 'sqlstate', state, 'operation', operation, 'key', key))));
  end if;
exception when others or assert_failure then
  raise warning 'rowbell: rule % failed: %; and that could not be reported: %', failed_rule, error, sqlerrm;
end
$fn$;

do $do$
begin
  if not exists (select from pg_trigger t where t.tgrelid = 'rowbell.feedback'::regclass and t.tgname = 'ring') then
    create trigger ring after insert on rowbell.feedback
      for each statement execute function rowbell.ring();
  end if;
end
$do$;
