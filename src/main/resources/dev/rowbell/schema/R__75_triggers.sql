-- Triggers of feeds: made, changed, taken off.

drop function if exists rowbell.refresh();

-- One compiler of a feed at a time, until the end of the transaction: two would overwrite each other's functions. A lock on a row of rowbell.feed, on which
-- strangers have no right.
create or replace function rowbell.lock_feed(feed_name text) returns rowbell.feed
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select f.* from rowbell.feed f where f.name = feed_name for no key update
$fn$;

-- The statements that give the feed and its children the triggers that they are to have for these operations and have not. A table on which the owner of
-- the schema may make no triggers gets none: refresh() says so. One that has to hand rows to a statement trigger, where row triggers judge the feed, gets a
-- trigger in its place that takes none: to drop it is for the owner of the table.
create or replace function rowbell.missing_triggers(feed rowbell.feed, operations text[]) returns table (relid oid, statement text)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with wanted as (
    select t.relid, o.operation, format('rowbell_%s_%s', feed.id, o.operation) as name, by_row and t.kind = 'r' as for_row,
      case when by_row then ''
        when o.operation = 'insert' then 'referencing new table as new_rows'
        when o.operation = 'update' then 'referencing old table as old_rows new table as new_rows'
        else 'referencing old table as old_rows'
      end as rows,
      by_row and t.kind = 'p' as only_in_place, t.kind
    from rowbell.tree_of(feed.relation) t
    cross join rowbell.has_row_triggers(feed.id) by_row
    cross join unnest(operations || case when by_row then array['insert', 'update', 'delete'] else array['update'] end) o (operation)
    where t.kind in ('r', 'p') and has_table_privilege(t.relid, 'trigger'))
  -- A trigger before insert that never fires. With one, PostgreSQL gives the other triggers the row that it has written into a partition; without one, it gives
  -- them the row of the statement. That row has no generated columns where the partition differs by a dropped column, and within MERGE an update has the row
  -- inserted last for NEW (seen with 15 and 18).
  select t.relid, format('create trigger %I before insert on %s for each row when (false) execute function rowbell.on_statement_%s()',
    t.name, rowbell.sql_name(t.relid), feed.id)
  from (
    select t.relid, t.kind, format('rowbell_%s_routed', feed.id) as name, bool_and(has_table_privilege(t.relid, 'trigger')) over () as may_all
    from rowbell.tree_of(feed.relation) t) t
  where cardinality(operations) > 0 and not rowbell.has_row_triggers(feed.id) and (select c.relkind = 'p' from pg_class c where c.oid = feed.relation)
    -- that of the feed is one of its partitions too, and of those to come
    and case when may_all then t.relid = feed.relation else t.kind = 'r' and has_table_privilege(t.relid, 'trigger') end
    and not exists (select from pg_trigger g where g.tgname = t.name and g.tgrelid in (select p.relid from rowbell.tree_of(t.relid) p))
  union all
  select m.relid, m.statement from rowbell.missing_move_triggers(feed) m where cardinality(operations) > 0
  union all
  select distinct w.relid, concat(
    case when g.oid is not null and current_setting('server_version_num')::int < 140000 then format('drop trigger %I on %s; ', w.name, rowbell.sql_name(w.relid)) end,
    format('create %strigger %I after %s on %s %s for each %s execute function rowbell.%I()',
      case when g.oid is not null and current_setting('server_version_num')::int >= 140000 then 'or replace ' end,
      w.name, w.operation, rowbell.sql_name(w.relid), w.rows, case when w.for_row then 'row' else 'statement' end,
      format(case when w.for_row then 'on_row_%s' else 'on_statement_%s' end, feed.id)))
  from wanted w
  left join pg_trigger g on g.tgrelid = w.relid and g.tgname = w.name
  where case
      -- where moves are noted, what begins with each update ends with it
      when g.oid is null then not w.only_in_place and (w.operation = any (operations)
        or w.operation = 'update' and cardinality(operations) > 0 and w.kind = 'p' and rowbell.notes_moves(feed))
      -- bit 0 of tgtype: for each row
      else g.tgtype & 1 <> w.for_row::int or (w.rows = '') <> (coalesce(g.tgoldtable, g.tgnewtable) is null)
    end
  order by relid
$fn$;

-- The triggers of a feed, whatever their tables and their names are now.
create or replace function rowbell.triggers_of(feed_id int) returns table (relid oid, name name)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select g.tgrelid, g.tgname
  from pg_trigger g
  join pg_proc p on p.oid = g.tgfoid
  where p.pronamespace = 'rowbell'::regnamespace and p.proname = any (array(
      select format('%s_%s', f, feed_id) from unnest('{on_statement,on_row,before_move,on_move}'::text[]) f))
    and g.tgparentid = 0
$fn$;

-- Makes or drops triggers of a feed, all or none. Each takes a lock that waits for writers, and writers wait behind it: so a try lasts for 20 ms, and is
-- repeated until patience ends.
create or replace function rowbell.change_triggers(feed_name text, statements text[], patience interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '20ms'
as $fn$
declare
  give_up constant timestamptz := clock_timestamp() + patience;
  statement text;
begin
  loop
    begin
      foreach statement in array statements loop
        execute statement;
      end loop;
      return;
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > give_up then
        raise exception 'feed %: its triggers could not be changed, transactions are using it all the time', feed_name
          using errcode = 'RB003', hint = 'Try again when no long transaction is using it. Nothing was changed.';
      end if;
    end;
    perform pg_sleep(0.05 + random() * 0.1);
  end loop;
end
$fn$;

-- Gives the triggers that rules ask for to the feed and its children, those that are not there yet.
create or replace function rowbell.attach(feed rowbell.feed, operations text[], patience interval) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.change_triggers(feed.name, array_agg(m.statement), patience)
  from rowbell.missing_triggers(feed, operations) m
  having count(*) > 0
$fn$;

-- Takes the triggers off a feed and its children, to make others.
create or replace function rowbell.detach(feed rowbell.feed, patience interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  others text;
begin
  select min(rowbell.shown_name(t.relid)) into others
  from rowbell.triggers_of(feed.id) t
  where not pg_has_role((select c.relowner from pg_class c where c.oid = t.relid), 'usage');
  if others is not null then
    raise exception '% has not the role of the owner of %, whose triggers are to be dropped', current_user, others
      using errcode = 'RB001', hint = 'Choose before the first rule, or disable the rules and have the owner call rowbell.unwatch() first.';
  end if;
  perform rowbell.change_triggers(feed.name, array(
    select format('drop trigger %I on %s', t.name, rowbell.sql_name(t.relid)) from rowbell.triggers_of(feed.id) t), patience);
end
$fn$;

-- Takes the triggers off tables that are no children of the feed any more, as far as their owners let it.
create or replace function rowbell.detach_former_children(feed rowbell.feed) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  former record;
begin
  for former in
    select t.relid, t.name
    from rowbell.triggers_of(feed.id) t
    where t.relid not in (select c.relid from rowbell.tables_of(feed.relation) c)
      and pg_has_role((select c.relowner from pg_class c where c.oid = t.relid), 'usage')
  loop
    execute format('drop trigger %I on %s', former.name, rowbell.sql_name(former.relid));
  end loop;
end
$fn$;

-- Compiles all rules of a feed and gives it the triggers that they need. Where rowbell.triggers = later, triggers that cannot be made soon are left to
-- refresh(), which tries again. To make the functions may call functions of strangers, which may take any time: no table is locked before they are made.
create or replace function rowbell.compile(feed_name text, patience interval default '10 s') returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
<<compile>>
declare
  later constant boolean := coalesce(current_setting('rowbell.triggers', true) = 'later', false);
  feed rowbell.feed;
begin
  feed := rowbell.lock_feed(feed_name);
  if rowbell.sql_name(feed.relation) is null then
    return;
  end if;
  if (case when rowbell.has_role(feed.id) then
      has_function_privilege(rowbell.role_of(feed.id), to_regproc(format('rowbell_alert.raise_%s', feed.id)), 'execute') end) is not true then
    -- a database that was restored has none of its roles; or a DBA has just made this one
    perform rowbell.make_role(feed.id);
    perform rowbell.grant_reads(compile.feed, rowbell.reads_of(r)) from rowbell.rule r where r.feed = feed_name and r.enabled;
  end if;
  perform rowbell.compile_functions(feed);
  perform rowbell.follow_key(feed);
  perform rowbell.attach(feed, array(
    select distinct operation
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    cross join unnest(rowbell.operations_of(r)) operation
    where r.feed = feed_name and r.enabled and s.broken is null
    order by operation), case when later then '300 ms' else patience end);
exception when sqlstate 'RB003' then
  if not later then
    raise;
  end if;
end
$fn$;

-- Chooses row triggers or statement triggers for a feed: before its first rule, or later by a role that has the role of the table's owner, because the
-- old triggers are dropped. That waits for all that read or write the feed, for 20 ms at a time and 10 seconds in all.
create or replace function rowbell.for_each(feed text, what text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  feed_relation constant oid := rowbell.find_feed(feed);
  watched rowbell.feed;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'triggers are changed in transactions of isolation level read committed'
      using errcode = 'RB002', hint = 'Another level would compile a feed without the rules that others have committed since.';
  end if;
  if what in ('row', 'statement') is not true then
    raise exception 'for_each: %', format('%L is neither row nor statement', what) using errcode = 'RB001';
  elsif feed_relation is null or not exists (
      select from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.oid = feed_relation and c.relkind in ('r', 'p') and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'rowbell', 'rowbell_alert')) then
    raise exception 'for_each: there is no table % to watch', feed using errcode = 'RB001';
  elsif what = 'row' and (select c.relkind = 'p' from pg_class c where c.oid = feed_relation) then
    raise exception 'for_each: the table % is partitioned', feed
      using errcode = 'RB001', hint = 'For a row trigger, a row that moves to another partition is deleted in one and inserted into the other.';
  end if;
  watched := rowbell.lock_feed((rowbell.feed_of(feed_relation)).name);
  if exists (select from rowbell.row_feed r where r.feed = watched.id) = (what = 'row') then
    return;
  end if;
  perform rowbell.detach(watched, '10 s');
  if what = 'row' then
    insert into rowbell.row_feed (feed) values (watched.id);
  else
    delete from rowbell.row_feed r where r.feed = watched.id;
  end if;
  -- the feed is locked by now, so that nothing but a child that is new may have to be waited for
  perform rowbell.compile(watched.name, '1 s');
end
$fn$;

-- Takes Rowbell's triggers off a table without rules, its children and former children, and returns how many. Runs as its caller: PostgreSQL lets none but
-- the owner of a table drop triggers. Waits for writers for 20 ms at a time and 10 seconds in all.
create or replace function rowbell.unwatch(feed text) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  drops constant text[] := rowbell.drops_of(feed);
begin
  perform rowbell.change_triggers(feed, drops, '10 s');
  return cardinality(drops);
end
$fn$;

-- The statements that take Rowbell's triggers off a table, for unwatch(), whose caller needs no right on the tables of Rowbell.
create or replace function rowbell.drops_of(feed text) returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  feed_relation constant oid := rowbell.find_feed(feed);
begin
  if feed_relation is null then
    raise exception 'unwatch: there is no table %', feed using errcode = 'RB001', hint = 'write it as schema.table';
  elsif exists (
      select from rowbell.rule r
      where r.enabled and (r.feed = rowbell.sql_name(feed_relation) or r.feed = (select f.name from rowbell.feed f where f.relation = feed_relation))) then
    raise exception 'unwatch: the table % has rules', feed using errcode = 'RB001', hint = 'Delete or disable them first.';
  end if;
  return array(
    select format('drop trigger %I on %s', t.name, rowbell.sql_name(t.relid))
    from rowbell.feed f
    cross join rowbell.triggers_of(f.id) t
    where f.relation = feed_relation);
end
$fn$;

-- The functions and the role of a feed that is gone.
create or replace function rowbell.forget(feed_id int) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  execute format('drop function if exists rowbell.on_statement_%1$s, rowbell.on_row_%1$s, rowbell.look_%1$s, rowbell.run_%1$s, rowbell_alert.raise_%1$s,'
    ' rowbell_alert.again_%1$s,'
    ' rowbell_alert.moves_%1$s, rowbell.before_move_%1$s, rowbell.on_move_%1$s', feed_id);
  if rowbell.has_role(feed_id) then
    execute format('drop owned by %I', rowbell.role_of(feed_id));
    execute format('drop role %I', rowbell.role_of(feed_id));
  end if;
exception when dependent_objects_still_exist or insufficient_privilege then
  -- a trigger that the owner of a table gave another name; functions without rules do nothing
  raise notice 'rowbell: %', sqlerrm;
end
$fn$;

-- The feed of a table, made where there is none.
create or replace function rowbell.feed_of(feed_relation oid, but_rule text default null) returns rowbell.feed
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  feed rowbell.feed;
begin
  for i in 1 .. 2 loop
    insert into rowbell.feed (name, relation) values (rowbell.sql_name(feed_relation), feed_relation) on conflict do nothing;
    select f.* into feed from rowbell.feed f where f.name = rowbell.sql_name(feed_relation) and f.relation = feed_relation;
    if found then
      return feed;
    end if;
    -- a table was dropped and made again, or renamed, since the last refresh()
    perform rowbell.follow_tables(but_rule);
  end loop;
  raise exception 'feed %: another feed has its name or its table', rowbell.sql_name(feed_relation)
    using errcode = 'RB001', hint = 'Rowbell sees to it every 10 seconds.';
end
$fn$;

-- Has feeds follow tables that were dropped, made again or renamed, and rules their feeds. All renamed tables at a time: two may have exchanged their
-- names. Only names change, so that a broken rule follows too. but_rule: one that the caller is about to write.
create or replace function rowbell.follow_tables(but_rule text default null) returns table (feed text, event text)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $fn$
#variable_conflict use_column
declare
  gone rowbell.feed;
  found_relation oid;
  rule_name text;
  names jsonb;
begin
  for gone in select * from rowbell.feed f where rowbell.sql_name(f.relation) is null order by f.id loop
    begin
      found_relation := rowbell.find_feed(gone.name);
      if rowbell.sql_name(found_relation) = gone.name and not exists (select from rowbell.feed f where f.relation = found_relation) then
        update rowbell.feed f set relation = found_relation where f.id = gone.id;
        perform rowbell.restart_timers(array(select r.name from rowbell.rule r where r.feed = gone.name));
        return query select gone.name, 'was dropped and made again: it is watched again';
        continue;
      end if;
      for rule_name in
        update rowbell.rule r set enabled = false where r.feed = gone.name and r.enabled returning r.name
      loop
        perform rowbell.rule_failed(rule_name, format('the feed %s was dropped', gone.name), '42P01', gone.name, null, null);
        return query select gone.name, format('was dropped: rule "%s" is disabled', rule_name);
      end loop;
      perform rowbell.forget(gone.id);
      delete from rowbell.feed f where f.id = gone.id;
    exception
      when lock_not_available or deadlock_detected then
        null;
      when others then
        return query select gone.name, format('was dropped, and its rules could not be disabled: %s', sqlerrm);
    end;
  end loop;
  select jsonb_object_agg(f.name, rowbell.sql_name(f.relation)) into names
  from rowbell.feed f
  where rowbell.sql_name(f.relation) <> f.name;
  if names is null then
    return;
  end if;
  begin
    perform set_config('rowbell.triggers', 'refresh', true);
    update rowbell.rule r set feed = names ->> r.feed where names ? r.feed and r.name is distinct from but_rule;
    perform set_config('rowbell.triggers', '', true);
    -- no two have the same name at any moment
    update rowbell.feed f set name = 'renamed ' || f.id where names ? f.name;
    update rowbell.feed f set name = rowbell.sql_name(f.relation) where f.name = 'renamed ' || f.id;
    return query select n.key, format('was renamed: its rules follow it to %s', n.value) from jsonb_each_text(names) n;
  exception when lock_not_available or deadlock_detected or unique_violation then
    -- another session holds a lock, or a feed that is gone still has the name: the next call tries again
    null;
  end;
end
$fn$;

-- Sees what changed outside of rules: children that came or went, tables renamed, dropped or made again, rules that broke or work again. feed_id: of the one
-- feed to look at; 0: of none, for tables that were renamed, dropped or made again; null: all in one transaction. To be called every few seconds, by Rowbell
-- for each feed by itself, with a statement_timeout: the rules of a feed may call functions of strangers, which may take any time. Such functions run before
-- a lock is taken that others wait for. Each row is for an operator to read. Skips feeds whose rules or tables another transaction holds: with feed_id, event
-- is null then.
create or replace function rowbell.refresh(feed_id int default null) returns table (feed text, event text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set lock_timeout = '100ms'
as $fn$
#variable_conflict use_column
declare
  watched rowbell.feed;
  rule record;
  checked jsonb;
  bare text[];
begin
  if feed_id is null or feed_id = 0 then
    return query select * from rowbell.follow_tables();
  end if;
  for watched in
    select * from rowbell.feed f where rowbell.sql_name(f.relation) = f.name and f.id = coalesce(feed_id, f.id) order by f.id
  loop
    begin
      checked := (
        select jsonb_object_agg(r.name, jsonb_build_object('rule', to_jsonb(r), 'problem', (
          select format('%s: %s', p.field, p.problem) from rowbell.validate_rule(r, watched.id) p limit 1)))
        from rowbell.rule r
        where r.feed = watched.name and r.enabled);
      perform from rowbell.feed f where f.id = watched.id for no key update skip locked;
      if not found then
        return query select watched.name, null::text where feed_id is not null;
        continue;
      end if;
      -- rights may have been granted to the owner of the schema since, to hand on
      for rule in
        select r as written, r.name
        from rowbell.rule r
        where r.feed = watched.name and r.enabled and checked -> r.name ->> 'problem' is not null
      loop
        perform rowbell.grant_reads(watched, rowbell.reads_of(rule.written));
        checked := jsonb_set(checked, array[rule.name, 'problem'], coalesce((
          select to_jsonb(format('%s: %s%s', p.field, p.problem, case when p.hint like 'grant %' then format(' (%s)', p.hint) end))
          from rowbell.validate_rule(rule.written, watched.id) p limit 1), 'null'));
      end loop;
      for rule in
        select r.name, checked -> r.name ->> 'problem' as problem
        from rowbell.rule r
        join rowbell.rule_state s on s.rule = r.name
        where r.feed = watched.name and r.enabled and s.broken is distinct from checked -> r.name ->> 'problem'
          -- another session may have changed it since it was checked
          and checked -> r.name -> 'rule' = to_jsonb(r)
      loop
        update rowbell.rule_state s set broken = rule.problem where s.rule = rule.name;
        if rule.problem is null then
          perform rowbell.restart_timers(array[rule.name]);
          return query select watched.name, format('rule "%s" works again', rule.name);
        else
          perform rowbell.rule_failed(rule.name, rule.problem, 'RB001', watched.name, null, null);
          return query select watched.name, format('rule "%s" is broken and is left out: %s', rule.name, rule.problem);
        end if;
      end loop;
      -- a child has none while it is new
      bare := array(
        select distinct rowbell.sql_name(m.relid)
        from rowbell.missing_triggers(watched, array(
          select distinct unnest(rowbell.operations_of(r)) from rowbell.rule r join rowbell.rule_state s on s.rule = r.name
          where r.feed = watched.name and r.enabled and s.broken is null)) m
        where m.statement like 'create trigger %'
          and (m.relid = watched.relation or m.relid in (select t.relid from rowbell.triggers_of(watched.id) t)));
      perform rowbell.compile(watched.name, '0 s');
      perform rowbell.detach_former_children(watched);
      if cardinality(bare) > 0 then
        perform rowbell.scan_again(array(select r.name from rowbell.rule r where r.feed = watched.name));
      end if;
      return query select watched.name, format('triggers of %s were missing and were made again: writes until now were not judged', b) from unnest(bare) b;
    exception
      when lock_not_available or deadlock_detected or sqlstate 'RB003' then
        -- another session holds a lock: the next call tries again
        return query select watched.name, null::text where feed_id is not null;
      when others then
        return query select watched.name, format('could not be looked at: %s', rowbell.denied(sqlerrm, sqlstate));
    end;
    return query select watched.name, rowbell.unwatched(watched);
    return query select watched.name, rowbell.hidden_rows(watched);
  end loop;
  if feed_id is null then
    perform rowbell.report_failures();
  end if;
end
$fn$;

-- Differs whenever anything has changed that refresh() compares: definitions and rights in the database, roles, rules. So a process that keeps it need not
-- compare all feeds every few seconds, which takes some 10 ms for each rule. Each version of a row of a catalog has a place and a transaction of its own.
-- VACUUM and ANALYZE make none. Without temporary tables, which applications make and drop all the time and which no rule can read.
create or replace function rowbell.definitions() returns numeric
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return (
    with temporary as materialized (
      select c.oid from pg_class c where c.relpersistence = 't'),
    version (of) as (
      select concat('class', c.ctid, c.xmin) from pg_class c where c.relpersistence <> 't'
      union all select concat('attribute', a.ctid, a.xmin) from pg_attribute a where a.attrelid not in (select oid from temporary)
      union all select concat('default', d.ctid, d.xmin) from pg_attrdef d where d.adrelid not in (select oid from temporary)
      union all select concat('constraint', c.ctid, c.xmin) from pg_constraint c where c.conrelid not in (select oid from temporary)
      union all select concat('index', i.ctid, i.xmin) from pg_index i where i.indrelid not in (select oid from temporary)
      union all select concat('inherits', i.ctid, i.xmin) from pg_inherits i where i.inhrelid not in (select oid from temporary)
      union all select concat('trigger', t.ctid, t.xmin) from pg_trigger t where t.tgrelid not in (select oid from temporary)
      union all select concat('rewrite', r.ctid, r.xmin) from pg_rewrite r where r.ev_class not in (select oid from temporary)
      union all select concat('policy', p.ctid, p.xmin) from pg_policy p
      -- arrays, which are made with their elements, have nothing of their own
      union all select concat('type', t.ctid, t.xmin) from pg_type t
        where t.typrelid not in (select oid from temporary) and not (t.typtype = 'b' and t.typcategory = 'A')
      union all select concat('enum', e.ctid, e.xmin) from pg_enum e
      union all select concat('range', r.ctid, r.xmin) from pg_range r
      union all select concat('cast', c.ctid, c.xmin) from pg_cast c
      union all select concat('proc', p.ctid, p.xmin) from pg_proc p
      union all select concat('operator', o.ctid, o.xmin) from pg_operator o
      union all select concat('opclass', o.ctid, o.xmin) from pg_opclass o
      union all select concat('amop', a.ctid, a.xmin) from pg_amop a
      union all select concat('amproc', a.ctid, a.xmin) from pg_amproc a
      union all select concat('collation', c.ctid, c.xmin) from pg_collation c
      union all select concat('language', l.ctid, l.xmin) from pg_language l
      union all select concat('namespace', n.ctid, n.xmin) from pg_namespace n where n.nspname !~ '^pg_(toast_)?temp_'
      union all select concat('database', d.ctid, d.xmin) from pg_database d where d.datname = current_database()
      union all select concat('member', m.ctid, m.xmin) from pg_auth_members m
      union all select concat('setting', s.ctid, s.xmin) from pg_db_role_setting s
      union all select concat('role', r) from pg_roles r
      union all select concat('feed', f.ctid, f.xmin) from rowbell.feed f
      union all select concat('row feed', f.ctid, f.xmin) from rowbell.row_feed f
      union all select concat('timers', t.feed, t.key) from rowbell.timer_feed t
      union all select concat('windows', w.feed) from rowbell.window_feed w
      union all select concat('own setting', s.ctid, s.xmin) from rowbell.setting s
      union all select concat('rule', r.ctid, r.xmin) from rowbell.rule r
      union all select concat('state', s.rule, ' ', s.id, ' ', s.broken) from rowbell.rule_state s)
    select sum(hashtextextended(v.of, 0)) from version v);
end
$fn$;

-- Which triggers of feeds with enabled rules do not fire, because they are disabled or because of a default of roles or of the database, for an operator.
create or replace function rowbell.silent_triggers() returns table (feed text, problem text)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with watching as (
    select f.name as feed, g.tgname, g.tgenabled, rowbell.sql_name(t.relid) as table_name
    from rowbell.feed f
    cross join rowbell.triggers_of(f.id) t
    join pg_trigger g on g.tgrelid = t.relid and g.tgname = t.name
    where exists (select from rowbell.rule r where r.feed = f.name and r.enabled))
  select w.feed, format('the trigger %I of %s is disabled, and its rules do not see all writes: alter table %2$s enable trigger %1$I', w.tgname, w.table_name)
  from watching w
  where w.tgenabled in ('D', 'R')
  union
  -- a session that sets it for itself is not seen
  select w.feed, format('%s with session_replication_role = %s, so the rules do not see its writes: reset it, or alter table %s enable always trigger %I',
    s.place, s.setting, w.table_name, w.tgname)
  from watching w
  cross join (
    select concat_ws(' in ', coalesce('the role ' || quote_ident(r.rolname) || ' writes', case when d.setdatabase <> 0 then 'all roles write' end),
        'the database ' || quote_ident(b.datname)) as place,
      split_part(c.setting, '=', 2) as setting
    from pg_db_role_setting d
    cross join unnest(d.setconfig) c (setting)
    left join pg_roles r on r.oid = d.setrole
    left join pg_database b on b.oid = d.setdatabase
    where c.setting like 'session_replication_role=%' and d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    union all
    select 'the server lets all roles write', s.reset_val
    from pg_settings s
    where s.name = 'session_replication_role' and s.source = 'configuration file') s
  where w.tgenabled = 'O' and s.setting = 'replica'
$fn$;

-- What is written below a feed with enabled rules and judged by no trigger, for an operator.
create or replace function rowbell.unwatched(feed rowbell.feed) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when t.kind = 'f' then format('has the foreign table %s below it, which is not watched; all others are watched by row triggers, for which a row that'
        ' moves to another partition is deleted and inserted', rowbell.shown_name(t.relid))
      else format('writes to %1$s are not watched: grant trigger on %1$s to %2$I', rowbell.sql_name(t.relid), current_user) end
  from rowbell.tree_of(feed.relation) t
  where exists (select from rowbell.rule r where r.feed = feed.name and r.enabled)
    and (t.kind = 'f' or t.kind in ('r', 'p') and not has_table_privilege(t.relid, 'trigger'))
  order by t.relid
$fn$;

-- Which rules with "for" of a feed can never fire, because row security hides all rows from the role that looks at them when they are due, for
-- an operator.
create or replace function rowbell.hidden_rows(feed rowbell.feed) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('rule "%s" does not fire: row security hides all rows from the role %s, which looks at rows when they are due: create policy rowbell on %s for select to %2$I using (true)',
    r.name, e.rolname, rowbell.sql_name(c.oid))
  from rowbell.rule r
  join pg_class c on c.oid = feed.relation and c.relrowsecurity
  join pg_roles e on e.rolname = rowbell.evaluator_of(feed.id)
  where r.feed = feed.name and r.enabled and r."for" is not null
    and not (e.rolsuper or e.rolbypassrls or not c.relforcerowsecurity and pg_has_role(e.oid, c.relowner, 'usage'))
    and not exists (
      select from pg_policy p
      where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('r', '*') and (0 = any (p.polroles) or exists (
        select from unnest(p.polroles) o where o <> 0 and pg_has_role(e.oid, o, 'usage'))))
  order by r.name
$fn$;

-- Drops the function of a feed that has no row triggers any more, or is gone, unless a trigger of another name still uses it.
create or replace function rowbell.row_feed_gone() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  execute format('drop function if exists rowbell.on_row_%s()', old.feed);
  return null;
exception when dependent_objects_still_exist then
  return null;
end
$fn$;

do $do$
begin
  if not exists (select from pg_trigger t where t.tgrelid = 'rowbell.row_feed'::regclass and t.tgname = 'gone') then
    create trigger gone after delete on rowbell.row_feed
      for each row execute function rowbell.row_feed_gone();
  end if;
end
$do$;
