-- Triggers of feeds: made, changed, taken off.

-- One compiler at a time, until the end of the transaction: two would overwrite each other's functions.
create or replace function rowbell.lock_compiler() returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select pg_advisory_xact_lock(hashtext('rowbell'), hashtext('compiler'))
$fn$;

-- The triggers that a feed and its children are to have for these operations and have not.
create or replace function rowbell.missing_triggers(feed rowbell.feed, operations text[]) returns table (relid oid, operation text, name text)
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

-- The triggers of a feed, whatever their tables and their names are now.
create or replace function rowbell.triggers_of(feed_id int) returns table (relid oid, name name)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select g.tgrelid, g.tgname
  from pg_trigger g
  join pg_proc p on p.oid = g.tgfoid
  where p.pronamespace = 'rowbell'::regnamespace and p.proname in (format('on_statement_%s', feed_id), format('on_row_%s', feed_id))
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
  select rowbell.change_triggers(feed.name, array_agg(
    format('create trigger %I after %s on %s %s execute function rowbell.%I()', m.name, m.operation, rowbell.sql_name(m.relid),
      case
        when rowbell.has_row_triggers(feed.id) then 'for each row'
        when m.operation = 'insert' then 'referencing new table as new_rows for each statement'
        when m.operation = 'update' then 'referencing old table as old_rows new table as new_rows for each statement'
        else 'referencing old table as old_rows for each statement'
      end,
      format(case when rowbell.has_row_triggers(feed.id) then 'on_row_%s' else 'on_statement_%s' end, feed.id))), patience)
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
-- refresh(), which tries again.
create or replace function rowbell.compile(feed_name text, patience interval default '10 s') returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
<<compile>>
declare
  later constant boolean := coalesce(current_setting('rowbell.triggers', true) = 'later', false);
  feed rowbell.feed;
begin
  perform rowbell.lock_compiler();
  select f.* into feed from rowbell.feed f where f.name = feed_name;
  if not found or rowbell.sql_name(feed.relation) is null then
    return;
  end if;
  if (case when rowbell.has_role(feed.id) then has_schema_privilege(rowbell.role_of(feed.id), 'rowbell_alert', 'usage') end) is not true then
    -- a database that was restored has none of its roles; or a DBA has just made this one
    perform rowbell.make_role(feed.id);
    perform rowbell.grant_reads(compile.feed, r.condition) from rowbell.rule r where r.feed = feed_name and r.enabled;
  end if;
  perform rowbell.compile_functions(feed);
  perform rowbell.attach(feed, array(
    select distinct operation
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    cross join unnest(r.operations) operation
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
as $fn$
declare
  feed_relation constant oid := rowbell.find_feed(feed);
  feed_name constant text := rowbell.sql_name(feed_relation);
  watched rowbell.feed;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'triggers are changed in transactions of isolation level read committed'
      using errcode = 'RB002', hint = 'Another level would compile a feed without the rules that others have committed since.';
  end if;
  perform rowbell.lock_compiler();
  if what in ('row', 'statement') is not true then
    raise exception 'for_each: %', format('%L is neither row nor statement', what) using errcode = 'RB001';
  elsif feed_relation is null or not exists (
      select from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.oid = feed_relation and c.relkind in ('r', 'p') and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'rowbell', 'rowbell_alert')) then
    raise exception 'for_each: there is no table % to watch', feed using errcode = 'RB001';
  elsif what = 'row' and (select c.relkind = 'p' or c.relispartition from pg_class c where c.oid = feed_relation) then
    raise exception 'for_each: the table % is partitioned, or a partition', feed
      using errcode = 'RB001', hint = 'For a row trigger, a row that moves to another partition is deleted in one and inserted into the other.';
  end if;
  insert into rowbell.feed (name, relation) values (feed_name, feed_relation) on conflict do nothing;
  -- a table that was dropped and made again, or renamed, since the last refresh()
  update rowbell.feed f set relation = feed_relation
  where f.name = feed_name and f.relation <> feed_relation and not exists (select from rowbell.feed other where other.relation = feed_relation);
  select f.* into strict watched from rowbell.feed f where f.relation = feed_relation;
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
  execute format('drop function if exists rowbell.on_statement_%1$s, rowbell.on_row_%1$s, rowbell.run_%1$s, rowbell_alert.raise_%1$s,'
    ' rowbell_alert.again_%1$s', feed_id);
  if rowbell.has_role(feed_id) then
    execute format('drop owned by %I', rowbell.role_of(feed_id));
    execute format('drop role %I', rowbell.role_of(feed_id));
  end if;
exception when dependent_objects_still_exist or insufficient_privilege then
  -- a trigger that the owner of a table gave another name; functions without rules do nothing
  raise notice 'rowbell: %', sqlerrm;
end
$fn$;

-- Sees what changed outside of rules: children that came or went, tables renamed, dropped or made again, rules that broke or work again.
-- To be called every few seconds; one caller at a time, another gets no rows. Each row is for an operator to read.
create or replace function rowbell.refresh() returns table (feed text, event text)
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
          perform rowbell.forget(watched.id);
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
        left join lateral (select format('%s: %s', p.field, p.problem) as problem from rowbell.validate_rule(r, watched.id) p limit 1) p on true
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
      perform rowbell.detach_former_children(watched);
      perform rowbell.compile(watched.name, '0 s');
    exception
      when lock_not_available or deadlock_detected or sqlstate 'RB003' then
        -- another session holds a lock: the next call tries again
        null;
      when others then
        return query select watched.name, format('could not be looked at: %s', sqlerrm);
    end;
  end loop;
end
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
