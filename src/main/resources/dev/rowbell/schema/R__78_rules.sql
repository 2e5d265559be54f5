-- Rules: changed, applied from a file, tested.

drop function if exists rowbell.apply_rules(text, json, text[]);

-- Before rules are changed: with the rules of others in sight.
create or replace function rowbell.rule_changing() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'rules are changed in transactions of isolation level read committed'
      using errcode = 'RB002', hint = 'Another level would compile a feed without the rules that others have committed since.';
  end if;
  return null;
end
$fn$;

-- Refuses a rule that is wrong, and writes its feed as SQL does.
create or replace function rowbell.rule_checked() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  wrong record;
  feed rowbell.feed;
  error text[];
begin
  if tg_op = 'UPDATE' and exists (
      select from rowbell.feed f where f.name = old.feed and rowbell.sql_name(f.relation) = new.feed and new.feed <> old.feed) then
    -- the table was renamed: a broken rule follows it too
    feed.name := new.feed;
    new.feed := old.feed;
    if new is not distinct from old then
      new.feed := feed.name;
      return new;
    end if;
    new.feed := feed.name;
  end if;
  new.columns := coalesce(new.columns, '{}');
  new.reason := coalesce(new.reason, new.name);
  new.query := regexp_replace(new.query, '[;[:space:]]+$', '');
  new.groups := regexp_replace(new.groups, '[;[:space:]]+$', '');
  new.condition := coalesce(new.condition, case when new.absent is not null and new.query is null then 'true' end);
  for wrong in select * from rowbell.validate_rule(new) loop
    if wrong.hint = '' then
      raise exception 'rule "%": %: %', new.name, wrong.field, wrong.problem
        using errcode = 'RB001', schema = 'rowbell', table = 'rule', column = wrong.field;
    end if;
    raise exception 'rule "%": %: %', new.name, wrong.field, wrong.problem
      using errcode = 'RB001', hint = wrong.hint, schema = 'rowbell', table = 'rule', column = wrong.field;
  end loop;
  -- Always as long, with months of 30 days: what is due a month after a time is not always what was a month ago.
  if date_trunc('month', new."for") <> interval '0' then
    new."for" := rowbell.length_of(new."for");
  end if;
  if new.enabled and coalesce(new.query, new.groups) is not null then
    perform rowbell.make_query_role();
    perform rowbell.grant_query(coalesce(new.query, new.groups));
    error := case when new.groups is null then rowbell.query_error(new.query, new.key)
      else rowbell.groups_error(new, rowbell.find_feed(new.feed)) end;
    if error[4] = '42501' then
      raise warning 'rule "%": %: %', new.name, error[1], error[2] using hint = error[3];
    elsif error is not null then
      raise exception 'rule "%": %: %', new.name, error[1], error[2]
        using errcode = 'RB001', hint = error[3], schema = 'rowbell', table = 'rule', column = error[1];
    end if;
  end if;
  if new.enabled and new.query is null then
    feed := rowbell.feed_of(rowbell.find_feed(new.feed), new.name);
    new.feed := feed.name;
    if to_regproc(format('rowbell.run_%s', feed.id)) is null or not rowbell.has_role(feed.id) then
      perform rowbell.make_role(feed.id);
    end if;
    perform rowbell.grant_reads(feed, rowbell.reads_of(new));
    error := coalesce(rowbell.condition_error(new.condition, feed.relation, true, true, feed_id => feed.id),
      rowbell.condition_error(rowbell.reads_of(new), feed.relation, true, true, feed_id => feed.id));
    if error[3] = '42501' then
      raise warning 'rule "%": condition: %', new.name, error[1] using hint = error[2];
    elsif error is not null then
      raise exception 'rule "%": condition: %', new.name, error[1]
        using errcode = 'RB001', hint = error[2], schema = 'rowbell', table = 'rule', column = 'condition';
    end if;
  end if;
  return new;
end
$fn$;

-- Writes down who changed rules, and forgets what is older than a year. Waits for no other transaction.
create or replace function rowbell.record_changes(news rowbell.rule[], olds rowbell.rule[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  insert into rowbell.rule_change (rule, before, after)
  select coalesce(n.name, o.name),
    case when o.name is not null then (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(jsonb_strip_nulls(to_jsonb(o)))
      where n.name is null or value is distinct from to_jsonb(n) -> key) end,
    case when n.name is not null then (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(jsonb_strip_nulls(to_jsonb(n)))
      where o.name is null or value is distinct from to_jsonb(o) -> key)
      || case when o.enabled and not n.enabled then coalesce(
        (select jsonb_strip_nulls(jsonb_build_object('note', v.note)) from rowbell.rule_override v where v.rule = n.name), '{}') else '{}' end end
  from unnest(news) n
  full join unnest(olds) o on o.name = n.name
  where n is distinct from o
  order by 1;
  delete from rowbell.rule_change c
  where c.id = any (array(select d.id from rowbell.rule_change d where d.at < clock_timestamp() - interval '1 year' order by d.id limit 1000 for update skip locked))
$fn$;

-- The changes of a rule, or of all, in words; the last one first.
create or replace function rowbell.rule_history(rule text default null) returns table (at timestamptz, who text, application text, rule_name text, change text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select c.at, c.who, c.application, c.rule, case
    when c.rule is null then 'all rules were removed'
    when c.before is null then concat('made', ' by ' || (c.after ->> 'origin'), ': ', coalesce(c.after ->> 'condition', c.after ->> 'query'))
    when c.after is null then concat('removed: ', coalesce(c.before ->> 'condition', c.before ->> 'query'))
    else (
      select string_agg(format('%s: %s -> %s', k, coalesce(c.before ->> k, 'none'), coalesce(c.after ->> k, 'none')), ', ' order by k)
      from (select jsonb_object_keys(c.before) as k union select jsonb_object_keys(c.after)) keys) end
  from rowbell.rule_change c
  where rule_history.rule is null or c.rule is null or c.rule = rule_history.rule
  order by c.id desc
$fn$;

-- After rules were changed: compiles their feeds.
create or replace function rowbell.rule_changed() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  olds rowbell.rule[] := '{}';
  news rowbell.rule[] := '{}';
  changed text;
begin
  if tg_op in ('INSERT', 'UPDATE') then
    news := array(select row(n.*)::rowbell.rule from new_rules n);
  end if;
  if tg_op in ('UPDATE', 'DELETE') then
    olds := array(select row(o.*)::rowbell.rule from old_rules o);
  end if;
  if tg_op = 'TRUNCATE' then
    insert into rowbell.rule_change default values;
  else
    perform rowbell.record_changes(news, olds);
  end if;
  -- only names of tables changed
  if current_setting('rowbell.triggers', true) = 'refresh' and tg_op = 'UPDATE' and not exists (
      select from unnest(news) n left join unnest(olds) o on o.name = n.name where (to_jsonb(o) - 'feed') is distinct from (to_jsonb(n) - 'feed')) then
    return null;
  end if;
  -- also where it was enabled by SQL
  delete from rowbell.rule_override v using unnest(news) n where v.rule = n.name and n.enabled;
  insert into rowbell.rule_state as s (rule)
  select n.name from unnest(news) n
  on conflict (rule) do update set broken = null, failure = null, failed = null, reported = null,
    -- one that was left out saw no writes
    counts_since = case when s.broken is not null and exists (select from unnest(news) n where n.name = s.rule and n.absent is not null)
      then clock_timestamp() else s.counts_since end
  where s.broken is not null or s.failure is not null;
  if tg_op in ('INSERT', 'UPDATE') then
    -- before the functions are compiled, which have the ids
    perform rowbell.windows_changed(news, olds);
  end if;
  for changed in
    select f.name from rowbell.feed f where tg_op = 'TRUNCATE'
    union
    select r.feed from unnest(news || olds) r where r.feed is not null
    order by 1
  loop
    perform rowbell.compile(changed);
  end loop;
  if tg_op in ('INSERT', 'UPDATE') then
    perform rowbell.timers_changed(news, olds);
  end if;
  return null;
end
$fn$;

-- Which other sessions change rules or feeds, in words.
create or replace function rowbell.holders() returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce('while rules are being changed by ' || string_agg(distinct format('pid %s (user %s, application %s)', a.pid, a.usename, a.application_name), ', '),
    'and in vain')
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
  where l.relation in ('rowbell.rule'::regclass, 'rowbell.feed'::regclass, 'rowbell.rule_state'::regclass) and l.granted and l.pid <> pg_backend_pid()
    and l.mode not in ('AccessShareLock')
$fn$;

-- The rule of this name, locked until the transaction ends.
create or replace function rowbell.lock_rule(rule_name text) returns rowbell.rule
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  locked rowbell.rule;
begin
  select r.* into locked from rowbell.rule r where r.name = rule_name for no key update;
  if locked.name is null then
    raise exception 'there is no rule "%"', rule_name using errcode = 'RB001', column = 'name';
  end if;
  return locked;
end
$fn$;

-- Disables a rule. The rule stays disabled until enable(), also if its file has it enabled. who: the name that is shown. False if the rule is disabled already.
create or replace function rowbell.disable(rule text, note text default null, who text default null) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  disabled constant rowbell.rule := rowbell.lock_rule(disable.rule);
begin
  if not disabled.enabled then
    return false;
  end if;
  insert into rowbell.rule_override (rule, who, note) values (disable.rule, coalesce(nullif(disable.who, ''), session_user), nullif(disable.note, ''));
  update rowbell.rule r set enabled = false where r.name = disable.rule;
  return true;
end
$fn$;

-- Enables a rule that disable() has disabled. False if the rule is enabled already. A rule that its file disables is refused.
create or replace function rowbell.enable(rule text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  enabled constant rowbell.rule := rowbell.lock_rule(enable.rule);
begin
  if enabled.enabled then
    return false;
  elsif enabled.origin is not null and not exists (select from rowbell.rule_override v where v.rule = enable.rule and v.enabled) then
    raise exception 'rule "%": enabled: it is disabled in %, or since its table was dropped', enable.rule, enabled.origin
      using errcode = 'RB001', hint = 'Enable it in the file.', column = 'enabled';
  end if;
  update rowbell.rule r set enabled = true where r.name = enable.rule;
  return true;
end
$fn$;

-- A rule of a file as it is to be stored: disabled if disable() has disabled it.
create or replace function rowbell.with_override(rule rowbell.rule) returns rowbell.rule
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when exists (select from rowbell.rule_override v where v.rule = ($1).name) then jsonb_populate_record($1, '{"enabled": false}') else $1 end
$fn$;

-- Adds rules, or changes those that differ. Locks the rules, so that disable() waits until this transaction has ended.
create or replace function rowbell.put_rules(rules rowbell.rule[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select from rowbell.rule r where r.name = any (array(select g.name from unnest(rules) g)) order by r.name for no key update;
  update rowbell.rule_override v set enabled = g.enabled from unnest(rules) g where v.rule = g.name and v.enabled <> g.enabled;
  insert into rowbell.rule as r select w.* from unnest(rules) g cross join lateral rowbell.with_override(g) w
  -- a trigger checks each that is inserted, before a conflict is found
  where not exists (select from rowbell.rule k where k.name = w.name and k is not distinct from w)
  on conflict (name) do update set
    feed = excluded.feed, condition = excluded.condition, reason = excluded.reason, severity = excluded.severity, fires = excluded.fires,
    columns = excluded.columns, delivery = excluded.delivery, channel = excluded.channel, resolved = excluded.resolved,
    operations = excluded.operations, enabled = excluded.enabled, cooldown = excluded.cooldown, "for" = excluded."for", existing = excluded.existing,
    since = excluded.since, query = excluded.query, key = excluded.key, every = excluded.every, cron = excluded.cron, zone = excluded.zone,
    max_rows = excluded.max_rows, count = excluded.count, sum = excluded.sum, over = excluded.over, within = excluded.within, by = excluded.by,
    max_groups = excluded.max_groups, absent = excluded.absent, groups = excluded.groups, forget = excluded.forget
  where r is distinct from excluded
$fn$;

-- A text of all columns of a rule but enabled: it differs after each change of the rule.
create or replace function rowbell.rule_version(rule rowbell.rule) returns text
language sql stable
set search_path = pg_catalog, pg_temp
set IntervalStyle = 'iso_8601'
as $fn$
  select md5((to_jsonb($1) - 'enabled')::text)
$fn$;

-- Makes a rule, or changes one that was made by SQL; rule: as JSON, with the defaults where a key is missing. began: the rule_version() that the change
-- began with, null for a rule that is new. Refuses if the rule has another version by now. enabled stays as it is.
create or replace function rowbell.write_rule(rule json, began text default null) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  written rowbell.rule := rowbell.rule_of(rule);
  before rowbell.rule;
begin
  written.origin := null;
  written.enabled := true;
  select r.* into before from rowbell.rule r where r.name = written.name for no key update;
  if before.origin is not null then
    raise exception 'rule "%": name: it comes from %', written.name, before.origin using errcode = 'RB001', hint = 'Change it there.', column = 'name';
  elsif began is not null and rowbell.rule_version(before) is distinct from began then
    raise exception 'rule "%": somebody else has % it meanwhile', written.name, case when before.name is null then 'removed' else 'changed' end
      using errcode = 'RB001', hint = 'Begin again with what it is now.';
  elsif began is not null then
    written.enabled := before.enabled or exists (select from rowbell.rule_override v where v.rule = written.name);
    perform rowbell.put_rules(array[written]);
  else
    begin
      insert into rowbell.rule select written.*;
    exception when unique_violation then
      raise exception 'rule "%": name: there is a rule of this name', written.name
        using errcode = 'RB001', hint = 'Give this one another name.', column = 'name';
    end;
  end if;
end
$fn$;

-- Fails where there is no role of queries, by which a rule is tried.
create or replace function rowbell.require_query_role() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform rowbell.make_query_role();
  if not rowbell.has_role(0) then
    raise exception 'there is no role of queries, so it would be tested with the rights of %', current_user
      using errcode = 'RB001', hint = format('create role %I nologin; grant %1$I to %I;', rowbell.role_of(0), current_user);
  end if;
end
$fn$;

-- The query for the rows that meet a rule now, with OLD being NULL; of a rule with a query, that. rule: as for write_rule(), and right. Lets the role of
-- queries read what it names, for query_rows(): in a transaction that is rolled back afterwards. So a rule is tried before there is one, and no function
-- that it calls has the rights of its caller.
create or replace function rowbell.trial_of(rule json) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  tried rowbell.rule := rowbell.rule_of(rule);
  relation oid := rowbell.find_feed(tried.feed);
  trial text;
begin
  perform rowbell.require_query_role();
  trial := coalesce(regexp_replace(tried.query, '[;[:space:]]+$', ''),
    format(E'select new.* from %1$s as new left join %1$s as old on false where (%2$s\n)', rowbell.sql_name(relation),
      rowbell.rows_by_name(tried.condition, relation)));
  perform rowbell.grant_query(trial);
  return trial;
end
$fn$;

-- The query that measures the condition of a rule on so many rows of its feed at most, with OLD being NULL: the rows, and the microseconds of each, or null for
-- less than two rows. Of a rule with a query, that. Like trial_of(), for query_rows() in a transaction that is rolled back.
create or replace function rowbell.measure_of(rule text, max_rows int) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  measured rowbell.rule;
  relation oid;
  measuring text;
begin
  perform rowbell.require_query_role();
  select r.* into measured from rowbell.rule r where r.name = measure_of.rule;
  relation := rowbell.find_feed(measured.feed);
  measuring := coalesce(regexp_replace(measured.query, '[;[:space:]]+$', ''),
    -- each row by itself, as a statement that writes one: PostgreSQL would plan a subquery for all rows in another way. The clock also keeps it from remembering
    -- the answer for a row
    format(E'select count(*) as rows, cast(extract(epoch from max(m.at) - min(m.at)) * 1e6 / nullif(count(*) - 1, 0) as float8) as micros'
      ' from (select new from %1$s as new limit %3$s) as s'
      ' cross join lateral (select count(*) as met, clock_timestamp() as at'
      ' from unnest(array[s.new]) as new left join %1$s as old on false where (%2$s\n)) as m',
      rowbell.sql_name(relation), coalesce(rowbell.rows_by_name(measured.condition, relation), 'true'), max_rows));
  perform rowbell.grant_query(measuring);
  return measuring;
end
$fn$;

-- Makes the rules of one origin what a JSON array says: adds, changes, removes. Those named in keep stay as they are. A rule that is wrong
-- is returned and not applied; the rule of before stays. Also returned are the rules of a feed that cannot be compiled: no feed keeps another from its rules. Touches
-- nothing that does not differ. Where a feed is so busy that its triggers cannot be made at once, its rules are returned too, and refresh() makes them. only_feed: the
-- one feed whose rules may be removed, empty: rules without a feed; null: any. Rowbell calls it for each feed by itself, with a statement_timeout: to check and to
-- compile the rules of a feed may call functions of strangers, which may take any time.
create or replace function rowbell.apply_rules(origin text, rules json, keep text[] default '{}', only_feed text default null)
returns table (rule text, field text, problem text, hint text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set lock_timeout = '2s'
as $fn$
#variable_conflict use_column
declare
  again constant text := 'Rowbell tries again every 10 seconds';
  locked text[] := '{}';
  given rowbell.rule;
  wrong record;
  good rowbell.rule[] := '{}';
  names text[] := keep;
  fault text;
  of_feed text;
  advice text;
begin
  if only_feed is null then
    perform rowbell.follow_tables();
  end if;
  for given in select (rowbell.rule_of(r)).* from json_array_elements(rules) r loop
    names := names || given.name;
    given.origin := apply_rules.origin;
    given.columns := coalesce(given.columns, '{}');
    given.reason := coalesce(given.reason, given.name);
    given.groups := regexp_replace(given.groups, '[;[:space:]]+$', '');
    given.feed := coalesce(rowbell.sql_name(rowbell.find_feed(given.feed)), given.feed);
    if exists (select from rowbell.rule r where r.name = given.name and r.origin is distinct from apply_rules.origin) then
      return query select given.name, 'name',
        (select coalesce('there is a rule of this name from ' || r.origin, 'there is a rule of this name that was made by SQL')
         from rowbell.rule r where r.name = given.name),
        'give one of them another name, or delete it from rowbell.rule';
      continue;
    end if;
    fault := null;
    begin
      -- waits once for each locked table
      if given.feed = any (locked) then
        raise lock_not_available;
      end if;
      for wrong in select * from rowbell.validate_rule(rowbell.with_override(given)) loop
        fault := wrong.field;
        return query select given.name, wrong.field, wrong.problem, wrong.hint;
      end loop;
    exception when lock_not_available or deadlock_detected then
      fault := 'feed';
      locked := locked || given.feed;
      return query select given.name, fault, 'another transaction has a lock on the table, or on one that the condition reads', again;
    end;
    if fault is null then
      good := good || given;
    end if;
  end loop;
  for of_feed in select distinct coalesce((g).feed, '') from unnest(good) g order by 1 loop
    begin
      perform set_config('rowbell.triggers', 'later', true);
      -- those of a feed by one statement, which compiles it once
      perform rowbell.put_rules(array(select g from unnest(good) g where coalesce((g).feed, '') = of_feed order by (g).name));
    exception
      when lock_not_available or deadlock_detected then
        return query select (g).name, 'feed', 'waited for 2 seconds, ' || rowbell.holders(), again from unnest(good) g where coalesce((g).feed, '') = of_feed;
      when others then
        -- one by one, so that the one at fault keeps no other from its feed
        for given in select (g).* from unnest(good) g where coalesce((g).feed, '') = of_feed order by (g).name loop
          begin
            perform rowbell.put_rules(array[given]);
          exception when others then
            get stacked diagnostics advice = pg_exception_hint, fault = column_name;
            return query select given.name, coalesce(nullif(fault, ''), 'feed'),
              replace(sqlerrm, format('rule "%s": %s: ', given.name, fault), ''), advice;
          end;
        end loop;
    end;
  end loop;
  return query
  select r.name, 'feed', 'transactions write to it all the time, so its triggers are still to be made', again
  from rowbell.feed f
  join rowbell.rule r on r.feed = f.name
  where r.name = any (select (g).name from unnest(good) g) and r.enabled and exists (select from rowbell.missing_triggers(f, rowbell.operations_of(r)));
  begin
    perform set_config('rowbell.triggers', 'later', true);
    delete from rowbell.rule r where r.origin = apply_rules.origin and r.name <> all (names) and coalesce(r.feed, '') = coalesce(only_feed, r.feed, '');
  exception when lock_not_available or deadlock_detected then
    return query select null::text, 'name', 'rules that are no more in the file wait to be removed, ' || rowbell.holders(), again;
  end;
  perform set_config('rowbell.triggers', '', true);
end
$fn$;

-- The rows of the feed as it is now that meet a rule's condition, with OLD being NULL. Needs the right to read the feed. Of a rule with a query, its result;
-- of one that counts or waits for writes, its groups.
create or replace function rowbell.test_rule(rule text, max_rows int default 100) returns setof json
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
  if tested.query is not null then
    return query select q from rowbell.query_rows(tested.query, max_rows) q;
    return;
  end if;
  relation := rowbell.find_feed(tested.feed);
  if relation is null then
    raise exception 'rule "%": feed: there is no table %', tested.name, tested.feed using errcode = 'RB001', column = 'feed';
  end if;
  if tested.within is not null then
    return query
    select json_build_object('state', case when g.since is not null then 'firing' when s.paused is not null then 'paused' else 'below' end,
      'since', g.since, 'count', coalesce(c.count, 0), 'sum', case when tested.sum is not null then coalesce(c.sum, 0) end, 'group', g.subject)
    from rowbell.rule_state s
    join rowbell.window_group g on g.rule = s.id
    cross join lateral (
      select sum(c.count) as count, sum(c.sum) as sum
      from rowbell.window_count c
      where c.group_id = g.id and c.at > clock_timestamp() - tested.within) c
    where s.rule = tested.name
    order by g.since, c.count desc nulls last
    limit max_rows;
    return;
  end if;
  if tested.absent is not null then
    return query
    select json_build_object('state', case when g.since is not null then 'firing' when s.paused is not null then 'paused' when d.due <= clock_timestamp() then 'due'
      else 'waiting' end, 'since', greatest(g.last, s.counts_since), 'due', case when s.paused is null then d.due end, 'group', g.subject)
    from rowbell.rule_state s
    join rowbell.window_group g on g.rule = s.id
    cross join rowbell.silent_at(tested, s, g.last) as d (due)
    where s.rule = tested.name
    order by d.due
    limit max_rows;
    return;
  end if;
  if tested."for" is not null then
    return query execute format(
      E'select json_build_object(''state'', case when t.rule is null then ''not armed'' when t.fired is not null then ''firing'' when s.paused is not null then ''paused'''
        ' when t.began <= clock_timestamp() - %4$L::interval then ''due'' else ''waiting'' end, ''since'', t.since, ''due'', t.began + %4$L::interval, ''row'', new.document)'
        ' from (select row_to_json(new.*) as document from %1$s as new where (%2$s\n) limit %3$s) as new'
        ' left join rowbell.rule_state s on s.rule = %5$L'
        ' left join rowbell.timer t on t.rule = s.id and t.key = rowbell.key_text(new.document, %6$L::text[]) and t.ended = 0 order by t.began',
      rowbell.sql_name(relation), rowbell.rows_by_name(tested.condition, relation), max_rows, tested."for", tested.name, rowbell.key_of(relation));
    return;
  end if;
  return query execute format(E'select row_to_json(new.*) from %1$s as new left join %1$s as old on false where (%2$s\n) limit %3$s',
    rowbell.sql_name(relation), rowbell.rows_by_name(tested.condition, relation), max_rows);
end
$fn$;

-- The triggers of the table rule. PostgreSQL 13 has no "create or replace trigger".
do $do$
begin
  if not exists (select from pg_trigger t where t.tgrelid = 'rowbell.rule'::regclass and t.tgname = 'changing') then
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
  end if;
end
$do$;
