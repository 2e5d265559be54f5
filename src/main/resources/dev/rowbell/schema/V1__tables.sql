-- The tables of Rowbell. Everything is in the schema rowbell. Functions are in the R__ files, each exactly once.

-- Durable alerts on their way from a writer's transaction to routing. Emptied by delete-returning.
create table rowbell.feedback (
  crt_time timestamptz not null default clock_timestamp(),
  alert json not null
);
-- not compressed, so that a poll knows how many bytes an alert has without reading it
alter table rowbell.feedback alter column alert set storage external;
create index feedback_crt_time on rowbell.feedback (crt_time);
comment on table rowbell.feedback is 'Durable alerts, written by triggers, emptied by delete-returning';

-- Notifications that a process had received when it stopped. The next one that listens routes them, as notifications: any role can send one, so they
-- must not become durable alerts.
create table rowbell.notification (
  -- of the alert that it becomes, unless the payload brings one: in the order of time
  id text primary key,
  channel text not null,
  payload text not null,
  arrived timestamptz not null
);
comment on table rowbell.notification is 'Notifications that were received and not routed before a stop; the next start routes them';

-- Deliveries on their way to their sink: each row is a batch of alerts. One that is locked belongs to a process until its lease ends. A batch in which
-- one alert may be at fault is split into rows of one alert each.
create table rowbell.delivery (
  -- random, so that none is given twice: a crash or a standby can make a sequence give a number again, while its delivery is under way
  id uuid primary key default gen_random_uuid(),
  sink text not null,
  -- the alerts as JSON; text, so that a document of any content, size and depth is passed on as it is
  documents text[] not null check (array_ndims(documents) = 1 and array_position(documents, null) is null),
  alerts int not null generated always as (cardinality(documents)) stored check (alerts > 0),
  -- of the documents together, as they are in memory: they may be stored compressed. 0: not known
  characters int not null default 0,
  attempts int not null default 0,
  filed timestamptz not null default clock_timestamp(),
  due timestamptz not null default clock_timestamp(),
  -- the lease and its end; not in the index, so that leasing a row writes no index entry
  locked_by uuid,
  locked_until timestamptz not null default '-infinity',
  last_error text
);
-- most rows live for milliseconds: PostgreSQL's own way to compress takes longer than to write it; see the end of this file
alter table rowbell.delivery alter column documents set storage external;
create index delivery_due on rowbell.delivery (sink, due);
-- by which a queue is counted without its documents, and an alert in it is found: the history says when it was filed
create index delivery_filed on rowbell.delivery (sink, filed) include (alerts);
comment on table rowbell.delivery is 'The outbox: batches of alerts for a sink, deleted when delivered; rowbell.waiting counts the alerts';

-- The alerts that wait for each sink, for people.
create view rowbell.waiting as
  select
    sink,
    sum(alerts) as alerts,
    coalesce(sum(alerts) filter (where attempts > 0), 0) as retrying,
    min(filed) as oldest,
    min(due) as next_due,
    (array_agg(last_error order by due desc) filter (where last_error is not null))[1] as last_error
  from rowbell.delivery
  group by sink;
comment on view rowbell.waiting is 'By sink, how many alerts wait, how many of them failed before, since when the oldest waits, and the last error';

-- Deliveries that were given up, and alerts that could not be routed (sink is null).
create table rowbell.dead_letter (
  id bigint generated always as identity primary key,
  sink text,
  alert_id text not null,
  alert json not null,
  attempts int not null,
  filed timestamptz not null,
  died timestamptz not null default clock_timestamp(),
  last_error text not null
);
create index dead_letter_died on rowbell.dead_letter (died);
create index dead_letter_alert on rowbell.dead_letter (alert_id);
-- those of a sink that have the same error
create index dead_letter_group on rowbell.dead_letter (sink, hashtextextended(left(last_error, 1000), 0));
comment on table rowbell.dead_letter is 'Deliveries that were given up, with the last error; select rowbell.replay(id) sends one again';

-- The sinks of each process, which writes them every 10 seconds, with the rates of its last five minutes. A process that has a sink switched off files
-- deliveries for it while another process has it on.
create table rowbell.sink (
  process uuid not null,
  name text not null,
  seen timestamptz not null,
  delivered_per_minute float8 not null default 0,
  failed_per_minute float8 not null default 0,
  -- while its circuit is open: the last error, the tries that failed in a row, and when it tries again
  circuit_error text,
  circuit_failures int,
  next_try timestamptz,
  primary key (process, name)
);
comment on table rowbell.sink is 'Which process delivers for which sinks, how many alerts a minute, whether its circuit is open, and when it said so last';

-- The sinks to which no process delivers until they are resumed, see rowbell.pause_sink(). Their deliveries wait.
create table rowbell.paused_sink (
  sink text primary key,
  since timestamptz not null default clock_timestamp(),
  who text not null default session_user,
  application text not null default current_setting('application_name'),
  note text
);
comment on table rowbell.paused_sink is 'The sinks to which nothing is delivered until rowbell.resume_sink(sink): since when, by whom and why';

-- Whether writers of a feedback table ring the doorbell: while a process listens, and not while its polls follow each other anyway. Both are renewed
-- every few seconds by the process. Unlogged: after a crash they are written again.
create unlogged table rowbell.doorbell_lease (
  relation oid primary key,
  suppressed_until timestamptz not null default '-infinity',
  listening_until timestamptz not null default '-infinity'
);
comment on table rowbell.doorbell_lease is 'Until when the doorbell of a feedback table is listened to, and until when it is suppressed';

-- Which session listens to channels to which one process alone is to listen. It holds the advisory lock of the key. Free again when that session is gone,
-- or has no such lock any more: a pooler keeps the session of a process that has gone, and discards its locks. The lock alone says nothing, since
-- any role can take any.
create unlogged table rowbell.listener (
  channels text primary key,
  pid int not null,
  role oid not null,
  started timestamptz not null,
  key bigint not null
);
comment on table rowbell.listener is 'Which session listens to channels to which one process alone is to listen';

-- The rules, as they were written. A change takes effect in its own transaction.
create table rowbell.rule (
  name text primary key,
  -- null: the rule is about no table
  feed text,
  condition text,
  reason text,
  severity text not null default 'warning',
  fires text not null default 'once',
  columns text[] not null default '{}',
  delivery text not null default 'durable',
  channel text not null default 'channel_1',
  resolved boolean not null default false,
  operations text[] not null default '{insert,update}',
  enabled boolean not null default true,
  origin text,
  -- how long further alerts about a row are counted and not delivered
  cooldown interval not null default '0' constraint rule_cooldown check (cooldown >= interval '0' and cooldown <= interval '100 years'),
  -- how long the condition has to hold before the rule fires; null: it fires at once
  "for" interval constraint rule_for check ("for" > interval '0' and "for" <= interval '100 years'),
  -- for rows that met the condition before the rule existed: whether they are watched too, and an expression over NEW for since when
  existing boolean not null default true,
  since text,
  -- of a rule without a feed: what it looks for, the columns that tell the rows of its result apart, and how often it runs
  query text,
  key text[] not null default '{}',
  every interval,
  cron text,
  zone text,
  max_rows int not null default 1000,
  -- of a rule that counts: it fires when so many changes met the condition within this time, or a sum of them is over so much; by groups
  count int,
  sum text,
  over numeric,
  within interval,
  by text[] not null default '{}',
  max_groups int not null default 10000,
  -- how long no write may meet the condition before the rule fires; the query for the groups that are expected; when a group that is silent is forgotten
  absent interval,
  groups text,
  forget interval not null default '7 days'
);
comment on table rowbell.rule is 'The rules: what is wrong with a row. A change takes effect in its own transaction';
comment on column rowbell.rule.origin is 'The file that owns the rule, which is to be changed there; null where it was made by SQL';
comment on column rowbell.rule.cooldown is 'After an alert about a row, those about the same row are counted and not delivered for so long';

-- Who changed rules, and what. No reference to the rule: what is gone stays here.
create table rowbell.rule_change (
  id bigint primary key generated always as identity,
  at timestamptz not null default clock_timestamp(),
  who text not null default session_user,
  application text not null default current_setting('application_name'),
  -- null: all rules were removed by truncate
  rule text,
  -- the columns that differ; null where there was no such rule before, or is none after
  before jsonb,
  after jsonb
);
create index rule_change_rule on rowbell.rule_change (rule, id);
comment on table rowbell.rule_change is 'Who changed rules when, from what to what; kept for a year';

-- The rules that disable() has disabled: they stay disabled until enable(), also if their file has them enabled. Deleted with the rule.
create table rowbell.rule_override (
  rule text primary key references rowbell.rule on update cascade on delete cascade,
  since timestamptz not null default clock_timestamp(),
  who text not null default session_user,
  note text,
  -- the value in the file, which counts again after enable()
  enabled boolean not null default true
);
comment on table rowbell.rule_override is 'Who disabled which rules, since when and why; a rule of a file stays disabled, whatever the file says';

-- When the query of each rule is to run again. Whoever runs it has its row locked meanwhile, for as long as the query takes: so neither this table nor
-- query_key refers to the rule, or a change of it would wait.
create table rowbell.query_run (
  rule text primary key,
  -- by which due was worked out
  schedule text not null,
  due timestamptz not null
);
comment on table rowbell.query_run is 'When the query of each rule is to run again; locked by the process that runs it';

-- The rows that the query of each rule had in its last result. A row that is new here fires, one that is gone resolves.
create table rowbell.query_key (
  rule text not null,
  -- the columns of the rule's key as JSON, or its hash where it is long; empty: the result had more than max_rows rows
  key text not null,
  since timestamptz not null default clock_timestamp(),
  subject json not null,
  primary key (rule, key)
);
comment on table rowbell.query_key is 'What rules with a query fire for now: the key and the row of the last result, and since when';

-- The state of each rule. A table of its own, so that a writer never locks a row that an administrator changes.
create table rowbell.rule_state (
  rule text primary key references rowbell.rule on update cascade on delete cascade,
  -- by which functions of a feed name the rule to each other: a writer may meet the new one of one function and the old one of another
  id int not null generated always as identity unique,
  hits bigint not null default 0,
  last_hit timestamptz,
  failure text,
  failed timestamptz,
  reported timestamptz,
  broken text,
  -- of a rule with "for": while its timers are paused, since when
  paused timestamptz,
  -- and when they were paused within the last 7 days
  pauses tstzrange[] not null default '{}',
  -- the transaction since which rows that met the condition before are to be armed, see scan_timers(); null where that is done. In steps: after this key
  scan xid8,
  scan_pass int not null default 0,
  scan_after text,
  -- of a rule that counts: its id of before it began at zero, until run_windows() has taken its groups over
  counted_as int,
  -- changes and windows of before do not count; whether all of its groups are to be judged again, and whether it had too many
  counts_since timestamptz not null default '-infinity',
  judges_since timestamptz not null default '-infinity',
  judges_again boolean not null default false,
  crowded boolean not null default false
);
comment on table rowbell.rule_state is 'What became of each rule: hits, last failure, why it is left out';

-- Failures of rules, until report_failures() folds them into rule_state. Only added to by writers, who so wait for nothing; no reference, which would wait for
-- an administrator that deletes the rule.
create table rowbell.rule_failure (
  rule text not null,
  failed timestamptz not null default clock_timestamp(),
  failure text not null,
  alert json not null
);
comment on table rowbell.rule_failure is 'Failures of rules that were not reported yet';

-- The watched tables. The number names their functions; relation follows a table that is renamed, and a dump and restore. Its rows are the locks of the compiler.
create table rowbell.feed (
  id int generated always as identity primary key,
  name text not null unique,
  relation regclass not null unique
);
comment on table rowbell.feed is 'The watched tables, and the numbers that name their functions';

-- The feeds with row triggers. A table of its own: a change of rowbell.feed would wait for writers, whose alerts read it, and other writers would
-- wait behind it.
create table rowbell.row_feed (
  feed int primary key references rowbell.feed on delete cascade
);
comment on table rowbell.row_feed is 'The feeds that are judged by triggers for each row, chosen by rowbell.for_each(); all others by triggers for each statement';

-- When a rule fired for a row last. The time is the alert's own, so that a backlog is judged as it came about. No reference to the rule: routing would wait
-- for an administrator that deletes it.
create table rowbell.cooldown (
  rule text not null,
  -- durable or notify: a notification, which anyone can send, keeps no durable alert quiet
  path text not null,
  status text not null,
  key text not null,
  last timestamptz not null,
  -- when that alert was routed: as long after it the row is needed, since others of its backlog may come
  routed timestamptz not null default clock_timestamp(),
  -- alerts that were dropped since
  silenced bigint not null default 0,
  primary key (rule, path, status, key)
);
create index cooldown_routed on rowbell.cooldown (routed);
comment on table rowbell.cooldown is 'When each rule that has a cooldown fired last, for each row';

-- What happened to rows for rules with "for": a (armed: the row meets the condition from now on), d (disarmed: no more), m (moved: it still does, under
-- another key). Only added to by writers, who so wait for nothing; folded into rowbell.timer by fold_timers().
create table rowbell.timer_event (
  feed int not null,
  id bigint not null generated always as identity,
  -- rowbell.rule_state.id
  rule int not null,
  kind "char" not null,
  -- as {"id":2}
  key text not null,
  moved_to text,
  -- whether the row was inserted or deleted, and by which transaction
  whole boolean not null,
  xact xid8 not null default pg_current_xact_id(),
  at timestamptz not null,
  primary key (feed, id)
);
comment on table rowbell.timer_event is 'Rows that began or ceased to meet the condition of a rule with "for", until they are folded into rowbell.timer';

-- The rows that meet the condition of a rule with "for": armed, and those for which it has fired. No reference to the rule: Rowbell would wait for an
-- administrator that deletes it.
create table rowbell.timer (
  feed int not null,
  rule int not null,
  key text not null,
  since timestamptz not null,
  -- since, and later by the time for which the rule was paused: it fires at began + "for", so that a change of "for" moves all that is armed
  began timestamptz not null,
  fired timestamptz,
  -- 0; of one that has fired and ended, and is still to be resolved: the number of the event that ended it
  ended bigint not null default 0,
  primary key (rule, key, ended)
);
create index timer_began on rowbell.timer (rule, began) where fired is null;
create index timer_fired on rowbell.timer (rule) where fired is not null;
create index timer_ended on rowbell.timer (rule) where ended <> 0;
comment on table rowbell.timer is 'The rows that meet the condition of a rule with "for": since when, and whether it has fired';

-- The feeds with such rules. A process locks the row while it works on the timers of the feed.
create table rowbell.timer_feed (
  feed int primary key references rowbell.feed on delete cascade,
  -- by which timers know their rows, see timer_key_of()
  key jsonb not null,
  -- all that was committed before is folded
  folded timestamptz
);
comment on table rowbell.timer_feed is 'The feeds of rules with "for"; locked by the process that works on their timers';

-- What each statement added to the groups of rules with "count", "sum" or "absent". Only added to by writers, who so wait for nothing; folded into rowbell.window_count
-- by run_windows(). The order does not matter.
create table rowbell.window_event (
  feed int not null,
  -- rowbell.rule_state.id
  rule int not null,
  -- the group, as {"shop":7}
  key text not null,
  at timestamptz not null,
  -- as {"count":3,"sum":1.5,"keys":["{\"id\":2}"]}
  added json not null
);
create index window_event_feed on rowbell.window_event (feed, at);
comment on table rowbell.window_event is 'What statements added to the groups of rules that count, until it is folded into rowbell.window_count';

-- Rows that a statement moves to another partition, from the triggers of its rows to those of the statement, see R__55. Removed when the transaction has ended.
-- Unlogged: no other transaction reads it.
create unlogged table rowbell.move (
  xid xid8 default pg_current_xact_id(),
  -- counts within the transaction
  n int,
  feed int not null,
  -- of the triggers
  depth int,
  -- false: it left a partition
  came boolean,
  -- what of its key does not move it, as text
  key text,
  -- null: it could not be written
  written text,
  constraint move_pkey primary key (xid, n)
);
comment on table rowbell.move is 'Rows that a statement moves to another partition, until its triggers have judged them';

-- The groups of rules that count, of which something was written lately, and of rules with "absent". No reference to the rule: Rowbell would wait for an administrator that deletes it.
create table rowbell.window_group (
  id bigint primary key generated always as identity,
  rule int not null,
  -- its document, or a hash of it where it is long
  key text not null,
  subject json not null,
  -- since when it is over the line, or silent; null: it is not
  since timestamptz,
  -- when it fell below last
  until timestamptz,
  -- when it is to be judged again, if nothing more is written; null: at once
  due timestamptz,
  -- of a rule with "absent": when the condition was met last, or since when that is expected. Without an index, so that it costs little to write
  last timestamptz,
  unique (rule, key)
);
create index window_group_due on rowbell.window_group (rule, due);
comment on table rowbell.window_group is 'The groups of rules with count, sum or absent: since when they fire, and when to judge them again';

-- What was counted for each group, in parts of a window.
create table rowbell.window_count (
  group_id bigint not null references rowbell.window_group on delete cascade,
  at timestamptz not null,
  count bigint not null,
  sum numeric,
  keys text[] not null,
  primary key (group_id, at)
);
comment on table rowbell.window_count is 'What was counted for each group of a rule that counts, by time';

-- The feeds with such rules, and until when their windows were judged. A process locks the row while it works on them.
create table rowbell.window_feed (
  feed int primary key references rowbell.feed on delete cascade,
  judged timestamptz not null default clock_timestamp(),
  -- rules whose alerts could not be stored, as rowbell.rule_state.id: until when their windows were judged, and when they are tried again
  failing int[] not null default '{}',
  failing_judged timestamptz,
  retry timestamptz
);
comment on table rowbell.window_feed is 'The feeds of rules that count; locked by the process that works on their windows';

-- Alerts that are not to be delivered, from when until when and why. rule, feed and key are what the alert shows ("id=2"); a star stands for anything, null
-- for all. A change takes effect within a second.
create table rowbell.silence (
  id bigint generated always as identity primary key,
  rule text,
  feed text,
  key text,
  until timestamptz not null,
  who text not null default current_user,
  why text not null check (why <> ''),
  -- when it begins; one that is planned begins later than it is written
  since timestamptz not null default clock_timestamp(),
  silenced bigint not null default 0,
  constraint silence_ends_after_it_begins check (until >= since)
);
comment on table rowbell.silence is 'Alerts that are counted and not delivered: rule, feed and key with * for anything, since and until when, who and why';
comment on column rowbell.silence.silenced is 'How many alerts it kept from being delivered';

-- What fires now, and for a while what has ended, see rowbell.fold_firing(): by these an alert that is routed late is told from one that is new. Without an
-- index of the rule, which would take a quarter of the time of a fold.
create table rowbell.firing_state (
  fingerprint text collate "C" primary key,
  -- of all that happened from one end to the next; another one when it fires again
  id bigint not null generated by default as identity,
  rule text,
  feed text,
  key text,
  severity text not null,
  reason text,
  since timestamptz not null,
  last timestamptz not null,
  -- 0: it has ended
  times bigint not null,
  silenced bigint not null,
  alert_id text not null,
  ended timestamptz
);
comment on table rowbell.firing_state is 'What fires now and what has just ended, by fingerprint; rowbell.firing shows what fires';

-- The durable alerts of each transaction that routed some, until fold_firing() folds them into firing_state. Only added to by routing, which so waits for
-- nothing. The n-th elements belong together; what many alerts share is there once, and named by its place.
create table rowbell.firing_event (
  id bigint primary key generated always as identity,
  fingerprints text[] not null,
  alert_ids text[] not null,
  keys text[] not null,
  -- microseconds since 1970
  times bigint[] not null,
  -- whether the alert says that it fires, and whether it was silenced
  fires boolean[] not null,
  silenced boolean[] not null,
  -- the place in the arrays below
  kinds int[] not null,
  rules text[] not null,
  feeds text[] not null,
  severities text[] not null,
  reasons text[] not null
);
-- as rowbell.delivery
alter table rowbell.firing_event
  alter column fingerprints set storage external, alter column alert_ids set storage external, alter column keys set storage external,
  alter column times set storage external, alter column fires set storage external, alter column silenced set storage external,
  alter column kinds set storage external;
comment on table rowbell.firing_event is 'Durable alerts that were routed and are not in rowbell.firing yet';

-- Who takes care of what fires. A table of its own, so that a transaction that acknowledges holds up no fold. No reference, which would lock the other row.
create table rowbell.acknowledgement (
  fingerprint text collate "C" primary key,
  -- rowbell.firing_state.id: what fires again after its end is another
  firing bigint not null,
  at timestamptz not null default clock_timestamp(),
  who text not null default session_user,
  application text not null default current_setting('application_name'),
  assignee text,
  note text
);
comment on table rowbell.acknowledgement is 'Who takes care of what fires, until it ends';

create view rowbell.firing as
  select f.id, f.fingerprint, f.rule, f.feed, f.key, f.severity, f.reason, f.since, f.last, f.times, f.silenced, f.alert_id,
    a.at as acknowledged, a.who as acknowledged_by, a.application as acknowledged_from, a.assignee, a.note
  from rowbell.firing_state f
  left join rowbell.acknowledgement a on a.fingerprint = f.fingerprint and a.firing = f.id
  where f.times > 0;
comment on view rowbell.firing is 'What fires now: since when, when last, how often, how many of these alerts were silenced, and who takes care of it';

-- Who did what in the web console. The running Rowbell adds to it, and can change nothing in it.
create table rowbell.audit (
  id bigint primary key generated always as identity,
  at timestamptz not null default clock_timestamp(),
  -- a user of the web console; token: who started Rowbell
  who text not null,
  -- from where
  address text not null,
  action text not null,
  what text not null,
  result text not null
);
comment on table rowbell.audit is 'What operators did in the web console: who, when, from where, what, and with what result';

-- What became of each alert, in partitions by day that rowbell.keep_history() makes and drops. Both are filled by rowbell.fold_history(). Without
-- constraints, so that an insert costs little.
create table rowbell.history_alert (
  -- when it was routed
  at timestamptz not null,
  -- of the alert; twice where a dead letter was routed again
  id text not null,
  -- durable or notify
  path text not null,
  rule text,
  feed text,
  key text,
  severity text,
  status text,
  reason text,
  -- of the alert
  time timestamptz not null,
  -- what kept it from being sent: a silence, 0 the cooldown of its rule, -1 that it was acknowledged; null: nothing
  silence bigint,
  -- for which it was filed
  sinks text[] not null,
  document text not null
) partition by range (at);
create index history_alert_id on rowbell.history_alert (id);
create index history_alert_at on rowbell.history_alert (at, id);
-- without the id: the alerts of a transaction have one time, and their entries are stored as one
create index history_alert_rule on rowbell.history_alert (rule, at);
create index history_alert_feed on rowbell.history_alert (feed, at);
create index history_alert_key on rowbell.history_alert (key, at);
comment on table rowbell.history_alert is 'The alerts that were routed, by day; rowbell.history shows them with what became of them';

create table rowbell.history_try (
  at timestamptz not null,
  alert_id text not null,
  -- null: routing
  sink text,
  -- delivered, failed, dead, replayed or discarded
  outcome text not null,
  -- which try it was; null where nothing was sent
  attempt int,
  -- of the answer of a receiver that gave one, and its beginning
  status int,
  answer text,
  error text,
  -- who replayed or discarded it
  who text
) partition by range (at);
create index history_try_alert on rowbell.history_try (alert_id, at);
comment on table rowbell.history_try is 'What became of alerts, by day: each try of each sink, dead letters, replays';

-- The alerts of each transaction that routed some, until fold_history() folds them into history_alert. Only added to by routing, which so waits for nothing.
-- The n-th elements belong together; what many alerts share is there once, and named by its place.
create table rowbell.history_routed (
  id bigint primary key generated always as identity,
  at timestamptz not null default clock_timestamp(),
  path text not null,
  ids text[] not null,
  keys text[] not null,
  -- microseconds since 1970
  times bigint[] not null,
  documents text[] not null,
  -- null: nothing was silenced
  silences bigint[],
  -- the place in the arrays below
  kinds int[] not null,
  rules text[] not null,
  feeds text[] not null,
  severities text[] not null,
  statuses text[] not null,
  reasons text[] not null,
  -- names, separated by commas
  sinks text[] not null
);
comment on table rowbell.history_routed is 'Alerts that were routed and are not in the history yet';

-- The same for history_try: what was acknowledged in one transaction.
create table rowbell.history_tried (
  id bigint primary key generated always as identity,
  at timestamptz not null default clock_timestamp(),
  sink text,
  alert_ids text[] not null,
  -- the place in the arrays below
  tries int[] not null,
  -- how long before, in microseconds
  ago bigint[] not null,
  outcomes text[] not null,
  attempts int[] not null,
  statuses int[] not null,
  answers text[] not null,
  errors text[] not null,
  who text
);
-- as rowbell.delivery
alter table rowbell.history_routed
  alter column ids set storage external, alter column keys set storage external, alter column times set storage external,
  alter column documents set storage external, alter column silences set storage external, alter column kinds set storage external;
alter table rowbell.history_tried
  alter column alert_ids set storage external, alter column tries set storage external;
comment on table rowbell.history_tried is 'Tries of sinks that are not in the history yet';

create view rowbell.history as
  select a.at as routed, a.id, a.path, a.rule, a.feed, a.key, a.severity, a.status, a.reason, a.time,
    case when a.silence > 0 then 'silence ' || a.silence when a.silence = 0 then 'cooldown' when a.silence < 0 then 'acknowledged' end as silenced_by,
    a.sinks, a.document, t.tries
  from rowbell.history_alert a
  -- no subselect: of a view of one table, PostgreSQL 15 and 16 write the names of columns in two ways, and a snapshot is of all versions
  left join lateral (
    select json_agg(json_build_object('at', t.at, 'sink', t.sink, 'outcome', t.outcome, 'attempt', t.attempt, 'status', t.status, 'answer', t.answer,
      'error', t.error, 'who', t.who) order by t.at) as tries
    from rowbell.history_try t
    where t.alert_id = a.id) t on true;
comment on view rowbell.history is 'The alerts of the last days, what kept them from being sent, and what became of them in each sink';

comment on schema rowbell is 'Rowbell: alerts on their way from tables to people';

-- Settings that triggers need; written by each process when it starts.
create table rowbell.setting (
  name text primary key,
  value text not null,
  constraint setting_max_size check (name <> 'alert.max-size'
    or case when value ~ '^[0-9]{1,9}$' then value::int between 10000 and 100000000 else false end)
);
comment on table rowbell.setting is 'Settings of the process that started last, as far as triggers need them';

-- All that the roles of feeds may use: see R__30_roles.sql.
create schema rowbell_alert;
comment on schema rowbell_alert is 'Functions by which conditions raise alerts of their feed';

-- When a rule fires or ends on an operation, see rowbell.transitions_of().
create type rowbell.transition as (
  code int,
  operation text,
  rule rowbell.rule,
  status text,
  asks text,
  prefilter text,
  condition text,
  plain boolean
);

-- What a statement added to a group, see rowbell.window_event. keys: of up to ten rows.
create type rowbell.window_added as (
  rule int,
  key text,
  at timestamptz,
  count bigint,
  sum numeric,
  keys text[]
);

-- A row of a feed as it is now, see rowbell.look(). error, state: why the rule cannot judge it.
create type rowbell.looked as (
  key text,
  met boolean,
  document json,
  since timestamptz,
  error text,
  state text
);

-- Sets the compression LZ4, where the server was built with it, for the columns above that are stored uncompressed, but not for rowbell.feedback. To write
-- 500 documents of 600 bytes takes half the time then, and a tenth of the WAL (PostgreSQL 15). PostgreSQL compresses only rows of more than 2 kB.
do $do$
declare
  c record;
begin
  if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals)) then
    for c in
      select a.attrelid::regclass as of_table, a.attname
      from pg_attribute a
      join pg_class t on t.oid = a.attrelid
      where t.relnamespace = 'rowbell'::regnamespace and t.relkind = 'r' and a.attstorage = 'e' and t.oid <> 'rowbell.feedback'::regclass
    loop
      execute format('alter table %s alter column %I set storage extended, alter column %I set compression lz4', c.of_table, c.attname, c.attname);
    end loop;
  end if;
end
$do$;
