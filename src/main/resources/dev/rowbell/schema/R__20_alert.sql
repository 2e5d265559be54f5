-- The alert document.

drop function if exists rowbell.truncate_to_notify_limit(text, text[]);
drop function if exists rowbell.send(text[], text[], text[]);

-- An id for an alert: a UUID of version 7 (RFC 9562), unique everywhere and in the order of time. PostgreSQL has its own only since 18. Triggers call it
-- under the search_path of the writer, so each name and operator says its schema.
create or replace function rowbell.new_id() returns uuid
language sql volatile parallel safe
as $fn$
  select pg_catalog.encode(
    pg_catalog.set_bit(pg_catalog.set_bit(
      pg_catalog.overlay(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
        pg_catalog.substring(
          pg_catalog.int8send((pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000)::pg_catalog.int8), 3),
        1, 6),
      52, 1), 53, 1),
    'hex')::pg_catalog.uuid
$fn$;

-- Builds the alert document for a trigger written by hand, with the names of the key's columns as "key". Reads only the catalog; never fails on row data.
create or replace function rowbell.alert(
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
    'channel', $9,
    'key', rowbell.key_of($3))
$fn$;

-- The members of a JSON object. Escapes that no text can hold, as \u0000 of a json column, are "?" where the object has one.
create or replace function rowbell.members_of(document json) returns table (name text, value text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
begin
  return query select e.key, e.value::text from json_each(document) as e;
exception when others then
  return query
  select e.key, e.value::text
  from json_each(regexp_replace(document::text, '(?<!\\)((?:\\\\)*)\\u(?:0000|(?!00[0-7])[[:xdigit:]]{4})', '\1?', 'g')::json) as e;
end
$fn$;

-- An alert of at most so many bytes, from its text before the rows, the rows, and its text after them. One that is longer loses OLD, then wide values, then
-- all but the key, and says so: "truncated": true. It keeps the names of the changed columns, as many as fit, and the key of OLD where it was another. Never
-- fails: at worst there are no rows.
create or replace function rowbell.fit(opening text, old json, new json, closing text, key text[], most int) returns json
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  wide constant int := greatest(256, most / 32);
  side constant text := case when new is null then 'old' else 'new' end;
  names text[];
  contents text[];
  changed text[];
  old_key text;
  alert text;
begin
  if octet_length(opening) + octet_length(closing) + coalesce(pg_column_size(old), 0) + coalesce(pg_column_size(new), 0) + 6 <= most then
    return (opening || coalesce(',"old":' || old::text, '') || coalesce(',"new":' || new::text, '') || closing)::json;
  end if;
  select array_agg(m.name), array_agg(m.value) into names, contents from rowbell.members_of(coalesce(new, old)) m;
  changed := array(
    select n.name
    from unnest(names, contents) with ordinality as n (name, value, n)
    left join (select m.name, m.value from rowbell.members_of(old) m where new is not null) as o on o.name = n.name
    where coalesce(o.value, 'null') <> n.value
    order by n.n);
  select format('"old":{%s},', string_agg(to_json(o.name) || ':' || o.value, ',')) into old_key
  from rowbell.members_of(old) o
  join unnest(names, contents) as n (name, value) on n.name = o.name
  where new is not null and o.name = any (key)
  having bool_or(o.value <> n.value) and sum(octet_length(o.value)) <= wide;
  for kept in 1 .. 5 loop
    select format('%s,"changed":%s,%s"%s":{%s},"truncated":true%s', opening, to_json(changed), old_key, side,
      string_agg(to_json(m.name) || ':' || m.value, ',' order by m.n), closing)
    into alert
    from unnest(names, contents) with ordinality as m (name, value, n)
    where kept = 1 or m.name = any (key) and (kept < 4 or octet_length(m.value) <= wide) or kept = 2 and octet_length(m.value) <= wide;
    if octet_length(alert) <= most then
      return alert::json;
    elsif kept = 4 then
      changed := array(
        select c.name
        from (select n.name, sum(octet_length(n.name) * 2 + 3) over (order by n.n) as bytes from unnest(changed) with ordinality as n (name, n)) as c
        where c.bytes < most / 4);
    end if;
  end loop;
  return (opening || ',"truncated":true' || closing)::json;
exception when others or assert_failure then
  return (opening || ',"truncated":true' || closing)::json;
end
$fn$;

-- How many bytes a durable alert may have: rowbell.alert.max-size, as the process that started last has it. Never fails: writers ask it. In
-- plpgsql, which keeps its plan.
create or replace function rowbell.max_alert_size() returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return coalesce((
    select least(greatest(s.value::int, 10000), 100000000)
    from rowbell.setting s
    where s.name = 'alert.max-size' and s.value ~ '^[0-9]{1,9}$'), 1000000);
end
$fn$;

-- Warns the writer. Where the client's encoding lacks a character, the log of the server has the warning, and the writer does not fail.
create or replace function rowbell.warn(message text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  raise warning 'rowbell: %', message;
exception when others then
  null;
end
$fn$;

-- Whether the server's queue of notifications has room and the transaction lets Rowbell notify. In plpgsql, which keeps its plan: a function in SQL that is
-- not inlined is planned at each call.
create or replace function rowbell.may_notify() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return current_setting('rowbell.notify', true) is distinct from 'off' and pg_notification_queue_usage() < 0.95;
end
$fn$;

-- Sends alerts as notifications. Sends none while the server's queue of notifications is nearly full: a full one fails the commit of the notifier. Nor where
-- the transaction said rowbell.notify = off, as one must that will be prepared for two-phase commit. Never fails.
create or replace function rowbell.send(alerts json[], channels text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if not rowbell.may_notify() then
    perform rowbell.warn(format('%s notifications were not sent', cardinality(alerts)));
    return;
  end if;
  for i in 1 .. cardinality(alerts) loop
    begin
      -- PostgreSQL ends the session of a listener that cannot read a notification
      perform pg_notify(channels[i], rowbell.readable(alerts[i]::text, '\\x'));
    exception when others then
      perform rowbell.warn(format('a notification on %s was not sent: %s', channels[i], sqlerrm));
    end;
  end loop;
end
$fn$;

-- The part of an alert that names the partition or child which was written to; nothing for the feed itself. Null for any other table, as a former child,
-- whose owner is to raise no alerts of the feed.
create or replace function rowbell.partition_part(feed_id int, written oid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return (
    select case
        when f.relation = written then ''
        when written in (select t.relid from rowbell.tables_of(f.relation) t) then ',"partition":' || to_json(rowbell.shown_name(written))
        -- a child that came after the snapshot of this transaction, and so did its triggers
        when written not in (select t.relid from rowbell.triggers_of(f.id) t) then ''
      end
    from rowbell.feed f
    where f.id = feed_id);
end
$fn$;

-- What the documents of alerts of a rule that a timer raises share: what follows the id, and the end.
create or replace function rowbell.timer_alert_frame(rule rowbell.rule, feed text, status text, key text[], out opening text, out closing text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('"rule":%s,"reason":%s,"severity":"%s","status":"%s"%s,"operation":"TIMER"', to_json(rule.name), to_json(coalesce(rule.reason, rule.name)),
      rule.severity, status, ',"table":' || to_json(feed)),
    format(',"channel":%s,"key":%s}', to_json(rule.channel), to_json(key))
$fn$;

-- The document of an alert that a timer raises, and no write: of operation TIMER and without OLD. feed: as alerts show it, null for a rule without one. status:
-- firing or resolved. subject: the row, the group or the row of the result, of which key has the columns that name it. more: other members of the document,
-- such as since, within, count and sum, or null. In plpgsql, which keeps its plan, whatever the caller does: 10,000 may be due at once.
create or replace function rowbell.timer_alert(rule rowbell.rule, feed text, status text, subject json, key text[], more json default null) returns json
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = auto
as $fn$
declare
  frame constant record := rowbell.timer_alert_frame(rule, feed, status, key);
begin
  return rowbell.fit(
    format('{"id":"%s",%s,"time":"%s"%s', rowbell.new_id(), frame.opening,
      to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      (select string_agg(format(',%s:%s', to_json(m.name), m.value), '' order by m.n)
       from rowbell.members_of(more) with ordinality as m (name, value, n) where m.value <> 'null')),
    null, subject, frame.closing, key, rowbell.max_alert_size());
end
$fn$;

-- Notes that a rule could not be judged, for report_failures(). Only adds a row, so that it waits for no lock; never fails its caller. The error may hold a
-- value of the row, of any length.
create or replace function rowbell.rule_failed(failed_rule text, error text, state text, feed text, operation text, key json) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  error := left(error, 1000);
  -- one is enough until it was reported; but to look for it could fail the commit of a serializable transaction
  if current_setting('transaction_isolation') <> 'serializable' and exists (select from rowbell.rule_failure f where f.rule = failed_rule) then
    return;
  end if;
  insert into rowbell.rule_failure (rule, failure, alert)
  values (failed_rule, error, json_build_object(
    'id', rowbell.new_id(),
    'rule', 'rowbell-rule-failed',
    'reason', format('rule %s failed: %s', failed_rule, error),
    'severity', 'critical',
    'status', 'firing',
    'table', feed,
    'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'key', 'rule=' || failed_rule,
    'payload', json_strip_nulls(json_build_object(
      'rule', failed_rule, 'error', error, 'sqlstate', state, 'operation', operation, 'key', key))));
exception when others or assert_failure then
  perform rowbell.warn(format('rule %s failed: %s; and that could not be reported: %s', failed_rule, error, sqlerrm));
end
$fn$;

-- Makes the alerts of what a trigger function found, and stores or sends them. Called by raise_N alone, with the rights of the owner of the schema: it is
-- handed JSON that is made already, so it calls no function of a stranger. Only storing an alert may fail the writer. Arrays go by hits; heads, tails and
-- channels by the known codes, where channels is null or says null for a durable rule. A code that is not known is of a rule that was removed meanwhile.
-- Runs under the search_path of the writer: each name says its schema. Returns how many alerts it made.
create or replace function rowbell.raise_alerts(feed_id int, feed oid, feed_name text, operation text, relation oid,
  codes int[], olds json[], news json[], partitions text[], failures jsonb, known int[], heads text[], tails text[], channels text[], key text[]) returns int
language plpgsql
as $fn$
#variable_conflict use_variable
declare
  opening constant pg_catalog.text := '{"id":"%s",%s%s,"operation":"%s","time":"%s"';
  place pg_catalog.text;
  at pg_catalog.text;
  alerts pg_catalog.json[];
  sent_to pg_catalog.text[];
  may_store pg_catalog.bool;
begin
  -- the role of a feed may pass anything
  if (operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')) is not true then
    return 0;
  end if;
  if feed operator(pg_catalog.<>) relation then
    place := rowbell.partition_part(feed_id, relation);
    if place is null then
      return 0;
    end if;
  end if;
  if failures is not null then
    begin
      perform rowbell.rule_failed(r.name, failure.value operator(pg_catalog.->>) 'error',
        failure.value operator(pg_catalog.->>) 'sqlstate', feed_name, operation, (failure.value operator(pg_catalog.->>) 'key')::pg_catalog.json)
      from pg_catalog.jsonb_array_elements(failures) as failure
      join rowbell.rule r on r.enabled and r.name operator(pg_catalog.=) coalesce(failure.value operator(pg_catalog.->>) 'rule', r.name)
      join rowbell.feed f on f.name operator(pg_catalog.=) r.feed and f.id operator(pg_catalog.=) feed_id;
    exception when others or assert_failure then
      perform rowbell.warn(pg_catalog.format('failures of rules of %s were not reported: %s', feed_name, sqlerrm));
    end;
  end if;
  -- none fired, or the only one asked did not
  if codes[1] is null then
    return 0;
  end if;
  at := pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
  may_store := pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert');
  begin
    -- 5000 bytes with all that stands around them are neither too long for a notification nor nested too deep for the stack
    select pg_catalog.array_agg(
        case when coalesce(pg_catalog.pg_column_size(alert.old), 0) operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(alert.new), 0)
            operator(pg_catalog.<) 5000
          then pg_catalog.format('%s%s%s%s', alert.opening, ',"old":' operator(pg_catalog.||) alert.old::pg_catalog.text,
            ',"new":' operator(pg_catalog.||) alert.new::pg_catalog.text, alert.closing)::pg_catalog.json
          else rowbell.fit(alert.opening, alert.old, alert.new, alert.closing, key,
            case when alert.channel is null then rowbell.max_alert_size() else 7999 end) end order by alert.n),
      pg_catalog.array_agg(alert.channel order by alert.n)
    into alerts, sent_to
    from (
      select pg_catalog.format(opening, rowbell.new_id(), heads[hit.place],
          coalesce(',"partition":' operator(pg_catalog.||) pg_catalog.to_json(
            case when pg_catalog.cardinality(partitions) operator(pg_catalog.=) 1 then partitions[1] else hit.partition end)::pg_catalog.text, place),
          operation, at) as opening,
        coalesce(hit.old, olds[1]) as old, coalesce(hit.new, news[1]) as new,
        tails[hit.place] operator(pg_catalog.||) '}' as closing, channels[hit.place] as channel, hit.n
      from (
        select pg_catalog.array_position(known, h.code) as place, h.old, h.new, h.partition, h.n
        from unnest(codes, olds, news, partitions) with ordinality as h (code, old, new, partition, n)) as hit
      where hit.place is not null) as alert;
    perform rowbell.send(pg_catalog.array_agg(a.alert), pg_catalog.array_agg(a.channel))
    from unnest(alerts, sent_to) as a (alert, channel)
    where a.channel is not null
    having pg_catalog.count(*) operator(pg_catalog.>) 0;
    if may_store then
      insert into rowbell.feedback (alert)
      select a.alert
      from unnest(alerts, sent_to) as a (alert, channel)
      where a.channel is null;
    else
      perform rowbell.warn(pg_catalog.format('the alerts of %s were not stored: %s may not insert into rowbell.feedback', feed_name, current_user));
    end if;
  exception when program_limit_exceeded or internal_error then
    -- of an array or a text of over 1 GB
    if sqlstate operator(pg_catalog.=) 'XX000' and pg_catalog.strpos(sqlerrm, 'memory alloc') operator(pg_catalog.=) 0 then
      raise;
    end if;
    perform rowbell.rule_failed(r.name, sqlerrm, sqlstate, feed_name, operation, null)
    from rowbell.rule r
    join rowbell.feed f on f.name operator(pg_catalog.=) r.feed
    where r.enabled and f.id operator(pg_catalog.=) feed_id;
    return 0;
  end;
  return coalesce(pg_catalog.cardinality(alerts), 0);
end
$fn$;
