-- From a rule to SQL: when it fires and when it has ended.

drop function if exists rowbell.changed_sql(oid, text[], boolean);

-- The settings that documents of a table depend on; null where it has a column of a type that is not on this list. No function of a stranger makes the
-- JSON of these types (json.c of PostgreSQL asks for casts of types outside of pg_catalog alone), and no other setting changes it.
create or replace function rowbell.document_settings(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when bool_and(known.type is not null) then coalesce(array_agg(distinct known.setting) filter (where known.setting <> ''), '{}') end
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join (
    select type, ''
    from unnest('{bool,"char",name,text,varchar,bpchar,int2,int4,int8,numeric,oid,uuid,json,jsonb,date,time,timestamp,inet,cidr,macaddr,bit,varbit}'::text[]) type
    union all
    values ('timestamptz', 'TimeZone=UTC'), ('float4', 'extra_float_digits=1'), ('float8', 'extra_float_digits=1'), ('bytea', 'bytea_output=hex'),
      ('interval', 'IntervalStyle=postgres')) known (type, setting)
    on t.typnamespace = 'pg_catalog'::regnamespace and (t.typname = known.type or t.typname = '_' || known.type)
  where a.attrelid in (select t.relid from rowbell.tables_of(relation) t) and a.attnum > 0 and not a.attisdropped
$fn$;

-- A condition that no setting and no search_path can change, with its operators written with their schema; null for any other. It consists of comparisons
-- of columns with numbers, plain text, true and false, or columns of the same kind, joined by and, or, not, is null. The list is short on purpose: ADR 0004.
-- PostgreSQL has accepted the condition before, so that its syntax need not be checked here. as_old: the same condition about the row as it was.
create or replace function rowbell.plain_condition(condition text, relation oid, as_old boolean default false) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  token_pattern constant text := $re$\s+|(?:new|old)\s*\.\s*(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")|-?\d+(?:\.\d+)?(?![\w.])|'(?:[^'\\]|'')*'|[<>!]=|<>|[<>=]|[()]|\m(?:and|or|not|true|false|is(?:\s+not)?\s+(?:null|true|false))\M$re$;
  token text;
  kind text;
  kinds text := '';
  sql text := '';
begin
  if regexp_replace(condition, token_pattern, '', 'gi') <> '' then
    return null;
  end if;
  for token in select m[1] from regexp_matches(condition, '(' || token_pattern || ')', 'gi') m loop
    kind := case
      when token ~ '^\s' then ' '
      when token ~* '^(new|old)\s*\.' then coalesce((
        select case
            when t.typname in ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8') then 'N'
            when t.typname in ('text', 'varchar') then 'T'
            when t.typname = 'bool' then 'B'
          end
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid and t.typnamespace = 'pg_catalog'::regnamespace
        where a.attrelid = relation and a.attname = (parse_ident(regexp_replace(token, '^\w+\s*\.\s*', '')))[1] and not a.attisdropped
          and a.attgenerated <> 'v'), '?')
      when token ~ '^-?\d' then 'n'
      when token ~ '^''' then 't'
      when token ~* '^(true|false)$' then 'b'
      when token ~ '^[<>=!]' then 'o'
      when token ~* '^is' then 'i'
      when token ~* '^not$' then '!'
      when token ~* '^(and|or)$' then '&'
      else token
    end;
    if as_old and kind in ('N', 'T', 'B') then
      token := regexp_replace(token, '^new', 'old', 'i');
    end if;
    kinds := kinds || replace(kind, ' ', '');
    sql := sql || case kind
      -- a number in parentheses is a constant with its sign; without them the minus is an operator
      when 'n' then '(' || token || ')'
      when 'o' then case when sql ~ '[a-z0-9_"]$' then ' ' else '' end || format('operator(pg_catalog.%s)', replace(token, '!=', '<>'))
      else case when kind in ('N', 'T', 'B') then lower(left(token, 3)) || substr(token, 4) else token end
    end;
  end loop;
  -- comparisons of one kind; then a column is an operand of "is" or a boolean by itself
  kinds := regexp_replace(regexp_replace(kinds, '[Nn]o[Nn]|[Tt]o[Tt]|[Bb]o[Bb]', 'C', 'g'), '[NTB]i|Ci|B|b', 'C', 'g');
  return case when kinds ~ '^[C!&()]+$' and kinds !~ 'CC|C\(|\)C' then '(' || sql || ')' end;
end
$fn$;

-- A condition that casts a whole row, as NEW::public.orders, of a table with a column named new or old: PostgreSQL would cast the column. Any other condition
-- stays as it is.
create or replace function rowbell.rows_by_name(condition text, relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case
    when condition !~* '\m(new|old)\M' or not exists (
      select from pg_attribute a where a.attrelid = relation and a.attname in ('new', 'old') and not a.attisdropped) then condition
    else (
      select string_agg(case when m[2] is not null then format('(%s.*)', lower(m[2])) else m[1] end, '' order by place)
      -- the row before a cast; what may hold its name: texts, quoted names, comments and longer names; and any other character
      from regexp_matches(condition, $re$((new|old)(?=\s*::|\s+as\s)|e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*\$\3\$|--[^\n\r]*|/\*(?:[^*]|\*(?!/))*\*/|[[:alpha:]_][\w$]*(?:\s*\.\s*(?:[\w$]+|"(?:[^"]|"")*"|\*))*|.)$re$, 'gi')
        with ordinality as tokens (m, place))
  end
$fn$;

-- A condition, in parentheses, over rows that have the columns of the feed in its order, where those of a child stand in another: a cast of a whole row takes
-- columns by their places.
create or replace function rowbell.rows_in_order(condition text, relation oid, compares boolean) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when (select count(distinct rowbell.columns_of(t.relid)) from rowbell.tables_of(relation) t) <= 1 then condition
    else format('(select %s from (select %s) as new%s)', condition, rowbell.columns_sql(rowbell.columns_of(relation), 'new'),
      case when compares then format(', (select %s) as old', rowbell.columns_sql(rowbell.columns_of(relation), 'old')) end)
  end
$fn$;

-- Whether a condition compares with OLD, by its words: asked where PostgreSQL cannot be. In a text the word says nothing, where it is plain to see what is a
-- text; where there is a doubt, the condition compares.
create or replace function rowbell.may_compare(condition text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
  select case when condition ~ '[\\$"]|--|/[*]' then condition else regexp_replace(condition, $re$'[^']*'$re$, '', 'g') end ~* '\mold\M'
$fn$;

-- Whether one of the columns changed, as SQL. Types without an equality, as json, are compared as text, and so
-- are shapes: a box equals another of its area. plain: of types whose operators PostgreSQL owns.
create or replace function rowbell.changed_sql(feed rowbell.feed, columns text[], plain boolean) returns jsonb
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
    if rowbell.condition_error(format('NEW.%1$I is distinct from OLD.%1$I', name), feed.relation, true, true, feed_id => feed.id) is not null
        or exists (
          select from pg_attribute a
          join pg_type t on t.oid = a.atttypid
          where a.attrelid = feed.relation and a.attname = name and (t.typtype not in ('b', 'e', 'r') or t.typcategory in ('A', 'G'))) then
      as_text := '::text';
    end if;
    updated := updated || format(case when plain and as_text = ''
        -- "is distinct from" looks its operator up by the search_path
        then '((new.%1$I operator(pg_catalog.=) old.%1$I) is not true and (new.%1$I is not null or old.%1$I is not null))'
        else 'new.%1$I%2$s is distinct from old.%1$I%2$s' end, name, as_text);
    -- a composite of NULLs is one, and is not null as text
    inserted := inserted || format('new.%I%s is not null', name, as_text);
    deleted := deleted || format('old.%I%s is not null', name, as_text);
  end loop;
  return jsonb_build_object(
    'INSERT', array_to_string(inserted, ' or '),
    'UPDATE', array_to_string(updated, ' or '),
    'DELETE', array_to_string(deleted, ' or '));
end
$fn$;

-- When the rules of a feed fire and when they end, when their timers are armed, disarmed and moved, or when they count: one row for each operation and status. code stands for rule and status, for as long as the rule exists; condition is SQL over the rows new
-- and old; asks says which of them a look before needs, and prefilter is that look. plain: whether no setting can change any of it.
create or replace function rowbell.transitions_of(feed rowbell.feed) returns setof rowbell.transition
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with rules as (
    select r, s.id, r.name, r.fires, r.resolved, rowbell.operations_of(r) as operations, r."for" is not null as timed,
      coalesce(r.within, r.absent) is not null as counts,
      rowbell.condition_error(r.condition, feed.relation, true, false, feed_id => feed.id) is not null as compares,
      rowbell.plain_condition(r.condition, feed.relation) as plain_new,
      rowbell.plain_condition(r.condition, feed.relation, true) as plain_old,
      -- a comment ends with its line
      '(' || rowbell.rows_by_name(r.condition, feed.relation) || case when strpos(r.condition, '--') > 0 then E'\n' else '' end || ')' as given
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = feed.name and r.enabled and s.broken is null),
  -- asked once, and not for each rule
  plainness (all_plain) as materialized (
    select bool_and(plain_new is not null and rowbell.counts_plainly(r)) and rowbell.document_settings(feed.relation) is not null
      -- these are compared as text
      and not exists (
        select from rules
        join pg_attribute a on rules.fires = 'changed' and a.attrelid = feed.relation and a.attname = any ((rules.r).columns)
        join pg_type t on t.oid = a.atttypid
        where t.typname = 'json' or t.typcategory = 'A')
    from rules),
  phrased as (
    select rules.*, all_plain,
      case when all_plain then plain_new else written end as met,
      case when all_plain then plain_old else '(select ' || written || ' is true from (select old.*) as new)' end as met_before,
      case when fires = 'changed' then rowbell.changed_sql(feed, (r).columns, all_plain) end as changed
    from rules
    cross join plainness
    cross join rowbell.rows_in_order(rules.given, feed.relation, rules.compares) as written),
  statuses as (
    select p.*, o.operation, s.status,
      case case when s.status in ('armed', 'counted') then 'firing' else s.status end
        -- on delete there is OLD alone
        when 'firing' then case when o.operation <> 'DELETE' or compares then
          met
          || case when fires = 'changed' then ' and (' || (changed ->> o.operation) || ')' else '' end
          -- for "absent" each write that meets the condition is one
          || case when fires = 'once' and (r).absent is null and o.operation = 'UPDATE' and not compares then ' and ' || met_before || ' is not true' else '' end end
        when 'moved' then case when o.operation = 'UPDATE' then
          -- as text: equal values may be written in two ways, and the key of a timer is text
          met || ' and ' || met_before || ' and (' || (
            select string_agg(format('new.%1$I::pg_catalog.text operator(pg_catalog.<>) old.%1$I::pg_catalog.text collate pg_catalog."C"', k), ' or ')
            from unnest(rowbell.key_of(feed.relation)) k) || ')' end
        else case when (resolved or timed) and o.operation <> 'INSERT' then
          met_before || case when o.operation = 'UPDATE' then ' and ' || met || ' is not true' else '' end end
      end as condition
    from phrased p
    cross join unnest(array['INSERT', 'UPDATE', 'DELETE']) with ordinality as o (operation, place)
    cross join unnest(case when timed then '{armed,disarmed,moved}'::text[] when counts then '{counted}' else '{firing,resolved}' end) as s (status)
    where lower(o.operation) = any (p.operations))
  -- the code of a rule that counts is one that no alert has
  select case when s.status = 'counted' then 1000000000 + s.id when s.status in ('firing', 'armed') then 2 * s.id - 1 when s.status = 'moved' then -s.id else 2 * s.id end, s.operation, s.r, s.status,
    case when s.status in ('resolved', 'disarmed') then 'old'
      when s.compares or rowbell.counted_reads(s.r) ~* '\mold\M' then 'both' else 'new' end,
    case when s.status in ('resolved', 'disarmed') then s.met_before else s.met end,
    s.condition, s.all_plain
  from statuses s
  where s.condition is not null
  order by s.name collate "C", s.status
$fn$;

-- Whether the trigger function of a feed may call code of a stranger. A stranger is each role but superusers, the owner of the table and the owner of this schema:
-- these get code run in the session of a writer anyway. Such code comes by the types of columns, and by what conditions name, which is known by its name: nothing
-- outside of pg_catalog is found without its schema. True where there is a doubt. What a function calls in turn is up to its owner.
create or replace function rowbell.may_call_strangers(feed rowbell.feed, transitions rowbell.transition[]) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  written constant text := (
    select string_agg(concat_ws(' ', (t.rule).condition, (t.rule).sum, array_to_string((t.rule).by, ' ')), ' ') from unnest(transitions) t);
  trusted oid[] := array(
    select r.oid from pg_roles r where r.rolsuper
    union select c.relowner from pg_class c where c.oid = feed.relation
    union select n.nspowner from pg_namespace n where n.nspname = 'rowbell');
  schemas constant oid[] := array(
    select n.oid from pg_namespace n where n.nspname <> 'pg_catalog' and rowbell.may_name(written, n.nspname));
  functions oid[] := '{}';
  operators oid[] := '{}';
  types oid[];
begin
  if (select bool_and(t.plain) from unnest(transitions) t) then
    return false;
  end if;
  -- its only member is the owner of the database
  trusted := trusted || array(
    select r.oid from pg_roles r join pg_database d on d.datname = current_database() and d.datdba = any (trusted) where r.rolname = 'pg_database_owner');
  -- names may be written by the numbers of their characters; and where strangers may make functions, one of theirs may be called instead
  if written ~* 'u&' or exists (
      select from pg_namespace n
      cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
      where n.oid = any (schemas) and (n.nspowner <> all (trusted) or a.privilege_type = 'CREATE' and a.grantee <> all (trusted))) then
    return true;
  end if;
  types := array(
    select distinct a.atttypid from pg_attribute a
    where a.attrelid in (select t.relid from rowbell.tables_of(feed.relation) t) and a.attnum > 0 and not a.attisdropped);
  if schemas <> '{}' then
    functions := array(select p.oid from pg_proc p where p.pronamespace = any (schemas) and rowbell.may_name(written, p.proname));
    operators := array(select o.oid from pg_operator o where o.oprnamespace = any (schemas) and rowbell.may_name(written, o.oprname));
    types := types || array(
      -- those of tables and views too
      select y.oid from pg_type y where y.typnamespace = any (schemas) and rowbell.may_name(written, y.typname)
      union all
      select unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]) || p.prorettype) from pg_proc p where p.oid = any (functions)
      union all
      select unnest(array[o.oprleft, o.oprright, o.oprresult]) from pg_operator o where o.oid = any (operators));
  end if;
  -- with the types that these consist of
  types := array(
    with recursive parts (id) as (
      select unnest(types)
      union
      select d.id
      from parts p
      cross join lateral (
        select d.refobjid as id from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = p.id and d.refclassid = 'pg_type'::regclass
        union all
        select a.atttypid from pg_type y join pg_attribute a on a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped where y.oid = p.id) d)
    select p.id from parts p);
  return exists (select from pg_type y where y.oid = any (types) and y.typowner <> all (trusted))
    or exists (
      select from pg_cast c join pg_proc p on p.oid = c.castfunc
      where p.proowner <> all (trusted) and (c.castsource = any (types) or c.casttarget = any (types)))
    or exists (
      select from pg_proc p
      where p.proowner <> all (trusted) and (p.oid = any (functions) or p.oid in (select o.oprcode from pg_operator o where o.oid = any (operators))))
    or exists (select from pg_operator o where o.oid = any (operators) and o.oprowner <> all (trusted))
    -- views and policies call functions of any owner
    or exists (
      select from pg_type y join pg_class c on c.oid = y.typrelid
      where y.oid = any (types) and c.oid <> feed.relation and (c.relkind in ('v', 'f') or c.relrowsecurity));
end
$fn$;
