-- Rules, and the compiler that turns all rules of a feed into one trigger function.
-- What users write to is rowbell.rule; what they call is at the end. All that runs in a writer's transaction is judge_N and what it calls.

-- What is wrong with a row, in the words of whoever wrote it. Each change takes effect in its own transaction.
create table rowbell.rule (
  name text primary key,
  feed text not null,
  condition text not null,
  reason text,
  severity text not null default 'warning',
  fires text not null default 'once',
  columns text[] not null default '{}',
  delivery text not null default 'durable',
  channel text not null default 'channel_1',
  resolved boolean not null default false,
  operations text[] not null default '{insert,update}',
  enabled boolean not null default true,
  origin text
);

-- What became of a rule, apart from it so that a writer never locks what an administrator changes.
create table rowbell.rule_state (
  rule text primary key references rowbell.rule on update cascade on delete cascade,
  hits bigint not null default 0,
  last_hit timestamptz,
  failure text,
  failed timestamptz,
  reported timestamptz,
  broken text
);

-- The watched tables. The number names their functions; relation follows a table that is renamed, and a dump and restore.
create table rowbell.feed (
  id int generated always as identity primary key,
  name text not null unique,
  relation regclass not null unique
);

-- The table that a rule means: written as in SQL, without the quotes that SQL would want, or without its schema where that is clear.
create function rowbell.find_feed(feed text) returns oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  relation oid;
begin
  begin
    relation := to_regclass(feed);
  exception when others then
    relation := null;
  end;
  if relation is null then
    select c.oid into relation
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = feed and c.relkind not in ('i', 'I', 't');
  end if;
  if relation is null then
    select min(c.oid::bigint)::oid into relation
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relname = feed and c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'rowbell')
    having count(*) = 1;
  end if;
  return relation;
end
$fn$;

-- Schema and name as SQL writes them; null where there is no such table any more.
create function rowbell.sql_name(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$fn$;

-- Schema and name as alerts show them.
create function rowbell.shown_name(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select n.nspname || '.' || c.relname
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$fn$;

-- Why PostgreSQL would refuse a condition, as {message, hint}; null where it is right. Plans it, and never runs it.
-- A condition that is right as an element of a list and right in parentheses is one expression: nothing can be smuggled past its end.
-- columns: which of the feed's columns there are, as SQL.
create function rowbell.condition_error(condition text, relation oid, with_new boolean, with_old boolean, columns text default '*') returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  feed text := rowbell.sql_name(relation);
  rows_of text;
  message text;
  hint text;
  state text;
begin
  -- offset 0: what is known to be NULL would be worked out while planning
  rows_of := concat_ws(', ',
    case when with_new then format('(select %2$s from (select (null::%1$s).*) _c offset 0) as new', feed, columns) end,
    case when with_old then format('(select %2$s from (select (null::%1$s).*) _c offset 0) as old', feed, columns) end);
  execute format(E'select from %s where array[%s\n] is not null limit 0', rows_of, condition);
  execute format(E'select from %s where (%s\n) limit 0', rows_of, condition);
  return null;
exception when others or assert_failure then
  get stacked diagnostics message = message_text, hint = pg_exception_hint, state = returned_sqlstate;
  if state = '55P03' then
    raise;
  end if;
  return array[
    case when message = 'argument of WHERE must be type boolean, not type record' then 'is more than one expression'
      else replace(replace(message, 'argument of WHERE must be type', 'must be of type'), 'at or near "]"', 'at its end') end,
    case
      when state = '42702' then 'write NEW. or OLD. before the names of columns'
      when state in ('42883', '42P01', '42704', '3F000') and coalesce(hint, '') !~ 'NEW|OLD'
        then 'names outside of pg_catalog are written with their schema: public.is_bad(NEW.c2), operator(public.=)'
      else coalesce(hint, '')
    end];
end
$fn$;

-- A rule from JSON, with the defaults where a key is missing.
create function rowbell.rule_of(rule json) returns rowbell.rule
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select r
  from json_populate_record(
    row(null, '', '', null, 'warning', 'once', '{}', 'durable', 'channel_1', false, '{insert,update}', true, null)::rowbell.rule,
    rule) r
$fn$;

-- All that is wrong with a rule; no rows where it is right. Of one that is not enabled only what no later change can put right.
create function rowbell.problems(rule rowbell.rule) returns table (field text, problem text, hint text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  relation oid;
  kind "char";
  persistence "char";
  error text[];
  wrong text;
begin
  if coalesce(rule.name, '') = '' or length(rule.name) > 200 or rule.name ~ '[[:cntrl:]]' then
    return query select 'name', 'give it a name of 1 to 200 characters, without control characters', '';
  elsif rule.name like 'rowbell-%' then
    return query select 'name', 'names that start with rowbell- are Rowbell''s own', '';
  end if;
  if length(rule.reason) > 500 or rule.reason ~ '[[:cntrl:]]' then
    return query select 'reason', 'one line of at most 500 characters', '';
  end if;
  if rule.severity not in ('info', 'warning', 'critical') or rule.severity is null then
    return query select 'severity', format('%s is none of info, warning, critical', quote_nullable(rule.severity)), '';
  end if;
  if rule.fires not in ('once', 'every', 'changed') or rule.fires is null then
    return query select 'fires', format('%s is none of once, every, changed', quote_nullable(rule.fires)), '';
  elsif rule.fires = 'changed' and cardinality(rule.columns) = 0 then
    return query select 'columns', 'fires: changed needs the columns to look at', '';
  end if;
  if rule.delivery not in ('durable', 'notify') or rule.delivery is null then
    return query select 'delivery', format('%s is none of durable, notify', quote_nullable(rule.delivery)), '';
  end if;
  if coalesce(octet_length(rule.channel), 0) not between 1 and 63 then
    return query select 'channel', 'give a name of 1 to 63 bytes', '';
  end if;
  select string_agg(quote_nullable(o), ', ') into wrong
  from unnest(rule.operations) o
  where o is null or o not in ('insert', 'update', 'delete');
  if wrong is not null then
    return query select 'operations', format('%s is none of insert, update, delete', wrong), '';
  elsif coalesce(cardinality(rule.operations), 0) = 0 then
    return query select 'operations', 'give at least one of insert, update, delete', '';
  end if;
  if rule.enabled is null or rule.resolved is null then
    return query select case when rule.enabled is null then 'enabled' else 'resolved' end, 'give true or false', '';
  end if;
  if rule.enabled is not true then
    return;
  end if;

  relation := rowbell.find_feed(rule.feed);
  if relation is null then
    return query select 'feed', format('there is no table %s', rule.feed), 'write it as schema.table';
    return;
  end if;
  select c.relkind, c.relpersistence into kind, persistence from pg_class c where c.oid = relation;
  if kind not in ('r', 'p') then
    return query select 'feed', format('%s is no table', rule.feed), 'a view or a foreign table cannot be watched; name the table behind it';
    return;
  elsif persistence = 't' then
    return query select 'feed', format('%s is a temporary table', rule.feed), '';
    return;
  elsif rowbell.shown_name(relation) ~ '^(rowbell|pg_catalog|information_schema|pg_toast)\.' then
    return query select 'feed', format('%s belongs to Rowbell or to PostgreSQL', rule.feed), '';
    return;
  elsif not has_table_privilege(relation, 'trigger') then
    return query select 'feed', format('%s may not make triggers on %s', current_user, rule.feed),
      format('grant trigger on %s to %I', rowbell.sql_name(relation), current_user);
    return;
  end if;

  select string_agg(c, ', ') into wrong
  from unnest(rule.columns) c
  where not exists (
    select from pg_attribute a
    where a.attrelid = relation and a.attname = c and a.attnum > 0 and not a.attisdropped);
  if wrong is not null then
    return query select 'columns', format('%s has no column %s', rule.feed, wrong), '';
  end if;

  error := rowbell.condition_error(rule.condition, relation, true, true);
  if error is not null then
    return query select 'condition', error[1], error[2];
    return;
  end if;
  -- PostgreSQL 18 works these out when they are read, and has nothing for them in what a trigger sees
  select string_agg(format('%I', a.attname), ', ') filter (where a.attgenerated <> 'v') into wrong
  from pg_attribute a
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
  having bool_or(a.attgenerated = 'v');
  if wrong is not null and rowbell.condition_error(rule.condition, relation, true, true, wrong) is not null then
    return query select 'condition', 'uses a virtual generated column, which a trigger sees as NULL',
      'write its expression instead, or have it stored';
  end if;
  if rowbell.condition_error(rule.condition, relation, true, false) is not null then
    if rule.resolved then
      return query select 'resolved', 'the condition compares with OLD, so it never ends', 'a condition over NEW alone has an end';
    end if;
  end if;
  if rule.operations = '{delete}' and not rule.resolved
      and rowbell.condition_error(rule.condition, relation, false, true) is not null then
    return query select 'condition', 'on delete there is OLD alone', 'write OLD. before the names of columns';
  end if;
end
$fn$;

-- How a query over the transition tables names the rows: NEW and OLD of one change, in the order in which they were written.
-- PostgreSQL adds OLD and NEW of each change to both tables at the same time, so the n-th belong together: with no key, with a changed
-- key, and where one upsert inserts some rows and updates others.
create function rowbell.rows_sql(operation text, with_other boolean, key text[] default null) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case operation
    when 'INSERT' then 'new_rows as new' || case when with_other then ' left join new_rows as old on false' else '' end
    when 'DELETE' then 'old_rows as old' || case when with_other then ' left join old_rows as new on false' else '' end
    else '(select row_number() over () as rn, _n as r from new_rows as _n) as _a '
      || case when key is null
           then 'join (select row_number() over () as rn, _o as r from old_rows as _o) as _b on _a.rn = _b.rn '
           else 'left join (select _o as r from old_rows as _o) as _b on '
             || coalesce((select string_agg(format('(_a.r).%1$I = (_b.r).%1$I', k), ' and ') from unnest(key) k), 'false') || ' '
         end
      || 'cross join lateral (select (_a.r).*) as new '
      || 'cross join lateral (select (_b.r).*) as old'
  end
$fn$;

-- When a rule fires and when it ends, as two SQL conditions over NEW and OLD of one change; null where it never does.
create function rowbell.moments_sql(operation text, rule jsonb, out firing text, out resolved text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  met text := '(' || (rule ->> 'condition') || E'\n)';
  -- the same words about the row as it was
  met_before text := '(select ' || met || ' from (select old.*) as new)';
  compares boolean := (rule ->> 'compares')::boolean;
begin
  if not rule -> 'operations' ? lower(operation) then
    return;
  end if;
  -- on delete there is OLD alone
  if operation <> 'DELETE' or compares then
    firing := met || case
      when rule ->> 'fires' = 'changed' then ' and (' || (rule -> 'changed' ->> operation) || ')'
      when rule ->> 'fires' = 'once' and operation = 'UPDATE' and not compares then ' and ' || met_before || ' is not true'
      else ''
    end;
  end if;
  if (rule ->> 'resolved')::boolean and operation <> 'INSERT' then
    resolved := met_before || case when operation = 'UPDATE' then ' and ' || met || ' is not true' else '' end;
  end if;
end
$fn$;

-- The rules of one operation that must be asked whether they are met, where rows is NEW or OLD: the conditions, joined by or. Null where
-- there are none. kind: firing over NEW, resolved over what was, or compares. Within case, because PostgreSQL would try the cheapest part of
-- a where first: what public.is_number(NEW.note) and NEW.note::int > 5 guards against would happen.
create function rowbell.met_sql(operation text, rules jsonb, kind text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'case when ' || string_agg('(' || condition || E'\n)', ' or ' order by n) || ' then true end'
  from (
    select r ->> 'condition' as condition, n,
      b.side is null or row_number() over (
        partition by b."column", b.side
        order by case b.side when '>' then b.number else - b.number end, b.open, n) = 1 as weakest
    from jsonb_array_elements(rules) with ordinality as e(r, n)
    cross join lateral rowbell.moments_sql(operation, r) m
    cross join lateral jsonb_to_record(case when jsonb_typeof(r -> 'bound') = 'object' then r -> 'bound' else '{}' end)
      as b("column" text, side text, number numeric, open boolean)
    where case kind
      when 'firing' then m.firing is not null and not (r ->> 'compares')::boolean
      when 'compares' then m.firing is not null and (r ->> 'compares')::boolean
      else m.resolved is not null
    end) judged
  where weakest
$fn$;

-- Whether a statement can have a hit at all, as one SQL condition; null where it cannot. One pass over the rows, whatever the number of rules.
create function rowbell.any_hit_sql(operation text, rules jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select string_agg(format('exists (select from %s where %s)', source, conditions), ' or ' order by place)
  from (
    values
      (1, 'new_rows as new', rowbell.met_sql(operation, rules, 'firing')),
      (2, 'old_rows as new', rowbell.met_sql(operation, rules, 'resolved')),
      (3, rowbell.rows_sql(operation, true), rowbell.met_sql(operation, rules, 'compares'))) parts (place, source, conditions)
  where conditions is not null
$fn$;

-- Which of the rows of an update may have a hit, as SQL for an array of their places.
create function rowbell.hits_sql(rules jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'array(' || string_agg(format(
    'select _h.rn from (select row_number() over () as rn, (%s) as met from %s as new) as _h where _h.met', conditions, source), ' union ') || ')'
  from (
    values
      ('new_rows', rowbell.met_sql('UPDATE', rules, 'firing')),
      ('old_rows', rowbell.met_sql('UPDATE', rules, 'resolved'))) parts (source, conditions)
  where conditions is not null
$fn$;

-- The query that makes the alerts of a statement: an array of durable documents, one of documents to notify, and their channels.
-- at and place are SQL for the time and for the partition, source for the rows NEW and OLD.
create function rowbell.alerts_sql(operation text, rules jsonb, at text, place text, source text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  rule jsonb;
  moments record;
  cases text[] := '{}';
  heads text[] := '{}';
  tails text[] := '{}';
  channels text[] := '{}';
begin
  for rule in select value from jsonb_array_elements(rules) loop
    moments := rowbell.moments_sql(operation, rule);
    if moments.firing is not null then
      cases := cases || format('case when %s then %s end', moments.firing, cardinality(cases) + 1);
      heads := heads || (rule ->> 'head_firing');
      tails := tails || (rule ->> 'tail');
      channels := channels || (rule ->> 'notify');
    end if;
    if moments.resolved is not null then
      cases := cases || format('case when %s then %s end', moments.resolved, cardinality(cases) + 1);
      heads := heads || (rule ->> 'head_resolved');
      tails := tails || (rule ->> 'tail');
      channels := channels || (rule ->> 'notify');
    end if;
  end loop;
  if cardinality(cases) = 0 then
    return null;
  end if;
  return format(
    $query$select array_agg(_hit.doc%1$s) filter (where _hit.channel is null),
      array_agg(_hit.doc%1$s) filter (where _hit.channel is not null),
      array_agg(_hit.channel%1$s) filter (where _hit.channel is not null)
    from (
      select (%2$L::text[])[_fired.code] as channel,
        '{"id":"' || rowbell.new_id() || (%3$L::text[])[_fired.code] || %4$s || %5$L || %6$s || '"' || %7$s
          || (%8$L::text[])[_fired.code] as doc%9$s
      from %10$s
      cross join lateral unnest(array[%11$s]) as _fired(code)
      where _fired.code is not null) as _hit$query$,
    case when operation = 'UPDATE' then ' order by _hit.rn' else '' end,
    channels,
    heads,
    place,
    format(',"operation":"%s","time":"', operation),
    at,
    case operation
      when 'INSERT' then $q$ ',"new":' || row_to_json(new)$q$
      when 'DELETE' then $q$ ',"old":' || row_to_json(old)$q$
      else $q$ ',"old":' || coalesce(row_to_json(old)::text, '{}') || ',"new":' || row_to_json(new)$q$
    end,
    tails,
    case when operation = 'UPDATE' then ', _a.rn' else '' end,
    source,
    array_to_string(cases, E',\n        '));
end
$fn$;

-- Cuts an alert that NOTIFY would refuse down to less than 8000 bytes: OLD goes first, then wide values, then all but the key. What is
-- left out is a loss that the document owns up to: "truncated": true. The names of the changed columns stay for as long as they fit.
create function rowbell.fit(doc text, key text[]) returns text
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
  alert := doc::jsonb;
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

-- Sends alerts as notifications. Sends nothing while the server's queue of notifications is nearly full: a full one fails the commit of
-- whoever notifies. Nor where the transaction said rowbell.notify = off, as one must that will be prepared for two-phase commit.
create function rowbell.send(docs text[], channels text[], key text[]) returns void
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

create function rowbell.may_notify() returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select current_setting('rowbell.notify', true) is distinct from 'off' and pg_notification_queue_usage() < 0.95
$fn$;

create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if rowbell.may_notify() then
    perform pg_notify('rowbell_doorbell', '');
  end if;
  return null;
end
$fn$;

-- Says that a rule could not be judged: by an alert, at most one a minute for each rule. Waits for nobody and never fails its caller.
create function rowbell.rule_failed(failed_rule text, error text, state text, feed text, operation text, key json) returns void
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

-- The columns of the primary key; none where there is no key.
create function rowbell.key_of(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
  where i.indrelid = relation and i.indisprimary
$fn$;

-- The feed with its partitions or children, which are written to without the triggers of the feed.
create function rowbell.tables_of(relation oid) returns table (relid oid)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree (relid) as (
    select relation
    union
    select i.inhrelid
    from tree t
    join pg_inherits i on i.inhparent = t.relid)
  select t.relid
  from tree t
  join pg_class c on c.oid = t.relid
  where c.relkind in ('r', 'p') and c.relpersistence <> 't'
$fn$;

-- Whether one of the columns changed, as SQL. Types without an equality, as json, are compared as text.
create function rowbell.changed_sql(relation oid, columns text[]) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  name text;
  as_text text;
  updated text[] := '{}';
  inserted text[] := '{}';
  deleted text[] := '{}';
begin
  foreach name in array columns loop
    as_text := '';
    if rowbell.condition_error(format('NEW.%1$I is distinct from OLD.%1$I', name), relation, true, true) is not null
        or exists (
          select from pg_attribute a
          join pg_type t on t.oid = a.atttypid
          where a.attrelid = relation and a.attname = name and (t.typtype not in ('b', 'e', 'r') or t.typcategory = 'A')) then
      as_text := '::text';
    end if;
    updated := updated || format('new.%1$I%2$s is distinct from old.%1$I%2$s', name, as_text);
    inserted := inserted || format('new.%I is not null', name);
    deleted := deleted || format('old.%I is not null', name);
  end loop;
  return jsonb_build_object(
    'INSERT', array_to_string(inserted, ' or '),
    'UPDATE', array_to_string(updated, ' or '),
    'DELETE', array_to_string(deleted, ' or '));
end
$fn$;

-- Where a condition compares one column of numbers with a number and does nothing else: which column, from which side, with what. Of
-- several such rules on a column the weakest alone says whether one of them is met. Null for any other condition.
create function rowbell.bound_of(condition text, relation oid) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select jsonb_build_object('column', a.attname, 'side', left(m[2], 1), 'number', m[3]::numeric, 'open', length(m[2]) = 1)
  from regexp_match(condition, '^\s*new\.([a-z_][a-z0-9_]*|"(?:[^"]|"")+")\s*([<>]=?)\s*(-?\d+(?:\.\d+)?)\s*$', 'i') m
  join pg_attribute a on a.attrelid = relation and a.attname = (parse_ident(m[1]))[1] and not a.attisdropped
  where a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype)
$fn$;

-- What the compiler needs to know of each rule of a feed, in the order of their names.
create function rowbell.rules_of(feed rowbell.feed) returns jsonb
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(jsonb_agg(jsonb_build_object(
    'name', r.name,
    'condition', r.condition,
    'compares', rowbell.condition_error(r.condition, feed.relation, true, false) is not null,
    'bound', rowbell.bound_of(r.condition, feed.relation),
    'fires', r.fires,
    'changed', case when r.fires = 'changed' then rowbell.changed_sql(feed.relation, r.columns) end,
    'resolved', r.resolved,
    'operations', r.operations,
    'notify', case when r.delivery = 'notify' then r.channel end,
    'head_firing', head.before_status || 'firing' || head.after_status,
    'head_resolved', head.before_status || 'resolved' || head.after_status,
    'tail', ',"channel":' || to_json(r.channel) || '}') order by r.name collate "C"), '[]')
  from rowbell.rule r
  join rowbell.rule_state s on s.rule = r.name
  cross join lateral (
    select
      format('","rule":%s,"reason":%s,"severity":"%s","status":"', to_json(r.name), to_json(coalesce(r.reason, r.name)), r.severity)
        as before_status,
      format('","table":%s', to_json(rowbell.shown_name(feed.relation))) as after_status) head
  where r.feed = feed.name and r.enabled and s.broken is null
$fn$;


-- The table of a feed, by its number.
create function rowbell.relation_of(feed_id int) returns regclass
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select f.relation from rowbell.feed f where f.id = feed_id
$fn$;

-- The part of an alert that names the partition or child which was written to. Null where that has partitions or children of its own: then
-- each row has another.
create function rowbell.place(feed_id int, written oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case
    when exists (select from pg_inherits i where i.inhparent = written) then null
    when f.relation <> written then ',"partition":' || to_json(rowbell.shown_name(written))
    else ''
  end
  from rowbell.feed f
  where f.id = feed_id
$fn$;

-- Some columns of a row; null where there are none.
create function rowbell.key_values(key text[], changed_row json) returns json
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select json_object_agg(k, changed_row -> k) from unnest(key) k
$fn$;

-- One change as pairs of JSON, for judging them one at a time.
create function rowbell.changes_sql(operation text, key text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'select row_to_json(new) as new, row_to_json(old) as old from ' || rowbell.rows_sql(operation, true, key)
$fn$;

-- The alert of one row: what alerts_sql makes of many.
create function rowbell.alert_of(rule jsonb, moment int, operation text, at text, place text, old json, new json) returns text
language sql volatile
set search_path = pg_catalog, pg_temp
as $fn$
  select '{"id":"' || rowbell.new_id() || (rule ->> case moment when 1 then 'head_firing' else 'head_resolved' end) || place
    || ',"operation":"' || operation || '","time":"' || at || '"'
    || case when operation <> 'INSERT' then ',"old":' || old else '' end
    || case when operation <> 'DELETE' then ',"new":' || new else '' end
    || (rule ->> 'tail')
$fn$;

-- Makes a function or changes it; leaves one alone that is as it should be.
create function rowbell.make_function(name text, signature text, returned text, kind text, body text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if body is distinct from (
      select p.prosrc from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'rowbell' and p.proname = name) then
    execute format('create or replace function rowbell.%I(%s) returns %s language plpgsql %s set search_path = pg_catalog, pg_temp as %L',
      name, signature, returned, kind, body);
    execute format('revoke all on function rowbell.%I from public', name);
  end if;
end
$fn$;

-- place_N: which partition or child a row of the feed is in, as the part of an alert that says so. Of a partitioned table by the bounds of
-- its partitions; of a table with children by the key of the row, where it has one and is still there.
create function rowbell.compile_place(feed rowbell.feed, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  table_name constant text := rowbell.sql_name(feed.relation);
  found_by text;
begin
  if (select c.relkind = 'p' from pg_class c where c.oid = feed.relation) then
    select format('(select case %s end from json_populate_record(null::%s, _row) as _r)',
      string_agg(format(E'\n      when %s then %L', pg_get_partition_constraintdef(t.relid), rowbell.shown_name(t.relid)), '' order by t.relid),
      table_name)
    into found_by
    from rowbell.tables_of(feed.relation) t
    join pg_class c on c.oid = t.relid
    where c.relkind = 'r' and pg_get_partition_constraintdef(t.relid) is not null;
  elsif cardinality(key) > 0 and exists (select from pg_inherits i where i.inhparent = feed.relation) then
    -- keys are unique in each of the tables alone: where two have it, nobody can say which row it was
    found_by := format(
      '(select case when count(*) = 1 then nullif(min(rowbell.shown_name(_f.tableoid)), %3$L) end from %1$s _f join json_populate_record(null::%1$s, _row) _r on %2$s)',
      table_name,
      (select string_agg(format('_f.%1$I = _r.%1$I', k), ' and ') from unnest(key) k),
      rowbell.shown_name(feed.relation));
  end if;
  perform rowbell.make_function(format('place_%s', feed.id), '_row json', 'text', 'stable', format($body$
#variable_conflict use_column
begin
  return coalesce(',"partition":' || to_json(%s), '');
exception when others or assert_failure then
  return '';
end
$body$, coalesce(found_by, 'null::text')));
end
$fn$;

-- row_N: judges one row by one rule: 1 it fires, 2 it has ended, 0 neither.
create function rowbell.compile_row(feed rowbell.feed, rules jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  parts text;
begin
  select string_agg(format($part$
  if _rule = %L and _operation = %L then
    return (select case when %s then 1 when %s then 2 else 0 end
      from json_populate_record(null::%s, _new) as new, json_populate_record(null::%5$s, _old) as old);
  end if;$part$,
    r ->> 'name', operation, coalesce(m.firing, 'false'), coalesce(m.resolved, 'false'), rowbell.sql_name(feed.relation)), '' order by n)
  into parts
  from jsonb_array_elements(rules) with ordinality as e(r, n)
  cross join unnest(array['INSERT', 'UPDATE', 'DELETE']) operation
  cross join lateral rowbell.moments_sql(operation, r) m
  where m.firing is not null or m.resolved is not null;
  perform rowbell.make_function(format('row_%s', feed.id), '_rule text, _operation text, _new json, _old json', 'int', '', format($body$
#variable_conflict use_column
begin%s
  return 0;
end
$body$, parts));
end
$fn$;

-- judge_N: the trigger function. Asks first whether any rule is met by any row, all in one pass; a statement without a hit costs no more.
-- What fails there is judged again, each rule alone, and where that fails too, each row alone. Only storing an alert may fail the writer.
create function rowbell.compile_judge(feed rowbell.feed, rules jsonb, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = feed.relation);
  has_children constant boolean := exists (select from pg_inherits i where i.inhparent = feed.relation);
  compares constant boolean := exists (select from jsonb_array_elements(rules) r where (r ->> 'compares')::boolean);
  now_sql constant text := $q$to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')$q$;
  operation text;
  any_hit text;
  place text;
  fast text := '';
  slow_places text;
  written_place text;
  body text;
begin
  foreach operation in array array['INSERT', 'UPDATE', 'DELETE'] loop
    any_hit := rowbell.any_hit_sql(operation, rules);
    continue when any_hit is null;
    place := case
      -- an insert into a table with children stays there, where it is not partitioned
      when has_children and (partitioned or operation <> 'INSERT') then format('coalesce(_judge.place, rowbell.place_%s(row_to_json(%s)))', feed.id,
        case operation when 'DELETE' then 'old' else 'new' end)
      else $q$coalesce(_judge.place, '')$q$
    end;
    fast := fast || format($part$
    if tg_op = %1$L then%2$s
      if %3$s then
        at := %4$s;
        place := rowbell.place(%5$s, tg_relid);
        %6$s
      end if;
    end if;$part$,
      operation,
      -- a row that moves to another partition and is refused there leaves an OLD without a NEW
      case when partitioned and operation = 'UPDATE' then $q$
      if (select count(*) from new_rows) <> (select count(*) from old_rows) then
        raise exception 'OLD and NEW are no pairs';
      end if;$q$ else '' end,
      any_hit, now_sql, feed.id,
      case when operation = 'UPDATE' and not compares
        -- a few hits among many rows: fetching them by their place is cheaper than pairing all
        then format($part$hits := %s;
        if cardinality(hits) <= 4 then
          %s
          into durable, notified, channels;
        else
          %s
          into durable, notified, channels;
        end if;$part$,
          rowbell.hits_sql(rules),
          rowbell.alerts_sql(operation, rules, '_judge.at', place, 'unnest(_judge.hits) as _a(rn) '
            || 'cross join lateral (select * from new_rows offset _a.rn - 1 limit 1) as new '
            || 'cross join lateral (select * from old_rows offset _a.rn - 1 limit 1) as old'),
          rowbell.alerts_sql(operation, rules, '_judge.at', place, rowbell.rows_sql(operation, false)))
        else rowbell.alerts_sql(operation, rules, '_judge.at', place, rowbell.rows_sql(operation, compares)) || E'\n        into durable, notified, channels;'
      end);
  end loop;
  if fast = '' then
    body := $body$
begin
  return null;
end
$body$;
  else
    slow_places := format($q$coalesce($2, rowbell.place_%s(row_to_json(%s)))$q$, feed.id, '%s');
    written_place := case when partitioned then 'rowbell.place(%s, tg_relid)' else $q$coalesce(rowbell.place(%s, tg_relid), case tg_op when 'INSERT' then '' end)$q$ end;
    written_place := format(written_place, feed.id);
    body := format($body$
#variable_conflict use_column
<<_judge>>
declare
  at text;
  place text;
  durable text[];
  notified text[];
  channels text[];
  failed boolean := false;
  hits bigint[];
  pairing text[];
  rule jsonb;
  change record;
  error text;
  state text;
  failed_key json;
  d text[];
  n text[];
  c text[];
  moment int;
begin
  begin%1$s
  exception when others or assert_failure then
    failed := true;
  end;

  if failed then
    begin
      at := %6$s;
      place := %8$s;
      if tg_op = 'UPDATE' then
        execute 'select case when (select count(*) from new_rows) <> (select count(*) from old_rows) then $1 end'
        into pairing using %3$L::text[];
      end if;
      for rule in select value from jsonb_array_elements(%2$L::jsonb) loop
        error := null;
        failed_key := null;
        begin
          execute coalesce(rowbell.alerts_sql(tg_op, jsonb_build_array(rule), '$1',
            case tg_op when 'DELETE' then %5$L else %7$L end, rowbell.rows_sql(tg_op, true, pairing)), 'select null, null, null')
          into d, n, c using at, place;
          durable := durable || d;
          notified := notified || n;
          channels := channels || c;
        exception when others or assert_failure then
          get stacked diagnostics error = message_text, state = returned_sqlstate;
        end;
        continue when error is null;
        if rowbell.condition_error(rule ->> 'condition', rowbell.relation_of(%4$s), true, true) is null then
          for change in execute rowbell.changes_sql(tg_op, pairing) loop
            begin
              moment := rowbell.row_%4$s(rule ->> 'name', tg_op, change.new, change.old);
              if moment > 0 then
                d := array[rowbell.alert_of(rule, moment, tg_op, at,
                  coalesce(place, rowbell.place_%4$s(coalesce(change.new, change.old))), change.old, change.new)];
                if rule ->> 'notify' is null then
                  durable := durable || d;
                else
                  notified := notified || d;
                  channels := channels || (rule ->> 'notify');
                end if;
              end if;
            exception when others or assert_failure then
              if failed_key is null then
                get stacked diagnostics error = message_text, state = returned_sqlstate;
                failed_key := coalesce(rowbell.key_values(%3$L::text[], coalesce(change.new, change.old)), '{}');
              end if;
            end;
          end loop;
        end if;
        perform rowbell.rule_failed(rule ->> 'name', error, state, rowbell.shown_name(rowbell.relation_of(%4$s)), tg_op, failed_key);
      end loop;
    exception when others or assert_failure then
      raise warning 'rowbell: not all rules of %% were judged: %%', tg_relid::regclass, sqlerrm;
    end;
  end if;

  if durable is not null then
    if has_table_privilege('rowbell.feedback', 'insert') then
      insert into rowbell.feedback (alert) select _d::json from unnest(_judge.durable) as _d;
    else
      raise warning 'rowbell: %% alerts of %% were not stored: %% may not insert into rowbell.feedback',
        cardinality(durable), tg_relid::regclass, current_user;
    end if;
  end if;
  if notified is not null then
    perform rowbell.send(notified, channels, %3$L::text[]);
  end if;
  return null;
end
$body$, fast, rules, key, feed.id, format(slow_places, 'old'), now_sql, format(slow_places, 'new'), written_place);
  end if;
  perform rowbell.make_function(format('judge_%s', feed.id), '', 'trigger', 'security definer', body);
end
$fn$;

-- One compiler at a time, until the end of the transaction: two would overwrite each other's functions.
create function rowbell.lock_compiler() returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select pg_advisory_xact_lock(hashtext('rowbell'), hashtext('compiler'))
$fn$;

-- The triggers that a feed and its children are to have for these operations and have not.
create function rowbell.missing_triggers(feed rowbell.feed, operations text[]) returns table (relid oid, operation text, name text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select t.relid, o.operation, n.name
  from rowbell.tables_of(feed.relation) t
  cross join unnest(operations) o(operation)
  cross join lateral (select format('rowbell_%s_%s', feed.id, o.operation)) n(name)
  where not exists (select from pg_trigger g where g.tgrelid = t.relid and g.tgname = n.name)
  order by t.relid
$fn$;

-- Gives the triggers that rules ask for to the feed and its children, those that are not there yet. A trigger takes a lock that waits for
-- writers, and writers wait behind it: so it is tried for 20 ms, all at once or not at all, and then again, until patience ends.
create function rowbell.attach(feed rowbell.feed, operations text[], patience interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '20ms'
as $fn$
declare
  give_up constant timestamptz := clock_timestamp() + patience;
  missing record;
begin
  loop
    begin
      for missing in select m.* from rowbell.missing_triggers(feed, operations) m loop
        execute format('create trigger %I after %s on %s referencing %s for each statement execute function rowbell.judge_%s()',
          missing.name, missing.operation, rowbell.sql_name(missing.relid),
          case missing.operation
            when 'insert' then 'new table as new_rows'
            when 'update' then 'old table as old_rows new table as new_rows'
            else 'old table as old_rows'
          end,
          feed.id);
      end loop;
      return;
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > give_up then
        raise exception 'feed %: its triggers could not be made, transactions are writing to it all the time', feed.name
          using errcode = 'RB003', hint = 'Try again when no long transaction is writing to it. Nothing was changed.';
      end if;
    end;
    perform pg_sleep(0.05 + random() * 0.1);
  end loop;
end
$fn$;

-- Compiles all rules of a feed. Replacing functions takes no lock on the feed. Does nothing where nothing differs.
-- Where rowbell.triggers = later, triggers that cannot be made soon are left to refresh(), which tries again.
create function rowbell.compile(feed_name text, patience interval default '10 s') returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  later constant boolean := coalesce(current_setting('rowbell.triggers', true) = 'later', false);
  feed rowbell.feed;
  rules jsonb;
  key text[];
begin
  perform rowbell.lock_compiler();
  select f.* into feed from rowbell.feed f where f.name = feed_name;
  if not found or rowbell.sql_name(feed.relation) is null then
    return;
  end if;
  rules := rowbell.rules_of(feed);
  key := rowbell.key_of(feed.relation);
  perform rowbell.compile_place(feed, key);
  perform rowbell.compile_row(feed, rules);
  perform rowbell.compile_judge(feed, rules, key);
  perform rowbell.attach(feed, array(
    select distinct operation
    from jsonb_array_elements(rules) r
    cross join jsonb_array_elements_text(r -> 'operations') operation
    order by operation), case when later then '300 ms' else patience end);
exception when sqlstate 'RB003' then
  if not later then
    raise;
  end if;
end
$fn$;

-- Before rules are changed: one at a time, and with the rules of others in sight.
create function rowbell.rule_changing() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'rules are changed in transactions of isolation level read committed'
      using errcode = 'RB002', hint = 'Another level would compile a feed without the rules that others have committed since.';
  end if;
  perform rowbell.lock_compiler();
  return null;
end
$fn$;

-- Refuses a rule that is wrong, and writes its feed as SQL does.
create function rowbell.rule_checked() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  wrong record;
begin
  new.columns := coalesce(new.columns, '{}');
  new.reason := coalesce(new.reason, new.name);
  for wrong in select * from rowbell.problems(new) loop
    if wrong.hint = '' then
      raise exception 'rule "%": %: %', new.name, wrong.field, wrong.problem
        using errcode = 'RB001', schema = 'rowbell', table = 'rule', column = wrong.field;
    end if;
    raise exception 'rule "%": %: %', new.name, wrong.field, wrong.problem
      using errcode = 'RB001', hint = wrong.hint, schema = 'rowbell', table = 'rule', column = wrong.field;
  end loop;
  if new.enabled then
    new.feed := rowbell.sql_name(rowbell.find_feed(new.feed));
    insert into rowbell.feed (name, relation)
    values (new.feed, new.feed::regclass)
    on conflict do nothing;
    -- a table that was dropped and made again, or renamed, and that nobody has noticed yet
    update rowbell.feed f set relation = new.feed::regclass
    where f.name = new.feed and f.relation <> new.feed::regclass
      and not exists (select from rowbell.feed other where other.relation = new.feed::regclass);
  end if;
  return new;
end
$fn$;

-- After rules were changed: compiles their feeds.
create function rowbell.rule_changed() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  changed text[];
begin
  if tg_op = 'INSERT' then
    changed := array(select feed from new_rules);
  elsif tg_op = 'UPDATE' then
    changed := array(select feed from new_rules union all select feed from old_rules);
  elsif tg_op = 'DELETE' then
    changed := array(select feed from old_rules);
  else
    changed := array(select name from rowbell.feed);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    insert into rowbell.rule_state as s (rule)
    select n.name from new_rules n
    on conflict (rule) do update set broken = null, failure = null, failed = null, reported = null
    where s.broken is not null or s.failure is not null;
  end if;
  perform rowbell.compile(f) from (select distinct unnest(changed) as f) feeds;
  return null;
end
$fn$;

create trigger changing before insert or update or delete or truncate on rowbell.rule
  for each statement execute function rowbell.rule_changing();
create trigger checked before insert or update on rowbell.rule
  for each row execute function rowbell.rule_checked();
create trigger inserted after insert on rowbell.rule
  referencing new table as new_rules
  for each statement execute function rowbell.rule_changed();
create trigger updated after update on rowbell.rule
  referencing old table as old_rules new table as new_rules
  for each statement execute function rowbell.rule_changed();
create trigger deleted after delete on rowbell.rule
  referencing old table as old_rules
  for each statement execute function rowbell.rule_changed();
create trigger truncated after truncate on rowbell.rule
  for each statement execute function rowbell.rule_changed();

-- What is wrong with a rule, given as JSON with the columns of rowbell.rule; no rows where it is right. Changes nothing.
create function rowbell.check_rule(rule json) returns table (field text, problem text, hint text)
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select p.* from rowbell.problems(rowbell.rule_of(rule)) p
$fn$;

-- Makes the rules of one origin what a JSON array says: adds, changes, removes. Those named in keep stay as they are. A rule that is wrong
-- is returned and not applied; what it was before stays. Touches nothing that does not differ. Where a feed is so busy that its triggers
-- cannot be made at once, its rules are returned too, and refresh() makes them.
create function rowbell.apply_rules(origin text, rules json, keep text[] default '{}')
returns table (rule text, field text, problem text, hint text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
declare
  given rowbell.rule;
  wrong record;
  good rowbell.rule[] := '{}';
  names text[] := keep;
  fault text;
begin
  perform rowbell.lock_compiler();
  perform set_config('rowbell.triggers', 'later', true);
  for given in select (rowbell.rule_of(r)).* from json_array_elements(rules) r loop
    names := names || given.name;
    given.origin := apply_rules.origin;
    given.columns := coalesce(given.columns, '{}');
    given.reason := coalesce(given.reason, given.name);
    if exists (select from rowbell.rule r where r.name = given.name and r.origin is distinct from apply_rules.origin) then
      return query select given.name, 'name',
        (select coalesce('there is a rule of this name from ' || r.origin, 'there is a rule of this name that was made by SQL')
         from rowbell.rule r where r.name = given.name),
        'give one of them another name, or delete it from rowbell.rule';
      continue;
    end if;
    fault := null;
    for wrong in select * from rowbell.problems(given) loop
      fault := wrong.field;
      return query select given.name, wrong.field, wrong.problem, wrong.hint;
    end loop;
    if fault is null then
      good := good || given;
    end if;
  end loop;
  -- all by one statement, which compiles each feed once
  insert into rowbell.rule as r select (g).* from unnest(good) g
  on conflict (name) do update set
    feed = excluded.feed, condition = excluded.condition, reason = excluded.reason, severity = excluded.severity, fires = excluded.fires,
    columns = excluded.columns, delivery = excluded.delivery, channel = excluded.channel, resolved = excluded.resolved,
    operations = excluded.operations, enabled = excluded.enabled
  where r is distinct from excluded;
  return query
  select r.name, 'feed', 'transactions write to it all the time, so its triggers are still to be made', 'Rowbell tries again every 10 seconds'
  from rowbell.feed f
  join rowbell.rule r on r.feed = f.name
  where r.name = any (select (g).name from unnest(good) g) and r.enabled and exists (select from rowbell.missing_triggers(f, r.operations));
  delete from rowbell.rule r where r.origin = apply_rules.origin and r.name <> all (names);
  perform set_config('rowbell.triggers', '', true);
end
$fn$;

-- The rows of the feed as it is now that meet a rule's condition, with OLD being NULL. Needs the right to read the feed.
create function rowbell.test_rule(rule text, max_rows int default 100) returns setof json
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  tested rowbell.rule;
  relation oid;
begin
  select r.* into tested from rowbell.rule r where r.name = test_rule.rule;
  if not found then
    raise exception 'there is no rule "%"', test_rule.rule using errcode = 'RB001', column = 'name';
  end if;
  relation := rowbell.find_feed(tested.feed);
  if relation is null then
    raise exception 'rule "%": feed: there is no table %', tested.name, tested.feed using errcode = 'RB001', column = 'feed';
  end if;
  return query execute format(E'select row_to_json(new) from %1$s as new left join %1$s as old on false where (%2$s\n) limit %3$s',
    rowbell.sql_name(relation), tested.condition, max_rows);
end
$fn$;

-- Sees what changed outside of rules: children that came or went, tables renamed, dropped or made again, rules that broke or work again.
-- To be called every few seconds; one caller at a time, another gets no rows. Each row is for an operator to read.
create function rowbell.refresh() returns table (feed text, event text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $fn$
#variable_conflict use_column
declare
  watched rowbell.feed;
  found_relation oid;
  present_name text;
  rule record;
begin
  if not pg_try_advisory_xact_lock(hashtext('rowbell'), hashtext('compiler')) then
    return;
  end if;
  for watched in select * from rowbell.feed f order by f.id loop
    begin
      present_name := rowbell.sql_name(watched.relation);
      if present_name is null then
        found_relation := rowbell.find_feed(watched.name);
        if found_relation is not null and rowbell.sql_name(found_relation) = watched.name
            and not exists (select from rowbell.feed f where f.relation = found_relation) then
          update rowbell.feed f set relation = found_relation where f.id = watched.id;
          return query select watched.name, 'was dropped and made again: it is watched again';
        else
          for rule in
            update rowbell.rule r set enabled = false where r.feed = watched.name and r.enabled returning r.name
          loop
            perform rowbell.rule_failed(rule.name, format('the feed %s was dropped', watched.name), '42P01', watched.name, null, null);
            return query select watched.name, format('was dropped: rule "%s" is disabled', rule.name);
          end loop;
          execute format('drop function if exists rowbell.judge_%1$s, rowbell.row_%1$s, rowbell.place_%1$s', watched.id);
          delete from rowbell.feed f where f.id = watched.id;
          continue;
        end if;
      elsif present_name <> watched.name then
        update rowbell.feed f set name = present_name where f.id = watched.id;
        update rowbell.rule r set feed = present_name where r.feed = watched.name;
        return query select watched.name, format('was renamed: its rules follow it to %s', present_name);
        watched.name := present_name;
      end if;
      for rule in
        select r.name, s.broken, p.problem
        from rowbell.rule r
        join rowbell.rule_state s on s.rule = r.name
        left join lateral (select format('%s: %s', p.field, p.problem) as problem from rowbell.problems(r) p limit 1) p on true
        where r.feed = watched.name and r.enabled and s.broken is distinct from p.problem
      loop
        update rowbell.rule_state s set broken = rule.problem where s.rule = rule.name;
        if rule.problem is null then
          return query select watched.name, format('rule "%s" works again', rule.name);
        else
          perform rowbell.rule_failed(rule.name, rule.problem, 'RB001', watched.name, null, null);
          return query select watched.name, format('rule "%s" is broken and is left out: %s', rule.name, rule.problem);
        end if;
      end loop;
      perform rowbell.detach_strangers(watched);
      perform rowbell.compile(watched.name, '0 s');
    exception
      when lock_not_available or deadlock_detected or sqlstate 'RB003' then
        -- somebody is at work on it: the next time will do
        null;
      when others then
        return query select watched.name, format('could not be looked at: %s', sqlerrm);
    end;
  end loop;
end
$fn$;

-- Takes the triggers off tables that are no children of the feed any more.
create function rowbell.detach_strangers(feed rowbell.feed) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  stranger record;
begin
  for stranger in
    select g.tgrelid, g.tgname
    from pg_trigger g
    join pg_proc p on p.oid = g.tgfoid
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'rowbell' and p.proname = format('judge_%s', feed.id)
      and g.tgrelid not in (select t.relid from rowbell.tables_of(feed.relation) t)
      and pg_has_role((select c.relowner from pg_class c where c.oid = g.tgrelid), 'usage')
  loop
    execute format('drop trigger %I on %s', stranger.tgname, rowbell.sql_name(stranger.tgrelid));
  end loop;
end
$fn$;

-- Takes Rowbell's triggers off a table and its children, for its owner to call once it has no rules. Waits for its writers, and they for it.
create function rowbell.unwatch(feed text) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  relation constant oid := rowbell.find_feed(feed);
  gone record;
  n int := 0;
begin
  if exists (select from rowbell.rule r where r.feed = rowbell.sql_name(relation) and r.enabled) then
    raise exception 'feed % has rules', feed using errcode = 'RB001', hint = 'delete or disable them first';
  end if;
  for gone in
    select g.tgrelid, g.tgname
    from rowbell.feed f
    join pg_trigger g on g.tgname in (format('rowbell_%s_insert', f.id), format('rowbell_%s_update', f.id), format('rowbell_%s_delete', f.id))
    where f.relation = relation
  loop
    execute format('drop trigger %I on %s', gone.tgname, rowbell.sql_name(gone.tgrelid));
    n := n + 1;
  end loop;
  return n;
end
$fn$;

revoke all on all functions in schema rowbell from public;
grant execute on function rowbell.new_id(), rowbell.alert(text, text, regclass, text, json, json, text, text, text), rowbell.ring(),
  rowbell.replay(bigint) to public;

-- Who may write rules. A condition runs with the rights of the owner of this schema, so this role is to be given with as much care.
-- Where the migration may not make roles, the owner alone writes rules until a DBA makes it and grants the same.
do $do$
begin
  if not exists (select from pg_roles where rolname = 'rowbell_admin') then
    begin
      create role rowbell_admin nologin;
    exception when insufficient_privilege then
      raise notice 'the role rowbell_admin was not made: %', sqlerrm;
    when duplicate_object or unique_violation then
      null;
    end;
  end if;
  if exists (select from pg_roles where rolname = 'rowbell_admin') then
    grant usage on schema rowbell to rowbell_admin;
    grant select, insert, update, delete on rowbell.rule to rowbell_admin;
    grant select, update on rowbell.rule_state to rowbell_admin;
    grant select on rowbell.feed to rowbell_admin;
    grant execute on function rowbell.check_rule(json), rowbell.problems(rowbell.rule), rowbell.rule_of(json),
      rowbell.apply_rules(text, json, text[]), rowbell.lock_compiler(), rowbell.refresh(), rowbell.test_rule(text, int),
      rowbell.find_feed(text), rowbell.sql_name(oid), rowbell.tables_of(oid), rowbell.missing_triggers(rowbell.feed, text[]),
      rowbell.unwatch(text) to rowbell_admin;
  end if;
end
$do$;

comment on table rowbell.rule is 'The rules: what is wrong with a row. A change takes effect in its own transaction';
comment on column rowbell.rule.origin is 'The file that owns the rule, which is to be changed there; null where it was made by SQL';
comment on table rowbell.rule_state is 'What became of each rule: hits, last failure, why it is left out';
comment on table rowbell.feed is 'The watched tables, and the numbers that name their functions';
