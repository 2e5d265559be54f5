-- Rules with a query: checked, run, and what their results say. dev.rowbell.time runs them.

-- What runs the queries of rules: the role of feed 0, which has rights of its own on what they read. As a function of its own this role cannot be left, while a
-- session can undo "set role". Of a database that was restored, the role is missing, and the function belongs to the role that restored it.
create or replace function rowbell.make_query_role() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  reader text;
begin
  if to_regproc('rowbell.run_0') is null or not rowbell.has_role(0) then
    perform rowbell.make_role(0);
  end if;
  perform rowbell.make_function('rowbell.query_rows(query text, most int)', 'returns setof json',
    rowbell.all_settings() || 'timezone_abbreviations=Default'::text, $body$
begin
  return query execute format(E'select row_to_json(_r.*) from (%s\n) as _r limit %s', query, most);
end
$body$, rowbell.evaluator_of(0));
  foreach reader in array array['rowbell_admin', 'rowbell_consumer'] loop
    if exists (select from pg_roles r where r.rolname = reader) and not has_function_privilege(reader, 'rowbell.query_rows(text, int)', 'execute') then
      perform rowbell.grant_right('execute on function rowbell.query_rows(text, int)', reader);
    end if;
  end loop;
end
$fn$;

-- Lets the role of queries read what a query names, as far as the owner of the schema may grant it.
create or replace function rowbell.grant_query(query text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.grant_named(0, null, query, format(E'select 1 as one from (%s\n) as _r', query))
$fn$;

-- Why PostgreSQL would refuse a query; null where it is right. Plans it as the role of queries, and never runs it. A query that is right in both places of the
-- statement is one select: nothing can be smuggled past its end. names: by which its columns are known, where not by their own. The answer is {field, message,
-- hint, SQLSTATE}.
drop function if exists rowbell.query_error(text, text[]);
create or replace function rowbell.query_error(query text, key text[], names text[] default '{}') returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  tried constant text := E'select %1$s from (%2$s\n) as _r' || coalesce('(' || nullif(array_to_string(names, ', '), '') || ')', '')
    || E' where exists ((%2$s\n)) limit 0';
  message text;
  hint text;
  state text;
  context text;
  col text;
begin
  query := regexp_replace(query, '[;[:space:]]+$', '');
  if query !~* '^(\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|with|values|table)\M' then
    return array['query', 'only reads: it begins with select or with', '', 'RB001'];
  end if;
  -- a name that is unknown is found before a right that is missing
  foreach col in array key loop
    execute 'select rowbell.run_0($1)' using format(tried, '_r.' || quote_ident(col), query);
  end loop;
  -- whatever a function did that was called while planning is undone
  raise exception using errcode = 'RB004';
exception when others or assert_failure or query_canceled then
  get stacked diagnostics message = message_text, hint = pg_exception_hint, state = returned_sqlstate, context = pg_exception_context;
  if state = 'RB004' then
    return null;
  elsif state = '55P03' or rowbell_alert.is_cancel(state, context) then
    raise;
  elsif state = '42703' and strpos(message, '_r.') > 0 then
    return array['key', 'the result has no column ' || quote_ident(col), '', state];
  end if;
  return array['query',
    case when message like 'WITH clause containing a data-modifying statement%' then 'only reads: it has an insert, update or delete'
      -- what follows is not the rule's
      else regexp_replace(message, ' at or near "(/\*|''|\$).*$', '', 's') end,
    case
      when state = '42501' then coalesce(rowbell.grant_for(message, rowbell.evaluator_of(0)), format('grant it to %I', rowbell.evaluator_of(0)))
      when state in ('42883', '42P01', '42704', '3F000') then 'names outside of pg_catalog are written with their schema: public.movement'
      else coalesce(hint, '')
    end, state];
end
$fn$;

-- All that is wrong with a rule that has a query, beyond what validate_rule() looks at; no rows where it is right. A right that the role of queries lacks is
-- told when the query runs.
create or replace function rowbell.validate_query(rule rowbell.rule) returns table (field text, problem text, hint text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  error text[];
begin
  return query
  select f.name, case f.name when 'feed' then 'feed and query: a rule has one of them' else 'goes with a feed, and the rule has a query' end, ''
  from (values ('feed', rule.feed is not null), ('condition', rule.condition is not null), ('columns', rule.columns <> '{}'), ('for', rule."for" is not null),
    ('count', rule.count is not null), ('sum', rule.sum is not null), ('over', rule.over is not null), ('within', rule.within is not null), ('by', rule."by" <> '{}'),
    ('max_groups', rule.max_groups <> 10000), ('absent', rule.absent is not null), ('groups', rule.groups is not null),
    ('forget', rule.forget <> interval '7 days'), ('operations', rule.operations <> '{insert,update}')) f (name, given)
  where f.given;
  if rule.delivery = 'notify' then
    return query select 'delivery', 'notify is for rules with a feed: the alerts of a query are durable', '';
  end if;
  if rule.fires = 'changed' then
    return query select 'fires', 'changed is for rules with a feed', 'once: when a key comes into the result; every: at each run';
  elsif rule.fires = 'every' and rule.resolved then
    return query select 'fires', 'every has each key fire at each run, so nothing resolves', 'write fires: once, or leave out resolved';
  end if;
  if coalesce(rule.key, '{}') = '{}' then
    return query select 'key', 'has no key', 'name the columns of the result that tell its rows apart: [account]';
  elsif array_position(rule.key, null) is not null then
    return query select 'key', 'has a name that is NULL', '';
  elsif cardinality(rule.key) > (select count(distinct k) from unnest(rule.key) k) then
    return query select 'key', 'has a name twice', '';
  end if;
  if (rule.every is null) = (rule.cron is null) then
    return query select 'every', case when rule.cron is null then 'has neither every nor cron' else 'every and cron: one of them says when the query runs' end,
      'every: 1m, or cron: "0 8 * * MON-FRI"';
  elsif rule.every < interval '1 s' then
    return query select 'every', 'give a duration of at least a second', '';
  elsif rule.every is not null and rule.zone is not null then
    return query select 'zone', 'goes with cron', '';
  elsif rule.cron !~ '^\s*([[:alnum:]*,/-]+\s+){4}[[:alnum:]*,/-]+\s*$' then
    return query select 'cron', 'give five fields: minute, hour, day of the month, month, day of the week', 'write it as "0 8 * * MON-FRI"';
  elsif rule.zone not in (select z.name from pg_timezone_names z) then
    return query select 'zone', format('there is no time zone %s', rule.zone), 'write it as Europe/Berlin or UTC';
  end if;
  if rule.max_rows between 1 and 10000 is not true then
    return query select 'max_rows', 'give a number from 1 to 10000', '';
  end if;
  if rule.enabled then
    error := rowbell.query_error(rule.query, rule.key);
    if error[4] <> '42501' then
      return query select error[1], error[2], error[3];
    end if;
  end if;
end
$fn$;

-- What take_query() gives of a rule: the query of "groups" is run as one of its own would be. Each group once: a result may have as many rows as was written,
-- of which only so many are read.
create or replace function rowbell.query_of(rule rowbell.rule) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select to_jsonb(rule) || case when rule.groups is null then '{}'
    else jsonb_build_object('query', format(E'select distinct on (row_to_json(_g.*)::text) _g.* from (%s\n) as _g', rule.groups),
      'every', interval '1 minute', 'max_rows', rule.max_groups) end
$fn$;

-- The rules whose query is to run, and when. At once: a rule that is new or has another schedule, and where the clock was set back.
create or replace function rowbell.query_rules() returns table (rule rowbell.rule, schedule text, due timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select r, s.schedule, case when q.schedule = s.schedule and coalesce(q.due <= clock_timestamp() + s.every, true) then q.due else '-infinity' end
  from rowbell.rule r
  left join rowbell.query_run q on q.rule = r.name
  left join rowbell.rule_state t on t.rule = r.name
  cross join lateral (
    select coalesce(t.id || ' ' || r.groups, r.every::text, concat_ws(' ', r.cron, r.zone)) as schedule,
      case when r.groups is null then r.every else interval '1 minute' end as every) s
  where coalesce(r.query, r.groups) is not null and r.enabled and t.broken is null and (r.groups is null or t.paused is null)
$fn$;

-- How many milliseconds it is until a query is to run; null where no rule has a query. Also notes rules that are new, and forgets those that are gone.
create or replace function rowbell.next_query() returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  insert into rowbell.query_run (rule, schedule, due)
  select (r.rule).name, '', '-infinity' from rowbell.query_rules() r
  where not exists (select from rowbell.query_run q where q.rule = (r.rule).name)
  on conflict do nothing;
  with gone as (
    delete from rowbell.query_run q
    where q.rule in (
      select g.rule from rowbell.query_run g
      where not exists (select from rowbell.rule r where r.name = g.rule and coalesce(r.query, r.groups) is not null)
      for update skip locked)
    returning q.rule)
  delete from rowbell.query_key k where k.rule in (select g.rule from gone g);
  return (
    select greatest(0, ceil(1000 * date_part('epoch', least(greatest(min(r.due), clock_timestamp()), clock_timestamp() + interval '1 h') - clock_timestamp())))
    from rowbell.query_rules() r
    having count(*) > 0);
end
$fn$;

-- A rule whose query is due, with its row of query_run locked until the end of the transaction, so that no other process runs it; nothing where none is due.
-- due: when it was; null: a rule that is new, or whose schedule is. settings: those that its query runs with. clock: the time of the database.
create or replace function rowbell.take_query() returns table (rule jsonb, due timestamptz, settings text[], clock timestamptz)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
#variable_conflict use_column
declare
  name text;
begin
  for name in select (r.rule).name from rowbell.query_rules() r where r.due <= clock_timestamp() order by r.due, 1 loop
    perform from rowbell.query_run q where q.rule = name for update skip locked;
    continue when not found;
    -- once more: another process may have run it since
    return query
    select rowbell.query_of(r.rule), nullif(r.due, '-infinity'), rowbell.all_settings(), clock_timestamp()
    from rowbell.query_rules() r
    where (r.rule).name = name and r.due <= clock_timestamp();
    if found then
      perform rowbell.make_query_role();
      return;
    end if;
  end loop;
end
$fn$;

-- Notes when the query of a rule is to run again.
create or replace function rowbell.query_next(rule_name text, next timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  update rowbell.query_run q set schedule = r.schedule, due = next
  from rowbell.query_rules() r
  where (r.rule).name = rule_name and q.rule = rule_name
$fn$;

-- Compares the result of a rule's query with the one before, raises the alerts of what came and of what went, and notes when it is to run again. taken: the
-- rule as take_query() gave it, of which nothing is done where it was changed meanwhile. result: the rows of the result as JSON, one more than max_rows where
-- there are more; null: it did not run. An error is a failure of the rule, and the state stays as it was.
create or replace function rowbell.query_ran(taken jsonb, result text[], next timestamptz) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
#variable_conflict use_variable
declare
  rule rowbell.rule;
  flooded boolean;
  flood rowbell.rule;
  keys text[];
  wrong text;
begin
  select r.* into rule from rowbell.rule r where r.name = taken ->> 'name' and rowbell.query_of(r) = taken;
  if rule.name is null then
    return;
  end if;
  perform rowbell.query_next(rule.name, next);
  if result is null then
    return;
  end if;
  if rule.groups is not null then
    perform rowbell.expect_groups(rule, result);
    return;
  end if;
  flooded := cardinality(result) > rule.max_rows;
  flood := rule;
  flood.reason := format('%s: more than %s rows', coalesce(rule.reason, rule.name), rule.max_rows);
  if flooded then
    result := array['{}'];
    keys := array[''];
  else
    select array_agg(case when octet_length(k.key) > 1000 then encode(sha256(convert_to(k.key, 'UTF8')), 'hex') else k.key end order by f.n),
      min(k.missing)
    into keys, wrong
    from unnest(result) with ordinality as f (document, n)
    cross join lateral (
      select json_object_agg(c.name, f.document::json ->> c.name order by c.n)::text as key,
        min(c.name) filter (where f.document::json ->> c.name is null) as missing
      from unnest(rule.key) with ordinality as c (name, n)) k;
    if wrong is not null then
      raise exception 'a row of the result has no %', quote_ident(wrong) using errcode = 'RB001';
    end if;
    select k.key into wrong from unnest(keys) as k (key) group by k.key having count(*) > 1 limit 1;
    if wrong is not null then
      raise exception 'two rows of the result have the key %', wrong using errcode = 'RB001';
    end if;
  end if;
  keys := coalesce(keys, '{}');
  with over as (
    delete from rowbell.query_key k where k.rule = rule.name and k.key <> all (keys) and not flooded returning k.*)
  insert into rowbell.feedback (alert)
  select case when o.key = '' then rowbell.timer_alert(flood, null, 'resolved', o.subject, '{}')
    else rowbell.timer_alert(rule, null, 'resolved', o.subject, rule.key) end
  from over o
  where rule.resolved
  order by o.key;
  insert into rowbell.feedback (alert)
  select case when f.key = '' then rowbell.timer_alert(flood, null, 'firing', f.document::json, '{}')
    else rowbell.timer_alert(rule, null, 'firing', f.document::json, rule.key) end
  from unnest(keys, result) with ordinality as f (key, document, n)
  where rule.fires = 'every' or not exists (select from rowbell.query_key k where k.rule = rule.name and k.key = f.key)
  order by f.n;
  insert into rowbell.query_key as k (rule, key, subject)
  select rule.name, f.key, f.document::json from unnest(keys, result) as f (key, document)
  on conflict on constraint query_key_pkey do update set subject = excluded.subject where k.subject::text <> excluded.subject::text;
exception when others or assert_failure then
  perform rowbell.query_failed(taken, sqlerrm, sqlstate, null, next);
end
$fn$;

-- Notes that the query of a rule failed, and when it is to run again. ran_as: the role that ran it, null for the role of queries.
create or replace function rowbell.query_failed(taken jsonb, error text, state text, ran_as text, next timestamptz) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  needed text;
begin
  if state = '42501' then
    if ran_as is null then
      -- the owner of the schema may have got the right since, to hand it on
      perform rowbell.grant_query(taken ->> 'query');
    end if;
    ran_as := coalesce(ran_as, rowbell.evaluator_of(0));
    if exists (select from pg_roles r where r.rolname = ran_as) then
      needed := rowbell.grant_for(error, ran_as);
    end if;
    error := format('%s (%s)', error, coalesce(needed, format('grant it to %I', ran_as)));
  end if;
  perform rowbell.query_next(taken ->> 'name', next);
  perform rowbell.rule_failed(r.name, error, state, null, 'TIMER', null) from rowbell.rule r where r.name = taken ->> 'name';
end
$fn$;

-- Leaves out a rule whose query cannot be planned for any time.
create or replace function rowbell.query_broken(rule_name text, problem text) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  update rowbell.rule_state s set broken = problem where s.rule = rule_name;
  select rowbell.rule_failed(rule_name, problem, 'RB001', null, null, null)
$fn$;
