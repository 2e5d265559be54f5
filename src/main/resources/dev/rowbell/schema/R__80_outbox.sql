-- Dead letters, and values that cannot be read.

-- The text as a client that speaks UTF-8 can read it: characters without a Unicode equivalent, as byte 81 of WIN1252, are escaped. In JSON the
-- escape is \\x: it stays JSON.
create or replace function rowbell.readable(value text, escape text default '\x') returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  letter text;
begin
  if getdatabaseencoding() <> 'UTF8' then
    perform convert_to(value, 'UTF8');
  end if;
  return value;
exception when untranslatable_character or character_not_in_repertoire then
  for letter in select distinct l from regexp_split_to_table(value, '') l where ascii(l) not between 1 and 127 loop
    begin
      perform convert_to(letter, 'UTF8');
    exception when untranslatable_character or character_not_in_repertoire then
      value := replace(value, letter, escape || encode(convert_to(letter, getdatabaseencoding()), 'hex'));
    end;
  end loop;
  return value;
end
$fn$;

-- A value of an alert as text; null where it has none. Where the alert has an escape that the database cannot store as text, as \u0000, each escape
-- of a character is a question mark.
create or replace function rowbell.alert_text(alert json, key text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
begin
  return rowbell.readable(alert ->> key);
exception when others then
  begin
    return rowbell.readable(regexp_replace(alert::text, '\\u[0-9a-fA-F]{4}', '\\u003f', 'g')::json ->> key);
  exception when others then
    return null;
  end;
end
$fn$;

-- Notes dead letters in the history: that the session's user replayed or discarded them, or, with an error, that SQL made them. Notes nothing where the
-- history is off, and nothing for a user who may not delete dead letters. Never fails.
create or replace function rowbell.note_dead_letters(outcome text, sink text, alert_ids text[], error text default null) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $fn$
#variable_conflict use_variable
begin
  insert into rowbell.history_tried (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors, who)
  select sink, alert_ids, array_fill(1, array[cardinality(alert_ids)]), '{0}', array[outcome], '{null}', '{null}', '{null}', array[error],
    case when error is null then session_user end
  where cardinality(alert_ids) > 0
    and has_table_privilege(session_user, 'rowbell.dead_letter', 'delete')
    and exists (select from pg_inherits i where i.inhparent = 'rowbell.history_try'::regclass);
exception when others then
  raise warning 'the history lacks that dead letters were %: %', outcome, sqlerrm;
end
$fn$;

-- Makes dead letters of those rows of a feedback table that no client can read, among the oldest so many, and returns the ids of their alerts. For
-- routing, whose whole batch they fail.
create or replace function rowbell.put_unreadable_aside(feedback regclass, most int) returns setof text
language plpgsql
as $fn$
declare
  taken record;
  document json;
  alert_id text;
begin
  for taken in execute format($$
    select t.tableoid as relation, t.ctid as place, %s::text as written, t.crt_time::timestamptz as crt_time
    from %s t
    order by t.crt_time nulls first
    limit $1
    for update skip locked
    $$, case when feedback = 'rowbell.feedback'::regclass then 't.alert' else 'row_to_json(t)' end, feedback) using most
  loop
    document := rowbell.readable(taken.written, '\\x');
    continue when document::text = taken.written;
    execute format('delete from %s where tableoid = $1 and ctid = $2', feedback) using taken.relation, taken.place;
    if feedback <> 'rowbell.feedback'::regclass then
      document := json_build_object('new', document);
    end if;
    alert_id := coalesce(rowbell.alert_text(document, 'id'), rowbell.new_id()::text);
    insert into rowbell.dead_letter (alert_id, alert, attempts, filed, last_error)
    values (alert_id, document, 0, coalesce(taken.crt_time, clock_timestamp()),
      'it has bytes that are no character of ' || getdatabaseencoding() || '; they are escaped here');
    perform rowbell.note_dead_letters('dead', null, array[alert_id], 'it has bytes that are no character of ' || getdatabaseencoding());
    return next alert_id;
  end loop;
end
$fn$;

-- Dead letters of one sink, of one rule, or that died at least so long ago; null asks for any. Oldest first. The sink is null where routing failed.
create or replace function rowbell.dead_letters(sink text default null, rule text default null, older_than interval default null)
returns setof rowbell.dead_letter
language sql stable
as $fn$
  select d.*
  from rowbell.dead_letter d
  where ($1 is null or d.sink = $1)
    and ($2 is null or rowbell.alert_text(d.alert, 'rule') = $2)
    and ($3 is null or d.died <= clock_timestamp() - $3)
  order by d.died, d.id
$fn$;

-- Sends dead letters again, the oldest first, as replay() does with one. Returns how many of them there were. In one statement: 200,000 take seconds.
create or replace function rowbell.replay_all(dead_letters bigint[]) returns bigint
language sql
as $fn$
  with gone as (
    delete from rowbell.dead_letter d where d.id in (select unnest($1)) returning d.*),
  filed as (
    insert into rowbell.delivery (sink, documents, characters)
    select g.sink, array[g.alert::text], length(g.alert::text) from gone g where g.sink is not null order by g.died, g.id),
  routed as (
    insert into rowbell.feedback (alert) select g.alert from gone g where g.sink is null order by g.died, g.id),
  by_sink as (
    select g.sink, array_agg(g.alert_id) as alert_ids, count(*) as letters from gone g group by g.sink)
  select coalesce(sum(b.letters), 0)::bigint
  from by_sink b
  cross join lateral rowbell.note_dead_letters('replayed', b.sink, b.alert_ids) noted
$fn$;

-- Sends a dead letter again, with its id and only to the sink that failed; one that could not be routed is routed again.
-- In one transaction: it is waiting or it is dead, never both. False where there is no such dead letter.
create or replace function rowbell.replay(dead_letter bigint) returns boolean
language sql
as $fn$
  select rowbell.replay_all(array[$1]) = 1
$fn$;

-- Deletes dead letters, and returns how many of them there were.
create or replace function rowbell.discard_all(dead_letters bigint[]) returns bigint
language sql
as $fn$
  with gone as (
    delete from rowbell.dead_letter d where d.id in (select unnest($1)) returning d.sink, d.alert_id),
  by_sink as (
    select g.sink, array_agg(g.alert_id) as alert_ids, count(*) as letters from gone g group by g.sink)
  select coalesce(sum(b.letters), 0)::bigint
  from by_sink b
  cross join lateral rowbell.note_dead_letters('discarded', b.sink, b.alert_ids) noted
$fn$;

-- Sends again the dead letters that dead_letters() finds, with their ids and each only to the sink that failed. In one transaction: they are waiting or
-- dead, never both.
create or replace function rowbell.retry(sink text default null, rule text default null, older_than interval default null) returns bigint
language sql
as $fn$
  select rowbell.replay_all(array(select d.id from rowbell.dead_letters($1, $2, $3) d))
$fn$;

-- Deletes those, and returns how many.
create or replace function rowbell.discard(sink text default null, rule text default null, older_than interval default null) returns bigint
language sql
as $fn$
  select rowbell.discard_all(array(select d.id from rowbell.dead_letters($1, $2, $3) d))
$fn$;

-- The sinks for which something waits, by the index: a queue may be long.
create or replace function rowbell.waiting_sinks() returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive waiting as (
    (select min(d.sink) as sink from rowbell.delivery d)
    union all
    select (select min(d.sink) from rowbell.delivery d where d.sink > w.sink) from waiting w where w.sink is not null)
  select w.sink from waiting w where w.sink is not null
$fn$;

-- Keeps all processes from delivering to a sink until resume_sink(): its deliveries wait, and no try is made or counted. A process that has alerts for it
-- in memory or under way notices it within some seconds. False where it was paused before. A name that no process has and for which nothing waits is an error.
create or replace function rowbell.pause_sink(sink text, note text default null) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  known text[];
begin
  select array_agg(k.name order by k.name) into known
  from (
    select s.name from rowbell.sink s
    union
    select p.sink from rowbell.paused_sink p
    union
    select rowbell.waiting_sinks()) k;
  if pause_sink.sink = any (known) is not true then
    raise invalid_parameter_value using message = format('there is no sink "%s": %s', pause_sink.sink,
      coalesce('those that a process has, or for which alerts wait, are ' || array_to_string(known, ', '), 'no process has a sink now, and nothing waits for one'));
  end if;
  insert into rowbell.paused_sink (sink, note) values (pause_sink.sink, nullif(pause_sink.note, ''))
  on conflict on constraint paused_sink_pkey do nothing;
  return found;
end
$fn$;

-- Has a sink that is paused go on. False where it was not paused.
create or replace function rowbell.resume_sink(sink text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  delete from rowbell.paused_sink p where p.sink = resume_sink.sink;
  return found;
end
$fn$;

-- Acknowledges within the transaction of the caller the deliveries that a sink has in hand, so that its own writes and the end of the deliveries are
-- one. The value is that of the exchange property RowbellDelivery: deliveries and their leases, which only that sink knows. So any role may call it.
create or replace function rowbell.delivered(delivery text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  held int;
  gone int;
begin
  with lease as (
      select split_part(l, '/', 1)::uuid as delivery, split_part(l, '/', 2)::uuid as id from unnest(string_to_array(delivered.delivery, ' ')) l),
    deleted as (
      delete from rowbell.delivery d using lease l where d.id = l.delivery and d.locked_by = l.id returning 1)
  select (select count(*) from lease), (select count(*) from deleted) into held, gone;
  if held = 0 then
    raise invalid_parameter_value using message = 'no deliveries are named', hint = 'Pass the exchange property RowbellDelivery, which a route from outbox:NAME has.';
  end if;
  if gone is distinct from held then
    raise object_not_in_prerequisite_state using
      message = 'the alerts are no longer this sink''s: they were acknowledged before, or their lease ended and another thread or process has them',
      hint = 'Roll back. The alerts come again, unless they were acknowledged.';
  end if;
end
$fn$;
