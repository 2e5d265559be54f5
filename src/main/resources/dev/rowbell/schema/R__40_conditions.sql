-- From a rule to SQL conditions.

-- Where a condition compares one column of numbers with a number and does nothing else: which column, from which side, with what. Of
-- several such rules on a column the weakest alone says whether one of them is met. Null for any other condition.
create or replace function rowbell.bound_of(condition text, relation oid) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select jsonb_build_object('column', a.attname, 'side', left(m[2], 1), 'number', m[3]::numeric, 'open', length(m[2]) = 1)
  from regexp_match(condition, '^\s*new\.([a-z_][a-z0-9_]*|"(?:[^"]|"")+")\s*([<>]=?)\s*(-?\d+(?:\.\d+)?)\s*$', 'i') m
  join pg_attribute a on a.attrelid = relation and a.attname = (parse_ident(m[1]))[1] and not a.attisdropped
  where a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype)
$fn$;

-- The rules of a feed as one SQL condition over NEW that no search_path can change, where each of them is a bound (see bound_of): of a column's
-- bounds on one side the weakest. Null where a rule is anything else.
create or replace function rowbell.bounds_sql(rules jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  -- a number in parentheses is a constant with its sign; without them the minus would be an operator
  select case when bool_and(side is not null) then
    string_agg(format('new.%I operator(pg_catalog.%s%s) (%s)', "column", side, case when open then '' else '=' end, number), ' or ' order by n)
      filter (where weakest and side is not null) end
  from (
    select b.*, n,
      row_number() over (
        partition by b."column", b.side
        order by case b.side when '>' then b.number else - b.number end, b.open, n) = 1 as weakest
    from jsonb_array_elements(rules) with ordinality as e(r, n)
    cross join lateral jsonb_to_record(case when jsonb_typeof(r -> 'bound') = 'object' then r -> 'bound' else '{}' end)
      as b("column" text, side text, number numeric, open boolean)) bounds
$fn$;

-- A bound (see bound_of) over NEW or OLD as an SQL condition that no search_path can change.
create or replace function rowbell.bound_sql(bound jsonb, row_name text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('%s.%I operator(pg_catalog.%s%s) (%s)', row_name, bound ->> 'column', bound ->> 'side',
    case when (bound ->> 'open')::boolean then '' else '=' end, bound ->> 'number')
$fn$;

-- When a rule fires and when it ends, as two SQL conditions over NEW and OLD of one change; null where it never does.
create or replace function rowbell.moments_sql(operation text, rule jsonb, out firing text, out resolved text)
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

-- moments_sql of a rule that is a bound (see bound_of), in words that no search_path can change. Not for one that fires when columns have changed.
create or replace function rowbell.bound_moments_sql(operation text, rule jsonb, out firing text, out resolved text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  met constant text := rowbell.bound_sql(rule -> 'bound', 'new');
  met_before constant text := rowbell.bound_sql(rule -> 'bound', 'old');
  moments record;
begin
  moments := rowbell.moments_sql(operation, rule);
  if moments.firing is not null then
    firing := met || case when rule ->> 'fires' = 'once' and operation = 'UPDATE' then format(' and (%s) is not true', met_before) else '' end;
  end if;
  if moments.resolved is not null then
    resolved := met_before || case when operation = 'UPDATE' then format(' and (%s) is not true', met) else '' end;
  end if;
end
$fn$;

-- The rules of one operation that must be asked whether they are met, where rows is NEW or OLD: the conditions, joined by or. Null where
-- there are none. kind: firing over NEW, resolved over what was, or compares. Within case, because PostgreSQL would try the cheapest part of
-- a where first: what public.is_number(NEW.note) and NEW.note::int > 5 guards against would happen.
create or replace function rowbell.met_sql(operation text, rules jsonb, kind text) returns text
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

-- A feed may have a column named new or old. Then row_to_json(new) is that column, and no alert of the feed could be written; new.* is the row in any
-- case. So are the names that pair the rows of an update, _n and _o; there a cast keeps a row whole that a select list would take apart.
create or replace function rowbell.rows_sql(operation text, with_other boolean, key text[] default null) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case operation
    when 'INSERT' then 'new_rows as new' || case when with_other then ' left join new_rows as old on false' else '' end
    when 'DELETE' then 'old_rows as old' || case when with_other then ' left join old_rows as new on false' else '' end
    else '(select row_number() over () as rn, (_n.*)::record as r from (select * from new_rows) as _n) as _a '
      || case when key is null
           then 'join (select row_number() over () as rn, (_o.*)::record as r from (select * from old_rows) as _o) as _b on _a.rn = _b.rn '
           else 'left join (select (_o.*)::record as r from (select * from old_rows) as _o) as _b on '
             || coalesce((select string_agg(format('(_a.r).%1$I = (_b.r).%1$I', k), ' and ') from unnest(key) k), 'false') || ' '
         end
      || 'cross join lateral (select (_a.r).*) as new '
      || 'cross join lateral (select (_b.r).*) as old'
  end
$fn$;

-- Whether a statement can have a hit at all, as one SQL condition; null where it cannot. One pass over the rows, whatever the number of rules.
create or replace function rowbell.any_hit_sql(operation text, rules jsonb) returns text
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
create or replace function rowbell.hits_sql(rules jsonb) returns text
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

-- Whether one of the columns changed, as SQL. Types without an equality, as json, are compared as text.
create or replace function rowbell.changed_sql(relation oid, columns text[]) returns jsonb
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

-- What the compiler needs to know of each rule of a feed, in the order of their names.
create or replace function rowbell.rules_of(feed rowbell.feed) returns jsonb
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
