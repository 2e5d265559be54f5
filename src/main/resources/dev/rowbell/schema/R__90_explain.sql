-- Explanations: why a rule fires for a row, or does not, and what became of an alert. Each finding is a sentence of the level ok, note or wrong, about a
-- silence, sink, rule, feed, dead letter, alert or row of this name. What it has as cause may be the answer: that of the lowest weight is, and is returned
-- first, with the level summary.

drop function if exists rowbell.explain(text, text);
drop function if exists rowbell.explain_rule(rowbell.rule, text);
drop function if exists rowbell.explain_alert(text);
drop function if exists rowbell.alert_timeline(text);
drop function if exists rowbell.key_written(text[], text);

-- A name or a value of a key as alerts show it: as a JSON string where it has a comma, a quote, or what Java needs two characters for. As AlertIdentity.java.
create or replace function rowbell.key_part(part text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when part ~ '[\u0001-\u001f\u007f,"]' or exists (select from regexp_split_to_table(part, '') c where octet_length(c) = 4)
    then replace(to_json(part)::text, chr(127), '\u007f') else part end
$fn$;

-- A key as alerts show it: one of more than 200 characters, as Java counts them, ends in a hash. As AlertIdentity.java. Only a database in UTF8 has them all.
create or replace function rowbell.key_cut(key text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  wide text;
begin
  if length(key_cut.key) <= 100 or getdatabaseencoding() <> 'UTF8' then
    return key_cut.key;
  end if;
  -- chr(1), which no key has, is behind what Java needs two characters for
  wide := (
    select string_agg(c || case when octet_length(c) = 4 then chr(1) else '' end, '' order by n)
    from regexp_split_to_table(key_cut.key, '') with ordinality as u (c, n));
  return case when length(wide) <= 200 then key_cut.key
    else replace(left(wide, case when octet_length(substr(wide, 160, 1)) = 4 then 159 else 160 end), chr(1), '')
      || chr(8230) || left(encode(sha256(convert_to(key_cut.key, 'UTF8')), 'hex'), 32) end;
end
$fn$;

-- The key of a row as JSON, from what people write: 2, id=2, a=1,b=x or {"id":2}, or as alerts show it: b="x, y". Null where it is none of these. nullable: of
-- a group, where null is no text.
create or replace function rowbell.key_written(columns text[], written text, nullable boolean) returns json
language plpgsql stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  parts text[];
  names text[];
  quoted constant text := '"(?:[^"\\]|\\.)*"';
begin
  if written ~ '^\s*[{]' then
    return case when (select bool_and(written::json -> c is not null) from unnest(columns) c)
      then json_object(columns, array(select written::json ->> c from unnest(columns) with ordinality as u (c, n) order by n)) end;
  end if;
  names := array(
    select format('(?:%s|%s)=', regexp_replace(c, '([^[:alnum:]_])', '\\\1', 'g'), regexp_replace(rowbell.key_part(c), '([^[:alnum:]_])', '\\\1', 'g'))
    from unnest(columns) with ordinality as u (c, n) order by n);
  parts := regexp_match(written, format('^%s(%s|[^",]*)$', array_to_string(names, format('(%s|[^",]*), ?', quoted)), quoted));
  if parts is not null then
    parts := array(
      select case when p ~ '^"' then p::json #>> '{}' when nullable and p = 'null' then null else p end from unnest(parts) with ordinality as u (p, n) order by n);
  else
    parts := coalesce(regexp_match(written, format('^%s(.*)$', array_to_string(names, '(.*), ?'))), case when cardinality(columns) = 1 then array[written] end);
  end if;
  return json_object(columns, parts);
exception when data_exception then
  return null;
end
$fn$;

-- As 1 time, 2 times.
create or replace function rowbell.times(n bigint) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select n || case when n = 1 then ' time' else ' times' end
$fn$;

-- A value of a waiting document as text; null where it has none, or is no JSON.
create or replace function rowbell.document_text(document text, key text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return rowbell.alert_text(document::json, key);
exception when data_exception or program_limit_exceeded then
  return null;
end
$fn$;

-- Since when a sink is paused, by whom and why, in words. Null where it is not.
create or replace function rowbell.pause_of(sink text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('paused since %s by %s%s', date_trunc('second', p.since), concat_ws(', ', p.who, nullif(p.application, '')), ': ' || p.note)
  from rowbell.paused_sink p
  where p.sink = pause_of.sink
$fn$;

-- When something is to happen, for people: now, in 20 s, or at a time.
create or replace function rowbell.ahead(at timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
  select case
    when at > clock_timestamp() + interval '10 minutes' then 'at ' || date_trunc('second', at)
    when at > clock_timestamp() then format('in %s s', ceil(extract(epoch from at - clock_timestamp())))
    else 'now' end
$fn$;

-- Why no alert reaches a sink now, in words; null where that is not known. A circuit is open where those of all processes are.
create or replace function rowbell.sink_trouble(sink text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
  select coalesce(
    format('the sink %s is ', sink_trouble.sink) || rowbell.pause_of(sink_trouble.sink),
    (
      select case when count(*) = 0 then format('no running process has the sink %s', sink_trouble.sink)
        when bool_and(s.circuit_error is not null) then format('the circuit of the sink %s is open, %s tries in a row failed, next try %s: %s', sink_trouble.sink,
          max(s.circuit_failures), rowbell.ahead(min(s.next_try)), max(s.circuit_error)) end
      from rowbell.sink s
      where s.name = sink_trouble.sink and s.seen > clock_timestamp() - interval '1 minute'))
$fn$;

-- Why a delivery waits for its sink, as a cause. trouble: see sink_trouble().
create or replace function rowbell.wait_of(sink text, due timestamptz, last_error text, trouble text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'waits: ' || coalesce(trouble, case when last_error is null then format('for the sink %s, due %s', sink, rowbell.ahead(due))
    else format('the sink %s failed, next try %s: %s', sink, rowbell.ahead(due), last_error) end)
$fn$;

-- Whether an alert that waits to be routed is of this rule, and about the row or group with this key. Its own key has the names of columns alone, whose values
-- stand in the row that it is about; or it is the key in words, of a dead letter that is sent again.
create or replace function rowbell.is_about(alert json, rule text, key json, subject text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  parts record;
begin
  -- reads a long document once
  select * into parts from json_to_record(alert) as r (rule text, status text, key json, old json, new json);
  if parts.rule is distinct from is_about.rule then
    return false;
  elsif json_typeof(parts.key) = 'string' then
    return parts.key #>> '{}' = subject;
  end if;
  return (
    select bool_and(v.value is not distinct from is_about.key ->> c)
    from json_array_elements_text(parts.key) c
    left join json_each_text(case when parts.status = 'resolved' then coalesce(parts.old, parts.new) else coalesce(parts.new, parts.old) end) v on v.key = c);
-- each role that may insert into the table can write any JSON
exception when data_exception or program_limit_exceeded then
  return false;
end
$fn$;

-- What Rowbell's own tables say of a rule, and of one row where subject is its key as alerts show it ("id=2"; null: of the rule alone), and key the same by
-- column.
create or replace function rowbell.explain_rule(explained rowbell.rule, subject text, key json)
returns table (level text, finding text, about text, name text, weight int, cause text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set TimeZone = 'UTC'
as $fn$
declare
  state rowbell.rule_state;
  watched rowbell.feed;
  -- a backlog of millions is not read for one answer: of each queue, so many alerts
  most constant int := 2000;
  -- what each alert of it has in its text; null where it may be escaped
  named constant text := substring(explained.name from '^[a-zA-Z0-9 _.:=-]+$');
  sought constant text := case when subject is null then named else substring(subject from '^[a-zA-Z0-9 _.:=-]+$') end;
  -- and what each has that waits to be routed and is about the row
  valued constant text := (
    select v.value from json_each_text(explain_rule.key) v where v.value ~ '^[a-zA-Z0-9 _.:=-]+$' order by length(v.value) desc limit 1);
  -- a failure of long ago, or before its last alert, explains nothing of today
  fails boolean;
  disabled text;
  fired text;
  last_alert text;
  last_routed timestamptz;
begin
  select s.* into state from rowbell.rule_state s where s.rule = explained.name;
  select f.* into watched from rowbell.feed f where f.name = explained.feed;
  if not explained.enabled then
    select format(' by %s since %s%s', v.who, date_trunc('second', v.since), ' (' || v.note || ')') into disabled
    from rowbell.rule_override v
    where v.rule = explained.name;
    return query select 'wrong', 'the rule is disabled' || coalesce(disabled || format(': select rowbell.enable(%L)', explained.name), ''), 'rule', explained.name,
      10, 'no alert: the rule is disabled' || coalesce(disabled, '');
  elsif state.broken is not null then
    return query select 'wrong', 'the rule is left out until it is changed: ' || state.broken, 'rule', explained.name, 10, 'the rule is broken: ' || state.broken;
  elsif state.paused is not null then
    return query select 'wrong', format('the rule is paused since %s: select rowbell.resume(%L)', date_trunc('second', state.paused), explained.name),
      'rule', explained.name, 10, format('no alert: the rule is paused since %s', date_trunc('second', state.paused));
  else
    return query select 'ok', 'the rule is enabled', 'rule', explained.name, null::int, null;
  end if;
  fired := case when coalesce(state.hits, 0) = 0 then 'it has not fired yet, as far as it was counted'
    else format('it has fired %s, last at %s', rowbell.times(state.hits), date_trunc('second', state.last_hit)) end;
  return query select 'note', fired, null, null, 90, 'nothing keeps it quiet: ' || fired;
  return query
  select 'note', format('its alerts are notifications on %s: they reach the processes that have it in rowbell.channels, and no other', explained.channel),
    null, null, null::int, null
  where explained.delivery = 'notify';
  if state.failure is not null and state.broken is null then
    fails := coalesce(state.failed > greatest(state.last_hit, clock_timestamp() - interval '1 day'), false);
    return query select case when fails then 'wrong' else 'note' end, format('it failed%s: %s', ' last at ' || date_trunc('second', state.failed), state.failure),
      'rule', explained.name, case when fails then 36 else 70 end, format('the rule failed%s: %s', ' last at ' || date_trunc('second', state.failed), state.failure);
  end if;
  if explained.feed is not null and explained.enabled then
    return query
    select 'wrong', t.problem, 'feed', watched.name, 11, 'no alert: ' || t.problem
    from (
      select format('%s has not all triggers of the rule: writes are not judged', watched.name)
      where exists (select from rowbell.missing_triggers(watched, rowbell.operations_of(explained)))
      union all
      select s.problem from rowbell.silent_triggers() s where s.feed = explained.feed) t (problem);
  end if;
  if not exists (select from rowbell.sink s where s.seen > clock_timestamp() - interval '1 minute')
      and not exists (select from rowbell.doorbell_lease l where l.listening_until > clock_timestamp()) then
    return query
    select 'wrong', p.problem, null, null, 12, 'no alert: ' || p.problem
    from (select 'no process of Rowbell is running' || coalesce((select ' since ' || date_trunc('second', max(s.seen)) from rowbell.sink s), '')) p (problem);
  end if;
  return query
  select case when s.since > clock_timestamp() then 'note' else 'wrong' end,
    case when s.since > clock_timestamp() then format('silence %s is planned to keep it quiet from %s until %s (%s, by %s)', s.id,
      date_trunc('second', s.since), date_trunc('second', s.until), s.why, s.who)
    else format('silence %s keeps it quiet until %s (%s, by %s); alerts kept back: %s', s.id, date_trunc('second', s.until), s.why, s.who, s.silenced) end,
    'silence', s.id::text, 30,
    -- of one row, it says nothing of the others
    case when s.since <= clock_timestamp() and (s.key is null or subject is not null)
      then format('no alert: silenced by silence %s until %s (%s, by %s)', s.id, date_trunc('second', s.until), s.why, s.who) end
  from rowbell.silence s
  where s.until > clock_timestamp()
    and (s.rule is null or explained.name like replace(regexp_replace(s.rule, '([\\%_])', '\\\1', 'g'), '*', '%'))
    -- as alerts show it, or quoted as SQL has it
    and (s.feed is null or exists (
      select
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      cross join unnest(array[s.feed, replace(regexp_replace(s.feed, '(^|\.)"((?:[^"]|"")*)"(?=\.|\*|$)', '\1\2', 'g'), '""', '"')]) as p (feed)
      where c.oid = rowbell.find_feed(explained.feed)
        and n.nspname || '.' || c.relname like replace(regexp_replace(p.feed, '([\\%_])', '\\\1', 'g'), '*', '%')))
    and (s.key is null or subject is null or subject like replace(regexp_replace(s.key, '([\\%_])', '\\\1', 'g'), '*', '%'))
  order by s.id;
  return query
  select case when rowbell.fires_anew(explained) then 'note' else 'wrong' end,
    format('it fires for %s since %s, which %s has acknowledged%s: %s', coalesce(f.key, 'the feed'), date_trunc('second', f.since), f.acknowledged_by,
      ' (' || f.note || ')', case when rowbell.fires_anew(explained) then 'its next alert is new, and sent'
        else format('no alert is sent until it has ended; alerts kept back: %s', f.silenced) end),
    null, null, 31, case when subject is not null and not rowbell.fires_anew(explained)
      then format('no alert: %s has acknowledged it%s, so none is sent until it has ended', f.acknowledged_by, ' (' || f.note || ')') end
  from rowbell.firing f
  where f.rule = explained.name and f.acknowledged is not null and (subject is null or f.key is null or f.key = subject)
  order by f.since
  limit 10;
  return query
  select 'wrong', format('its cooldown keeps it quiet about %s until %s; alerts kept back: %s, since %s', coalesce(nullif(c.key, ''), 'the feed'),
    date_trunc('second', c.last + explained.cooldown), c.silenced, date_trunc('second', c.last)), 'rule', explained.name,
    32, format('no alert: its cooldown keeps it quiet until %s', date_trunc('second', c.last + explained.cooldown))
  from rowbell.cooldown c
  where c.rule = explained.name and c.last + explained.cooldown > clock_timestamp() and c.key in (coalesce(subject, ''), '')
  order by c.path, c.status;
  return query
  select 'note', format('alerts of it that wait to be routed: %s, the oldest since %s', count(*), date_trunc('second', min(f.crt_time))), null, null,
    22, format('waits: to be routed since %s', date_trunc('second', min(f.crt_time)))
  from (select * from rowbell.feedback order by crt_time limit most) f
  where (named is null or strpos(f.alert::text, named) > 0) and (valued is null or strpos(f.alert::text, valued) > 0)
    and case when subject is null then rowbell.alert_text(f.alert, 'rule') = explained.name
      else rowbell.is_about(f.alert, explained.name, explain_rule.key, subject) end
  having count(*) > 0;
  return query
  select case when d.last_error is null and d.trouble is null then 'note' else 'wrong' end,
    format('alerts of it that wait for the sink %s: %s%s%s%s', d.sink, count(*),
      -- else that is not when it is tried
      case when d.trouble is null then format(', the next is due at %s', date_trunc('second', min(d.due))) end, ', tried ' || rowbell.times(max(d.attempts)) || ': ' || d.last_error, '; ' || d.trouble),
    'sink', d.sink, case when d.last_error is null and d.trouble is null then 33 else 20 end, rowbell.wait_of(d.sink, min(d.due), d.last_error, d.trouble)
  from (
    select w.sink, b.due, b.attempts, b.last_error, document, w.trouble
    -- offset 0: else it is asked for each alert
    from (select k.sink, rowbell.sink_trouble(k.sink) as trouble from rowbell.waiting_sinks() k (sink) offset 0) w
    cross join lateral (
      select *, sum(alerts) over (order by due, id) - alerts as before
      from (select * from rowbell.delivery a where a.sink = w.sink order by a.due limit most) a) b
    cross join lateral unnest(b.documents) document
    where b.before < most and (sought is null or strpos(document, sought) > 0)) d
  where rowbell.document_text(d.document, 'rule') = explained.name and (subject is null or rowbell.document_text(d.document, 'key') = subject)
  group by d.sink, d.last_error, d.trouble
  order by d.sink;
  select a.id, a.at into last_alert, last_routed
  from (
    select k.at, k.id from (select * from rowbell.history_alert a where a.key = subject order by a.at desc limit most) k where k.rule = explained.name
    union all
    -- those that are not folded yet
    select e.at, e.ids[n.n]
    from rowbell.history_routed e
    cross join lateral unnest(array_positions(e.keys, subject)) as n (n)
    -- a null is found among the keys
    where subject is not null and e.rules[e.kinds[n.n]] = explained.name) a
  order by a.at desc
  limit 1;
  return query
  select 'wrong', format('dead letters of %s: %s, the last at %s: %s', coalesce('the sink ' || d.sink, 'the routing'), count(*), date_trunc('second', max(d.died)),
    (array_agg(d.last_error order by d.died desc))[1]), 'dead letter', (array_agg(d.id order by d.died desc))[1]::text,
    case when max(d.died) < last_routed then 60 else 35 end, format('not delivered%s: dead letter %s since %s: %s', ' to ' || d.sink, (array_agg(d.id order by d.died desc))[1], date_trunc('second', max(d.died)),
      (array_agg(d.last_error order by d.died desc))[1])
  from (select * from rowbell.dead_letter order by died desc limit most) d
  where (sought is null or strpos(d.alert::text, sought) > 0) and rowbell.alert_text(d.alert, 'rule') = explained.name
    and (subject is null or rowbell.alert_text(d.alert, 'key') = subject)
  group by d.sink
  order by d.sink;
  return query
  select 'note', format('%s: the %s %s of them were looked at, and there are more', q.queue, q.looked_at, most), null, null, null::int, null
  from (
    select 'alerts that wait to be routed', 'oldest' where exists (select from rowbell.feedback offset most)
    union all
    select 'alerts that wait for the sink ' || w.sink, 'first'
    from rowbell.waiting_sinks() w (sink)
    where (select sum(a.alerts) from (select a.alerts from rowbell.delivery a where a.sink = w.sink order by a.due limit most + 1) a) > most
    union all
    select 'dead letters', 'newest' where exists (select from rowbell.dead_letter offset most)) q (queue, looked_at);
  return query
  select 'note', 'its last alert: ' || rowbell.outcome_of(last_alert), 'alert', last_alert, 80, 'its last alert: ' || rowbell.outcome_of(last_alert)
  where last_alert is not null;
end
$fn$;

-- The query for the values of a key, each of the type of its column.
create or replace function rowbell.key_query(relation oid, columns text[], key json) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('select r.* from json_to_record(%L) as r (%s)', key_query.key,
    (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ')
      from pg_attribute a where a.attrelid = relation and a.attname = any (columns)))
$fn$;

-- The query for the row with this key and whether it meets the condition, with OLD being NULL. columns: those of the key.
create or replace function rowbell.row_query(relation oid, condition text, columns text[], key json) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format(E'select row_to_json(new.*) as document, (%s\n) as met from (%s) r join %s as new on %s left join %3$s as old on false limit 1',
    rowbell.rows_by_name(condition, relation), rowbell.key_query(relation, columns, row_query.key), rowbell.sql_name(relation),
    rowbell.same_key_sql(relation, 'new', 'r'))
$fn$;

-- The query for the row with this key and a sentence that says whether it meets the rule now. For query_rows() as that of trial_of() is, so that no function
-- that the rule or the table calls has the rights of its caller. Of a rule that looks at single rows.
create or replace function rowbell.look_of(rule text, key text) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  looked rowbell.rule;
  relation oid;
  written json;
  look text;
begin
  perform rowbell.require_query_role();
  select r.* into looked from rowbell.rule r where r.name = look_of.rule and r.query is null and r.within is null and r.absent is null;
  relation := rowbell.find_feed(looked.feed);
  written := rowbell.key_written(rowbell.key_of(relation), look_of.key, false);
  if written is null then
    raise exception 'no row of rule "%" has the key "%"', look_of.rule, look_of.key using errcode = 'RB001', column = 'key';
  end if;
  look := format(E'select concat(''the row '', case when l.met then ''meets'' else ''does not meet'' end, '' the condition now'','
    ' case when l.met is null then '' (it is NULL)'' end) as verdict, left(l.document::text, 2000) as row from (%s) l',
    rowbell.row_query(relation, looked.condition, rowbell.key_of(relation), written));
  perform rowbell.grant_query(look);
  return look;
end
$fn$;

-- What explain() finds, without the summary.
create or replace function rowbell.rule_findings(rule text, key text, look boolean)
returns table (level text, finding text, about text, name text, weight int, cause text)
language plpgsql
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_variable
declare
  explained rowbell.rule;
  relation oid;
  columns text[];
  written json;
  subject text;
  nullable boolean;
  readable boolean;
  document json;
  met boolean;
  timer rowbell.timer;
begin
  select r.* into explained from rowbell.rule r where r.name = rule_findings.rule;
  if not found then
    raise exception 'there is no rule "%"', rule_findings.rule using errcode = 'RB001', column = 'name';
  end if;
  relation := rowbell.find_feed(explained.feed);
  if relation is null and explained.query is null then
    return query select * from rowbell.explain_rule(explained, null, null);
    return query select 'wrong', format('there is no table %s', explained.feed), null, null, 9, format('no alert: there is no table %s', explained.feed);
    return;
  end if;
  columns := case when explained.query is not null then explained.key
    when coalesce(explained.within, explained.absent) is not null then array(select g.name from rowbell.group_columns(explained."by") g order by g.n)
    else rowbell.key_of(relation) end;
  -- of these alone a key may have a null in alerts
  nullable := coalesce(explained.query, explained.within::text, explained.absent::text, explained."for"::text) is not null;
  if key is not null then
    written := rowbell.key_written(columns, key, nullable);
    readable := written is not null and (select bool_or(written -> c is null) from unnest(columns) c) is false;
    if readable and look and explained.query is null and coalesce(explained.within, explained.absent) is null then
      begin
        execute rowbell.key_query(relation, columns, written);
      exception when data_exception then
        readable := false;
      end;
    end if;
    if not readable then
      raise exception '"%" is no key of %', key, case when coalesce(explained.within, explained.absent) is not null then 'a group' else coalesce(explained.feed, 'the query') end
        using errcode = 'RB001', column = 'key',
        hint = case when cardinality(columns) > 0 then format('Give it as %s.', (select string_agg(rowbell.key_part(c) || '=VALUE', ',') from unnest(columns) c))
          when coalesce(explained.within, explained.absent) is not null then 'The feed is one group: leave the key out.'
          else 'The table has no primary key: leave the key out.' end;
    end if;
    subject := (
      select rowbell.key_cut(string_agg(format('%s=%s', rowbell.key_part(c), case when nullable and written ->> c = 'null' then '"null"'
        else coalesce(rowbell.key_part(written ->> c), 'null') end), ',' order by n))
      from unnest(columns) with ordinality as u (c, n));
  end if;
  return query select * from rowbell.explain_rule(explained, subject, written);
  if explained.query is not null then
    return query
    select case when r.late then 'wrong' else 'note' end,
      case when isfinite(r.due) then format('its query is to run at %s', date_trunc('second', r.due)) else 'its query is to run at once' end, null, null,
      36, case when r.late then format('no alert: its query has not run since it was due at %s', date_trunc('second', r.due)) end
    from (
      select q.due, q.due < clock_timestamp() - interval '1 minute' and isfinite(q.due) as late
      from rowbell.query_run q
      where q.rule = explained.name) r;
    return query
    select 'note', coalesce(f.fires || ': ' || f.result, format('%s was not in its last result', subject)), null, null,
      40, coalesce(f.fires, format('no alert: %s was not in its last result', subject))
    from (select) one
    left join (
      select format('it fires for %s since %s', subject, date_trunc('second', k.since)), k.subject::text
      from rowbell.query_key k
      where k.rule = explained.name and (select bool_and(k.subject ->> c = written ->> c) from unnest(columns) c)) f (fires, result) on true
    where key is not null;
    return;
  elsif coalesce(explained.within, explained.absent) is not null then
    return query
    select 'note', format(case when explained.absent is null then 'it counts changes: %s of %s groups are over the line now'
      else 'it waits for writes: %s of %s groups are silent now' end, count(g.since), count(*)), null, null, null::int, null
    from rowbell.window_group g join rowbell.rule_state s on s.id = g.rule
    where s.rule = explained.name;
    return query
    select 'note', coalesce(g.state || ': ' || g.details, s.silent), null, null, 40, coalesce(g.state, 'no alert: ' || s.silent)
    from (select format(case when explained.absent is null then 'nothing was counted for %s lately'
      when explained.groups is null then 'no write of %s was seen yet, or it was forgotten' else 'groups did not return %s when it ran last' end, subject)) s (silent)
    left join lateral (
      select format('%s is %s', subject, t ->> 'state'), t::text
      from rowbell.test_rule(explained.name, explained.max_groups) t
      where (select bool_and(t -> 'group' ->> c is not distinct from written ->> c) from unnest(columns) c)
      limit 1) g (state, details) on true
    -- even where the row must not be looked at: this reads what was counted, and no function that the rule calls runs
    where key is not null;
    return;
  elsif key is null then
    return;
  end if;
  if not look then
    return query select 'note', 'the row was not looked at: the condition or the type of a column may call functions of other roles', 'row', key,
      85, 'nothing is known that keeps it quiet, but the row was not looked at';
    return;
  end if;
  begin
    execute rowbell.row_query(relation, explained.condition, columns, written) into document, met;
  exception when others then
    return query
    select 'wrong', d.denied, null, null, 40, d.denied from (select 'the row cannot be judged: ' || rowbell.denied(sqlerrm, sqlstate)) d (denied);
    return;
  end;
  if document is null then
    return query
    select 'note', m.missing, null, null, 40, 'no alert: ' || m.missing from (select format('%s has no row with %s now', explained.feed, subject)) m (missing);
  else
    return query
    select 'note', m.met || ': ' || document, null, null, 40, case when met is not true then 'no alert: ' || m.met end
    from (select concat('the row ', case when met then 'meets' else 'does not meet' end, ' the condition now', case when met is null then ' (it is NULL)' end)) m (met);
    return query
    select 'note', 'the condition compares with OLD: here OLD is NULL, as for an insert', null, null, null::int, null
    where rowbell.may_compare(explained.condition);
  end if;
  if explained."for" is not null then
    select t.* into timer
    from rowbell.timer t
    join rowbell.rule_state s on s.id = t.rule
    where s.rule = explained.name and t.ended = 0 and t.key = rowbell.key_text(coalesce(document, written), columns);
    return query
    select 'note', coalesce(t.waits || t.details, t.waits), null, null, 40, coalesce(t.cause, t.waits)
    from (
      select 'it is not armed', case when met and explained.existing then ' yet: a running Rowbell does that soon'
        when met then ': the rule has existing: false, so only a write that makes the condition true arms it' end, 'no alert: it is not armed'
      where timer.rule is null
      union all
      select format('it has met the condition since %s and fired at %s', date_trunc('second', timer.since), date_trunc('second', timer.fired)),
        '; it does not fire again before that ends', format('fired at %s, and does not fire again before the condition has ended', date_trunc('second', timer.fired))
      where timer.fired is not null
      union all
      select format('it is armed: it has met the condition since %s', date_trunc('second', timer.since)),
        case when p.paused then '; the rule is paused' else format(' and fires at %s if that lasts', date_trunc('second', timer.began + explained."for")) end,
        case when not p.paused then format('waiting: armed, due at %s if the condition lasts', date_trunc('second', timer.began + explained."for")) end
      from (select exists (select from rowbell.rule_state s where s.rule = explained.name and s.paused is not null)) p (paused)
      where timer.rule is not null and timer.fired is null) t (waits, details, cause);
  elsif met and explained.fires = 'once' then
    return query
    select 'note', 'the rule fires once, at the write that makes the condition true: a write that leaves it true does not fire again', null, null,
      40, 'no new alert: the row meets the condition already, and the rule fires once';
  elsif met and explained.fires = 'changed' then
    return query
    select 'note', f.fires, null, null, 40, f.fires
    from (select format('the rule fires at a write that changes %s', array_to_string(explained.columns, ' or '))) f (fires);
  end if;
end
$fn$;

-- Why a rule fires, or does not: at all, or for the row (of a rule that counts: the group) with this key, as 2, id=2 or {"id":2}. Reads the feed as its
-- caller does, or with look being false not at all.
create or replace function rowbell.explain(rule text, key text default null, look boolean default true)
returns table (level text, finding text, about text, name text)
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with findings as materialized (
    select f.*, row_number() over () as n from rowbell.rule_findings(explain.rule, explain.key, explain.look) f)
  select s.level, s.finding, s.about, s.name
  from (
    select 'summary', upper(left(c.cause, 1)) || substr(c.cause, 2) || coalesce((select '; ' || l.cause from findings l where l.weight = 80 and c.weight = 40), ''),
      c.about, c.name, 0
    from (select * from findings f where f.cause is not null order by f.weight, f.n limit 1) c
    union all
    select f.level, f.finding, f.about, f.name, f.n from findings f) s (level, finding, about, name, n)
  order by s.n
$fn$;

-- What became of an alert, as the history has it, the first first: the write, the rule, the routing, each try of each sink. No row where the history does
-- not have it.
create or replace function rowbell.alert_timeline(id text)
returns table (at timestamptz, level text, finding text, about text, name text, weight int, cause text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_column
declare
  wanted constant text := left(alert_timeline.id, 200);
  alert rowbell.history_alert;
  alerts rowbell.history_alert[];
begin
  alerts := array(
    select a
    from (
      select a.* from rowbell.history_alert a where a.id = wanted
      union all
      -- is not folded yet
      select e.at, wanted, e.path, e.rules[k.kind], e.feeds[k.kind], e.keys[n.n], e.severities[k.kind], e.statuses[k.kind], e.reasons[k.kind],
        timestamptz 'epoch' + e.times[n.n] * interval '1 us', e.silences[n.n], string_to_array(e.sinks[k.kind], ','), e.documents[n.n]
      from rowbell.history_routed e
      cross join lateral array_positions(e.ids, wanted) as p (places)
      cross join lateral unnest(p.places) as n (n)
      cross join lateral (select e.kinds[n.n]) as k (kind)
      where wanted = any (e.ids)) a
    order by a.at);
  if cardinality(alerts) > 0 then
    alert := alerts[1];
    return query select alert.time, 'note', concat_ws(' ', coalesce(alert.feed, 'something'), alert.key,
      case when alert.path = 'notify' then 'was notified' else coalesce(lower(rowbell.document_text(alert.document, 'operation')), 'written') end || ':',
      coalesce('rule ' || alert.rule, 'no rule'), case when alert.status = 'resolved' then 'ended' else 'fired' end,
      '(' || concat_ws(': ', alert.severity, alert.reason) || ')'),
      -- others raise alerts too, of rules that are not here
      (select 'rule' from rowbell.rule r where r.name = alert.rule), alert.rule, null::int, null;
    return query
    select alert.time, 'note', format('the rule was then, since %s by %s: %s', date_trunc('second', c.at), c.who, coalesce(c.after ->> 'condition', c.after ->> 'query')),
      null, null, null::int, null
    from rowbell.rule_change c
    where c.rule = alert.rule and c.at <= alert.time and coalesce(c.after ->> 'condition', c.after ->> 'query') is not null
    order by c.id desc
    limit 1;
    foreach alert in array alerts loop
      return query
      select alert.at, 'note', coalesce('it was not sent: ' || r.why, 'it was routed to ' || nullif(array_to_string(alert.sinks, ', '), ''),
          'it was routed to no sink, see routes/alerts.camel.yaml'),
        (select 'silence' from rowbell.silence s where s.id = alert.silence), alert.silence::text,
        case when r.why is null and cardinality(alert.sinks) > 0 then 90 else 40 end,
        coalesce('not sent: ' || r.why, 'routed to ' || nullif(array_to_string(alert.sinks, ', '), ''), 'not sent: routed to no sink')
      from (
        select case
          when alert.silence > 0 then format('silence %s kept it quiet%s', alert.silence,
            (select format(' (%s, by %s)', s.why, s.who) from rowbell.silence s where s.id = alert.silence))
          when alert.silence = 0 then 'the cooldown of its rule kept it quiet'
          when alert.silence < 0 then 'what it is about was acknowledged' end) r (why);
    end loop;
  end if;
  return query
  select t.at, case when t.outcome = 'delivered' then 'ok' else 'note' end, concat(case t.outcome
      when 'delivered' then format('%s has it', t.sink)
      when 'failed' then format('%s failed', t.sink)
      when 'dead' then format('it became a dead letter of %s', coalesce(t.sink, 'the routing'))
      else format('its dead letter of %s was %s', coalesce(t.sink, 'the routing'), t.outcome) end,
    ' at try ' || t.attempt, ' by ' || t.who, ', answer ' || t.status, ': ' || t.error, ': ' || t.answer),
    case when t.sink is not null then 'sink' end, t.sink, 50, case t.outcome
      when 'delivered' then format('delivered to %s at %s', t.sink, date_trunc('second', t.at))
      when 'discarded' then format('not delivered%s: its dead letter was discarded%s', ' to ' || t.sink, ' by ' || t.who) end
  from (
    select t.* from rowbell.history_try t where t.alert_id = wanted
    union all
    select e.at - e.ago[k.try] * interval '1 us', wanted, e.sink, e.outcomes[k.try], e.attempts[k.try], e.statuses[k.try], e.answers[k.try],
      e.errors[k.try], e.who
    from rowbell.history_tried e
    cross join lateral unnest(array_positions(e.alert_ids, wanted)) as n (n)
    cross join lateral (select e.tries[n.n]) as k (try)
    where wanted = any (e.alert_ids)) t
  order by t.at;
end
$fn$;

-- What became of an alert, as the causes of its findings in one sentence.
create or replace function rowbell.joined_causes(weights int[], causes text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(string_agg(c.cause, '; ' order by c.weight, c.n) filter (where c.weight < 90), min(c.cause))
  from (
    select u.cause, min(u.weight) as weight, min(u.n) as n
    from unnest(weights, causes) with ordinality as u (weight, cause, n)
    where u.cause is not null
    group by u.cause) c
$fn$;

-- What became of an alert, as the history has it, in one sentence; what waits is not looked at.
create or replace function rowbell.outcome_of(id text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.joined_causes(array_agg(t.weight), array_agg(t.cause)) from rowbell.alert_timeline(outcome_of.id) t
$fn$;

-- When an alert may have begun to wait: when it was routed or replayed, or else when it was made, as far as its id says so; and now.
create or replace function rowbell.waiting_since(id text) returns setof timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $fn$
#variable_conflict use_column
declare
  wanted constant text := left(waiting_since.id, 200);
begin
  return query
  select a.at from rowbell.history_alert a where a.id = wanted
  union
  -- those that are not folded yet
  select e.at from rowbell.history_routed e where wanted = any (e.ids);
  if not found and wanted ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$' then
    return next timestamptz 'epoch' + ('x' || lpad(left(replace(wanted, '-', ''), 12), 16, '0'))::bit(64)::bigint * interval '1 ms';
  end if;
  return query
  select t.at from rowbell.history_try t where t.alert_id = wanted and t.outcome = 'replayed'
  union
  select e.at from rowbell.history_tried e where 'replayed' = any (e.outcomes) and wanted = any (e.alert_ids);
  return next clock_timestamp();
end
$fn$;

-- What explain_alert() finds, without the summary. Of the alerts that wait it looks at those that came just before and after one of these times, for a
-- backlog of millions is not read for one answer.
create or replace function rowbell.alert_findings(id text)
returns table (level text, finding text, about text, name text, weight int, cause text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_column
declare
  wanted constant text := alert_findings.id;
  most constant int := 5000;
  times constant timestamptz[] := array(select rowbell.waiting_since(wanted));
  known boolean;
begin
  return query
  select t.level, format('%s  %s', to_char(t.at, 'YYYY-MM-DD HH24:MI:SS.MS'), t.finding), t.about, t.name, t.weight, t.cause
  from rowbell.alert_timeline(wanted) t;
  known := found;
  return query
  select 'note', format('it waits to be routed since %s', date_trunc('second', f.crt_time)), null, null,
    22, format('waits: to be routed since %s', date_trunc('second', f.crt_time))
  from (
    select b.* from unnest(times) s cross join lateral (select * from rowbell.feedback b where b.crt_time <= s order by b.crt_time desc limit most) b
    union all
    select a.* from unnest(times) s cross join lateral (select * from rowbell.feedback a where a.crt_time > s order by a.crt_time limit most) a) f
  -- by far the faster of the two; most alerts are another
  where strpos(f.alert::text, wanted) > 0 and rowbell.alert_text(f.alert, 'id') = wanted
  limit 1;
  known := known or found;
  return query
  select case when d.last_error is null and p.trouble is null then 'note' else 'wrong' end, format('it waits for the sink %s since %s%s%s%s',
    d.sink, date_trunc('second', d.filed), case when p.trouble is null then format(', due at %s', date_trunc('second', d.due)) end, ', tried ' || rowbell.times(d.attempts) || ': ' || d.last_error, '; ' || p.trouble),
    'sink', d.sink, 20, rowbell.wait_of(d.sink, d.due, d.last_error, p.trouble)
  from (
    select distinct on (w.id) w.*
    from (
      select b.*
      from rowbell.waiting_sinks() k (sink)
      cross join unnest(times) s (at)
      cross join lateral (
        select *, sum(d.alerts) over (order by d.filed desc, d.id) - d.alerts as nearer
        from (select * from rowbell.delivery d where d.sink = k.sink and d.filed <= s.at order by d.filed desc limit most) d) b
      union all
      select a.*
      from rowbell.waiting_sinks() k (sink)
      cross join unnest(times) s (at)
      cross join lateral (
        select *, sum(d.alerts) over (order by d.filed, d.id) - d.alerts as nearer
        from (select * from rowbell.delivery d where d.sink = k.sink and d.filed > s.at order by d.filed limit most) d) a) w
    where w.nearer < most and exists (
      select from unnest(w.documents) document
      where strpos(document, wanted) > 0 and rowbell.document_text(document, 'id') = wanted)) d
  cross join lateral (select rowbell.sink_trouble(d.sink) as trouble) p
  order by d.sink, d.filed;
  known := known or found;
  return query
  select 'wrong', format('it is the dead letter %s of %s since %s, tried %s: %s', d.id, coalesce('the sink ' || d.sink, 'the routing'),
    date_trunc('second', d.died), rowbell.times(d.attempts), d.last_error), 'dead letter', d.id::text,
    21, format('not delivered%s: dead letter %s since %s: %s', ' to ' || d.sink, d.id, date_trunc('second', d.died), d.last_error)
  from rowbell.dead_letter d
  where d.alert_id = wanted;
  known := known or found;
  return query
  select 'note', n.nowhere, null, null, 90, n.nowhere
  from (values ('it was not found, but not all that waits was looked at: so many alerts wait, and the history does not have it')) n (nowhere)
  where not known and wanted ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    and (exists (select from rowbell.delivery offset most) or exists (select from rowbell.feedback offset most));
end
$fn$;

-- What became of an alert, and where it waits. Without a row: it is not known.
create or replace function rowbell.explain_alert(id text) returns table (level text, finding text, about text, name text)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with findings as materialized (
    select f.*, row_number() over () as n from rowbell.alert_findings(explain_alert.id) f)
  select s.level, s.finding, s.about, s.name
  from (
    select 'summary', upper(left(c.cause, 1)) || substr(c.cause, 2), null, null, 0
    from (select rowbell.joined_causes(array_agg(f.weight order by f.n), array_agg(f.cause order by f.n)) from findings f) c (cause)
    where c.cause is not null
    union all
    select f.level, f.finding, f.about, f.name, f.n from findings f) s (level, finding, about, name, n)
  order by s.n
$fn$;
