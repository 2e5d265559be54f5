-- What decides whether an alert is delivered: the cooldown of its rule, silences, and which sinks there are. All are looked at when the alert is
-- routed, so that writers pay nothing for them.

-- How long a rule keeps quiet about a row after it has rung for it.
alter table rowbell.rule add column cooldown interval not null default '0'
  constraint rule_cooldown check (cooldown >= interval '0');

comment on column rowbell.rule.cooldown is 'After an alert about a row, those about the same row are counted and not delivered for so long';

-- A rule from JSON, with the defaults where a key is missing.
create or replace function rowbell.rule_of(rule json) returns rowbell.rule
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select r
  from json_populate_record(
    row(null, '', '', null, 'warning', 'once', '{}', 'durable', 'channel_1', false, '{insert,update}', true, null, '0')::rowbell.rule,
    rule) r
$fn$;

-- Makes the rules of one origin what a JSON array says: adds, changes, removes. Those named in keep stay as they are. A rule that is wrong
-- is returned and not applied; what it was before stays. Touches nothing that does not differ. Where a feed is so busy that its triggers
-- cannot be made at once, its rules are returned too, and refresh() makes them.
create or replace function rowbell.apply_rules(origin text, rules json, keep text[] default '{}')
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
    operations = excluded.operations, enabled = excluded.enabled, cooldown = excluded.cooldown
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

-- When a rule rang for a row last. The time is the alert's own, so that a backlog is judged as it came about.
create table rowbell.cooldown (
  rule text not null references rowbell.rule on update cascade on delete cascade,
  status text not null,
  key text not null,
  last timestamptz not null,
  -- alerts that were kept quiet since
  silenced bigint not null default 0,
  primary key (rule, status, key)
);
create index cooldown_last on rowbell.cooldown (last);

-- Who wants to hear nothing of what, until when and why. rule, feed and key are what the alert shows ("id=2"); a star stands for anything, null
-- for all. A change takes effect within a second.
create table rowbell.silence (
  id bigint generated always as identity primary key,
  rule text,
  feed text,
  key text,
  until timestamptz not null,
  who text not null default current_user,
  why text not null check (why <> ''),
  since timestamptz not null default clock_timestamp(),
  silenced bigint not null default 0
);

comment on table rowbell.cooldown is 'When each rule that has a cooldown rang last, for each row';
comment on table rowbell.silence is 'Alerts that are counted and not delivered: rule, feed and key with * for anything, until when, who and why';
comment on column rowbell.silence.silenced is 'How many alerts it kept from being delivered';

-- Where an alert stands in its rule's cooldown: true, and the row is remembered, where it may be delivered. rule_cooldown: of the rule; key: of
-- the row. An alert that is older than the last one by more than the cooldown is delivered as well: then the clock was set back.
create function rowbell.rings(rule text, status text, key text, at timestamptz, rule_cooldown interval) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  insert into rowbell.cooldown as c (rule, status, key, last)
  values (rings.rule, rings.status, rings.key, rings.at)
  on conflict on constraint cooldown_pkey do update set last = excluded.last, silenced = 0
  where excluded.last not between c.last - rings.rule_cooldown and c.last + rings.rule_cooldown
    or excluded.last = c.last + rings.rule_cooldown;
  if found then
    return true;
  end if;
  update rowbell.cooldown c set silenced = c.silenced + 1
  where c.rule = rings.rule and c.status = rings.status and c.key = rings.key;
  return false;
exception when foreign_key_violation then
  -- the rule was removed since
  return true;
end
$fn$;

-- Rings the doorbell, as before; what was told before the clock was set back counts for no more than what is told now.
create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if not exists (
      select from rowbell.awake a
      where a.relation = tg_relid and a.until between clock_timestamp() and clock_timestamp() + interval '5 s')
      and rowbell.may_notify() then
    perform pg_notify('rowbell_doorbell', '');
  end if;
  return null;
end
$fn$;

-- Which process has which sinks, told by itself every 10 seconds. A process that has a sink switched off files deliveries for it while another
-- has it on.
create table rowbell.sink (
  process uuid not null,
  name text not null,
  seen timestamptz not null,
  primary key (process, name)
);

comment on table rowbell.sink is 'Which process delivers for which sinks, and when it said so last';

revoke all on function rowbell.rings(text, text, text, timestamptz, interval) from public;

-- What the running Rowbell needs, and no right to write rules, whose conditions run as the owner of this schema. Where the migration may not make
-- roles, a DBA makes it and grants the same.
do $do$
begin
  if not exists (select from pg_roles where rolname = 'rowbell_consumer') then
    begin
      create role rowbell_consumer nologin;
    exception when insufficient_privilege then
      raise notice 'the role rowbell_consumer was not made: %', sqlerrm;
    when duplicate_object or unique_violation then
      null;
    end;
  end if;
  if exists (select from pg_roles where rolname = 'rowbell_consumer') then
    grant usage on schema rowbell to rowbell_consumer;
    grant select, insert, update, delete on rowbell.feedback, rowbell.delivery, rowbell.dead_letter, rowbell.cooldown, rowbell.sink
      to rowbell_consumer;
    grant select, insert, update on rowbell.awake to rowbell_consumer;
    grant select on rowbell.rule, rowbell.feed, rowbell.silence, rowbell.flyway_schema_history to rowbell_consumer;
    grant update (silenced) on rowbell.silence to rowbell_consumer;
    grant select, update on rowbell.rule_state to rowbell_consumer;
    grant execute on function rowbell.refresh(), rowbell.rings(text, text, text, timestamptz, interval) to rowbell_consumer;
  end if;
  if exists (select from pg_roles where rolname = 'rowbell_admin') then
    grant select, insert, update, delete on rowbell.silence to rowbell_admin;
  end if;
end
$do$;
