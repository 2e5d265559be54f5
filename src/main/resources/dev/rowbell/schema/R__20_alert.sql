-- The alert document.

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

-- Builds the alert document for a trigger written by hand. Reads only the catalog; never fails on row data.
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
    'channel', $9)
$fn$;

-- Cuts an alert that NOTIFY would refuse to less than 8000 bytes: OLD goes first, then wide values, then all but the key. The document admits the
-- loss: "truncated": true. The names of the changed columns stay for as long as they fit.
create or replace function rowbell.truncate_to_notify_limit(doc text, key text[]) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  most constant int := 7999;
  wide constant int := 256;
  alert jsonb;
  now jsonb;
  cut jsonb;
begin
  if octet_length(doc) <= most then
    return doc;
  end if;
  begin
    alert := doc::jsonb;
  exception when others then
    -- json holds more than jsonb: \u0000, numbers without end. In a string the quotes would be escaped.
    return regexp_replace(doc, ',"(?:old|new)":.*', ',"truncated":true}');
  end;
  now := coalesce(alert -> 'new', alert -> 'old');
  cut := alert - 'old' - 'new' || jsonb_build_object('truncated', true, 'changed', (
    select coalesce(jsonb_agg(k), '[]')
    from jsonb_object_keys(now) k
    where coalesce(alert -> 'old' -> k, 'null') <> coalesce(alert -> 'new' -> k, 'null')));
  foreach now in array array[
    now,
    (select coalesce(jsonb_object_agg(k, v), '{}') from jsonb_each(now) e(k, v) where octet_length(v::text) <= wide or k = any (key)),
    (select coalesce(jsonb_object_agg(k, v), '{}') from jsonb_each(now) e(k, v) where k = any (key)),
    (select coalesce(jsonb_object_agg(k, v), '{}') from jsonb_each(now) e(k, v) where k = any (key) and octet_length(v::text) <= wide)]
  loop
    doc := cut || jsonb_build_object(case when alert ? 'new' then 'new' else 'old' end, now);
    if octet_length(doc) <= most then
      return doc;
    end if;
  end loop;
  return cut - 'changed';
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
-- the transaction said rowbell.notify = off, as one must that will be prepared for two-phase commit.
create or replace function rowbell.send(docs text[], channels text[], key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if rowbell.may_notify() then
    for i in 1 .. cardinality(docs) loop
      perform pg_notify(channels[i], rowbell.truncate_to_notify_limit(docs[i], key));
    end loop;
  else
    raise warning 'rowbell: % notifications were not sent', cardinality(docs);
  end if;
end
$fn$;

-- The part of an alert that names the partition or child which was written to; nothing for the feed itself.
create or replace function rowbell.partition_part(feed_id int, written oid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return (
    select case when f.relation <> written and written in (select t.relid from rowbell.tables_of(f.relation) t) then ',"partition":' || to_json(rowbell.shown_name(written)) else '' end
    from rowbell.feed f
    where f.id = feed_id);
end
$fn$;

-- Says that a rule could not be judged: by an alert, at most one a minute for each rule. Waits for no lock and never fails its caller.
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
  document constant pg_catalog.text := '{"id":"%s",%s%s,"operation":"%s","time":"%s"%s%s%s}';
  place pg_catalog.text;
  at pg_catalog.text;
  docs pg_catalog.text[];
  sent_to pg_catalog.text[];
  may_store pg_catalog.bool;
  place_of_first pg_catalog.int4;
begin
  -- the role of a feed may pass anything
  if (operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')) is not true then
    return 0;
  end if;
  if failures is not null then
    begin
      perform rowbell.rule_failed(failure.value operator(pg_catalog.->>) 'rule', failure.value operator(pg_catalog.->>) 'error',
        failure.value operator(pg_catalog.->>) 'sqlstate', feed_name, operation, (failure.value operator(pg_catalog.->) 'key')::pg_catalog.json)
      from pg_catalog.jsonb_array_elements(failures) as failure
      join rowbell.rule r on r.name operator(pg_catalog.=) (failure.value operator(pg_catalog.->>) 'rule')
      join rowbell.feed f on f.name operator(pg_catalog.=) r.feed and f.id operator(pg_catalog.=) feed_id;
    exception when others or assert_failure then
      raise warning 'rowbell: failures of rules of % were not reported: %', feed_name, sqlerrm;
    end;
  end if;
  -- none fired, or the only one asked did not
  if codes[1] is null then
    return 0;
  end if;
  place_of_first := pg_catalog.array_position(known, codes[1]);
  at := pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
  if feed operator(pg_catalog.<>) relation then
    place := rowbell.partition_part(feed_id, relation);
  end if;
  may_store := pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert');
  if codes[2] is null and channels is null and partitions is null and may_store and place_of_first is not null then
    -- most statements raise one alert, for which a query over arrays takes half as long again
    insert into rowbell.feedback (alert) values (pg_catalog.format(document, rowbell.new_id(), heads[place_of_first], place, operation, at,
      ',"old":' operator(pg_catalog.||) olds[1]::pg_catalog.text, ',"new":' operator(pg_catalog.||) news[1]::pg_catalog.text,
      tails[place_of_first])::pg_catalog.json);
    return 1;
  end if;
  select pg_catalog.array_agg(pg_catalog.format(document, rowbell.new_id(), heads[hit.place],
      coalesce(',"partition":' operator(pg_catalog.||) pg_catalog.to_json(
        case when pg_catalog.cardinality(partitions) operator(pg_catalog.=) 1 then partitions[1] else hit.partition end)::pg_catalog.text, place),
      operation, at,
      ',"old":' operator(pg_catalog.||) coalesce(hit.old, olds[1])::pg_catalog.text,
      ',"new":' operator(pg_catalog.||) coalesce(hit.new, news[1])::pg_catalog.text, tails[hit.place]) order by hit.n),
    pg_catalog.array_agg(channels[hit.place] order by hit.n)
  into docs, sent_to
  from (
    select pg_catalog.array_position(known, h.code) as place, h.old, h.new, h.partition, h.n
    from unnest(codes, olds, news, partitions) with ordinality as h (code, old, new, partition, n)) as hit
  where hit.place is not null;
  perform rowbell.send(pg_catalog.array_agg(doc.text), pg_catalog.array_agg(doc.channel), key)
  from unnest(docs, sent_to) as doc (text, channel)
  where doc.channel is not null
  having pg_catalog.count(*) operator(pg_catalog.>) 0;
  if may_store then
    insert into rowbell.feedback (alert)
    select doc.text::pg_catalog.json
    from unnest(docs, sent_to) as doc (text, channel)
    where doc.channel is null;
  else
    raise warning 'rowbell: the alerts of % were not stored: % may not insert into rowbell.feedback', feed_name, current_user;
  end if;
  return coalesce(pg_catalog.cardinality(docs), 0);
end
$fn$;
