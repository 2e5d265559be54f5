-- A rule: read and checked.

-- Why PostgreSQL would refuse a condition; null where it is right. Plans it, and never runs it; as the role of this feed, because planning
-- may call functions of strangers. A condition that is right as an element of a list and right in parentheses is one expression: nothing can be smuggled past
-- its end. columns: the columns of the feed, as SQL. A right that the role lacks is an error for a feed alone: 0 stands for a feed that is not known yet.
-- The answer is {message, hint, SQLSTATE}.
create or replace function rowbell.condition_error(
  condition text, relation oid, with_new boolean, with_old boolean, columns text default '*', feed_id int default 0) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  rows_of text;
  message text;
  hint text;
  state text;
  context text;
  unqualified text;
begin
  if to_regproc(format('rowbell.run_%s', feed_id)) is null then
    perform rowbell.make_role(feed_id);
  end if;
  condition := rowbell.rows_by_name(condition, relation);
  -- offset 0: what is known to be NULL would be worked out while planning
  rows_of := concat_ws(', ',
    case when with_new then format('(select %2$s from (select (null::%1$s).*) _c offset 0) as new', rowbell.sql_name(relation), columns) end,
    case when with_old then format('(select %2$s from (select (null::%1$s).*) _c offset 0) as old', rowbell.sql_name(relation), columns) end);
  execute format('select rowbell.run_%s($1)', feed_id) using format(E'select from %s where array[%s\n] is not null limit 0', rows_of, condition);
  execute format('select rowbell.run_%s($1)', feed_id) using format(E'select from %s where (%s\n) limit 0', rows_of, condition);
  -- whatever a function did that was called while planning is undone, settings of the session too
  raise exception using errcode = 'RB004';
exception when others or assert_failure or query_canceled then
  get stacked diagnostics message = message_text, hint = pg_exception_hint, state = returned_sqlstate, context = pg_exception_context;
  -- a name in quotes without NEW before it, which is unknown
  unqualified := (
    select m.found[2] from regexp_matches(condition, '(^|[^.[:alnum:]_"])"([^"]+)"', 'g') as m (found) where strpos(message, m.found[2]) > 0 limit 1);
  if state = 'RB004' then
    return null;
  elsif state = '55P03' or rowbell_alert.is_cancel(state, context) then
    raise;
  elsif state = '42501' and feed_id = 0 then
    return null;
  end if;
  return array[
    case when message = 'argument of WHERE must be type boolean, not type record' then 'is more than one expression'
      else replace(replace(message, 'argument of WHERE must be type', 'must be of type'), 'at or near "]"', 'at its end') end,
    case
      when state = '42501' then format('%s, which judges this feed; or grant it to %I with grant option',
        coalesce(rowbell.grant_for(message, rowbell.evaluator_of(feed_id)), format('grant it to %I', rowbell.evaluator_of(feed_id))), current_user)
      when state = '42702' then 'write NEW. or OLD. before the names of columns'
      when state = '42883' and message like '% == %' then 'write = to compare'
      when state = '42703' and unqualified is not null then format('texts have single quotes: %L', unqualified)
      when state in ('42883', '42P01', '42704', '3F000') and coalesce(hint, '') !~ 'NEW|OLD'
        then 'names outside of pg_catalog are written with their schema: public.is_bad(NEW.c2), operator(public.=)'
      else coalesce(hint, '')
    end,
    state];
end
$fn$;

-- The columns without equality that a condition compares by itself, or with its whole row, each with its type; null where there is none. PostgreSQL accepts
-- that of json[] and of a row with json, and fails once it compares two. It is known by how it is written: one side of the operator is NEW, NEW.* or a column.
create or replace function rowbell.compared_without_equality(condition text, relation oid, feed_id int) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  side constant text := $re$(?:new|old)(?:\s*\.\s*(\*|[[:alpha:]_][\w$]*|"(?:[^"]|"")+"))?$re$;
  operator constant text := $re$(?:<>|[<>!]=|[<>=]|\mis(?:\s+not)?\s+distinct\s+from\M)$re$;
  -- it stands before the operator, or behind it and alone
  before constant text := $re$(?<![\w.$"])$re$ || side || '\s*' || operator || $re$(?![-*<>=!@#%^&|~`?+/])(?!\s*null\M)$re$;
  behind constant text := $re$(?<![-*<>=!@#%^&|~`?+/])$re$ || operator || '\s*\m' || side || $re$(?=\s*(?:$|\)|and\M|or\M))$re$;
  -- without texts and comments
  written constant text := regexp_replace(condition,
    $re$("(?:[^"]|"")*")|e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(\w*)\$.*\$\2\$|--[^\n\r]*|/\*(?:[^*]|\*(?!/))*\*/$re$, '\1', 'gi');
begin
  return (
    select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
      -- in this order: to check a condition grants rights
      and case when exists (
        select from regexp_matches(written, before || '|' || behind, 'gi') m
        where coalesce(m[1], m[2], '*') = '*'
          -- of others PostgreSQL has looked the operator up, which a box has although an array of them has none
          or t.typcategory in ('A', 'C') and (parse_ident(coalesce(m[1], m[2])))[1] = a.attname)
      then rowbell.condition_error(format('exists (select distinct NEW.%I)', a.attname), relation, true, false, feed_id => feed_id) is not null end);
end
$fn$;

-- Lets the role that checks conditions name a feed: else each condition would be right. The right is kept: a check may take long, and others that grant it
-- would wait.
create or replace function rowbell.let_check(relation oid) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.grant_right(format('usage on schema %I', n.nspname), r.rolname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  -- of a database that was copied, the role has another name
  join pg_proc p on p.oid = to_regproc('rowbell.run_0')
  join pg_roles r on r.oid = p.proowner
  where c.oid = relation and not has_schema_privilege(r.oid, n.oid, 'usage')
$fn$;

-- A rule from JSON, with the defaults where a key is missing.
create or replace function rowbell.rule_of(rule json) returns rowbell.rule
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select r
  from jsonb_populate_record(null::rowbell.rule, jsonb_build_object(
    'severity', 'warning', 'fires', 'once', 'columns', '[]'::jsonb, 'delivery', 'durable', 'channel', 'channel_1', 'resolved', false,
    'operations', '["insert", "update"]'::jsonb, 'enabled', true, 'cooldown', '0', 'existing', true,
    'key', '[]'::jsonb, 'max_rows', 1000, 'by', '[]'::jsonb, 'max_groups', 10000, 'forget', '7 days')
    || case when rule ->> 'absent' is not null and rule ->> 'query' is null then '{"condition": "true"}' else '{}' end::jsonb || rule::jsonb) r
$fn$;

-- The operations on which a rule is judged: one with "for" has to see each write.
create or replace function rowbell.operations_of(rule rowbell.rule) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when rule."for" is null then rule.operations else '{insert,update,delete}' end
$fn$;

-- What a rule counts by: the name and the expression of each member of a group.
create or replace function rowbell.group_columns(by text[]) returns table (name text, expression text, n bigint)
language sql immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
  select coalesce((parse_ident(a.aliased[2]))[1], (parse_ident((regexp_match(b, '^\s*(?:new|old)\s*\.\s*([[:alpha:]_][\w$]*|"(?:[^"]|"")+")\s*$', 'i'))[1]))[1], trim(b)),
    trim(coalesce(a.aliased[1], b)), n
  from unnest(by) with ordinality as u (b, n)
  cross join lateral (select regexp_match(b, '^(.*\S)\s+as\s+([[:alpha:]_][\w$]*|"(?:[^"]|"")+")\s*$', 'i') as aliased) a
$fn$;

-- What a condition that is neither null nor an error says of all that a rule counts by and sums up; null where it does neither.
create or replace function rowbell.counted_reads(rule rowbell.rule) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select string_agg(format(E'(%s\n) is not null', e), ' and ')
  from (select g.expression as e from rowbell.group_columns(rule."by") g union all select rule.sum where rule.sum is not null) r
$fn$;

-- Whether no setting can change what a rule counts by and sums up: columns of the feed alone, as plain_condition() has them.
create or replace function rowbell.counts_plainly(rule rowbell.rule) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(bool_and(e ~* '^(new|old)\.([a-z_][a-z0-9_]*|"[^"]+")$'), true)
  from (select g.expression as e from rowbell.group_columns(rule."by") g union all select rule.sum where rule.sum is not null) r
$fn$;

-- All that the role of a feed reads for a rule, as a condition: a rule with "for" looks at the row again when it is due, one that counts evaluates more.
create or replace function rowbell.reads_of(rule rowbell.rule) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when coalesce(rule.within, rule.absent) is not null then concat_ws(' and ', format(E'(%s\n)', rule.condition), rowbell.counted_reads(rule))
    when rule."for" is null then rule.condition else
    format(E'(%s\n) and exists (select from %s) and (%s\n) is not null', rule.condition,
      coalesce(rowbell.sql_name(rowbell.find_feed(rule.feed)), rule.feed), coalesce(rule.since, 'true')) end
$fn$;

-- All that is wrong with a rule about "count", "sum" and their like, as far as it can be told without the feed; no rows where it is right.
create or replace function rowbell.validate_window(rule rowbell.rule) returns table (field text, problem text, hint text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if rule.count is null and rule.sum is null then
    return query
    select f.name, 'goes with count or sum, and the rule has neither', 'write count: 100 beside within: 5m'
    from (values ('over', rule.over is not null), ('within', rule.within is not null)) f (name, given)
    where f.given;
    return query
    select f.name, 'goes with count, sum or absent, and the rule has none', 'write count: 100 beside within: 5m'
    from (values ('by', coalesce(rule."by", '{}') <> '{}'), ('max_groups', rule.max_groups <> 10000)) f (name, given)
    where f.given and rule.absent is null;
    return;
  end if;
  if rule.count is not null and rule.sum is not null then
    return query select 'sum', 'count and sum: one of them says when the rule fires', 'make two rules of it';
  elsif rule.count < 1 then
    return query select 'count', 'give a number of at least 1', '';
  elsif rule.sum is not null and rule.over is null then
    return query select 'over', 'a rule with sum has to say when it fires', 'write over: 5000 for a sum of more than 5000';
  elsif rule.count is not null and rule.over is not null then
    return query select 'over', 'goes with sum', 'count: 100 is met by 100 or more';
  elsif rule.over - rule.over <> 0 then
    return query select 'over', 'give a number', '';
  elsif rule.over < 0 then
    return query select 'over', 'is negative, so a group of which nothing was written would be over it', '';
  end if;
  if rule.within is null then
    return query select 'within', 'has no time', 'write within: 5m';
  elsif rule.within <= interval '0' or rule.within > interval '10 years' then
    return query select 'within', 'give a duration above 0 and of at most 10 years', '';
  end if;
  if rule."for" is not null then
    return query select 'for', 'goes not with count and sum, which are about changes: a change does not last', 'make two rules of it';
  end if;
  if rule.fires = 'changed' then
    return query select 'fires', 'changed goes not with count and sum', 'once: count when the condition becomes true; every: each write that meets it';
  end if;
  if rule.delivery = 'notify' then
    return query select 'delivery', 'a rule with count or sum is durable: its alerts come after the writer''s commit', 'leave delivery out';
  end if;
  return query select g.* from rowbell.validate_groups(rule) g;
end
$fn$;

-- All that is wrong with the groups of a rule, as far as it can be told without the feed; no rows where they are right.
create or replace function rowbell.validate_groups(rule rowbell.rule) returns table (field text, problem text, hint text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  twice text;
begin
  if rule.max_groups between 1 and 1000000 is not true then
    return query select 'max_groups', 'give a number from 1 to 1000000', '';
  end if;
  if rule."by" is null or array_position(rule."by", null) is not null then
    return query select 'by', 'has an expression that is NULL', '';
    return;
  end if;
  return query
  select 'by', format('%s names neither NEW nor OLD, so it tells no groups apart', b), 'write it as [NEW.shop]'
  from unnest(rule."by") b
  where b !~* '\m(new|old)\M';
  select g.name into twice from rowbell.group_columns(rule."by") g group by g.name having count(*) > 1 limit 1;
  if twice is not null then
    return query select 'by', format('two have the name %s', twice), 'give one another name: OLD.shop as old_shop';
  end if;
end
$fn$;

-- The same of its expressions over the rows of the feed.
create or replace function rowbell.validate_counted(rule rowbell.rule, relation oid, feed_id int) returns table (field text, problem text, hint text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  asked record;
  tried text;
  error text[];
  columns text;
begin
  select string_agg(format('%I', a.attname), ', ') into columns
  from pg_attribute a
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v';
  for asked in
    select 'by' as field, g.expression, array[E'pg_catalog.to_json(%s\n) is not null'] as tries from rowbell.group_columns(rule."by") g
    -- validate_groups() has told of others
    where g.expression ~* '\m(new|old)\M'
    union all
    select 'sum', rule.sum, array[E'(%s\n)::pg_catalog.numeric is not null', E'(array[%s\n])[1]::pg_catalog.numeric is not null'] where rule.sum is not null
  loop
    foreach tried in array array[E'(%s\n) is not null', E'array[%s\n] is not null'] || asked.tries loop
      error := rowbell.condition_error(format(tried, asked.expression), relation, true, true, feed_id => feed_id);
      if error is not null then
        return query select asked.field,
          case when error[1] like 'function pg_catalog.to_json%' then 'is more than one expression, or of no type' else error[1] end, error[2];
        return;
      end if;
      -- PostgreSQL 18 works these out when they are read
      if rowbell.condition_error(format(tried, asked.expression), relation, true, true, columns, feed_id) is not null then
        return query select asked.field, 'uses a virtual generated column, which a trigger sees as NULL', 'write its expression instead, or have it stored';
        return;
      end if;
    end loop;
    if rule.operations = '{delete}' and rowbell.condition_error(format(tried, asked.expression), relation, false, true, feed_id => feed_id) is not null then
      return query select asked.field, 'on delete there is OLD alone', 'write OLD. before the names of columns';
    elsif not rule.operations && '{update,delete}' and rowbell.condition_error(format(tried, asked.expression), relation, true, false, feed_id => feed_id) is not null then
      return query select asked.field, 'on insert there is NEW alone', 'write NEW. before the names of columns';
    end if;
  end loop;
end
$fn$;

-- All that is wrong with a rule; no rows where it is right. Of one that is not enabled only what no later change can put right. feed_id: of the feed whose
-- role judges the rule, where it is to have all rights that the condition takes.
create or replace function rowbell.validate_rule(rule rowbell.rule, feed_id int default 0) returns table (field text, problem text, hint text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
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
  if rule.cooldown is null or rule.cooldown < interval '0' then
    return query select 'cooldown', 'give a duration that is not negative', '';
  end if;
  if rule.enabled is null or rule.resolved is null or rule.existing is null then
    return query select case when rule.enabled is null then 'enabled' when rule.resolved is null then 'resolved' else 'existing' end,
      'give true or false', '';
  end if;
  if rule."for" is null then
    if rule.since is not null or not rule.existing then
      return query select case when rule.existing then 'since' else 'existing' end, 'is about rows that a rule with "for" finds when it is made',
        'give a duration as for: 30m, or leave it out';
    end if;
  else
    if rule."for" <= interval '0' or rule."for" > interval '100 years' then
      return query select 'for', 'give a duration above 0 and of at most 100 years', '';
    elsif least(extract(year from rule."for"), extract(month from rule."for"), extract(day from rule."for"), extract(hour from rule."for"),
        extract(minute from rule."for"), extract(second from rule."for")) < 0 then
      -- how long a month less 29 days is depends on the month
      return query select 'for', 'give a duration without negative parts', '';
    end if;
    if rule.fires <> 'once' then
      return query select 'fires', 'a rule with "for" fires once the condition has held for so long', 'leave fires out';
    end if;
    if rule.delivery = 'notify' then
      return query select 'delivery', 'a rule with "for" is durable: there is no writer that could notify when it is due', 'leave delivery out';
    end if;
    if not (rule.operations @> '{insert,update}') then
      return query select 'operations', 'a rule with "for" has to see each write', 'leave operations out';
    end if;
    if rule.since is not null and not rule.existing then
      return query select 'since', 'is about existing rows, and existing is false', 'leave one of them out';
    end if;
  end if;
  if rule.query is not null then
    return query select q.* from rowbell.validate_query(rule) q;
    return;
  end if;
  return query select w.* from rowbell.validate_window(rule) w;
  return query select a.* from rowbell.validate_absent(rule) a;
  return query
  select f.name, 'goes with a query, and the rule has none', ''
  from (values ('key', rule.key <> '{}'), ('every', rule.every is not null), ('cron', rule.cron is not null), ('zone', rule.zone is not null),
    ('max_rows', rule.max_rows <> 1000)) f (name, given)
  where f.given;
  if rule.condition is null then
    return query select 'condition', 'has no condition', '';
  end if;
  if rule.feed is null then
    return query select 'feed', 'has no feed', 'write it as schema.table';
    return;
  end if;
  if rule.enabled is not true then
    return;
  end if;

  relation := rowbell.find_feed(rule.feed);
  if relation is null then
    select string_agg(n, ', ' order by n) into wrong from rowbell.feeds_named(rule.feed) o, rowbell.sql_name(o) n;
    if wrong is null then
      return query select 'feed', format('there is no table %s', rule.feed), 'write it as schema.table';
    else
      return query select 'feed', format('%s may be each of %s', rule.feed, wrong), 'write schema and name as one of them';
    end if;
    return;
  end if;
  select c.relkind, c.relpersistence into kind, persistence from pg_class c where c.oid = relation;
  if kind not in ('r', 'p') then
    return query select 'feed', format('%s is no table', rule.feed), 'a view or a foreign table cannot be watched; name the table behind it';
    return;
  elsif persistence = 't' then
    return query select 'feed', format('%s is a temporary table', rule.feed), '';
    return;
  elsif rowbell.shown_name(relation) ~ '^(rowbell|rowbell_alert|pg_catalog|information_schema|pg_toast)\.' then
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

  if rule.condition is null then
    return;
  elsif feed_id = 0 then
    perform rowbell.let_check(relation);
  end if;
  error := rowbell.condition_error(rule.condition, relation, true, true, feed_id => feed_id);
  if error is not null then
    return query select 'condition', error[1], error[2];
    return;
  end if;
  wrong := rowbell.compared_without_equality(rule.condition, relation, feed_id);
  if wrong is not null then
    return query select 'condition', 'compares columns of types without equality: ' || wrong,
      'compare them as text: NEW::text is distinct from OLD::text, or the same of a column';
  end if;
  -- PostgreSQL 18 works these out when they are read, and has nothing for them in what a trigger sees
  select string_agg(format('%I', a.attname), ', ') filter (where a.attgenerated <> 'v') into wrong
  from pg_attribute a
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
  having bool_or(a.attgenerated = 'v');
  if wrong is not null and rowbell.condition_error(rule.condition, relation, true, true, wrong, feed_id) is not null then
    return query select 'condition', 'uses a virtual generated column, which a trigger sees as NULL',
      'write its expression instead, or have it stored';
  end if;
  if rowbell.condition_error(rule.condition, relation, true, false, feed_id => feed_id) is not null then
    -- one that counts ends when it has fallen below, and one with "absent" at the next write
    if rule.resolved and coalesce(rule.within, rule.absent) is null then
      return query select 'resolved', 'the condition compares with OLD, so it never ends', 'a condition over NEW alone has an end';
    end if;
  end if;
  if rule.operations = '{delete}' and not rule.resolved
      and rowbell.condition_error(rule.condition, relation, false, true, feed_id => feed_id) is not null then
    return query select 'condition', 'on delete there is OLD alone', 'write OLD. before the names of columns';
  elsif rule.operations = '{delete}' and rule.absent is not null
      and rowbell.condition_error(rule.condition, relation, true, false, feed_id => feed_id) is null then
    return query select 'condition', 'on delete there is OLD alone, so no delete meets it', 'name OLD, as OLD.id is not null';
  end if;
  if coalesce(rule.within, rule.absent) is not null then
    return query select w.* from rowbell.validate_counted(rule, relation, feed_id) w;
    if rule.groups is not null and cardinality(rule."by") > 0 then
      error := rowbell.groups_error(rule, relation);
      -- a right that the role of queries lacks is told when the query runs
      if error[4] <> '42501' then
        return query select error[1], error[2], error[3];
      end if;
    end if;
    return;
  end if;
  if rule."for" is null then
    return;
  end if;
  if rowbell.condition_error(rule.condition, relation, true, false, feed_id => feed_id) is not null then
    return query select 'condition', 'compares with OLD, so it does not hold for any time', 'with "for" write a condition over NEW alone';
    return;
  elsif cardinality(rowbell.key_of(relation)) = 0 then
    return query select 'for', format('%s has no primary key, by which a row is found again', rule.feed), 'give the table one';
  end if;
  if rule.since is not null then
    error := coalesce(rowbell.condition_error(format(E'(%s\n) is not null', rule.since), relation, true, false, feed_id => feed_id),
      rowbell.condition_error(format(E'array[%s\n] is not null', rule.since), relation, true, false, feed_id => feed_id),
      rowbell.condition_error(format(E'pg_catalog.date_trunc(''second'', %s\n, ''UTC'') is not null', rule.since), relation, true, false, feed_id => feed_id));
    if error[1] like 'function pg_catalog.date_trunc(%' then
      error := array[format('is no point in time, but %s', (regexp_match(error[1], '\(unknown, (.*), unknown\)'))[1]), ''];
    end if;
    if error is not null then
      return query select 'since', error[1], coalesce(nullif(error[2], ''), 'name a column with a time, as NEW.placed_at');
      return;
    end if;
  end if;
  error := rowbell.condition_error(rowbell.reads_of(rule), relation, true, false, feed_id => feed_id);
  if error is not null then
    return query select 'for', error[1], error[2];
  end if;
end
$fn$;

-- What is wrong with a rule, given as JSON with the columns of rowbell.rule; no rows where it is right. Changes nothing.
create or replace function rowbell.check_rule(rule json) returns table (field text, problem text, hint text)
language sql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
  select p.* from rowbell.validate_rule(rowbell.rule_of(rule)) p
$fn$;
