-- From the rules of a feed to its functions: the trigger function on_statement_N or on_row_N, which judges as the role of the feed, and raise_N and again_N
-- of the schema rowbell_alert, which it calls. Two parts are generated, conditions and documents; all else is the text of the templates below.
-- docs/trigger.md shows the result line by line.

drop function if exists rowbell.on_statement_sql(rowbell.feed, rowbell.transition[]);
drop function if exists rowbell.on_row_sql(rowbell.feed, rowbell.transition[], text[]);

-- The rows new and old of a statement. PostgreSQL adds OLD and NEW of each change to both transition tables at the same time, so the n-th belong
-- together: without a key, with a changed key, and where one upsert inserts some rows and updates others. table_name: for conditions that can tell a row that
-- is NULL from a row of NULLs, as the other row of an insert or a delete is; null for others.
drop function if exists rowbell.rows_sql(text, boolean);
create or replace function rowbell.rows_sql(operation text, with_both boolean, table_name text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case operation
    when 'INSERT' then 'new_rows as new' || case when with_both then
      coalesce(' cross join (select (null::' || table_name || ').* offset 0) as old', ' left join new_rows as old on false') else '' end
    when 'DELETE' then 'old_rows as old' || case when with_both then
      coalesce(' cross join (select (null::' || table_name || ').* offset 0) as new', ' left join old_rows as new on false') else '' end
    -- Selected rows, because the rows of a transition table still have the places of dropped columns (seen with 15 and 18). A cast keeps a row whole that
    -- a select list takes apart, also where a column is named _n.
    else $rows$(
          select _new.r as new_row, _old.r as old_row
          from (select pg_catalog.row_number() over () as n, (_n.*)::pg_catalog.record as r from (select * from new_rows) as _n) as _new
          join (select pg_catalog.row_number() over () as n, (_o.*)::pg_catalog.record as r from (select * from old_rows) as _o) as _old
            on _old.n operator(pg_catalog.=) _new.n
          order by _new.n) as _pair
        cross join lateral (select (_pair.new_row).*) as new
        cross join lateral (select (_pair.old_row).*) as old$rows$
  end
$fn$;

-- Conditions joined by or, as one. Within case where a condition is not plain: PostgreSQL tries the cheapest part of a where first, so that a condition which
-- guards itself, as public.is_number(NEW.note) and NEW.note::int > 5, would fail.
create or replace function rowbell.any_sql(conditions text[], plain boolean) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case
    when plain then array_to_string(conditions, E'\n      or ')
    when cardinality(conditions) > 0 then 'case when ' || array_to_string(conditions, E'\n      or ') || ' then true end'
  end
$fn$;

-- What the trigger function works out of a change for a rule that counts, as SQL over the rows new and old: the group as text, the amount to be summed up,
-- and the key of the row as text, each null where there is none.
create or replace function rowbell.counted_sql(feed rowbell.feed, transition rowbell.transition) returns table (subject text, amount text, key text)
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with written as (
    select w.place, w.name, w.n, case when transition.plain or w.place = 'key' then w.expression
      -- a comment ends with its line
      else rowbell.rows_in_order(format(case when strpos(w.expression, '--') > 0 then E'(%s\n)' else '(%s)' end, rowbell.rows_by_name(w.expression, feed.relation)),
        feed.relation, true) end as sql
    from (
      select 'group' as place, g.* from rowbell.group_columns((transition.rule).by) g
      union all
      select 'amount', null, (transition.rule).sum, null where (transition.rule).sum is not null
      union all
      select 'key', k, format('%s.%I', case when transition.operation = 'DELETE' then 'old' else 'new' end, k), n
      from unnest(rowbell.key_of(feed.relation)) with ordinality as u (k, n)
      where (transition.rule).absent is null) w),
  documents as (
    select w.place, format('pg_catalog.concat(%s, ''}'')', string_agg(format('%L, coalesce(pg_catalog.to_json(%s)::pg_catalog.text, ''null'')',
      case when w.n = 1 then '{' else ',' end || to_json(w.name) || ':', w.sql), ', ' order by w.n)) as sql
    from written w
    where w.place <> 'amount'
    group by w.place)
  select coalesce((select d.sql from documents d where d.place = 'group'), '''{}''::pg_catalog.text'),
    (select w.sql || '::pg_catalog.numeric' from written w where w.place = 'amount'),
    (select d.sql from documents d where d.place = 'key')
$fn$;

-- Whether a column of a feed is of a type whose values are equal where their texts are, so that it can be grouped by before it is made text.
create or replace function rowbell.groups_as_text(relation oid, column_name text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (
    select from pg_attribute a
    where a.attrelid = relation and a.attname = column_name and not a.attisdropped
      and (a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'bool'::regtype, 'uuid'::regtype, 'date'::regtype, 'timestamptz'::regtype)
        or a.atttypid in ('text'::regtype, 'varchar'::regtype) and a.attcollation = '"default"'::regcollation))
$fn$;

-- What a statement adds to the groups of a rule, as a query: a row for each group. What is made text is made so of groups and of ten keys, and not of each row,
-- where that is the same.
create or replace function rowbell.count_statement_sql(feed rowbell.feed, transition rowbell.transition) returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with groups as (
    select string_agg(format('%s as g%s', g.expression, g.n), ', ' order by g.n) as selected, string_agg('counted.g' || g.n, ', ' order by g.n) as grouped,
      format('pg_catalog.concat(%s, ''}'')', string_agg(format('%L, coalesce(pg_catalog.to_json(counted.g%s)::pg_catalog.text, ''null'')',
        case when g.n = 1 then '{' else ',' end || to_json(g.name) || ':', g.n), ', ' order by g.n)) as subject
    from rowbell.group_columns((transition.rule).by) g
    having transition.plain and count(*) > 0
      and bool_and(case when transition.plain then rowbell.groups_as_text(feed.relation, (parse_ident(g.expression))[2]) end)),
  key as (
    select k[1] as name from rowbell.key_of(feed.relation) k where cardinality(k) = 1 and (transition.rule).absent is null and rowbell.groups_as_text(feed.relation, k[1]))
  select rowbell.fill($part$
        select {{code}} as code, {{counted_subject}} as subject, pg_catalog.json_build_object('count', pg_catalog.count(*){{sum}}{{keys}}) as added
        from (
          select {{subject}}{{amount}}{{key}}
          from {{rows}}
          where {{condition}}
          offset 0) as counted
        group by {{grouped}}$part$, jsonb_build_object(
    'code', transition.code,
    'subject', coalesce(g.selected, c.subject || ' as subject'),
    'counted_subject', coalesce(g.subject, 'counted.subject'),
    'grouped', coalesce(g.grouped, 'counted.subject'),
    'amount', ', ' || c.amount || ' as amount',
    'key', case when k.name is not null then format(', %s.%I as key', case when transition.operation = 'DELETE' then 'old' else 'new' end, k.name)
      else ', ' || c.key || ' as key' end,
    -- of numbers: NaN and infinity would hide all others
    'sum', case when c.amount is not null then $part$, 'sum', pg_catalog.sum(counted.amount)
            filter (where counted.amount operator(pg_catalog.-) counted.amount operator(pg_catalog.=) 0)$part$ end,
    'keys', case
      when k.name is not null then format($part$,
          'keys', array(select pg_catalog.concat(%L, pg_catalog.to_json(k), '}') from pg_catalog.unnest((pg_catalog.array_agg(counted.key))[1:10]) as k)$part$,
        '{' || to_json(k.name) || ':')
      when c.key is not null then ', ''keys'', (pg_catalog.array_agg(counted.key))[1:10]' end,
    -- nothing to pair where OLD is not asked for
    'rows', case when transition.asks = 'new' and ((transition.rule).fires = 'every' or (transition.rule).absent is not null) then 'new_rows as new'
      else rowbell.rows_sql(transition.operation, transition.asks = 'both', case when not transition.plain then rowbell.sql_name(feed.relation) end) end,
    'condition', rowbell.any_sql(array[transition.condition], transition.plain)))
  from rowbell.counted_sql(feed, transition) c
  left join groups g on true
  left join key k on true
$fn$;

-- The same of one row: the group, and what is added to it. Not called for null: most rules do not count.
create or replace function rowbell.count_row_sql(feed rowbell.feed, transition rowbell.transition) returns table (subject text, added text)
language sql strict
set search_path = pg_catalog, pg_temp
as $fn$
  select c.subject || '::pg_catalog.json', format('pg_catalog.json_build_object(''count'', 1%s%s)', ', ''sum'', ' || c.amount, ', ''keys'', array[' || c.key || ']')
  from rowbell.counted_sql(feed, transition) c
$fn$;

-- What a statement that writes one row adds to the group of a rule, up to the else for one that wrote more. Null where the rows need more than that.
create or replace function rowbell.count_of_one_sql(feed rowbell.feed, transition rowbell.transition) returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select format($part$
      perform from new_rows offset 1 limit 1;
      if not found then
        select array[%s] as codes, array[%s] as olds, array[%s] as news,
          null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from %s where %s;
      else$part$, transition.code, c.added, c.subject,
    case when transition.operation = 'UPDATE' then 'new_rows as new cross join old_rows as old' else 'new_rows as new' end,
    rowbell.any_sql(array[transition.condition], false))
  from rowbell.count_row_sql(feed, transition) c
  where transition.status = 'counted' and transition.asks = 'new'
$fn$;

-- The codes that one change meets, as SQL for an array without NULL: of one code, its element is NULL where it is not met.
create or replace function rowbell.codes_sql(codes text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format(case when cardinality(codes) = 1 then 'array[%s]' else E'pg_catalog.array_remove(array[\n        %s], null)' end,
    array_to_string(codes, E',\n        '))
$fn$;

-- The partition or child that a row is in after an operation, as SQL over the row new, or old where it was deleted: of a partitioned table by the bounds of its
-- partitions; of a table with children by the key of the row, where all have the key and the role of the feed may see all rows. Null where that does not tell.
-- PostgreSQL writes the bounds by these settings.
drop function if exists rowbell.partition_sql(oid, text);
create or replace function rowbell.partition_sql(feed rowbell.feed, operation text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set DateStyle = 'ISO, MDY'
set IntervalStyle = 'postgres'
set TimeZone = 'UTC'
set bytea_output = 'hex'
set extra_float_digits = 1
set quote_all_identifiers = off
as $fn$
declare
  relation constant oid := feed.relation;
  row_name constant text := case operation when 'DELETE' then 'old' else 'new' end;
  key constant text[] := rowbell.key_of(relation);
  parent record;
  found_by text;
begin
  if (select c.relkind = 'p' from pg_class c where c.oid = relation) then
    select format('(select case%s end from (select %s.*) as _row)',
      string_agg(format(' when %s then %L', pg_get_partition_constraintdef(t.relid), rowbell.shown_name(t.relid)), '' order by t.relid), row_name)
    into found_by
    from rowbell.tables_of(relation) t
    join pg_class c on c.oid = t.relid
    where c.relkind = 'r' and pg_get_partition_constraintdef(t.relid) is not null
    -- there may be none yet, or a default one alone
    having count(*) > 0;
    -- bounds of hash partitions name tables by number, which is another one after a dump and restore
    for parent in select t.relid from rowbell.tables_of(relation) t loop
      found_by := replace(found_by, format('%L::oid', parent.relid::text), format('%L::regclass', rowbell.sql_name(parent.relid)));
    end loop;
    return found_by;
  -- a row that was inserted is in the table of the statement, and one that was deleted in none: what is found by its key is another row
  elsif operation = 'UPDATE' and cardinality(key) > 0 and exists (select from pg_inherits i where i.inhparent = relation)
      -- without the index, the writer would wait while all rows are read
      and not exists (select from rowbell.tables_of(relation) t where not (rowbell.key_of(t.relid) @> key and rowbell.key_of(t.relid) <@ key))
      and rowbell.may_look_up(feed) then
    -- keys are unique in each of the tables alone: where two have it, the row cannot be told
    return format(
      '(select case when count(*) = 1 then nullif(min(n.nspname || ''.'' || c.relname), %L) end from %s _f'
        ' join pg_class c on c.oid = _f.tableoid join pg_namespace n on n.oid = c.relnamespace where %s)',
      rowbell.shown_name(relation), rowbell.sql_name(relation), rowbell.same_key_sql(relation, '_f', row_name));
  end if;
  return null;
end
$fn$;

-- Whether what judges a feed may look up rows of it by their key, and no policy hides any.
create or replace function rowbell.may_look_up(feed rowbell.feed) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select not c.relrowsecurity and has_schema_privilege(e, c.relnamespace, 'usage')
    and not exists (select from unnest(rowbell.key_of(c.oid) || 'tableoid'::text) k where not has_column_privilege(e, c.oid, k, 'select'))
  from pg_class c
  cross join rowbell.evaluator_of(feed.id) e
  where c.oid = feed.relation
$fn$;

-- The parts of a trigger function that plain conditions do without, because they call no function: in the handler, for errors that a function names
-- query_canceled; and before the conditions, for a writer with other names of time zones. PostgreSQL reads a file when that setting is set, 100 us at each
-- call (PostgreSQL 15), so it is asked here and set by judge_each alone.
create or replace function rowbell.unless_plain_sql(plain boolean) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when not plain then jsonb_build_object(
    'zones', $part$
    if pg_catalog.current_setting('timezone_abbreviations') operator(pg_catalog.<>) 'Default' then
      raise exception 'the writer has other names of time zones';
    end if;$part$,
    'canceled', ' or query_canceled',
    'declare_context', E'\n  context pg_catalog.text;',
    'unless_real', $part$
    get stacked diagnostics context = pg_exception_context;
    if rowbell_alert.is_cancel(sqlstate, context) then
      raise;
    end if;$part$) else '{}' end
$fn$;

-- The parts of a trigger function that judges behind a fence: the block that evaluates always ends with an error of its own, so that PostgreSQL undoes all that
-- code of a stranger did in it: settings of the session, temporary tables, rows, drops, and events of deferred triggers, which would run as the writer. Variables keep what
-- was found. met: null until all is judged; then whether there is anything to store. So an error of a stranger's that looks like that of the fence is a failure.
create or replace function rowbell.fence_sql(fenced boolean) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when fenced then jsonb_build_object(
    'declare_met', E'\n  met pg_catalog.bool;',
    'fence', E'\n  -- each way out of this block undoes what was called in it; variables stay\n  <<fence>>',
    'nothing', 'met := false; raise sqlstate ''RB004'';',
    'undo', E'\n    met := true; raise sqlstate ''RB004'';',
    'undo_again', E'\n      met := true; raise sqlstate ''RB004'';',
    'unless_undone', E'\n    exit fence when met is not null and sqlstate operator(pg_catalog.=) ''RB004'';',
    'unless_undone_again', E'\n      exit fence when met is not null and sqlstate operator(pg_catalog.=) ''RB004'';',
    'unless_met', E'\n  if not met then\n    return null;\n  end if;')
  else '{"nothing": "return null;"}' end
$fn$;

-- The format of the warning of a trigger function that could raise nothing, as a literal that no setting of the writer changes.
create or replace function rowbell.warning_sql(feed_name text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select quote_literal(format('rowbell: the rules of %s were not judged: %%', replace(feed_name, '%', '%%')))
$fn$;

-- The parts of a trigger function of a feed whose moves are noted. Where MERGE has moved rows, each row is judged by itself, with the moves.
create or replace function rowbell.moves_parts_sql(feed rowbell.feed) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when rowbell.notes_moves(feed) then jsonb_build_object(
    'declare_moves', $part$
  outer_mark pg_catalog.text;
  moves pg_catalog.text[];$part$,
    'moves', rowbell.fill($part$
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    outer_mark := pg_catalog.current_setting('rowbell.outer_' operator(pg_catalog.||) pg_catalog.pg_trigger_depth()::pg_catalog.text, true);
    if outer_mark operator(pg_catalog.<>) '' then
      outer_mark := pg_catalog.set_config('rowbell.moving', pg_catalog.substr(outer_mark, 2), true);
      outer_mark := pg_catalog.set_config('rowbell.outer_' operator(pg_catalog.||) pg_catalog.pg_trigger_depth()::pg_catalog.text, '', true);
    elsif pg_catalog.current_setting('rowbell.moving', true) operator(pg_catalog.=) '{{feed}}' then
      -- the trigger before an update by a foreign key ran one trigger deeper, and so kept the outer mark in another place
      outer_mark := pg_catalog.set_config('rowbell.moving', '', true);
    end if;
  end if;
  if pg_catalog.current_setting('rowbell.moved', true) operator(pg_catalog.<>) '' then
    begin
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        moves := rowbell_alert.moves_{{feed}}('FIRST');
        -- an update that is no MERGE hands the rows that it moves to this trigger
        perform from {{rows}}
        where {{old}} operator(pg_catalog.=) moves[1][1] and {{new}} operator(pg_catalog.=) moves[1][2];
        moves := rowbell_alert.moves_{{feed}}(case when found or moves is null then 'FORGET' else 'UPDATE' end);
      else
        moves := rowbell_alert.moves_{{feed}}(tg_op);
      end if;
    exception when others or assert_failure then
      raise warning {{warning}}, sqlerrm;
    end;
  end if;$part$, jsonb_build_object('feed', feed.id, 'rows', rowbell.rows_sql('UPDATE', true, null), 'old', rowbell.row_text_sql(feed.relation, 'old'),
      'new', rowbell.row_text_sql(feed.relation, 'new'), 'warning', rowbell.warning_sql(feed.name))),
    'moved', $part$
    if moves is not null then
      raise exception 'MERGE has moved rows to other partitions';
    end if;$part$,
    'using', ' using moves') else '{}' end
$fn$;

-- The filters of inserts and updates, where they are the same and nothing is asked of deletes: then a trigger function asks them before it asks which operation
-- it is. An upsert fires the triggers of both, and to ask is a fifth of what a rule without a hit costs it. Null otherwise. In a trigger of deletes new_rows
-- would be a table of the writer's: there is one where a rule names deletes, also if it asks nothing of them, and where one did once.
create or replace function rowbell.shared_filters(feed rowbell.feed, transitions rowbell.transition[]) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return (
    select min(o.filters)
    from (
      select array_agg(distinct t.prefilter) as filters, bool_and(t.plain and t.asks = 'new' and t.operation <> 'DELETE') as may_share
      from unnest(transitions) t
      group by t.operation) o
    having count(distinct o.filters) = 1 and bool_and(o.may_share)
      and not exists (select from rowbell.rule r where r.feed = feed.name and 'delete' = any (rowbell.operations_of(r)))
      -- bit 3 of tgtype: delete
      and not exists (
        select from pg_trigger g
        where g.tgfoid in (to_regproc(format('rowbell.on_statement_%s', feed.id)), to_regproc(format('rowbell.on_row_%s', feed.id))) and g.tgtype & 8 > 0));
end
$fn$;

-- The statement trigger function. It asks first whether any row meets any rule, in one pass; a statement without a hit costs no more. fenced: PostgreSQL undoes
-- the effects of the functions that it calls, see fence_sql().
create or replace function rowbell.on_statement_sql(feed rowbell.feed, transitions rowbell.transition[], fenced boolean) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = feed.relation);
  fence constant jsonb := rowbell.fence_sql(fenced);
  shared constant text := rowbell.any_sql(rowbell.shared_filters(feed, transitions), true);
  look constant text := E'\n    %1$sperform from new_rows as new where %2$s limit 1;\n    %1$sif not found then\n      %1$s%3$s\n    %1$send if;';
  parts text := '';
  part record;
  single boolean;
begin
  for part in
    select t.operation, bool_and(t.plain) as plain, bool_or(t.asks = 'both') as compares, bool_and(t.asks = 'new') as asks_new,
      case when not bool_and(t.plain) then rowbell.sql_name(feed.relation) end as whole_rows,
      array_agg(distinct t.prefilter) filter (where t.asks = 'new') as new_filters,
      array_agg(distinct t.prefilter) filter (where t.asks = 'old') as old_filters,
      array_agg(distinct t.prefilter) filter (where t.asks = 'both') as both_filters,
      array_agg(format('case when %s then %s end', t.condition, t.code) order by (t.rule).name collate "C", t.status) filter (where t.status <> 'counted') as codes,
      string_agg(rowbell.count_statement_sql(feed, t), E'\n        union all' order by (t.rule).name collate "C") filter (where t.status = 'counted') as counts,
      -- of one row, as most statements write, where nothing else is asked
      case when count(*) = 1 and min(t.operation) <> 'DELETE' then min(rowbell.count_of_one_sql(feed, t)) end as count_of_one
    from unnest(transitions) t
    group by t.operation
    order by t.operation desc
  loop
    single := part.operation = 'UPDATE' and not part.compares and part.counts is null;
    parts := parts || rowbell.fill($part$
    {{if}} tg_op operator(pg_catalog.=) '{{operation}}' then{{look}}{{pairs}}{{alerts}}{{counts}}$part$, fence || jsonb_build_object(
      'if', case when parts = '' then 'if' else 'elsif' end,
      'operation', part.operation,
      'look', case
        when shared is not null then null
        when part.asks_new then format(look, '  ', rowbell.any_sql(part.new_filters, part.plain), fence ->> 'nothing')
        else format(E'\n      if not (%s) then\n        %s\n      end if;', concat_ws(E'\n        or ',
          'exists (select from new_rows as new where ' || rowbell.any_sql(part.new_filters, part.plain) || ')',
          'exists (select from old_rows as old where ' || rowbell.any_sql(part.old_filters, part.plain) || ')',
          'exists (select from ' || rowbell.rows_sql(part.operation, true, part.whole_rows) || ' where ' || rowbell.any_sql(part.both_filters, part.plain) || ')'),
          fence ->> 'nothing') end,
      -- a row that moves to another partition and is refused there leaves an OLD without a NEW
      'pairs', case when partitioned and part.operation = 'UPDATE' then $part$
      if (select pg_catalog.count(*) from new_rows) operator(pg_catalog.<>) (select pg_catalog.count(*) from old_rows) then
        raise exception 'OLD and NEW are no pairs';
      end if;$part$ end,
      'alerts', case when part.codes is not null then rowbell.fill($part${{single}}
      {{indent}}select pg_catalog.array_agg(fired.code) as codes,
        {{indent}}{{olds}} as olds, {{news}} as news,
        {{indent}}{{partitions}} as partitions, null::pg_catalog.jsonb as failures
      {{indent}}into hits from {{rows}}
      {{indent}}cross join lateral pg_catalog.unnest(array[
        {{indent}}{{codes}}]) as fired (code)
      {{indent}}where fired.code is not null;{{end_single}}$part$, jsonb_build_object(
      -- Most statements write one row, whose OLD and NEW need no pairing: 30 of 150 us of CPU for an alert (PostgreSQL 15, ADR 0003). A query of its own asks
      -- that: within the next one, as not exists, it took 27,000 instead of 16,000 of 670,000 instructions (callgrind, PostgreSQL 18).
      'single', case when single then rowbell.fill($part$
      perform from new_rows offset 1 limit 1;
      if not found then
        select {{codes}} as codes,
          array[pg_catalog.row_to_json(old.*)] as olds, array[pg_catalog.row_to_json(new.*)] as news,
          {{partitions}} as partitions, null::pg_catalog.jsonb as failures
        into hits from new_rows as new cross join old_rows as old;
      else$part$, jsonb_build_object(
          'codes', rowbell.codes_sql(part.codes),
          'partitions', coalesce('array[' || rowbell.partition_sql(feed, part.operation) || ']', 'null::pg_catalog.text[]'))) end,
      'end_single', case when single then E'\n      end if;' end,
      'olds', case when part.operation = 'INSERT' then 'null::pg_catalog.json[]' else 'pg_catalog.array_agg(pg_catalog.row_to_json(old.*))' end,
      'news', case when part.operation = 'DELETE' then 'null::pg_catalog.json[]' else 'pg_catalog.array_agg(pg_catalog.row_to_json(new.*))' end,
      'partitions', coalesce('pg_catalog.array_agg(' || rowbell.partition_sql(feed, part.operation) || ')', 'null::pg_catalog.text[]'),
      'rows', rowbell.rows_sql(part.operation, part.compares, part.whole_rows),
      'indent', case when single then '  ' end,
      'codes', array_to_string(part.codes, E',\n          '))) end,
      'counts', case when part.counts is not null then rowbell.fill($part${{one_row}}
      {{indent}}select {{before}} as partitions, null::pg_catalog.jsonb as failures
      {{indent}}into hits from ({{counts}}) as counted;{{end_one_row}}$part$, jsonb_build_object(
        'counts', part.counts,
        'one_row', part.count_of_one,
        'end_one_row', case when part.count_of_one is not null then E'\n      end if;' end,
        'indent', case when part.count_of_one is not null then '  ' end,
        'before', case when part.codes is null
          then 'pg_catalog.array_agg(counted.code) as codes, pg_catalog.array_agg(counted.added) as olds, pg_catalog.array_agg(counted.subject::pg_catalog.json) as news,'
            || E'\n        null::pg_catalog.text[]'
          -- behind the alerts
          else $part$pg_catalog.array_cat(hits.codes, pg_catalog.array_agg(counted.code)) as codes,
        pg_catalog.array_cat(coalesce(hits.olds, pg_catalog.array_fill(null::pg_catalog.json, array[coalesce(pg_catalog.cardinality(hits.codes), 0)])),
          pg_catalog.array_agg(counted.added)) as olds,
        pg_catalog.array_cat(coalesce(hits.news, pg_catalog.array_fill(null::pg_catalog.json, array[coalesce(pg_catalog.cardinality(hits.codes), 0)])),
          pg_catalog.array_agg(counted.subject::pg_catalog.json)) as news,
        hits.partitions$part$ end)) end));
  end loop;
  return case when parts = '' then $body$
begin
  return null;
end
$body$ else rowbell.fill($body$
#variable_conflict use_column
declare
  hits pg_catalog.record;
  raised pg_catalog.int4;{{declare_moves}}{{declare_context}}{{declare_met}}
begin{{moves}}{{fence}}
  begin{{moved}}{{zones}}{{shared}}{{parts}}
    else
      {{nothing}}
    end if;
    if pg_catalog.has_function_privilege('rowbell_alert.raise_{{feed}}'::pg_catalog.regproc, 'execute') is not true then
      raise exception 'no right to raise alerts';
    end if;{{undo}}
  exception when others or assert_failure{{canceled}} then{{unless_undone}}{{unless_real}}
    begin
      execute rowbell_alert.again_{{feed}}(tg_op, tg_relid) into hits{{using}};{{undo_again}}
    exception when others or assert_failure then{{unless_undone_again}}
      begin
        raise warning {{warning}}, sqlerrm;
        raised := rowbell_alert.raise_{{feed}}(tg_op, tg_relid, null, null, null, null, rowbell_alert.failure(null, sqlerrm, sqlstate, null));
      exception when others or assert_failure then
        null;
      end;
      return null;
    end;
  end;{{unless_met}}
  raised := rowbell_alert.raise_{{feed}}(tg_op, tg_relid, hits.codes, hits.olds, hits.news, hits.partitions, hits.failures);
  return null;
end
$body$, fence || rowbell.unless_plain_sql((select bool_and(t.plain) from unnest(transitions) t)) || rowbell.moves_parts_sql(feed)
    || jsonb_build_object('shared', case when shared is not null then format(look, '', shared, fence ->> 'nothing') end, 'parts', parts, 'feed', feed.id, 'warning', rowbell.warning_sql(feed.name))) end;
end
$fn$;

-- The row trigger function: the same for one row, without a query. settings: those that the function sets.
create or replace function rowbell.on_row_sql(feed rowbell.feed, transitions rowbell.transition[], settings text[], fenced boolean) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  fence constant jsonb := rowbell.fence_sql(fenced);
  shared constant text := rowbell.any_sql(rowbell.shared_filters(feed, transitions), true);
  look constant text := E'\n    %1$sif (%2$s) is not true then\n      %1$s%3$s\n    %1$send if;';
  parts text := '';
  part record;
begin
  for part in
    select t.operation, bool_and(t.plain) as plain, bool_or(t.asks = 'both') as compares, array_agg(distinct t.prefilter) as filters,
      array_agg(format('case when %s then %s end', t.condition, t.code) order by (t.rule).name collate "C", t.status) filter (where t.status <> 'counted') as codes,
      string_agg(format(E'\n      if %s then\n        codes := pg_catalog.array_append(codes, %s);\n        olds := pg_catalog.array_append(olds, %s);'
        '\n        news := pg_catalog.array_append(news, %s);\n      end if;', t.condition, t.code, c.added, c.subject), '' order by (t.rule).name collate "C") filter (where t.status = 'counted') as counts
    from unnest(transitions) t
    left join lateral rowbell.count_row_sql(feed, case when t.status = 'counted' then t end) c on true
    group by t.operation
    order by t.operation desc
  loop
    parts := parts || rowbell.fill($part$
    {{if}} tg_op operator(pg_catalog.=) '{{operation}}' then{{other_row}}{{look}}{{alerts}}{{counts}}$part$, fence || jsonb_build_object(
      'if', case when parts = '' then 'if' else 'elsif' end,
      'operation', part.operation,
      -- a row of NULLs, as statement triggers have it
      'other_row', case when part.operation <> 'UPDATE' and part.compares and not part.plain then
        format(E'\n      select (null::%s).* into %s;', rowbell.sql_name(feed.relation), case part.operation when 'INSERT' then 'old' else 'new' end) end,
      'look', case when shared is null then format(look, '  ', rowbell.any_sql(part.filters, part.plain), fence ->> 'nothing') end,
      'alerts', case when part.codes is not null then concat(
        E'\n      codes := ', case when part.counts is null then rowbell.codes_sql(part.codes)
          else 'pg_catalog.array_remove(array[' || array_to_string(part.codes, E',\n        ') || '], null)' end, ';',
        case when part.operation <> 'INSERT' then E'\n      olds := array[pg_catalog.row_to_json(old.*)];' end,
        case when part.operation <> 'DELETE' then E'\n      news := array[pg_catalog.row_to_json(new.*)];' end,
        -- behind the alerts
        case when part.counts is not null then E'\n      olds := pg_catalog.array_fill(olds[1], array[pg_catalog.cardinality(codes)]);'
          '\n      news := pg_catalog.array_fill(news[1], array[pg_catalog.cardinality(codes)]);' end) end,
      'counts', part.counts));
  end loop;
  return case when parts = '' then $body$
begin
  return null;
end
$body$ else rowbell.fill($body$
#variable_conflict use_column
-- columns: {{columns}}; a session that has known them by other types is to make its plans anew
declare
  codes pg_catalog.int4[];
  olds pg_catalog.json[];
  news pg_catalog.json[];
  partitions pg_catalog.text[];
  failures pg_catalog.jsonb;
  raised pg_catalog.int4;{{declare_context}}{{declare_met}}
begin{{fence}}
  begin{{zones}}{{guard}}{{shared}}{{parts}}
    else
      {{nothing}}
    end if;
    if pg_catalog.has_function_privilege('rowbell_alert.raise_{{feed}}'::pg_catalog.regproc, 'execute') is not true then
      raise exception 'no right to raise alerts';
    end if;{{undo}}
  exception when others or assert_failure{{canceled}} then{{unless_undone}}{{unless_real}}
    begin
      -- OLD of an insert and NEW of a delete have one type before they are set and another after, and a plan is for one type
      if tg_op operator(pg_catalog.=) 'INSERT' then
        execute rowbell_alert.again_{{feed}}(tg_op, tg_relid) into codes, olds, news, partitions, failures using null, new;
      elsif tg_op operator(pg_catalog.=) 'DELETE' then
        execute rowbell_alert.again_{{feed}}(tg_op, tg_relid) into codes, olds, news, partitions, failures using old, null;
      else
        execute rowbell_alert.again_{{feed}}(tg_op, tg_relid) into codes, olds, news, partitions, failures using old, new;
      end if;{{undo_again}}
    exception when others or assert_failure then{{unless_undone_again}}
      begin
        raise warning {{warning}}, sqlerrm;
        raised := rowbell_alert.raise_{{feed}}(tg_op, tg_relid, null, null, null, null, rowbell_alert.failure(null, sqlerrm, sqlstate, null));
      exception when others or assert_failure then
        null;
      end;
      return null;
    end;
  end;{{unless_met}}
  raised := rowbell_alert.raise_{{feed}}(tg_op, tg_relid, codes, olds, news, partitions, failures);
  return null;
end
$body$, fence || rowbell.unless_plain_sql((select bool_and(t.plain) from unnest(transitions) t)) || jsonb_build_object('shared', case when shared is not null then format(look, '', shared, fence ->> 'nothing') end, 'parts', parts, 'feed', feed.id,
    'warning', rowbell.warning_sql(feed.name),
    'columns', (select string_agg(format('%s/%s', a.atttypid::oid, a.atttypmod), ' ' order by a.attnum)
      from pg_attribute a where a.attrelid = feed.relation and a.attnum > 0 and not a.attisdropped),
    -- where rules change within a statement, its other rows meet the new function and the settings of the old one
    'guard', case when settings && array['search_path=pg_catalog, pg_temp'] then $part$
    if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp' then
      raise exception 'the rules have changed';
    end if;$part$ end)) end;
end
$fn$;

-- An array as SQL that no setting of the writer changes: the literal '{NULL}' depends on array_nulls.
create or replace function rowbell.array_sql(elements text[], type text, separator text default ', ') returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('array[%s]::pg_catalog.%s[]', string_agg(coalesce(case when type = 'int4' then e else quote_literal(e) end, 'null'), separator order by n), type)
  from unnest(elements) with ordinality as elements (e, n)
$fn$;

-- raise_N: what the trigger function may call to raise alerts of this feed, and of this feed alone. Under the search_path of the writer: each name says its
-- schema. The constants are by code, see transitions_of. Most statements raise one alert, which is stored here: one more function, which takes it in arrays
-- with all these constants, took 7 of 100 us of CPU for the statement (PostgreSQL 18). 5000 bytes of rows are not nested too deep for the stack.
create or replace function rowbell.raise_sql(feed rowbell.feed, transitions rowbell.transition[]) returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.fill($body$
begin{{timers}}{{windows}}{{one}}
  -- no perform, which is a query
  return rowbell.raise_alerts({{feed}}, {{relation}}, {{name}}, operation, relation, codes, olds, news, partitions, failures,
    {{known}}, {{heads}},
    {{tails}}, {{channels}}, {{key}});
end
$body$, jsonb_build_object('feed', feed.id, 'relation', feed.relation::oid, 'name', quote_literal(rowbell.shown_name(feed.relation)),
    'known', rowbell.array_sql(array_agg(code::text order by code), 'int4'),
    'heads', rowbell.array_sql(array_agg(head order by code), 'text', E',\n      '),
    'tails', rowbell.array_sql(array_agg(tail order by code), 'text'),
    'channels', case when bool_or((rule).delivery = 'notify')
      then rowbell.array_sql(array_agg(case when (rule).delivery = 'notify' then (rule).channel end order by code), 'text') else 'null' end,
    'key', rowbell.array_sql(rowbell.key_of(feed.relation), 'text'),
    'one', case when bool_or(document is not null) then rowbell.fill($part$
  if codes[1] operator(pg_catalog.=) any ({{durable}}) and codes[2] is null and partitions is null and failures is null
      and relation operator(pg_catalog.=) {{relation}} and operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')
      and coalesce(pg_catalog.pg_column_size(olds), 0) operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(news), 0) operator(pg_catalog.<) 5000
      and pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert') then
    insert into rowbell.feedback (alert) values (pg_catalog.format(
      ({{documents}})[pg_catalog.array_position({{durable}}, codes[1])],
      rowbell.new_id(), operation, pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      ',"old":' operator(pg_catalog.||) olds[1]::pg_catalog.text, ',"new":' operator(pg_catalog.||) news[1]::pg_catalog.text)::pg_catalog.json);
    return 1;
  end if;$part$, jsonb_build_object('relation', feed.relation::oid,
      'durable', rowbell.array_sql(array_agg(code::text order by code) filter (where document is not null), 'int4'),
      'documents', rowbell.array_sql(array_agg(document order by code) filter (where document is not null), 'text', E',\n      '))) end,
    'timers', (
      select rowbell.fill($part$
  if codes operator(pg_catalog.&&) {{codes}} then
    perform rowbell.append_timer_events({{feed}}, {{relation}}, operation, relation, codes, olds, news,
      {{codes}}, {{key}});
    if codes operator(pg_catalog.<@) {{codes}} and failures is null then
      return 0;
    end if;
  end if;$part$, jsonb_build_object('feed', feed.id, 'relation', feed.relation::oid, 'codes', rowbell.array_sql(array_agg(code::text order by code), 'int4'),
          'key', rowbell.array_sql(rowbell.key_of(feed.relation), 'text')))
      from (select distinct t.code from unnest(transitions) t where t.status in ('armed', 'disarmed', 'moved')) timers
      having count(*) > 0),
    'windows', (
      select rowbell.fill($part$
  if codes[1] operator(pg_catalog.=) any ({{codes}}) and codes[2] is null and failures is null and relation operator(pg_catalog.=) {{relation}}
      and operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}') and news[1] is not null and olds[1] is not null then
    insert into rowbell.window_event (feed, rule, key, at, added)
    values ({{feed}}, codes[1] operator(pg_catalog.-) 1000000000, news[1]::pg_catalog.text, pg_catalog.clock_timestamp(), olds[1]);
    return 0;
  elsif codes operator(pg_catalog.&&) {{codes}} then
    perform rowbell.append_window_events({{feed}}, {{relation}}, operation, relation, codes, olds, news, {{codes}});
    if codes operator(pg_catalog.<@) {{codes}} and failures is null then
      return 0;
    end if;
  end if;$part$, jsonb_build_object('feed', feed.id, 'relation', feed.relation::oid, 'codes', rowbell.array_sql(array_agg(code::text order by code), 'int4')))
      from (select distinct t.code from unnest(transitions) t where t.status = 'counted') windows
      having count(*) > 0)))
  from (
    select code, rule, head, tail, case when (rule).delivery <> 'notify'
      then format('{"id":"%%s",%s,"operation":"%%s","time":"%%s"%%s%%s%s}', replace(head, '%', '%%'), replace(tail, '%', '%%')) end as document
    from (select distinct on (code) code, rule, status from unnest(transitions) where status in ('firing', 'resolved')) f
    cross join lateral (
      select format('"rule":%s,"reason":%s,"severity":"%s","status":"%s","table":%s', to_json((rule).name), to_json(coalesce((rule).reason, (rule).name)),
          (rule).severity, status, to_json(rowbell.shown_name(feed.relation))) as head,
        concat(',"channel":' || to_json((rule).channel), ',"key":' || to_json(rowbell.key_of(feed.relation))) as tail) parts) t
$fn$;

-- Gives functions and rights to a feed. Replacing functions takes no lock on the feed. Does nothing where nothing differs.
create or replace function rowbell.compile_functions(feed rowbell.feed) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  by_row constant boolean := rowbell.has_row_triggers(feed.id);
  has_children constant boolean := exists (select from pg_inherits i where i.inhparent = feed.relation);
  evaluator constant text := rowbell.evaluator_of(feed.id);
  raise_function constant text := format('rowbell_alert.raise_%s(operation text, relation oid, codes int[], olds json[], news json[], partitions text[], failures jsonb)', feed.id);
  again_function constant text := format('rowbell_alert.again_%s(operation text, relation oid)', feed.id);
  transitions constant rowbell.transition[] := array(select t from rowbell.transitions_of(feed) t);
  fenced constant boolean := rowbell.may_call_strangers(feed, transitions);
  settings text[];
begin
  -- what the functions do depends on these
  if rowbell.has_role(feed.id) then
    perform rowbell.grant_right(r.name, rowbell.role_of(feed.id))
    from (
      -- also of a partition that came after the rules
      select distinct format('usage on schema %s', c.relnamespace::regnamespace) as name
      from rowbell.tables_of(feed.relation) t
      join pg_class c on c.oid = t.relid
      where c.relnamespace::regnamespace::text not in ('rowbell', 'rowbell_alert')
        and not has_schema_privilege(rowbell.role_of(feed.id), c.relnamespace, 'usage')
      union all
      select format('select (%s) on %s', string_agg(quote_ident(k), ', '), rowbell.sql_name(feed.relation))
      from unnest(rowbell.key_of(feed.relation) || 'tableoid'::text) k
      where has_children and cardinality(rowbell.key_of(feed.relation)) > 0 and not has_column_privilege(rowbell.role_of(feed.id), feed.relation, k, 'select')
      having count(*) > 0) r;
  end if;
  settings := case
    when (select bool_and(t.plain) from unnest(transitions) t) is not true
      -- bounds are read by the setting for texts with a backslash
      or strpos(rowbell.partition_sql(feed, 'UPDATE'), E'\\') > 0 then rowbell.all_settings()
    -- the bounds of partitions are written by PostgreSQL, without schemas
    when has_children then array['search_path=pg_catalog, pg_temp'] || rowbell.document_settings(feed.relation)
    else rowbell.document_settings(feed.relation)
  end;
  perform rowbell.make_function(raise_function, 'returns int', '{}', rowbell.raise_sql(feed, transitions), current_user);
  perform rowbell.make_function(again_function, 'returns text', array['search_path=pg_catalog, pg_temp'],
    format(E'\nbegin\n  return rowbell.one_by_one_sql(%s, operation, relation, %L, %L);\nend\n', feed.id, rowbell.rules_one_by_one(feed, transitions),
      rowbell.columns_of(feed.relation)), current_user);
  if by_row or to_regproc(format('rowbell.on_row_%s', feed.id)) is not null then
    perform rowbell.make_function(format('rowbell.on_row_%s()', feed.id), 'returns trigger', case when by_row then settings else '{}' end,
      case when by_row then rowbell.on_row_sql(feed, transitions, settings, fenced) else E'\nbegin\n  return null;\nend\n' end, evaluator);
  end if;
  perform rowbell.make_function(format('rowbell.on_statement_%s()', feed.id), 'returns trigger', case when by_row then '{}' else settings end,
    case when by_row then E'\nbegin\n  return null;\nend\n' else rowbell.on_statement_sql(feed, transitions, fenced) end, evaluator);
  if rowbell.notes_moves(feed) then
    perform rowbell.make_function(format('rowbell_alert.moves_%s(operation text)', feed.id), 'returns text[]', '{}',
      format(E'\nbegin\n  return rowbell.moves(%s, operation);\nend\n', feed.id), current_user);
    perform rowbell.make_function(format('rowbell.before_move_%s()', feed.id), 'returns trigger', '{}',
      case when cardinality(transitions) = 0 then E'\nbegin\n  return null;\nend\n' else rowbell.before_move_sql(feed) end, current_user);
    -- the settings are those of the function that compares with the text; no text of other types than those of all_settings() depends on search_path
    perform rowbell.make_function(format('rowbell.on_move_%s()', feed.id), 'returns trigger', case when settings = rowbell.all_settings() then settings
        else array_remove(settings, 'search_path=pg_catalog, pg_temp') end,
      case when cardinality(transitions) = 0 then E'\nbegin\n  return null;\nend\n' else rowbell.on_move_sql(feed) end, current_user);
  end if;
  if to_regproc(format('rowbell.look_%s', feed.id)) is not null or exists (select from unnest(transitions) t where t.status = 'armed') then
    perform rowbell.make_function(format('rowbell.look_%s(rule int, keys text[], after text, most int)', feed.id), 'returns setof rowbell.looked',
      rowbell.all_settings() || 'timezone_abbreviations=Default'::text, rowbell.look_sql(feed, transitions), evaluator);
  end if;
  if rowbell.has_role(feed.id) then
    perform rowbell.grant_right(r.name, rowbell.role_of(feed.id))
    from (
      select format('execute on function %s', f::regprocedure) as name
      from unnest(array[to_regproc(format('rowbell_alert.raise_%s', feed.id)), to_regproc(format('rowbell_alert.again_%s', feed.id)),
        to_regproc(format('rowbell_alert.moves_%s', feed.id))]) f
      where not has_function_privilege(rowbell.role_of(feed.id), f, 'execute')) r;
  end if;
end
$fn$;
