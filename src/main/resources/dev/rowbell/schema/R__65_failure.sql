-- Where judging a statement fails, each rule judges each row by itself, so that a row which a rule cannot judge hides neither other rows nor other rules.

-- Each rule of a feed as a query that judges one change, handed as the rows $1 (OLD) and $2 (NEW), and one that names its key. One that counts has its group for NEW, and for
-- OLD what is added to it. offset 0: PostgreSQL works
-- out while planning what it knows to be constant, also what the condition guards itself against.
create or replace function rowbell.rules_one_by_one(feed rowbell.feed, transitions rowbell.transition[]) returns jsonb
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(jsonb_agg(jsonb_build_object('rule', rule, 'operation', operation,
    'judged', format('%s as old, %s as new',
      case when added is not null then added when operation = 'INSERT' then 'null::json' else 'row_to_json(old.*)' end,
      case when added is not null then subject when operation = 'DELETE' then 'null::json' else 'row_to_json(new.*)' end),
    'rows', format($query$from (select ($1).* offset 0) as old
cross join (select ($2).* offset 0) as new
cross join lateral (select case%s end) as judged (code)
where judged.code is not null$query$, cases),
    'key', format('select row_to_json(k.*) from (select %s) as k',
      (select string_agg(format('(%s).%I', case operation when 'DELETE' then '$1' else '$2' end, k), ', ') from unnest(rowbell.key_of(feed.relation)) k))))
    , '[]')
  from (
    select (t.rule).name as rule, t.operation, string_agg(format(' when %s then %s', t.condition, t.code), '' order by t.code) as cases,
      min(c.subject) as subject, min(c.added) as added
    from unnest(transitions) t
    left join lateral rowbell.count_row_sql(feed, case when t.status = 'counted' then t end) c on true
    group by (t.rule).name, t.operation
    order by (t.rule).name collate "C") r
$fn$;

-- The rows of a statement with what MERGE has moved, which $1 has as text of the feed's type: an update has them too, an insert and a delete have not.
-- side: 1 for OLD, 2 for NEW.
create or replace function rowbell.with_moves_sql(operation text, written oid, feed_relation oid, rows text, transition_table text, side int) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.fill(case when operation = 'UPDATE'
      then '({{rows}}) operator(pg_catalog.||) array(select row({{moved_columns}})::{{table}} from (select $1[i][{{side}}]::{{feed}} as r'
        ' from pg_catalog.generate_subscripts($1, 1) i order by i offset 0) as _m)'
      else 'array(select _s.r from (select row({{columns}})::{{table}} as r, {{text}} as t, pg_catalog.row_number() over (partition by {{text}}) as n'
        ' from {{transition_table}} as _r) as _s left join (select $1[i][{{side}}] as t, pg_catalog.count(*) as n from pg_catalog.generate_subscripts($1, 1) i'
        ' group by 1) as _m on _m.t operator(pg_catalog.=) _s.t where _s.n operator(pg_catalog.>) coalesce(_m.n, 0))' end,
    jsonb_build_object('rows', rows, 'transition_table', transition_table, 'side', side, 'table', rowbell.sql_name(written),
      'feed', rowbell.sql_name(feed_relation), 'text', rowbell.row_text_sql(feed_relation, '_r'),
      'columns', string_agg(format('_r.%I', a.attname), ', ' order by a.attnum),
      'moved_columns', string_agg(format('(_m.r).%I', a.attname), ', ' order by a.attnum)))
  from pg_attribute a
  where a.attrelid = written and a.attnum > 0 and not a.attisdropped
$fn$;

-- SQL that has rows in the order of a feed, see rows_in_order(), with the columns that the feed has now.
create or replace function rowbell.with_columns(sql text, known text[], now text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select replace(replace(sql, format('(select %s) as new', rowbell.columns_sql(known, 'new')), format('(select %s) as new', rowbell.columns_sql(now, 'new'))),
    format('(select %s) as old', rowbell.columns_sql(known, 'old')), format('(select %s) as old', rowbell.columns_sql(now, 'old')))
$fn$;

-- The query that hands the rows of a statement, or of a row trigger, to judge_each. Run by the trigger function, which alone sees them. known: the columns that
-- the feed had when the rules were compiled. Names are those of now, which refresh() has yet to see: else no rule of a feed would fire after a column that none
-- names was dropped, or the table renamed. Children are not looked up, which may have been what failed.
drop function if exists rowbell.one_by_one_sql(int, text, oid, jsonb);
create or replace function rowbell.one_by_one_sql(feed_id int, operation text, relation oid, rules jsonb, known text[]) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  table_name constant text := rowbell.sql_name(relation);
  columns text;
  feed constant rowbell.feed := (select f from rowbell.feed f where f.id = feed_id);
  feed_relation constant oid := feed.relation;
  -- a transaction may not see a feed that is new
  now constant text[] := coalesce(rowbell.columns_of(feed_relation), known);
  partition text;
  old_rows text;
  new_rows text;
begin
  if rowbell.has_row_triggers(feed_id) then
    -- the missing row has no type: it takes the type of the other row
    old_rows := case operation when 'INSERT' then '(array[$2])[2:1]' else 'array[$1]' end;
    new_rows := case operation when 'DELETE' then '(array[$1])[2:1]' else 'array[$2]' end;
  else
    select string_agg(format('_r.%I', a.attname), ', ' order by a.attnum) into columns
    from pg_attribute a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
    old_rows := format('array(select row(%s)::%s from old_rows as _r)', columns, table_name);
    new_rows := format('array(select row(%s)::%s from new_rows as _r)', columns, table_name);
    if operation = 'INSERT' then
      old_rows := format('null::%s[]', table_name);
    elsif operation = 'DELETE' then
      new_rows := format('null::%s[]', table_name);
    else
      -- an OLD without a NEW: the others are found by their key
      old_rows := format(
        'case when (select pg_catalog.count(*) from new_rows) operator(pg_catalog.=) (select pg_catalog.count(*) from old_rows) then %s'
          ' else array(select (select row(%s)::%s from old_rows as _r where %s limit 1) from new_rows as _n) end',
        old_rows, columns, table_name, rowbell.same_key_sql(relation, '_r', '_n'));
    end if;
    if (select rowbell.notes_moves(f) from rowbell.feed f where f.id = feed_id) then
      if operation <> 'DELETE' then
        new_rows := rowbell.with_moves_sql(operation, relation, feed_relation, new_rows, 'new_rows', 2);
      end if;
      if operation <> 'INSERT' then
        old_rows := rowbell.with_moves_sql(operation, relation, feed_relation, old_rows, 'old_rows', 1);
      end if;
    end if;
  end if;
  if (select c.relkind = 'p' from pg_class c where c.oid = feed_relation) then
    partition := rowbell.partition_sql(feed, operation);
  end if;
  return format('select * from rowbell_alert.judge_each(%L, %s, %s)', (
      select jsonb_agg(r || jsonb_build_object('judge', format(E'select judged.code, %s, %s as partition\n%s', q.judged, coalesce(partition, 'null'), q.rows)))
      from jsonb_array_elements(rules) r
      cross join lateral (
        select rowbell.with_columns(r ->> 'judged', known, now) as judged,
          rowbell.with_columns(r ->> 'rows', known, now) as rows) q
      where r ->> 'operation' = operation), old_rows, new_rows);
end
$fn$;

-- Whether an error ends the writer's statement: it is query_canceled, and neither raised by a function nor passed on from another server. A function that
-- raises it is known by where the error comes from. A real one comes out of a statement or an expression. Names may hold anything, line breaks too.
create or replace function rowbell_alert.is_cancel(state text, context text) returns boolean
language sql immutable
as $fn$
  select state operator(pg_catalog.=) '57014'
    and pg_catalog.regexp_replace(context, '"([^"]|"")*"', '', 'g') operator(pg_catalog.!~) '^(PL/pgSQL[^[:cntrl:]]* RAISE([[:cntrl:]]|$)|remote SQL command|while [^[:cntrl:]]* dblink connection)'
$fn$;

-- One failure as raise_N takes it; rule null: all rules of the feed. The error may hold a value of the row, of any length. The key is text: numbers in jsonb
-- would be written in another way.
create or replace function rowbell_alert.failure(rule text, error text, state text, key json) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select jsonb_build_array(jsonb_build_object('rule', rule, 'error', left(error, 1000), 'sqlstate', state, 'key', key::text))
$fn$;

-- Judges each row by each rule. Runs with the rights of its caller, the role of a feed. What a rule cannot judge is a failure: the first of each rule.
create or replace function rowbell_alert.judge_each(rules jsonb, old_rows anyarray, new_rows anyarray,
  out codes int[], out olds json[], out news json[], out partitions text[], out failures jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone_abbreviations = 'Default'
as $fn$
declare
  rule jsonb;
  hit record;
  message text;
  state text;
  context text;
  failed_key json;
begin
  for rule in select value from jsonb_array_elements(rules) loop
    message := null;
    for i in 1 .. greatest(cardinality(old_rows), cardinality(new_rows)) loop
      begin
        if cardinality(old_rows) > 0 and old_rows[i] is not distinct from null then
          -- the key that finds OLD has changed with the partition
          raise exception 'OLD is not known, since the statement moved a row to another partition and another move was refused';
        end if;
        for hit in execute rule ->> 'judge' using old_rows[i], new_rows[i] loop
          codes := codes || hit.code;
          olds := olds || hit.old;
          news := news || hit.new;
          partitions := partitions || hit.partition;
        end loop;
      exception when others or assert_failure or query_canceled then
        get stacked diagnostics context = pg_exception_context;
        if rowbell_alert.is_cancel(sqlstate, context) then
          raise;
        end if;
        if message is null then
          get stacked diagnostics message = message_text, state = returned_sqlstate;
          -- as the rule was written: "operator does not exist: text > integer"
          message := replace(message, ' pg_catalog.', ' ');
          begin
            execute rule ->> 'key' into failed_key using old_rows[i], new_rows[i];
          exception when others or assert_failure then
            failed_key := '{}';
          end;
        end if;
      end;
    end loop;
    if message is not null then
      failures := coalesce(failures, '[]') || rowbell_alert.failure(rule ->> 'rule', message, state, failed_key);
    end if;
  end loop;
end
$fn$;

-- Reports failures of rules: in rule_state, and by an alert, at most one a minute for each rule. To be called every second. Skips a rule whose state another
-- transaction has locked; its failures stay for the next call.
create or replace function rowbell.report_failures() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  known record;
  last_failure record;
begin
  if not exists (select from rowbell.rule_failure) then
    return;
  end if;
  for known in
    select s.rule, s.reported is null or clock_timestamp() not between s.reported and s.reported + interval '1 minute' as due
    from rowbell.rule_state s
    where s.rule in (select f.rule from rowbell.rule_failure f)
    order by s.rule
    for no key update skip locked
  loop
    with gone as (delete from rowbell.rule_failure f where f.rule = known.rule returning f.*)
    select g.* into last_failure from gone g order by g.failed desc limit 1;
    if found then
      update rowbell.rule_state s
      set failure = last_failure.failure, failed = last_failure.failed, reported = case when known.due then clock_timestamp() else s.reported end
      where s.rule = known.rule;
      if known.due then
        insert into rowbell.feedback (alert) values (last_failure.alert);
      end if;
    end if;
  end loop;
  -- of rules that were deleted since
  with gone as (delete from rowbell.rule_failure f where not exists (select from rowbell.rule r where r.name = f.rule) returning f.*)
  insert into rowbell.feedback (alert) select distinct on (g.rule) g.alert from gone g order by g.rule, g.failed desc;
end
$fn$;
