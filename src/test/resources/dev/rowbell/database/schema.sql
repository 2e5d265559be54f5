-- The migrated schema, by SchemaSnapshotTest. Not to be edited.

-- tables

table rowbell.acknowledgement (
  fingerprint text not null,
  firing bigint not null,
  at timestamp with time zone not null default clock_timestamp(),
  who text not null default SESSION_USER,
  application text not null default current_setting('application_name'::text),
  assignee text,
  note text
);
table rowbell.audit (
  id bigint not null identity,
  at timestamp with time zone not null default clock_timestamp(),
  who text not null,
  address text not null,
  action text not null,
  what text not null,
  result text not null
);
table rowbell.cooldown (
  rule text not null,
  path text not null,
  status text not null,
  key text not null,
  last timestamp with time zone not null,
  routed timestamp with time zone not null default clock_timestamp(),
  silenced bigint not null default 0
);
table rowbell.dead_letter (
  id bigint not null identity,
  sink text,
  alert_id text not null,
  alert json not null,
  attempts integer not null,
  filed timestamp with time zone not null,
  died timestamp with time zone not null default clock_timestamp(),
  last_error text not null
);
table rowbell.delivery (
  id uuid not null default gen_random_uuid(),
  sink text not null,
  documents text[] not null storage e,
  alerts integer not null default cardinality(documents),
  characters integer not null default 0,
  attempts integer not null default 0,
  filed timestamp with time zone not null default clock_timestamp(),
  due timestamp with time zone not null default clock_timestamp(),
  locked_by uuid,
  locked_until timestamp with time zone not null default '-infinity'::timestamp with time zone,
  last_error text
);
unlogged table rowbell.doorbell_lease (
  relation oid not null,
  suppressed_until timestamp with time zone not null default '-infinity'::timestamp with time zone,
  listening_until timestamp with time zone not null default '-infinity'::timestamp with time zone
);
table rowbell.feed (
  id integer not null identity,
  name text not null,
  relation regclass not null
);
table rowbell.feedback (
  crt_time timestamp with time zone not null default clock_timestamp(),
  alert json not null storage e
);
table rowbell.firing_event (
  id bigint not null identity,
  fingerprints text[] not null storage e,
  alert_ids text[] not null storage e,
  keys text[] not null storage e,
  times bigint[] not null storage e,
  fires boolean[] not null storage e,
  silenced boolean[] not null storage e,
  kinds integer[] not null storage e,
  rules text[] not null,
  feeds text[] not null,
  severities text[] not null,
  reasons text[] not null
);
table rowbell.firing_state (
  fingerprint text not null,
  id bigint not null identity,
  rule text,
  feed text,
  key text,
  severity text not null,
  reason text,
  since timestamp with time zone not null,
  last timestamp with time zone not null,
  times bigint not null,
  silenced bigint not null,
  alert_id text not null,
  ended timestamp with time zone
);
table rowbell.history_alert (
  at timestamp with time zone not null,
  id text not null,
  path text not null,
  rule text,
  feed text,
  key text,
  severity text,
  status text,
  reason text,
  time timestamp with time zone not null,
  silence bigint,
  sinks text[] not null,
  document text not null
);
table rowbell.history_routed (
  id bigint not null identity,
  at timestamp with time zone not null default clock_timestamp(),
  path text not null,
  ids text[] not null storage e,
  keys text[] not null storage e,
  times bigint[] not null storage e,
  documents text[] not null storage e,
  silences bigint[] storage e,
  kinds integer[] not null storage e,
  rules text[] not null,
  feeds text[] not null,
  severities text[] not null,
  statuses text[] not null,
  reasons text[] not null,
  sinks text[] not null
);
table rowbell.history_tried (
  id bigint not null identity,
  at timestamp with time zone not null default clock_timestamp(),
  sink text,
  alert_ids text[] not null storage e,
  tries integer[] not null storage e,
  ago bigint[] not null,
  outcomes text[] not null,
  attempts integer[] not null,
  statuses integer[] not null,
  answers text[] not null,
  errors text[] not null,
  who text
);
table rowbell.history_try (
  at timestamp with time zone not null,
  alert_id text not null,
  sink text,
  outcome text not null,
  attempt integer,
  status integer,
  answer text,
  error text,
  who text
);
unlogged table rowbell.listener (
  channels text not null,
  pid integer not null,
  role oid not null,
  started timestamp with time zone not null,
  key bigint not null
);
unlogged table rowbell.move (
  xid xid8 not null default pg_current_xact_id(),
  n integer not null,
  feed integer not null,
  depth integer,
  came boolean,
  key text,
  written text
);
table rowbell.notification (
  id text not null,
  channel text not null,
  payload text not null,
  arrived timestamp with time zone not null
);
table rowbell.paused_sink (
  sink text not null,
  since timestamp with time zone not null default clock_timestamp(),
  who text not null default SESSION_USER,
  application text not null default current_setting('application_name'::text),
  note text
);
table rowbell.query_key (
  rule text not null,
  key text not null,
  since timestamp with time zone not null default clock_timestamp(),
  subject json not null
);
table rowbell.query_run (
  rule text not null,
  schedule text not null,
  due timestamp with time zone not null
);
table rowbell.row_feed (
  feed integer not null
);
table rowbell.rule (
  name text not null,
  feed text,
  condition text,
  reason text,
  severity text not null default 'warning'::text,
  fires text not null default 'once'::text,
  columns text[] not null default '{}'::text[],
  delivery text not null default 'durable'::text,
  channel text not null default 'channel_1'::text,
  resolved boolean not null default false,
  operations text[] not null default '{insert,update}'::text[],
  enabled boolean not null default true,
  origin text,
  cooldown interval not null default '00:00:00'::interval,
  for interval,
  existing boolean not null default true,
  since text,
  query text,
  key text[] not null default '{}'::text[],
  every interval,
  cron text,
  zone text,
  max_rows integer not null default 1000,
  count integer,
  sum text,
  over numeric,
  within interval,
  by text[] not null default '{}'::text[],
  max_groups integer not null default 10000,
  absent interval,
  groups text,
  forget interval not null default '7 days'::interval
);
table rowbell.rule_change (
  id bigint not null identity,
  at timestamp with time zone not null default clock_timestamp(),
  who text not null default SESSION_USER,
  application text not null default current_setting('application_name'::text),
  rule text,
  before jsonb,
  after jsonb
);
table rowbell.rule_failure (
  rule text not null,
  failed timestamp with time zone not null default clock_timestamp(),
  failure text not null,
  alert json not null
);
table rowbell.rule_override (
  rule text not null,
  since timestamp with time zone not null default clock_timestamp(),
  who text not null default SESSION_USER,
  note text,
  enabled boolean not null default true
);
table rowbell.rule_state (
  rule text not null,
  id integer not null identity,
  hits bigint not null default 0,
  last_hit timestamp with time zone,
  failure text,
  failed timestamp with time zone,
  reported timestamp with time zone,
  broken text,
  paused timestamp with time zone,
  pauses tstzrange[] not null default '{}'::tstzrange[],
  scan xid8,
  scan_pass integer not null default 0,
  scan_after text,
  counted_as integer,
  counts_since timestamp with time zone not null default '-infinity'::timestamp with time zone,
  judges_since timestamp with time zone not null default '-infinity'::timestamp with time zone,
  judges_again boolean not null default false,
  crowded boolean not null default false
);
table rowbell.setting (
  name text not null,
  value text not null
);
table rowbell.silence (
  id bigint not null identity,
  rule text,
  feed text,
  key text,
  until timestamp with time zone not null,
  who text not null default CURRENT_USER,
  why text not null,
  since timestamp with time zone not null default clock_timestamp(),
  silenced bigint not null default 0
);
table rowbell.sink (
  process uuid not null,
  name text not null,
  seen timestamp with time zone not null,
  delivered_per_minute double precision not null default 0,
  failed_per_minute double precision not null default 0,
  circuit_error text,
  circuit_failures integer,
  next_try timestamp with time zone
);
table rowbell.timer (
  feed integer not null,
  rule integer not null,
  key text not null,
  since timestamp with time zone not null,
  began timestamp with time zone not null,
  fired timestamp with time zone,
  ended bigint not null default 0
);
table rowbell.timer_event (
  feed integer not null,
  id bigint not null identity,
  rule integer not null,
  kind "char" not null,
  key text not null,
  moved_to text,
  whole boolean not null,
  xact xid8 not null default pg_current_xact_id(),
  at timestamp with time zone not null
);
table rowbell.timer_feed (
  feed integer not null,
  key jsonb not null,
  folded timestamp with time zone
);
table rowbell.window_count (
  group_id bigint not null,
  at timestamp with time zone not null,
  count bigint not null,
  sum numeric,
  keys text[] not null
);
table rowbell.window_event (
  feed integer not null,
  rule integer not null,
  key text not null,
  at timestamp with time zone not null,
  added json not null
);
table rowbell.window_feed (
  feed integer not null,
  judged timestamp with time zone not null default clock_timestamp(),
  failing integer[] not null default '{}'::integer[],
  failing_judged timestamp with time zone,
  retry timestamp with time zone
);
table rowbell.window_group (
  id bigint not null identity,
  rule integer not null,
  key text not null,
  subject json not null,
  since timestamp with time zone,
  until timestamp with time zone,
  due timestamp with time zone,
  last timestamp with time zone
);

-- views

view rowbell.firing as
 SELECT f.id,
    f.fingerprint,
    f.rule,
    f.feed,
    f.key,
    f.severity,
    f.reason,
    f.since,
    f.last,
    f.times,
    f.silenced,
    f.alert_id,
    a.at AS acknowledged,
    a.who AS acknowledged_by,
    a.application AS acknowledged_from,
    a.assignee,
    a.note
   FROM (rowbell.firing_state f
     LEFT JOIN rowbell.acknowledgement a ON (((a.fingerprint = f.fingerprint) AND (a.firing = f.id))))
  WHERE (f.times > 0);
view rowbell.history as
 SELECT a.at AS routed,
    a.id,
    a.path,
    a.rule,
    a.feed,
    a.key,
    a.severity,
    a.status,
    a.reason,
    a."time",
        CASE
            WHEN (a.silence > 0) THEN ('silence '::text || a.silence)
            WHEN (a.silence = 0) THEN 'cooldown'::text
            WHEN (a.silence < 0) THEN 'acknowledged'::text
            ELSE NULL::text
        END AS silenced_by,
    a.sinks,
    a.document,
    t.tries
   FROM (rowbell.history_alert a
     LEFT JOIN LATERAL ( SELECT json_agg(json_build_object('at', t_1.at, 'sink', t_1.sink, 'outcome', t_1.outcome, 'attempt', t_1.attempt, 'status', t_1.status, 'answer', t_1.answer, 'error', t_1.error, 'who', t_1.who) ORDER BY t_1.at) AS tries
           FROM rowbell.history_try t_1
          WHERE (t_1.alert_id = a.id)) t ON (true));
view rowbell.waiting as
 SELECT sink,
    sum(alerts) AS alerts,
    COALESCE(sum(alerts) FILTER (WHERE (attempts > 0)), (0)::bigint) AS retrying,
    min(filed) AS oldest,
    min(due) AS next_due,
    (array_agg(last_error ORDER BY due DESC) FILTER (WHERE (last_error IS NOT NULL)))[1] AS last_error
   FROM rowbell.delivery
  GROUP BY sink;

-- constraints, indexes, triggers

CREATE INDEX cooldown_routed ON rowbell.cooldown USING btree (routed)
CREATE INDEX dead_letter_alert ON rowbell.dead_letter USING btree (alert_id)
CREATE INDEX dead_letter_died ON rowbell.dead_letter USING btree (died)
CREATE INDEX dead_letter_group ON rowbell.dead_letter USING btree (sink, hashtextextended("left"(last_error, 1000), (0)::bigint))
CREATE INDEX delivery_due ON rowbell.delivery USING btree (sink, due)
CREATE INDEX delivery_filed ON rowbell.delivery USING btree (sink, filed) INCLUDE (alerts)
CREATE INDEX feedback_crt_time ON rowbell.feedback USING btree (crt_time)
CREATE INDEX history_alert_at ON ONLY rowbell.history_alert USING btree (at, id)
CREATE INDEX history_alert_feed ON ONLY rowbell.history_alert USING btree (feed, at)
CREATE INDEX history_alert_id ON ONLY rowbell.history_alert USING btree (id)
CREATE INDEX history_alert_key ON ONLY rowbell.history_alert USING btree (key, at)
CREATE INDEX history_alert_rule ON ONLY rowbell.history_alert USING btree (rule, at)
CREATE INDEX history_try_alert ON ONLY rowbell.history_try USING btree (alert_id, at)
CREATE INDEX rule_change_rule ON rowbell.rule_change USING btree (rule, id)
CREATE INDEX timer_began ON rowbell.timer USING btree (rule, began) WHERE (fired IS NULL)
CREATE INDEX timer_ended ON rowbell.timer USING btree (rule) WHERE (ended <> 0)
CREATE INDEX timer_fired ON rowbell.timer USING btree (rule) WHERE (fired IS NOT NULL)
CREATE INDEX window_event_feed ON rowbell.window_event USING btree (feed, at)
CREATE INDEX window_group_due ON rowbell.window_group USING btree (rule, due)
CREATE TRIGGER changing BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON rowbell.rule FOR EACH STATEMENT EXECUTE FUNCTION rowbell.rule_changing()
CREATE TRIGGER checked BEFORE INSERT OR UPDATE ON rowbell.rule FOR EACH ROW EXECUTE FUNCTION rowbell.rule_checked()
CREATE TRIGGER deleted AFTER DELETE ON rowbell.rule REFERENCING OLD TABLE AS old_rules FOR EACH STATEMENT EXECUTE FUNCTION rowbell.rule_changed()
CREATE TRIGGER gone AFTER DELETE ON rowbell.row_feed FOR EACH ROW EXECUTE FUNCTION rowbell.row_feed_gone()
CREATE TRIGGER inserted AFTER INSERT ON rowbell.rule REFERENCING NEW TABLE AS new_rules FOR EACH STATEMENT EXECUTE FUNCTION rowbell.rule_changed()
CREATE TRIGGER ring AFTER INSERT ON rowbell.feedback FOR EACH STATEMENT EXECUTE FUNCTION rowbell.ring()
CREATE TRIGGER truncated AFTER TRUNCATE ON rowbell.rule FOR EACH STATEMENT EXECUTE FUNCTION rowbell.rule_changed()
CREATE TRIGGER updated AFTER UPDATE ON rowbell.rule REFERENCING OLD TABLE AS old_rules NEW TABLE AS new_rules FOR EACH STATEMENT EXECUTE FUNCTION rowbell.rule_changed()
CREATE UNIQUE INDEX acknowledgement_pkey ON rowbell.acknowledgement USING btree (fingerprint)
CREATE UNIQUE INDEX audit_pkey ON rowbell.audit USING btree (id)
CREATE UNIQUE INDEX cooldown_pkey ON rowbell.cooldown USING btree (rule, path, status, key)
CREATE UNIQUE INDEX dead_letter_pkey ON rowbell.dead_letter USING btree (id)
CREATE UNIQUE INDEX delivery_pkey ON rowbell.delivery USING btree (id)
CREATE UNIQUE INDEX doorbell_lease_pkey ON rowbell.doorbell_lease USING btree (relation)
CREATE UNIQUE INDEX feed_name_key ON rowbell.feed USING btree (name)
CREATE UNIQUE INDEX feed_pkey ON rowbell.feed USING btree (id)
CREATE UNIQUE INDEX feed_relation_key ON rowbell.feed USING btree (relation)
CREATE UNIQUE INDEX firing_event_pkey ON rowbell.firing_event USING btree (id)
CREATE UNIQUE INDEX firing_state_pkey ON rowbell.firing_state USING btree (fingerprint)
CREATE UNIQUE INDEX history_routed_pkey ON rowbell.history_routed USING btree (id)
CREATE UNIQUE INDEX history_tried_pkey ON rowbell.history_tried USING btree (id)
CREATE UNIQUE INDEX listener_pkey ON rowbell.listener USING btree (channels)
CREATE UNIQUE INDEX move_pkey ON rowbell.move USING btree (xid, n)
CREATE UNIQUE INDEX notification_pkey ON rowbell.notification USING btree (id)
CREATE UNIQUE INDEX paused_sink_pkey ON rowbell.paused_sink USING btree (sink)
CREATE UNIQUE INDEX query_key_pkey ON rowbell.query_key USING btree (rule, key)
CREATE UNIQUE INDEX query_run_pkey ON rowbell.query_run USING btree (rule)
CREATE UNIQUE INDEX row_feed_pkey ON rowbell.row_feed USING btree (feed)
CREATE UNIQUE INDEX rule_change_pkey ON rowbell.rule_change USING btree (id)
CREATE UNIQUE INDEX rule_override_pkey ON rowbell.rule_override USING btree (rule)
CREATE UNIQUE INDEX rule_pkey ON rowbell.rule USING btree (name)
CREATE UNIQUE INDEX rule_state_id_key ON rowbell.rule_state USING btree (id)
CREATE UNIQUE INDEX rule_state_pkey ON rowbell.rule_state USING btree (rule)
CREATE UNIQUE INDEX setting_pkey ON rowbell.setting USING btree (name)
CREATE UNIQUE INDEX silence_pkey ON rowbell.silence USING btree (id)
CREATE UNIQUE INDEX sink_pkey ON rowbell.sink USING btree (process, name)
CREATE UNIQUE INDEX timer_event_pkey ON rowbell.timer_event USING btree (feed, id)
CREATE UNIQUE INDEX timer_feed_pkey ON rowbell.timer_feed USING btree (feed)
CREATE UNIQUE INDEX timer_pkey ON rowbell.timer USING btree (rule, key, ended)
CREATE UNIQUE INDEX window_count_pkey ON rowbell.window_count USING btree (group_id, at)
CREATE UNIQUE INDEX window_feed_pkey ON rowbell.window_feed USING btree (feed)
CREATE UNIQUE INDEX window_group_pkey ON rowbell.window_group USING btree (id)
CREATE UNIQUE INDEX window_group_rule_key_key ON rowbell.window_group USING btree (rule, key)
rowbell.acknowledgement: acknowledgement_pkey PRIMARY KEY (fingerprint)
rowbell.audit: audit_pkey PRIMARY KEY (id)
rowbell.cooldown: cooldown_pkey PRIMARY KEY (rule, path, status, key)
rowbell.dead_letter: dead_letter_pkey PRIMARY KEY (id)
rowbell.delivery: delivery_alerts_check CHECK ((alerts > 0))
rowbell.delivery: delivery_documents_check CHECK (((array_ndims(documents) = 1) AND (array_position(documents, NULL::text) IS NULL)))
rowbell.delivery: delivery_pkey PRIMARY KEY (id)
rowbell.doorbell_lease: doorbell_lease_pkey PRIMARY KEY (relation)
rowbell.feed: feed_name_key UNIQUE (name)
rowbell.feed: feed_pkey PRIMARY KEY (id)
rowbell.feed: feed_relation_key UNIQUE (relation)
rowbell.firing_event: firing_event_pkey PRIMARY KEY (id)
rowbell.firing_state: firing_state_pkey PRIMARY KEY (fingerprint)
rowbell.history_routed: history_routed_pkey PRIMARY KEY (id)
rowbell.history_tried: history_tried_pkey PRIMARY KEY (id)
rowbell.listener: listener_pkey PRIMARY KEY (channels)
rowbell.move: move_pkey PRIMARY KEY (xid, n)
rowbell.notification: notification_pkey PRIMARY KEY (id)
rowbell.paused_sink: paused_sink_pkey PRIMARY KEY (sink)
rowbell.query_key: query_key_pkey PRIMARY KEY (rule, key)
rowbell.query_run: query_run_pkey PRIMARY KEY (rule)
rowbell.row_feed: row_feed_feed_fkey FOREIGN KEY (feed) REFERENCES rowbell.feed(id) ON DELETE CASCADE
rowbell.row_feed: row_feed_pkey PRIMARY KEY (feed)
rowbell.rule: rule_cooldown CHECK (((cooldown >= '00:00:00'::interval) AND (cooldown <= '100 years'::interval)))
rowbell.rule: rule_for CHECK ((("for" > '00:00:00'::interval) AND ("for" <= '100 years'::interval)))
rowbell.rule: rule_pkey PRIMARY KEY (name)
rowbell.rule_change: rule_change_pkey PRIMARY KEY (id)
rowbell.rule_override: rule_override_pkey PRIMARY KEY (rule)
rowbell.rule_override: rule_override_rule_fkey FOREIGN KEY (rule) REFERENCES rowbell.rule(name) ON UPDATE CASCADE ON DELETE CASCADE
rowbell.rule_state: rule_state_id_key UNIQUE (id)
rowbell.rule_state: rule_state_pkey PRIMARY KEY (rule)
rowbell.rule_state: rule_state_rule_fkey FOREIGN KEY (rule) REFERENCES rowbell.rule(name) ON UPDATE CASCADE ON DELETE CASCADE
rowbell.setting: setting_max_size CHECK (((name <> 'alert.max-size'::text) OR
CASE
    WHEN (value ~ '^[0-9]{1,9}$'::text) THEN (((value)::integer >= 10000) AND ((value)::integer <= 100000000))
    ELSE false
END))
rowbell.setting: setting_pkey PRIMARY KEY (name)
rowbell.silence: silence_ends_after_it_begins CHECK ((until >= since))
rowbell.silence: silence_pkey PRIMARY KEY (id)
rowbell.silence: silence_why_check CHECK ((why <> ''::text))
rowbell.sink: sink_pkey PRIMARY KEY (process, name)
rowbell.timer: timer_pkey PRIMARY KEY (rule, key, ended)
rowbell.timer_event: timer_event_pkey PRIMARY KEY (feed, id)
rowbell.timer_feed: timer_feed_feed_fkey FOREIGN KEY (feed) REFERENCES rowbell.feed(id) ON DELETE CASCADE
rowbell.timer_feed: timer_feed_pkey PRIMARY KEY (feed)
rowbell.window_count: window_count_group_id_fkey FOREIGN KEY (group_id) REFERENCES rowbell.window_group(id) ON DELETE CASCADE
rowbell.window_count: window_count_pkey PRIMARY KEY (group_id, at)
rowbell.window_feed: window_feed_feed_fkey FOREIGN KEY (feed) REFERENCES rowbell.feed(id) ON DELETE CASCADE
rowbell.window_feed: window_feed_pkey PRIMARY KEY (feed)
rowbell.window_group: window_group_pkey PRIMARY KEY (id)
rowbell.window_group: window_group_rule_key_key UNIQUE (rule, key)

-- rights

rowbell: usage to rowbell_admin
rowbell: usage to rowbell_consumer
rowbell.acknowledge(text,text,text,text): execute to rowbell_admin
rowbell.acknowledge(text,text,text,text): execute to rowbell_consumer
rowbell.acknowledgement: select to rowbell_consumer
rowbell.alert(text,text,regclass,text,json,json,text,text,text): execute to -
rowbell.alert_text(json,text): execute to rowbell_consumer
rowbell.alert_timeline(text): execute to rowbell_admin
rowbell.alert_timeline(text): execute to rowbell_consumer
rowbell.all_settings(): execute to rowbell_admin
rowbell.apply_rules(text,json,text[],text): execute to rowbell_admin
rowbell.audit: delete, select to rowbell_admin
rowbell.audit: insert, select to rowbell_consumer
rowbell.begin_fold(integer): execute to rowbell_consumer
rowbell.change_triggers(text,text[],interval): execute to -
rowbell.check_rule(json): execute to rowbell_admin
rowbell.claim_channels(text): execute to rowbell_consumer
rowbell.cooldown: delete, insert, select, update to rowbell_consumer
rowbell.dead_letter: delete, insert, select, update to rowbell_consumer
rowbell.dead_letters(text,text,interval): execute to rowbell_consumer
rowbell.definitions(): execute to rowbell_consumer
rowbell.delivered(text): execute to -
rowbell.delivery: delete, insert, select, update to rowbell_consumer
rowbell.denied(text,text): execute to rowbell_admin
rowbell.disable(text,text,text): execute to rowbell_admin
rowbell.discard(text,text,interval): execute to rowbell_consumer
rowbell.discard_all(bigint[]): execute to -
rowbell.document_settings(oid): execute to rowbell_admin
rowbell.doorbell_lease: insert, select, update to rowbell_consumer
rowbell.drops_of(text): execute to -
rowbell.enable(text): execute to rowbell_admin
rowbell.end_firing(text,text): execute to rowbell_admin
rowbell.end_firing_of_gone_rules(): execute to rowbell_consumer
rowbell.end_unseen(text,text,integer): execute to rowbell_consumer
rowbell.erase_history(text,text): execute to rowbell_admin
rowbell.explain(text,text,boolean): execute to rowbell_admin
rowbell.explain_alert(text): execute to rowbell_admin
rowbell.explain_alert(text): execute to rowbell_consumer
rowbell.explain_rule(rowbell.rule,text,json): execute to rowbell_admin
rowbell.feed: select to rowbell_admin
rowbell.feed: select to rowbell_consumer
rowbell.feedback: delete, insert, select, update to rowbell_consumer
rowbell.feeds_named(text): execute to rowbell_admin
rowbell.find_feed(text): execute to rowbell_admin
rowbell.fires_anew(rowbell.rule): execute to rowbell_consumer
rowbell.firing: select to rowbell_admin
rowbell.firing: select to rowbell_consumer
rowbell.firing_event: insert, select to rowbell_consumer
rowbell.firing_state: select to rowbell_consumer
rowbell.flyway_schema_history: select to rowbell_consumer
rowbell.fold_firing(integer): execute to rowbell_consumer
rowbell.fold_history(integer): execute to rowbell_consumer
rowbell.fold_timers(integer,integer,bigint): execute to rowbell_consumer
rowbell.for_each(text,text): execute to rowbell_admin
rowbell.forget_firing(interval,timestamp with time zone,integer): execute to rowbell_consumer
rowbell.forget_moves(): execute to rowbell_consumer
rowbell.forget_timers(integer): execute to rowbell_consumer
rowbell.forget_windows(integer): execute to rowbell_consumer
rowbell.grant_for(text,text): execute to rowbell_admin
rowbell.group_columns(text[]): execute to rowbell_admin
rowbell.history: select to rowbell_admin
rowbell.history: select to rowbell_consumer
rowbell.history_alert: select to rowbell_admin
rowbell.history_alert: select to rowbell_consumer
rowbell.history_try: select to rowbell_admin
rowbell.history_try: select to rowbell_consumer
rowbell.keep_history(interval): execute to rowbell_consumer
rowbell.key_columns(oid): execute to rowbell_admin
rowbell.key_cut(text): execute to rowbell_admin
rowbell.key_of(oid): execute to -
rowbell.key_part(text): execute to rowbell_admin
rowbell.key_query(oid,text[],json): execute to rowbell_admin
rowbell.key_text(json,text[]): execute to rowbell_admin
rowbell.key_written(text[],text,boolean): execute to rowbell_admin
rowbell.length_of(interval): execute to rowbell_admin
rowbell.listener: delete, insert, select, update to rowbell_consumer
rowbell.listening_session(rowbell.listener): execute to rowbell_consumer
rowbell.look_of(text,text): execute to rowbell_admin
rowbell.may_compare(text): execute to rowbell_admin
rowbell.may_compare(text): execute to rowbell_consumer
rowbell.measure_of(text,integer): execute to rowbell_admin
rowbell.members_of(json): execute to rowbell_admin
rowbell.new_id(): execute to -
rowbell.next_query(): execute to rowbell_consumer
rowbell.note_dead_letters(text,text,text[],text): execute to -
rowbell.note_routed(text,text[],text[],bigint[],text[],bigint[],integer[],text[],text[],text[],text[],text[],text[]): execute to rowbell_consumer
rowbell.note_tried(text,text[],integer[],bigint[],text[],integer[],integer[],text[],text[]): execute to rowbell_consumer
rowbell.notification: delete, insert, select, update to rowbell_consumer
rowbell.pass_over_slow_row(integer,interval): execute to rowbell_consumer
rowbell.passes_cooldown(text,text,text,text,timestamp with time zone,interval): execute to rowbell_consumer
rowbell.pause(text): execute to rowbell_admin
rowbell.pause_sink(text,text): execute to rowbell_admin
rowbell.pause_sink(text,text): execute to rowbell_consumer
rowbell.paused_sink: select to rowbell_admin
rowbell.paused_sink: select to rowbell_consumer
rowbell.plain_condition(text,oid,boolean): execute to rowbell_admin
rowbell.put_unreadable_aside(regclass,integer): execute to rowbell_consumer
rowbell.query_broken(text,text): execute to rowbell_consumer
rowbell.query_failed(jsonb,text,text,text,timestamp with time zone): execute to rowbell_consumer
rowbell.query_key: select to rowbell_admin
rowbell.query_ran(jsonb,text[],timestamp with time zone): execute to rowbell_consumer
rowbell.query_rows(text,integer): execute to rowbell_admin
rowbell.query_rows(text,integer): execute to rowbell_consumer
rowbell.query_run: select to rowbell_admin
rowbell.readable(text,text): execute to rowbell_admin
rowbell.readable(text,text): execute to rowbell_consumer
rowbell.refresh(integer): execute to rowbell_admin
rowbell.refresh(integer): execute to rowbell_consumer
rowbell.release_channels(text): execute to rowbell_consumer
rowbell.replay(bigint): execute to -
rowbell.replay_all(bigint[]): execute to -
rowbell.report_failures(): execute to rowbell_consumer
rowbell.resume(text): execute to rowbell_admin
rowbell.resume_sink(text): execute to rowbell_admin
rowbell.resume_sink(text): execute to rowbell_consumer
rowbell.retry(text,text,interval): execute to rowbell_consumer
rowbell.ring(): execute to -
rowbell.row_feed: select to rowbell_admin
rowbell.row_query(oid,text,text[],json): execute to rowbell_admin
rowbell.rows_by_name(text,oid): execute to rowbell_admin
rowbell.rule: delete, insert, select, update to rowbell_admin
rowbell.rule: select to rowbell_consumer
rowbell.rule_change: select to rowbell_admin
rowbell.rule_change: select to rowbell_consumer
rowbell.rule_findings(text,text,boolean): execute to rowbell_admin
rowbell.rule_history(text): execute to rowbell_admin
rowbell.rule_history(text): execute to rowbell_consumer
rowbell.rule_of(json): execute to rowbell_admin
rowbell.rule_override: select to rowbell_admin
rowbell.rule_override: select to rowbell_consumer
rowbell.rule_state: select, update to rowbell_admin
rowbell.rule_state: select, update to rowbell_consumer
rowbell.rule_version(rowbell.rule): execute to rowbell_admin
rowbell.rule_version(rowbell.rule): execute to rowbell_consumer
rowbell.run_timers(integer,integer): execute to rowbell_consumer
rowbell.run_windows(integer,integer): execute to rowbell_consumer
rowbell.same_key_sql(oid,text,text): execute to rowbell_admin
rowbell.setting: insert, select, update to rowbell_consumer
rowbell.silence: delete, insert, select, update to rowbell_admin
rowbell.silence: select to rowbell_consumer
rowbell.silence.silenced: update to rowbell_consumer
rowbell.silent_at(rowbell.rule,rowbell.rule_state,timestamp with time zone): execute to rowbell_admin
rowbell.silent_triggers(): execute to rowbell_consumer
rowbell.sink: delete, insert, select, update to rowbell_consumer
rowbell.sql_name(oid): execute to rowbell_admin
rowbell.tables_of(oid): execute to rowbell_admin
rowbell.take_query(): execute to rowbell_consumer
rowbell.test_rule(text,integer): execute to rowbell_admin
rowbell.timer: select to rowbell_admin
rowbell.timer: select to rowbell_consumer
rowbell.timer_event: select to rowbell_consumer
rowbell.timer_feeds(): execute to rowbell_consumer
rowbell.times(bigint): execute to rowbell_admin
rowbell.tree_of(oid): execute to rowbell_admin
rowbell.trial_of(json): execute to rowbell_admin
rowbell.unacknowledge(text,text): execute to rowbell_admin
rowbell.unacknowledge(text,text): execute to rowbell_consumer
rowbell.unwatch(text): execute to -
rowbell.validate_rule(rowbell.rule,integer): execute to rowbell_admin
rowbell.waiting: select to rowbell_admin
rowbell.waiting: select to rowbell_consumer
rowbell.window_count: select to rowbell_admin
rowbell.window_event: select to rowbell_consumer
rowbell.window_feeds(): execute to rowbell_consumer
rowbell.window_group: select to rowbell_admin
rowbell.window_group: select to rowbell_consumer
rowbell.write_rule(json,text): execute to rowbell_admin
rowbell_alert: usage to -
rowbell_alert.failure(text,text,text,json): execute to -
rowbell_alert.is_cancel(text,text): execute to -
rowbell_alert.judge_each(jsonb,anyarray,anyarray): execute to -

-- comments

rowbell.acknowledgement: Who takes care of what fires, until it ends
rowbell.audit: What operators did in the web console: who, when, from where, what, and with what result
rowbell.cooldown: When each rule that has a cooldown fired last, for each row
rowbell.dead_letter: Deliveries that were given up, with the last error; select rowbell.replay(id) sends one again
rowbell.delivery: The outbox: batches of alerts for a sink, deleted when delivered; rowbell.waiting counts the alerts
rowbell.doorbell_lease: Until when the doorbell of a feedback table is listened to, and until when it is suppressed
rowbell.feed: The watched tables, and the numbers that name their functions
rowbell.feedback: Durable alerts, written by triggers, emptied by delete-returning
rowbell.firing: What fires now: since when, when last, how often, how many of these alerts were silenced, and who takes care of it
rowbell.firing_event: Durable alerts that were routed and are not in rowbell.firing yet
rowbell.firing_state: What fires now and what has just ended, by fingerprint; rowbell.firing shows what fires
rowbell.history: The alerts of the last days, what kept them from being sent, and what became of them in each sink
rowbell.history_alert: The alerts that were routed, by day; rowbell.history shows them with what became of them
rowbell.history_routed: Alerts that were routed and are not in the history yet
rowbell.history_tried: Tries of sinks that are not in the history yet
rowbell.history_try: What became of alerts, by day: each try of each sink, dead letters, replays
rowbell.listener: Which session listens to channels to which one process alone is to listen
rowbell.move: Rows that a statement moves to another partition, until its triggers have judged them
rowbell.notification: Notifications that were received and not routed before a stop; the next start routes them
rowbell.paused_sink: The sinks to which nothing is delivered until rowbell.resume_sink(sink): since when, by whom and why
rowbell.query_key: What rules with a query fire for now: the key and the row of the last result, and since when
rowbell.query_run: When the query of each rule is to run again; locked by the process that runs it
rowbell.row_feed: The feeds that are judged by triggers for each row, chosen by rowbell.for_each(); all others by triggers for each statement
rowbell.rule.cooldown: After an alert about a row, those about the same row are counted and not delivered for so long
rowbell.rule.origin: The file that owns the rule, which is to be changed there; null where it was made by SQL
rowbell.rule: The rules: what is wrong with a row. A change takes effect in its own transaction
rowbell.rule_change: Who changed rules when, from what to what; kept for a year
rowbell.rule_failure: Failures of rules that were not reported yet
rowbell.rule_override: Who disabled which rules, since when and why; a rule of a file stays disabled, whatever the file says
rowbell.rule_state: What became of each rule: hits, last failure, why it is left out
rowbell.setting: Settings of the process that started last, as far as triggers need them
rowbell.silence.silenced: How many alerts it kept from being delivered
rowbell.silence: Alerts that are counted and not delivered: rule, feed and key with * for anything, since and until when, who and why
rowbell.sink: Which process delivers for which sinks, how many alerts a minute, whether its circuit is open, and when it said so last
rowbell.timer: The rows that meet the condition of a rule with "for": since when, and whether it has fired
rowbell.timer_event: Rows that began or ceased to meet the condition of a rule with "for", until they are folded into rowbell.timer
rowbell.timer_feed: The feeds of rules with "for"; locked by the process that works on their timers
rowbell.waiting: By sink, how many alerts wait, how many of them failed before, since when the oldest waits, and the last error
rowbell.window_count: What was counted for each group of a rule that counts, by time
rowbell.window_event: What statements added to the groups of rules that count, until it is folded into rowbell.window_count
rowbell.window_feed: The feeds of rules that count; locked by the process that works on their windows
rowbell.window_group: The groups of rules with count, sum or absent: since when they fire, and when to judge them again

-- functions

CREATE OR REPLACE FUNCTION rowbell.absent_alert(rule rowbell.rule, feed_name text, status text, subject json, since timestamp with time zone)
 RETURNS json
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.timer_alert(rule, feed_name, status, subject, rowbell.subject_columns(subject),
    json_build_object('since', to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
$function$
CREATE OR REPLACE FUNCTION rowbell.acknowledge(rule text, key text DEFAULT NULL::text, note text DEFAULT NULL::text, assignee text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with acknowledged as (
    insert into rowbell.acknowledgement as a (fingerprint, firing, assignee, note)
    select f.fingerprint, f.id, $4, $3
    from rowbell.firing_state f
    where f.rule = $1 and f.times > 0 and ($2 is null or f.key = $2)
    order by f.fingerprint
    on conflict (fingerprint) do update set firing = excluded.firing, at = excluded.at, who = excluded.who, application = excluded.application,
      assignee = coalesce(excluded.assignee, case when a.firing = excluded.firing then a.assignee end),
      note = coalesce(excluded.note, case when a.firing = excluded.firing then a.note end)
    returning 1)
  select count(*) from acknowledged
$function$
CREATE OR REPLACE FUNCTION rowbell.ahead(at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
  select case
    when at > clock_timestamp() + interval '10 minutes' then 'at ' || date_trunc('second', at)
    when at > clock_timestamp() then format('in %s s', ceil(extract(epoch from at - clock_timestamp())))
    else 'now' end
$function$
CREATE OR REPLACE FUNCTION rowbell.alert(rule text, reason text, feed regclass, operation text, old json DEFAULT NULL::json, new json DEFAULT NULL::json, severity text DEFAULT 'warning'::text, status text DEFAULT 'firing'::text, channel text DEFAULT NULL::text)
 RETURNS json
 LANGUAGE sql
AS $function$
  select json_build_object(
    'id', rowbell.new_id(),
    'rule', $1,
    'reason', $2,
    'severity', $7,
    'status', $8,
    'table', (select n.nspname || '.' || c.relname
              from pg_catalog.pg_class c
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace
              where c.oid = $3),
    'operation', $4,
    'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'old', $5,
    'new', $6,
    'channel', $9,
    'key', rowbell.key_of($3))
$function$
CREATE OR REPLACE FUNCTION rowbell.alert_findings(id text)
 RETURNS TABLE(level text, finding text, about text, name text, weight integer, cause text)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET "TimeZone" TO 'UTC'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.alert_text(alert json, key text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
begin
  return rowbell.readable(alert ->> key);
exception when others then
  begin
    return rowbell.readable(regexp_replace(alert::text, '\\u[0-9a-fA-F]{4}', '\\u003f', 'g')::json ->> key);
  exception when others then
    return null;
  end;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.alert_timeline(id text)
 RETURNS TABLE(at timestamp with time zone, level text, finding text, about text, name text, weight integer, cause text)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET "TimeZone" TO 'UTC'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.all_settings()
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  settings text[] := array['search_path=pg_catalog, pg_temp', 'DateStyle=ISO, MDY', 'IntervalStyle=postgres', 'TimeZone=UTC', 'array_nulls=on',
    'backslash_quote=safe_encoding', 'bytea_output=hex', 'exit_on_error=off', 'extra_float_digits=1', 'gin_fuzzy_search_limit=0', 'plpgsql.check_asserts=on', 'quote_all_identifiers=off',
    'row_security=on', 'standard_conforming_strings=on', 'transform_null_equals=off', 'xmlbinary=base64', 'xmloption=content'];
  similarity constant regproc := (
    select d.objid::regproc
    from pg_depend d
    join pg_extension e on e.oid = d.refobjid and e.extname = 'pg_trgm'
    join pg_proc p on p.oid = d.objid and p.proname = 'show_limit'
    where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e');
begin
  if similarity is not null then
    -- its operators compare with settings, which none but a superuser may name before the library is loaded
    execute format('select %s()', similarity);
    settings := settings || array['pg_trgm.similarity_threshold=0.3', 'pg_trgm.strict_word_similarity_threshold=0.5',
      'pg_trgm.word_similarity_threshold=0.6'];
  end if;
  return settings || array(
    select format('%s=%s', s.name, case when s.name <> 'restrict_nonsystem_relation_kind' then s.reset_val end)
    from pg_settings s
    where s.name in ('default_text_search_config', 'lc_monetary', 'lc_numeric', 'lc_time', 'restrict_nonsystem_relation_kind')
    order by s.name);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.any_sql(conditions text[], plain boolean)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case
    when plain then array_to_string(conditions, E'\n      or ')
    when cardinality(conditions) > 0 then 'case when ' || array_to_string(conditions, E'\n      or ') || ' then true end'
  end
$function$
CREATE OR REPLACE FUNCTION rowbell.append_timer_events(feed_id integer, feed_relation oid, operation text, relation oid, codes integer[], olds json[], news json[], timer_codes integer[], key text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  now constant timestamptz := clock_timestamp();
  opening constant text := '{' || to_json(key[1]) || ':';
  keys text[];
  moved_to text[];
  now_key text[];
begin
  if (operation = any ('{INSERT,UPDATE,DELETE}')) is not true or relation <> feed_relation and rowbell.partition_part(feed_id, relation) is null then
    return;
  end if;
  -- a row trigger hands over one row and several codes
  if cardinality(codes) > 1 and coalesce(cardinality(olds), cardinality(news)) = 1 then
    olds := array_fill(olds[1], array[cardinality(codes)]);
    news := array_fill(news[1], array[cardinality(codes)]);
  end if;
  begin
    if cardinality(key) = 1 then
      select array_agg(opening || (case when h.code > 0 and h.code % 2 = 1 then h.new else h.old end -> key[1]) || '}' order by h.n),
        array_agg(case when h.code < 0 then opening || (h.new -> key[1]) || '}' end order by h.n)
      into keys, moved_to
      from unnest(codes, olds, news) with ordinality as h (code, old, new, n);
    end if;
  exception when others then
    keys := null;
  end;
  if keys is null then
    select array_agg(rowbell.key_text(case when h.code > 0 and h.code % 2 = 1 then h.new else h.old end, key) order by h.n),
      array_agg(case when h.code < 0 then rowbell.key_text(h.new, key) end order by h.n)
    into keys, moved_to
    from unnest(codes, olds, news) with ordinality as h (code, old, new, n);
  end if;
  if array_position(keys, null) > 0 then
    -- not by feed_relation, which is the number of before in a database that was restored
    now_key := nullif(rowbell.key_of((select f.relation from rowbell.feed f where f.id = feed_id)), '{}');
  end if;
  if key <> now_key then
    -- a column was renamed, and refresh() has not compiled the feed yet
    perform rowbell.append_timer_events(feed_id, feed_relation, operation, relation, codes, olds, news, timer_codes, now_key);
    return;
  end if;
  insert into rowbell.timer_event (feed, rule, kind, key, moved_to, whole, at)
  select feed_id, case when h.code < 0 then -h.code else (h.code + 1) / 2 end, case when h.code < 0 then 'm' when h.code % 2 = 1 then 'a' else 'd' end,
    h.key, h.moved_to, operation <> 'UPDATE', now
  from unnest(codes, keys, moved_to) with ordinality as h (code, key, moved_to, n)
  where h.code = any (timer_codes) and h.key is not null
  -- of a statement, what is taken off comes before what is put on: a row may take the key of another
  order by case when h.code < 0 then 1 when h.code % 2 = 1 then 2 else 0 end, h.n;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.append_window_events(feed_id integer, feed_relation oid, operation text, relation oid, codes integer[], added json[], subjects json[], window_codes integer[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
#variable_conflict use_variable
declare
  now constant pg_catalog.timestamptz := pg_catalog.clock_timestamp();
begin
  if (operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')) is not true
      or relation operator(pg_catalog.<>) feed_relation and rowbell.partition_part(feed_id, relation) is null then
    return;
  end if;
  insert into rowbell.window_event (feed, rule, key, at, added)
  select feed_id, h.code operator(pg_catalog.-) 1000000000, h.subject::pg_catalog.text, now, h.added
  from unnest(codes, added, subjects) as h (code, added, subject)
  where h.code operator(pg_catalog.=) any (window_codes) and h.subject is not null and h.added is not null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.apply_rules(origin text, rules json, keep text[] DEFAULT '{}'::text[], only_feed text DEFAULT NULL::text)
 RETURNS TABLE(rule text, field text, problem text, hint text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
 SET lock_timeout TO '2s'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.arm_timers(events rowbell.timer_event[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  keys jsonb;
  armed jsonb;
begin
  -- of each key: how many timers are taken off it, and how many of the last that are put there stay
  with steps as (
    select e.*, sum(case e.kind when 'a' then 1 else -1 end) over (partition by e.rule, e.key order by e.id) as level
    from unnest(events) e),
  changed as (
    select s.rule, s.key, array_agg(s.id order by s.id) filter (where s.kind = 'd') as ended, count(*) filter (where s.kind = 'd') as off, max(s.at) filter (where s.kind = 'a') as at,
      sum(case s.kind when 'a' then 1 else -1 end) as total, least(min(s.level), 0) as lowest
    from steps s
    group by s.rule, s.key),
  held as (
    select c.*, count(t.key) as timers, max(t.fired) as fired
    from changed c
    left join rowbell.timer t on t.rule = c.rule and t.key = c.key and t.ended <= 0
    group by c.rule, c.key, c.ended, c.off, c.at, c.total, c.lowest)
  select jsonb_agg(jsonb_build_object('rule', h.rule, 'key', h.key, 'ended', h.ended, 'off', h.off, 'stay', case
      -- an event of before it fired, which the look that armed it has seen
      when h.off = 0 and h.fired >= h.at then 0
      else least(h.timers, h.off) + h.total - least(h.timers + h.lowest, 0) end))
  into keys
  from held h;
  with held as (
    select t.rule, t.key, t.ended, k.ended as ended_by, k.off, row_number() over (partition by t.rule, t.key order by t.ended = 0, t.ended desc) as place
    from jsonb_to_recordset(keys) as k (rule int, key text, ended bigint[], off int)
    join rowbell.timer t on t.rule = k.rule and t.key = k.key and t.ended <= 0
    where k.off > 0),
  gone as (
    delete from rowbell.timer t
    using held h
    where t.rule = h.rule and t.key = h.key and t.ended = h.ended and h.place <= h.off
    returning t.*, h.ended_by[h.place] as ended_by)
  insert into rowbell.timer (feed, rule, key, since, began, fired, ended)
  select g.feed, g.rule, g.key, g.since, g.began, g.fired, g.ended_by from gone g where g.fired is not null
  on conflict do nothing;
  with puts as (
    select e.feed, e.rule, e.key, e.id, e.at, lead(e.id) over w as next, count(*) over (w rows between current row and unbounded following) as place, k.stay
    from unnest(events) e
    join jsonb_to_recordset(keys) as k (rule int, key text, stay int) on k.rule = e.rule and k.key = e.key
    where e.kind = 'a' and k.stay > 0
    window w as (partition by e.rule, e.key order by e.id))
  select jsonb_agg(p) into armed from puts p where p.place <= p.stay;
  update rowbell.timer t
  set ended = -a.id
  from jsonb_to_recordset(armed) as a (rule int, key text, id bigint, place int, stay int)
  where a.place = a.stay and t.rule = a.rule and t.key = a.key and t.ended = 0;
  insert into rowbell.timer (feed, rule, key, since, began, ended)
  select a.feed, a.rule, a.key, a.at, a.at + (
    -- those that were resumed before the event was folded
    select coalesce(sum(upper(p) - greatest(lower(p), a.at)), interval '0')
    from rowbell.rule_state s
    cross join unnest(s.pauses) p
    where s.id = a.rule and upper(p) > a.at), coalesce(-a.next, 0)
  from jsonb_to_recordset(armed) as a (feed int, rule int, key text, at timestamptz, next bigint)
  where octet_length(a.key) <= 2600;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.array_sql(elements text[], type text, separator text DEFAULT ', '::text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('array[%s]::pg_catalog.%s[]', string_agg(coalesce(case when type = 'int4' then e else quote_literal(e) end, 'null'), separator order by n), type)
  from unnest(elements) with ordinality as elements (e, n)
$function$
CREATE OR REPLACE FUNCTION rowbell.attach(feed rowbell.feed, operations text[], patience interval)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.change_triggers(feed.name, array_agg(m.statement), patience)
  from rowbell.missing_triggers(feed, operations) m
  having count(*) > 0
$function$
CREATE OR REPLACE FUNCTION rowbell.before_move_sql(feed rowbell.feed)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.fill($body$
declare
  depth constant pg_catalog.text := pg_catalog.pg_trigger_depth()::pg_catalog.text;
  mark pg_catalog.text;
begin
  -- an earlier statement may have left notes, which are of other rows
  if pg_catalog.current_setting('rowbell.moves_{{feed}}_' operator(pg_catalog.||) depth, true) operator(pg_catalog.<>) '' then
    mark := pg_catalog.set_config('rowbell.moves_{{feed}}_' operator(pg_catalog.||) depth, '', true);
  end if;
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    -- a statement within another one gives it back
    mark := pg_catalog.set_config('rowbell.outer_' operator(pg_catalog.||) depth,
      '-' operator(pg_catalog.||) coalesce(pg_catalog.current_setting('rowbell.moving', true), ''), true);
    mark := pg_catalog.set_config('rowbell.moving', '{{feed}}', true);
    if pg_catalog.current_setting('rowbell.deletes_{{feed}}_' operator(pg_catalog.||) depth, true) operator(pg_catalog.<>) '' then
      mark := pg_catalog.set_config('rowbell.deletes_{{feed}}_' operator(pg_catalog.||) depth, '', true);
    end if;
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    -- an earlier MERGE may have left the numbers of the rows that it settled
    mark := pg_catalog.set_config('rowbell.settled_{{feed}}_' operator(pg_catalog.||) depth, '', true);
  else
    mark := pg_catalog.set_config('rowbell.deletes_{{feed}}_' operator(pg_catalog.||) depth, 'yes', true);
  end if;
  return null;
end
$body$, jsonb_build_object('feed', feed.id))
$function$
CREATE OR REPLACE FUNCTION rowbell.begin_absent(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.end_groups(feed, rule, array(select g.id from rowbell.window_group g where g.rule = state.counted_as));
  insert into rowbell.window_group (rule, key, subject, last)
  select state.id, '{}', '{}', case when isfinite(state.counts_since) then state.counts_since else clock_timestamp() end
  where rule."by" = '{}'
  on conflict do nothing
$function$
CREATE OR REPLACE FUNCTION rowbell.begin_fold(feed_id integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform from rowbell.timer_feed t where t.feed = feed_id and rowbell.has_key_of_timers(t) for update skip locked;
  if not found then
    return false;
  end if;
  -- Events of one row have their ids in the order in which they happened: the lock on the row is held when they are numbered. A transaction that changes the
  -- row again has waited for the one before, so an event is never seen before an earlier one of its row.
  -- A row that its transaction deleted and inserted again goes on, as one does that moves to another partition by row triggers.
  with touched as (
    select e, e.id, e.rule, e.key from rowbell.timer_event e where e.feed = feed_id
    union all
    select e, e.id, e.rule, e.moved_to from rowbell.timer_event e where e.feed = feed_id and e.kind = 'm'),
  neighbours as (select e, id, lag(e) over w as before, lead(e) over w as after from touched window w as (partition by rule, key order by id))
  delete from rowbell.timer_event e
  using neighbours n
  where e.feed = feed_id and e.id = n.id and e.whole and case e.kind
    when 'a' then (n.before).kind = 'd' and (n.before).whole and (n.before).xact = e.xact
    when 'd' then (n.after).kind = 'a' and (n.after).whole and (n.after).xact = e.xact end;
  return true;
exception when serialization_failure then
  return false;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.change_triggers(feed_name text, statements text[], patience interval)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '20ms'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.changed_sql(feed rowbell.feed, columns text[], plain boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.check_rule(rule json)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
  select p.* from rowbell.validate_rule(rowbell.rule_of(rule)) p
$function$
CREATE OR REPLACE FUNCTION rowbell.claim_channels(channels text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  holder text;
  own boolean;
  key bigint;
begin
  select rowbell.listening_session(l), l.pid = pg_backend_pid() into holder, own from rowbell.listener l where l.channels = channels;
  if holder is not null then
    return case when not own then holder end;
  end if;
  -- a stranger may have the lock of one key, and cannot know the next
  loop
    key := hashtextextended(gen_random_uuid()::text, 0);
    exit when pg_try_advisory_lock(key);
  end loop;
  insert into rowbell.listener as l (channels, pid, role, started, key)
  select channels, a.pid, a.usesysid, a.backend_start, key from pg_stat_activity a where a.pid = pg_backend_pid()
  on conflict on constraint listener_pkey do update set pid = excluded.pid, role = excluded.role, started = excluded.started, key = excluded.key
  where rowbell.listening_session(l) is null;
  if not found then
    perform pg_advisory_unlock(key);
    return 'another session, since a moment';
  end if;
  return null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.codes_sql(codes text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format(case when cardinality(codes) = 1 then 'array[%s]' else E'pg_catalog.array_remove(array[\n        %s], null)' end,
    array_to_string(codes, E',\n        '))
$function$
CREATE OR REPLACE FUNCTION rowbell.columns_of(relation oid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select array_agg(a.attname::text order by a.attnum) from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$function$
CREATE OR REPLACE FUNCTION rowbell.columns_sql(names text[], row_name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select string_agg(format('%s.%I', row_name, u.name), ', ' order by u.n) from unnest(names) with ordinality as u (name, n)
$function$
CREATE OR REPLACE FUNCTION rowbell.compared_without_equality(condition text, relation oid, feed_id integer)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.compile(feed_name text, patience interval DEFAULT '00:00:10'::interval)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.compile_functions(feed rowbell.feed)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.condition_error(condition text, relation oid, with_new boolean, with_old boolean, columns text DEFAULT '*'::text, feed_id integer DEFAULT 0)
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.count_of_one_sql(feed rowbell.feed, transition rowbell.transition)
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.count_row_sql(feed rowbell.feed, transition rowbell.transition)
 RETURNS TABLE(subject text, added text)
 LANGUAGE sql
 STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select c.subject || '::pg_catalog.json', format('pg_catalog.json_build_object(''count'', 1%s%s)', ', ''sum'', ' || c.amount, ', ''keys'', array[' || c.key || ']')
  from rowbell.counted_sql(feed, transition) c
$function$
CREATE OR REPLACE FUNCTION rowbell.count_statement_sql(feed rowbell.feed, transition rowbell.transition)
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.counted_reads(rule rowbell.rule)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select string_agg(format(E'(%s\n) is not null', e), ' and ')
  from (select g.expression as e from rowbell.group_columns(rule."by") g union all select rule.sum where rule.sum is not null) r
$function$
CREATE OR REPLACE FUNCTION rowbell.counted_sql(feed rowbell.feed, transition rowbell.transition)
 RETURNS TABLE(subject text, amount text, key text)
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.counts_plainly(rule rowbell.rule)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(bool_and(e ~* '^(new|old)\.([a-z_][a-z0-9_]*|"[^"]+")$'), true)
  from (select g.expression as e from rowbell.group_columns(rule."by") g union all select rule.sum where rule.sum is not null) r
$function$
CREATE OR REPLACE FUNCTION rowbell.crosses(rule rowbell.rule, counted numeric, summed numeric)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when rule.sum is null then counted >= rule.count else coalesce(summed, 0) > rule.over end
$function$
CREATE OR REPLACE FUNCTION rowbell.dead_letters(sink text DEFAULT NULL::text, rule text DEFAULT NULL::text, older_than interval DEFAULT NULL::interval)
 RETURNS SETOF rowbell.dead_letter
 LANGUAGE sql
 STABLE
AS $function$
  select d.*
  from rowbell.dead_letter d
  where ($1 is null or d.sink = $1)
    and ($2 is null or rowbell.alert_text(d.alert, 'rule') = $2)
    and ($3 is null or d.died <= clock_timestamp() - $3)
  order by d.died, d.id
$function$
CREATE OR REPLACE FUNCTION rowbell.definitions()
 RETURNS numeric
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.delivered(delivery text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  held int;
  gone int;
begin
  with lease as (
      select split_part(l, '/', 1)::uuid as delivery, split_part(l, '/', 2)::uuid as id from unnest(string_to_array(delivered.delivery, ' ')) l),
    deleted as (
      delete from rowbell.delivery d using lease l where d.id = l.delivery and d.locked_by = l.id returning 1)
  select (select count(*) from lease), (select count(*) from deleted) into held, gone;
  if held = 0 then
    raise invalid_parameter_value using message = 'no deliveries are named', hint = 'Pass the exchange property RowbellDelivery, which a route from outbox:NAME has.';
  end if;
  if gone is distinct from held then
    raise object_not_in_prerequisite_state using
      message = 'the alerts are no longer this sink''s: they were acknowledged before, or their lease ended and another thread or process has them',
      hint = 'Roll back. The alerts come again, unless they were acknowledged.';
  end if;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.denied(message text, state text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select message || case when state = '42501' then format(' (%s)', coalesce(rowbell.grant_for(message, current_user), 'grant it to ' || quote_ident(current_user)))
    else '' end
$function$
CREATE OR REPLACE FUNCTION rowbell.detach(feed rowbell.feed, patience interval)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.detach_former_children(feed rowbell.feed)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.disable(rule text, note text DEFAULT NULL::text, who text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.discard(sink text DEFAULT NULL::text, rule text DEFAULT NULL::text, older_than interval DEFAULT NULL::interval)
 RETURNS bigint
 LANGUAGE sql
AS $function$
  select rowbell.discard_all(array(select d.id from rowbell.dead_letters($1, $2, $3) d))
$function$
CREATE OR REPLACE FUNCTION rowbell.discard_all(dead_letters bigint[])
 RETURNS bigint
 LANGUAGE sql
AS $function$
  with gone as (
    delete from rowbell.dead_letter d where d.id in (select unnest($1)) returning d.sink, d.alert_id),
  by_sink as (
    select g.sink, array_agg(g.alert_id) as alert_ids, count(*) as letters from gone g group by g.sink)
  select coalesce(sum(b.letters), 0)::bigint
  from by_sink b
  cross join lateral rowbell.note_dead_letters('discarded', b.sink, b.alert_ids) noted
$function$
CREATE OR REPLACE FUNCTION rowbell.document_settings(relation oid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.document_text(document text, key text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return rowbell.alert_text(document::json, key);
exception when data_exception or program_limit_exceeded then
  return null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.drops_of(feed text)
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.enable(rule text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.end_firing(rule text, key text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with ended as (
    update rowbell.firing_state f set times = 0, ended = greatest(f.last, clock_timestamp())
    where f.rule = $1 and f.times > 0 and ($2 is null or f.key = $2)
    returning 1)
  select count(*) from ended
$function$
CREATE OR REPLACE FUNCTION rowbell.end_firing_of_gone_rules()
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
  update rowbell.firing_state f set times = 0, ended = greatest(f.last, clock_timestamp())
  where f.fingerprint = any (array(
    select g.fingerprint
    from rowbell.firing_state g
    where g.times > 0
      -- an alert from elsewhere may name anything: only rules that there were
      and g.rule = any (array(
        select distinct c.rule
        from rowbell.rule_change c
        where c.rule is not null and not exists (select from rowbell.rule r where r.name = c.rule and r.enabled and r.delivery = 'durable')))
    order by g.fingerprint
    for update skip locked));
  -- what the rule of now has fired for is behind the change
  with changed as materialized (
    select c.rule, max(c.at) as at
    from rowbell.rule_change c
    where c.before is not null and (c.after is null or c.after ->> 'enabled' = 'false' or c.after ->> 'delivery' <> 'durable'
      or c.before ? 'feed' and c.after ? 'feed'
      or exists (select from unnest('{for,within,absent,query}'::text[]) kind where (c.before ? kind) <> (c.after ? kind)))
    group by c.rule)
  update rowbell.firing_state f set times = 0, ended = c.at
  from changed c
  where c.rule = f.rule and f.fingerprint = any (array(
    select g.fingerprint
    from changed h
    join rowbell.firing_state g on g.rule = h.rule and g.last <= h.at
    where g.times > 0
    order by g.fingerprint
    for update of g skip locked))
$function$
CREATE OR REPLACE FUNCTION rowbell.end_groups(feed rowbell.feed, rule rowbell.rule, ended bigint[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with gone as (
    delete from rowbell.window_group w where w.id = any (ended) returning w.*)
  insert into rowbell.feedback (alert)
  select rowbell.absent_alert(end_groups.rule, rowbell.shown_name((end_groups.feed).relation), 'resolved', g.subject, g.since)
  from gone g
  where g.since is not null and (end_groups.rule).resolved
  order by g.id
$function$
CREATE OR REPLACE FUNCTION rowbell.end_unseen(beginning text, after text, most integer)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET lock_timeout TO '200ms'
AS $function$
#variable_conflict use_variable
declare
  last text;
  asked record;
  ended text[];
  context text;
begin
  select max(f.fingerprint) into last
  from (select s.fingerprint from rowbell.firing_state s where s.fingerprint collate "C" > after order by s.fingerprint collate "C" limit most) f;
  for asked in
    with rules as materialized (select * from rowbell.rules_with_an_end() where last is not null)
    select (array_agg(r.rule))[1] as rule, r.relation, r.columns, array_agg(s.fingerprint) as fingerprints, array_agg(s.last) as lasts, array_agg(k.key) as keys
    from rowbell.firing_state s
    -- alerts from elsewhere may name any rule
    join rules r on r.name = s.rule and r.feed is not distinct from s.feed
    cross join lateral (
      select json_object(r.columns, coalesce(array_agg(case when p like '"%' then (('[' || p || ']')::json ->> 0) else p end order by n) filter (where n > 0), '{}')) as key
      from unnest(regexp_match(s.key, r.pattern)) with ordinality as u (p, n)
      having count(*) = cardinality(r.columns)) k
    where s.fingerprint collate "C" > after and s.fingerprint collate "C" <= last and s.times > 0 and starts_with(s.fingerprint, beginning)
      and rowbell.names_one(s.key, r.pattern)
    group by r.name, r.relation, r.columns
  loop
    begin
      ended := case
        when (asked.rule).query is not null or coalesce((asked.rule).within, (asked.rule).absent) is not null
          then rowbell.groups_that_ended(asked.rule, asked.columns, asked.fingerprints, asked.keys)
        else rowbell.rows_that_ended(asked.rule, asked.relation, asked.columns, asked.fingerprints, asked.keys) end;
    exception when others or assert_failure then
      get stacked diagnostics context = pg_exception_context;
      if rowbell_alert.is_cancel(sqlstate, context) then
        raise;
      end if;
      continue;
    end;
    update rowbell.firing_state s set times = 0, ended = s.last + interval '1 us'
    where s.fingerprint = any (array(
      select l.fingerprint
      from rowbell.firing_state l
      join unnest(asked.fingerprints, asked.lasts) as a (fingerprint, last) on a.fingerprint = l.fingerprint and a.last = l.last
      where l.fingerprint = any (ended)
      order by l.fingerprint
      for no key update of l skip locked));
  end loop;
  return last;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.erase_history(feed text, key text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
declare
  -- what comes meanwhile is not waited for: it may never end
  last_routed constant bigint := (select max(e.id) from rowbell.history_routed e);
  last_tried constant bigint := (select max(e.id) from rowbell.history_tried e);
  erased bigint;
begin
  -- waits for those that fold
  perform from rowbell.history_routed e order by e.id for update;
  perform from rowbell.history_tried e order by e.id for update;
  while exists (select from rowbell.history_routed e where e.id <= last_routed) or exists (select from rowbell.history_tried e where e.id <= last_tried) loop
    perform rowbell.fold_history(1000);
  end loop;
  with gone as (
    delete from rowbell.history_alert a where a.feed = $1 and a.key = rowbell.key_cut($2) returning a.id),
  tries as (
    delete from rowbell.history_try t where t.alert_id = any (array(select g.id from gone g)))
  select count(*) into erased from gone;
  return erased;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.evaluator_of(feed_id integer)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when rowbell.has_role(feed_id) then rowbell.role_of(feed_id) else current_user::text end
$function$
CREATE OR REPLACE FUNCTION rowbell.expect_groups(rule rowbell.rule, result text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  names constant text[] := array(select g.name from rowbell.group_columns(rule."by") g order by g.n);
  -- of which some are not known
  crowded constant boolean := cardinality(result) > rule.max_groups;
  watched rowbell.feed;
  state rowbell.rule_state;
  expected text[];
  others bigint;
begin
  select f.* into watched from rowbell.feed f where f.name = rule.feed;
  -- no process judges them meanwhile
  perform from rowbell.window_feed w where w.feed = watched.id for update;
  select s.* into state from rowbell.rule_state s where s.rule = rule.name;
  select array_agg(distinct g.subject), max(g.columns) filter (where g.columns <> cardinality(names)) into expected, others
  from unnest(result) r
  cross join lateral (
    select '{' || string_agg(to_json(names[c.n])::text || ':' || c.value::text, ',' order by c.n) || '}' as subject, count(*) as columns
    from json_each(r::json) with ordinality as c (name, value, n)) g;
  if others is not null then
    raise exception 'the result of groups has % columns, and by has % expressions', others, cardinality(names) using errcode = 'RB001';
  end if;
  perform rowbell.end_groups(watched, rule, array(
    select g.id from rowbell.window_group g
    where not crowded and g.rule = state.id and not exists (select from unnest(expected) e where rowbell.group_key(e) = g.key)));
  insert into rowbell.window_group (rule, key, subject, last)
  select state.id, rowbell.group_key(e), e::json as subject, clock_timestamp()
  from unnest(expected) e
  where not exists (select from rowbell.window_group g where g.rule = state.id and g.key = rowbell.group_key(e))
  order by e
  limit greatest(rule.max_groups - (select count(*) from rowbell.window_group g where g.rule = state.id), 0);
  perform rowbell.note_crowded(watched, rule, state, case when crowded then expected[cardinality(expected)] end);
  -- those that waited for it
  update rowbell.window_group g set due = null where g.rule = state.id and g.since is null and g.due > rowbell.silent_at(rule, state, g.last);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.explain(rule text, key text DEFAULT NULL::text, look boolean DEFAULT true)
 RETURNS TABLE(level text, finding text, about text, name text)
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.explain_alert(id text)
 RETURNS TABLE(level text, finding text, about text, name text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.explain_rule(explained rowbell.rule, subject text, key json)
 RETURNS TABLE(level text, finding text, about text, name text, weight integer, cause text)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET "TimeZone" TO 'UTC'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.feed_of(feed_relation oid, but_rule text DEFAULT NULL::text)
 RETURNS rowbell.feed
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.feeds_named(feed text)
 RETURNS SETOF oid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  as_sql oid;
begin
  begin
    as_sql := to_regclass(feed);
  exception when others then
    as_sql := null;
  end;
  return query
  select as_sql where as_sql is not null
  union
  -- with quotes it is SQL
  select c.oid
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname || '.' || c.relname = feed and c.relkind not in ('i', 'I', 't') and (as_sql is null or strpos(feed, '"') = 0);
  if not found then
    return query
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relname = feed and c.relkind in ('r', 'p')
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'rowbell');
  end if;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fence_sql(fenced boolean)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.fill(template text, placeholders jsonb)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select string_agg(m[1] || coalesce(placeholders ->> m[2], ''), '' order by n)
  from regexp_matches(template, $re$((?:(?!\{\{).)*)(?:\{\{(\w+)\}\})?$re$, 'g') with ordinality as pieces (m, n)
$function$
CREATE OR REPLACE FUNCTION rowbell.find_feed(feed text)
 RETURNS oid
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when count(*) = 1 then min(t.relid::bigint) else min(w.relation::bigint) filter (where w.watched = 1) end::oid
  from rowbell.feeds_named(feed) t (relid)
  left join lateral (
    select f.relation::oid, count(*) over () as watched from rowbell.feed f
    where f.relation in (select o from rowbell.feeds_named(feed) o)) w on w.relation = t.relid
$function$
CREATE OR REPLACE FUNCTION rowbell.fire_timers(feed rowbell.feed, rule rowbell.rule, rule_id integer, until timestamp with time zone, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
#variable_conflict use_variable
declare
  due constant rowbell.timer[] := array(
    select t from rowbell.timer t
    where t.rule = rule_id and t.fired is null and t.began <= until - rule."for"
    order by t.began
    -- a small batch commits sooner: Rowbell routes it while the database looks at the next one
    limit least(most, 1000));
  looked rowbell.looked[];
begin
  if cardinality(due) = 0 then
    return 0;
  end if;
  looked := rowbell.look(feed.id, rule_id, array(select d.key from unnest(due) d));
  perform rowbell.raise_timers(feed, rule, 'firing', array(select d from unnest(due) d where exists (select from unnest(looked) l where l.key = d.key and l.met)),
    array(select l from unnest(looked) l where l.met));
  -- by the keys in an array: for a join of so many, PostgreSQL would read all timers
  update rowbell.timer t set fired = clock_timestamp()
  where t.rule = rule_id and t.fired is null and t.key = any (array(select l.key from unnest(looked) l where l.met));
  update rowbell.timer t set began = clock_timestamp() - rule."for" + interval '1 minute'
  where t.rule = rule_id and t.fired is null and t.key = any (array(select l.key from unnest(looked) l where l.error is not null));
  delete from rowbell.timer t
  where t.rule = rule_id and t.fired is null and t.key = any (array(
    select d.key from unnest(due) d where not exists (select from unnest(looked) l where l.key = d.key and (l.met or l.error is not null))));
  perform rowbell.look_failed(feed, rule, looked);
  return cardinality(due);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fires_anew(rule rowbell.rule)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select rule.fires = 'once' and not rule.resolved and (rule.condition is null or coalesce(rule.within, rule.absent) is not null or not rowbell.may_compare(rule.condition))
$function$
CREATE OR REPLACE FUNCTION rowbell.fit(opening text, old json, new json, closing text, key text[], most integer)
 RETURNS json
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wide constant int := greatest(256, most / 32);
  side constant text := case when new is null then 'old' else 'new' end;
  names text[];
  contents text[];
  changed text[];
  old_key text;
  alert text;
begin
  if octet_length(opening) + octet_length(closing) + coalesce(pg_column_size(old), 0) + coalesce(pg_column_size(new), 0) + 6 <= most then
    return (opening || coalesce(',"old":' || old::text, '') || coalesce(',"new":' || new::text, '') || closing)::json;
  end if;
  select array_agg(m.name), array_agg(m.value) into names, contents from rowbell.members_of(coalesce(new, old)) m;
  changed := array(
    select n.name
    from unnest(names, contents) with ordinality as n (name, value, n)
    left join (select m.name, m.value from rowbell.members_of(old) m where new is not null) as o on o.name = n.name
    where coalesce(o.value, 'null') <> n.value
    order by n.n);
  select format('"old":{%s},', string_agg(to_json(o.name) || ':' || o.value, ',')) into old_key
  from rowbell.members_of(old) o
  join unnest(names, contents) as n (name, value) on n.name = o.name
  where new is not null and o.name = any (key)
  having bool_or(o.value <> n.value) and sum(octet_length(o.value)) <= wide;
  for kept in 1 .. 5 loop
    select format('%s,"changed":%s,%s"%s":{%s},"truncated":true%s', opening, to_json(changed), old_key, side,
      string_agg(to_json(m.name) || ':' || m.value, ',' order by m.n), closing)
    into alert
    from unnest(names, contents) with ordinality as m (name, value, n)
    where kept = 1 or m.name = any (key) and (kept < 4 or octet_length(m.value) <= wide) or kept = 2 and octet_length(m.value) <= wide;
    if octet_length(alert) <= most then
      return alert::json;
    elsif kept = 4 then
      changed := array(
        select c.name
        from (select n.name, sum(octet_length(n.name) * 2 + 3) over (order by n.n) as bytes from unnest(changed) with ordinality as n (name, n)) as c
        where c.bytes < most / 4);
    end if;
  end loop;
  return (opening || ',"truncated":true' || closing)::json;
exception when others or assert_failure then
  return (opening || ',"truncated":true' || closing)::json;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fold_firing(most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET lock_timeout TO '2s'
AS $function$
#variable_conflict use_column
declare
  anew constant text[] := array(select r.name from rowbell.rule r where rowbell.fires_anew(r));
  folded int;
begin
  with taken as (
    delete from rowbell.firing_event e
    where e.id = any (array(select q.id from rowbell.firing_event q order by q.id limit most for update skip locked))
    returning e.*),
  events as (
    -- the windows below are of one order: all is sorted once
    select u.fingerprint collate "C" as fingerprint, u.alert_id, t.rules[u.kind] as rule, t.feeds[u.kind] as feed, u.key, t.severities[u.kind] as severity,
      t.reasons[u.kind] as reason, u.fires, u.silenced, timestamptz 'epoch' + u.micros * interval '1 us' as at, row_number() over w as place,
      lead(true) over w is null as is_last, u.fires and t.rules[u.kind] = any (anew) as fires_anew
    from taken t
    cross join lateral unnest(t.fingerprints, t.alert_ids, t.keys, t.times, t.fires, t.silenced, t.kinds)
      with ordinality as u (fingerprint, alert_id, key, micros, fires, silenced, kind, n)
    window w as (partition by u.fingerprint collate "C" order by u.micros, t.id, u.n)),
  placed as (
    select *, place > coalesce(max(case when not fires then place when fires_anew then place - 1 end) over w, 0) as counts,
      max(case when not fires then at when fires_anew then at - interval '1 us' end) over w as ended
    from events
    window w as (partition by fingerprint)),
  summed as (
    select *, min(at) filter (where counts) over w as since, count(*) filter (where counts) over w as times,
      count(*) filter (where counts and silenced) over w as silenced_times
    from placed
    window w as (partition by fingerprint)),
  merged as (
    insert into rowbell.firing_state as f (fingerprint, rule, feed, key, severity, reason, since, last, times, silenced, alert_id, ended)
    select s.fingerprint, s.rule, s.feed, s.key, s.severity, s.reason, coalesce(s.since, s.at), s.at, s.times, s.silenced_times, s.alert_id, s.ended
    from summed s
    where s.is_last
    order by s.fingerprint
    on conflict (fingerprint) do update set (id, rule, feed, key, severity, reason, since, last, times, silenced, alert_id, ended) = (
      select case when m.goes_on then f.id else excluded.id end,
        case when m.is_newer then excluded.rule else f.rule end,
        case when m.is_newer then excluded.feed else f.feed end,
        case when m.is_newer then excluded.key else f.key end,
        case when m.is_newer then excluded.severity else f.severity end,
        case when m.is_newer then excluded.reason else f.reason end,
        case when m.stays and m.adds then least(m.since, excluded.since) when m.stays then m.since when m.adds then excluded.since else f.since end,
        greatest(f.last, excluded.last),
        case when m.stays then f.times else 0 end + case when m.adds then excluded.times else 0 end,
        case when m.stays then f.silenced else 0 end + case when m.adds then excluded.silenced else 0 end,
        case when m.is_newer then excluded.alert_id else f.alert_id end,
        greatest(f.ended, excluded.ended)
      from (
        select excluded.last >= f.last as is_newer,
          -- what fired before is not ended by the ends of now, and what fires now is not ended by the end of before
          f.times > 0 and coalesce(f.last > excluded.ended, true) as stays,
          excluded.times > 0 and coalesce(excluded.last >= f.ended, true) as adds,
          f.times > 0 and coalesce(f.since > excluded.ended, true) as goes_on,
          -- an end that was routed late lies within what fired
          case when f.since <= excluded.ended then f.last else f.since end as since) m)
    returning 1)
  select count(*) into folded from taken;
  return folded;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fold_history(most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET lock_timeout TO '2s'
 SET "TimeZone" TO 'UTC'
AS $function$
#variable_conflict use_column
declare
  routed int;
  tried int;
begin
  perform rowbell.make_history_days();
  with taken as (
    delete from rowbell.history_routed e
    where e.id = any (array(select q.id from rowbell.history_routed q order by q.id limit most for update skip locked))
    returning e.*),
  added as (
    insert into rowbell.history_alert (at, id, path, rule, feed, key, severity, status, reason, time, silence, sinks, document)
    select t.at, u.id, t.path, t.rules[u.kind], t.feeds[u.kind], u.key, t.severities[u.kind], t.statuses[u.kind], t.reasons[u.kind],
      timestamptz 'epoch' + u.micros * interval '1 us', u.silence, string_to_array(t.sinks[u.kind], ','), u.document
    from taken t
    cross join lateral unnest(t.ids, t.keys, t.times, t.documents, t.silences, t.kinds) as u (id, key, micros, document, silence, kind))
  select count(*) into routed from taken;
  with taken as (
    delete from rowbell.history_tried e
    where e.id = any (array(select q.id from rowbell.history_tried q order by q.id limit most for update skip locked))
    returning e.*),
  added as (
    insert into rowbell.history_try (at, alert_id, sink, outcome, attempt, status, answer, error, who)
    -- within the day, which has its partition
    select greatest(t.at - t.ago[u.try] * interval '1 us', date_trunc('day', t.at)), u.alert_id, t.sink, t.outcomes[u.try], t.attempts[u.try],
      t.statuses[u.try], t.answers[u.try], t.errors[u.try], t.who
    from taken t
    cross join lateral unnest(t.alert_ids, t.tries) as u (alert_id, try))
  select count(*) into tried from taken;
  return greatest(routed, tried);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fold_timers(feed_id integer, most integer DEFAULT 5000, after bigint DEFAULT 0)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
declare
  part record;
  last constant bigint := (
    select max(n.id) from (select e.id from rowbell.timer_event e where e.feed = feed_id and e.id > after order by e.id limit most) n);
  rules constant int[] := array(
    select s.id
    from rowbell.feed f
    join rowbell.rule r on r.feed = f.name
    join rowbell.rule_state s on s.rule = r.name
    where f.id = feed_id and r.enabled and r."for" is not null);
begin
  for part in
    with taken as (
      delete from rowbell.timer_event e
      where e.feed = feed_id and e.id > after and e.id <= last
      returning e),
    edges as (
      select e, (e).id, (e).kind = 'm' as moves,
        row((e).kind = 'm', case when (e).kind = 'm' then (e).at end) is distinct from
          lag(row((e).kind = 'm', case when (e).kind = 'm' then (e).at end)) over (order by (e).id) as begins
      from taken
      where (e).rule = any (rules)),
    parts as (select e, id, moves, count(*) filter (where begins) over (order by id) as part from edges)
    select p.moves, array_agg(p.e order by p.id) as events from parts p group by p.part, p.moves order by p.part
  loop
    if part.moves then
      perform rowbell.move_timers(part.events);
    else
      perform rowbell.arm_timers(part.events);
    end if;
    perform rowbell.key_too_long(f, s.rule)
    from unnest(part.events) e
    join rowbell.feed f on f.id = feed_id
    join rowbell.rule_state s on s.id = e.rule
    where e.kind <> 'd' and octet_length(coalesce(e.moved_to, e.key)) > 2600
    limit 1;
  end loop;
  if exists (select from rowbell.timer_event e where e.feed = feed_id and e.id > last) then
    return last;
  end if;
  delete from rowbell.timer t where t.rule = any (rules) and t.ended <> 0 and t.ended < 0 and t.fired is null;
  update rowbell.timer t set ended = -t.ended where t.rule = any (rules) and t.ended <> 0 and t.ended < 0;
  update rowbell.timer_feed t set folded = now() where t.feed = feed_id;
  return null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fold_what_can_be(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, events rowbell.window_added[], judged timestamp with time zone)
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  half constant int := cardinality(events) / 2;
begin
  return rowbell.fold_window_events(feed, rule, state, events, judged);
exception when data_exception or program_limit_exceeded then
  if half > 0 then
    return rowbell.fold_what_can_be(feed, rule, state, events[:half], judged) || rowbell.fold_what_can_be(feed, rule, state, events[half + 1:], judged);
  end if;
  perform rowbell.rule_failed(rule.name, sqlerrm, sqlstate, rowbell.shown_name(feed.relation), 'TIMER', null);
  return '{}';
end
$function$
CREATE OR REPLACE FUNCTION rowbell.fold_window_events(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, events rowbell.window_added[], judged timestamp with time zone)
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  part constant float8 := rowbell.part_of(rule.within);
  left_out text;
  groups bigint[];
begin
  with keys as (
    select e.key, min(e.at) as first
    from unnest(events) e
    -- a query says which there are
    where rule.groups is null and not exists (select from rowbell.window_group g where g.rule = state.id and g.key = rowbell.group_key(e.key))
    group by e.key),
  numbered as (select k.*, row_number() over (order by k.first, k.key) as n from keys k),
  room as (select rule.max_groups - count(*) as room from rowbell.window_group g where g.rule = state.id and exists (select from keys)),
  added as (
    insert into rowbell.window_group (rule, key, subject)
    select state.id, rowbell.group_key(n.key), n.key::json from numbered n, room r where n.n <= r.room)
  select min(n.key) into left_out from numbered n, room r where n.n > r.room;
  if rule.groups is null then
    perform rowbell.note_crowded(feed, rule, state, left_out);
  end if;
  if rule.absent is not null then
    with written as (
      select g.id, max(e.at) as at
      from unnest(events) e
      join rowbell.window_group g on g.rule = state.id and g.key = rowbell.group_key(e.key)
      group by g.id),
    changed as (
      update rowbell.window_group g set last = greatest(g.last, w.at) from written w where g.id = w.id
      returning g.id, g.since is not null or g.due is null as judge)
    -- of all others, due is moved when it comes
    select array_agg(c.id) into groups from changed c where c.judge;
    return groups;
  end if;
  with counted as (
    select g.id, greatest(to_timestamp(floor(extract(epoch from e.at)::float8 / part) * part), state.counts_since) as at, e.count, e.sum, e.keys, e.n
    from unnest(events) with ordinality as e (rule, key, at, count, sum, keys, n)
    join rowbell.window_group g on g.rule = state.id and g.key = rowbell.group_key(e.key)),
  keys as (
    -- a row may have been written several times
    select k.id, k.at, (array_agg(k.key order by k.n))[1:10] as keys
    from (
      select c.id, c.at, u.key, min(array[c.n, u.place]) as n from counted c cross join unnest(c.keys) with ordinality as u (key, place)
      group by c.id, c.at, u.key) k
    group by k.id, k.at),
  changed as (
    insert into rowbell.window_count as w (group_id, at, count, sum, keys)
    select c.id, c.at, c.count, c.sum, coalesce(k.keys, '{}')
    from (select c.id, c.at, sum(c.count) as count, sum(c.sum) as sum from counted c group by c.id, c.at) c
    left join keys k on k.id = c.id and k.at = c.at
    on conflict (group_id, at) do update set count = w.count + excluded.count,
      sum = case when w.sum is null or excluded.sum is null then coalesce(w.sum, excluded.sum) else w.sum + excluded.sum end,
      keys = array(select u.key from unnest(excluded.keys || w.keys) with ordinality as u (key, n) group by u.key order by min(u.n) limit 10)
    returning w.group_id)
  select array_agg(distinct c.group_id) into groups from changed c;
  return groups;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.follow_key(feed rowbell.feed)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  known jsonb;
  now constant jsonb := rowbell.timer_key_of(feed.relation);
begin
  select t.key into known from rowbell.timer_feed t where t.feed = feed.id and t.key <> now and now -> 'names' <> 'null';
  if not found then
    return;
  end if;
  perform from rowbell.timer_feed t where t.feed = feed.id for update;
  update rowbell.timer_feed t set key = now where t.feed = feed.id;
  if known - 'columns' = now - 'columns' then
    return;
  elsif known - 'names' = now - 'names' then
    update rowbell.timer t set key = rowbell.rename_key(t.key, now) where t.feed = feed.id;
    update rowbell.timer_event e set key = rowbell.rename_key(e.key, now), moved_to = rowbell.rename_key(e.moved_to, now) where e.feed = feed.id;
    -- a statement trigger that pairs OLD and NEW by the key has failed meanwhile
    perform rowbell.scan_again(array(select r.name from rowbell.rule r where r.feed = feed.name));
    return;
  end if;
  perform rowbell.rule_failed(r.name, 'the primary key has changed: rows that were waited for are not known any more', '42P16', rowbell.shown_name(feed.relation),
    'TIMER', null)
  from rowbell.rule r
  join rowbell.rule_state s on s.rule = r.name
  where r.feed = feed.name and not r.existing and exists (select from rowbell.timer t where t.rule = s.id and t.fired is null);
  delete from rowbell.timer_event e where e.feed = feed.id;
  delete from rowbell.timer t where t.feed = feed.id and t.fired is null;
  update rowbell.timer t set ended = nextval(pg_get_serial_sequence('rowbell.timer_event', 'id')) where t.feed = feed.id and t.ended = 0;
  perform rowbell.scan_again(array(select r.name from rowbell.rule r where r.feed = feed.name));
end
$function$
CREATE OR REPLACE FUNCTION rowbell.follow_tables(but_rule text DEFAULT NULL::text)
 RETURNS TABLE(feed text, event text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.for_each(feed text, what text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.foreign_part_of(relation oid)
 RETURNS oid
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select min(t.relid) from rowbell.tree_of(relation) t where t.kind = 'f'
$function$
CREATE OR REPLACE FUNCTION rowbell.forget(feed_id integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.forget_firing(keep interval, oldest timestamp with time zone, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  forgotten int;
begin
  with ends as materialized (select r.name, r.feed, r.pattern from rowbell.rules_with_an_end() r)
  delete from rowbell.firing_state d
  where d.fingerprint = any (array(
    select f.fingerprint
    from rowbell.firing_state f
    where case when keep <= interval '0' then true
      when f.times = 0 then f.ended < least(clock_timestamp() - interval '10 min', oldest)
      else f.last < clock_timestamp() - keep and not exists (
        select from rowbell.rule r where r.name = f.rule and r.resolved
        union all
        select from ends r where r.name = f.rule and r.feed is not distinct from f.feed and rowbell.names_one(f.key, r.pattern)) end
    limit most
    for update of f skip locked));
  get diagnostics forgotten = row_count;
  delete from rowbell.acknowledgement d
  where d.fingerprint = any (array(
    select a.fingerprint
    from rowbell.acknowledgement a
    where not exists (select from rowbell.firing_state f where f.fingerprint = a.fingerprint and f.id = a.firing and f.times > 0)
    limit most
    for update skip locked));
  return forgotten;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.forget_moves()
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  delete from rowbell.move m where m.xid < pg_snapshot_xmin(pg_current_snapshot())
$function$
CREATE OR REPLACE FUNCTION rowbell.forget_timers(most integer DEFAULT 10000)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with recursive known (rule) as (
    (select min(t.rule) from rowbell.timer t)
    union all
    select (select min(t.rule) from rowbell.timer t where t.rule > k.rule) from known k where k.rule is not null)
  delete from rowbell.timer t
  where t.ctid = any (array(
    select g.ctid
    from known k
    join rowbell.timer g on g.rule = k.rule
    where not exists (
      select from rowbell.rule_state s join rowbell.rule r on r.name = s.rule where s.id = k.rule and r.enabled and r."for" is not null)
    limit most
    for update of g skip locked));
  delete from rowbell.timer_event e where not exists (select from rowbell.timer_feed f where f.feed = e.feed)
$function$
CREATE OR REPLACE FUNCTION rowbell.forget_windows(most integer DEFAULT 10000)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with recursive known (rule) as (
    (select min(g.rule) from rowbell.window_group g)
    union all
    select (select min(g.rule) from rowbell.window_group g where g.rule > k.rule) from known k where k.rule is not null)
  delete from rowbell.window_group w
  where w.ctid = any (array(
    select g.ctid
    from known k
    join rowbell.window_group g on g.rule = k.rule
    where not exists (
      select from rowbell.rule_state s join rowbell.rule r on r.name = s.rule where k.rule in (s.id, s.counted_as) and r.enabled and coalesce(r.within, r.absent) is not null)
    limit most
    for update of g skip locked));
  delete from rowbell.window_event e where not exists (select from rowbell.window_feed f where f.feed = e.feed);
  update rowbell.window_feed w
  set judged = clock_timestamp()
  where w.feed in (
      select l.feed from rowbell.window_feed l
      where l.judged < clock_timestamp() and not exists (select from rowbell.window_feeds() d where d.feed = l.feed and d.due_in <= 0)
      for update skip locked)
    and exists (
      select from rowbell.feed f join rowbell.rule r on r.feed = f.name where f.id = w.feed and r.enabled and coalesce(r.within, r.absent) is not null)
$function$
CREATE OR REPLACE FUNCTION rowbell.function_is(signature text, body text, settings text[], owner text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select from pg_proc p
    where p.oid = to_regprocedure(signature) and p.prosecdef and p.prosrc = body and coalesce(p.proconfig, '{}') = settings
      and p.proowner = (select r.oid from pg_roles r where r.rolname = owner))
$function$
CREATE OR REPLACE FUNCTION rowbell.grant_for(message text, role_name text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with denied (kind, name) as (
    select m[1], m[2]
    from regexp_match(message, '^permission denied for (schema|function|table|view|materialized view|foreign table|sequence) (.*)$') m),
  missing (grants, place) as (
    select format('usage on schema %I', n.nspname), 0
    from denied d
    join pg_namespace n on n.nspname = d.name
    where d.kind = 'schema' and not has_schema_privilege(role_name, n.oid, 'usage')
    union all
    select format('execute on function %s', f.oid::regprocedure), f.oid::bigint
    from denied d
    join pg_proc f on f.proname = d.name
    where d.kind = 'function' and not has_function_privilege(role_name, f.oid, 'execute')
    union all
    select format('select on %s', rowbell.sql_name(c.oid)), c.oid::bigint
    from denied d
    join pg_class c on c.relname = d.name and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    where d.kind not in ('schema', 'function') and not has_table_privilege(role_name, c.oid, 'select'))
  select format('grant %s to %I', m.grants, role_name) from missing m order by m.place limit 1
$function$
CREATE OR REPLACE FUNCTION rowbell.grant_named(feed_id integer, relation oid, condition text, selected text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
AS $function$
declare
  role_name constant text := rowbell.role_of(feed_id);
  rights text[];
  right_name text;
  -- of this feed: for one of the same name, others would wait
  view_schema text := format('rowbell_named_%s', feed_id);
  named text;
  had oid[];
begin
  if not rowbell.has_role(feed_id) then
    return;
  end if;
  had := array(select n.oid from pg_namespace n where has_schema_privilege(role_name, n.oid, 'usage'));
  begin
    -- PostgreSQL notes for a view all that it names. The view is made by the role, because a literal may run the check of a domain; for that it has rights on
    -- the schemas that the text may name.
    if has_database_privilege(current_database(), 'create') then
      execute format('create schema %I authorization %I', view_schema, role_name);
    else
      -- taken away since the schema was made: others wait, and the grant is undone below
      view_schema := 'rowbell_alert';
      perform rowbell.grant_right('create on schema rowbell_alert', role_name);
    end if;
    for right_name in
      select format('usage on schema %I', n.nspname)
      from pg_namespace n
      where (n.oid = (select c.relnamespace from pg_class c where c.oid = relation)
          or rowbell.may_name(condition, n.nspname))
        and n.nspname not in ('rowbell', 'rowbell_alert') and n.oid <> all (had)
    loop
      perform rowbell.grant_right(right_name, role_name);
    end loop;
    named := format('create view %s.rowbell_named_%s as %s', view_schema, feed_id, selected);
    execute format('select rowbell.run_%s($1)', feed_id) using named;
    with objects (class, id, schema) as (
      select d.refclassid, d.refobjid, coalesce(c.relnamespace, p.pronamespace, o.oprnamespace, t.typnamespace)
      from pg_rewrite r
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refobjid <> r.ev_class
      left join pg_class c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid
      left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
      left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
      left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
      where r.ev_class = format('%s.rowbell_named_%s', view_schema, feed_id)::regclass
      union
      select 'pg_class'::regclass, c.oid, c.relnamespace from rowbell.tables_of(relation) t join pg_class c on c.oid = t.relid
      union
      -- bounds of partitions are of these types
      select 'pg_type'::regclass, y.oid, y.typnamespace
      from rowbell.tables_of(relation) t
      join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
      join pg_type y on y.oid = a.atttypid)
    select array_agg(r.name) into rights
    from (
      select format('usage on schema %I', n.nspname) as name from objects o join pg_namespace n on n.oid = o.schema
      where n.nspname not in ('rowbell', 'rowbell_alert', view_schema) and n.oid <> all (had)
      union
      -- the feed is in there as a type, and where the condition reads it also as a table
      select 'select on ' || rowbell.sql_name(o.id) from objects o
      where o.class = 'pg_class'::regclass and (select c.relkind from pg_class c where c.oid = o.id) in ('r', 'p', 'v', 'm', 'f', 'S')
        -- a composite type is in pg_class too
        and o.schema not in (select n.oid from pg_namespace n where n.nspname in ('rowbell', 'rowbell_alert'))
        and (o.id not in (select t.relid from rowbell.tables_of(relation) t) or exists (
          select from pg_rewrite w
          where w.ev_class = format('%s.rowbell_named_%s', view_schema, feed_id)::regclass and w.ev_action::text ~ format(':rtekind 0 :relid %s ', o.id)))
        and not has_table_privilege(role_name, o.id, 'select')) r
    where r.name is not null;
    raise exception using errcode = 'RB004';
  exception when others then
    -- the view is gone, and so are the locks that it took; a condition that makes no view has no rights, and fails as itself where it needs them
    null;
  end;
  foreach right_name in array coalesce(rights, '{}') loop
    perform rowbell.grant_right(right_name, role_name);
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.grant_query(query text)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.grant_named(0, null, query, format(E'select 1 as one from (%s\n) as _r', query))
$function$
CREATE OR REPLACE FUNCTION rowbell.grant_reads(feed rowbell.feed, condition text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform rowbell.grant_named(feed.id, feed.relation, condition,
    format(E'select (%2$s\n) from (select (null::%1$s).*) as new, (select (null::%1$s).*) as old',
      rowbell.sql_name(feed.relation), rowbell.rows_by_name(condition, feed.relation)));
end
$function$
CREATE OR REPLACE FUNCTION rowbell.grant_right(right_name text, role_name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
begin
  for try in 1 .. 10 loop
    begin
      execute format('grant %s to %I', right_name, role_name);
      return;
    exception
      when insufficient_privilege or lock_not_available or read_only_sql_transaction then
        return;
      when internal_error then
        -- tuple concurrently updated
        if try = 10 then
          raise;
        end if;
    end;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.group_columns(by text[])
 RETURNS TABLE(name text, expression text, n bigint)
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
  select coalesce((parse_ident(a.aliased[2]))[1], (parse_ident((regexp_match(b, '^\s*(?:new|old)\s*\.\s*([[:alpha:]_][\w$]*|"(?:[^"]|"")+")\s*$', 'i'))[1]))[1], trim(b)),
    trim(coalesce(a.aliased[1], b)), n
  from unnest(by) with ordinality as u (b, n)
  cross join lateral (select regexp_match(b, '^(.*\S)\s+as\s+([[:alpha:]_][\w$]*|"(?:[^"]|"")+")\s*$', 'i') as aliased) a
$function$
CREATE OR REPLACE FUNCTION rowbell.group_key(subject text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when octet_length(subject) > 1000 then encode(sha256(convert_to(subject, 'UTF8')), 'hex') else subject end
$function$
CREATE OR REPLACE FUNCTION rowbell.groups_as_text(relation oid, column_name text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select from pg_attribute a
    where a.attrelid = relation and a.attname = column_name and not a.attisdropped
      and (a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'bool'::regtype, 'uuid'::regtype, 'date'::regtype, 'timestamptz'::regtype)
        or a.atttypid in ('text'::regtype, 'varchar'::regtype) and a.attcollation = '"default"'::regcollation))
$function$
CREATE OR REPLACE FUNCTION rowbell.groups_error(rule rowbell.rule, relation oid)
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  query constant text := regexp_replace(rule.groups, '[;[:space:]]+$', '');
  names constant text[] := array(select '_c' || g.n from rowbell.group_columns(rule."by") g order by g.n);
  error text[];
  types text[];
  asked record;
begin
  error := rowbell.query_error(query, names[1:1], names);
  if error[4] = '42P10' and error[2] like 'table "_r" has%' or error is null and rowbell.query_error(query, names[1:1], names || '_c'::text) is null then
    return array['groups', format('has not as many columns as by has expressions: %s', cardinality(names)), 'select id from public.sensor, for by: [NEW.sensor]', 'RB001'];
  elsif error is not null then
    return array['groups'] || error[2:];
  end if;
  for asked in
    select g.n, g.expression, format(E'(%s\n)', g.expression) as member, format(E'(select _g._c%s from (%s\n) as _g (%s))', g.n, query, array_to_string(names, ', ')) as "column"
    from rowbell.group_columns(rule."by") g
    order by g.n
  loop
    -- a function that takes two arrays of one type
    error := rowbell.condition_error(format('pg_catalog.array_larger(array[%s], array[%s]) is not null', asked.member, asked.column), relation, true, true);
    continue when error is null;
    types := regexp_match(error[1], '^function pg_catalog.array_larger\((.*)\[\], (.*)\[\]\) does not exist$');
    if types is null then
      return array['groups'] || error;
    end if;
    -- integers of any size, and texts but those that are filled with blanks, are written alike
    continue when rowbell.condition_error(format('pg_catalog.int8larger(%s, %s) is not null', asked.member, asked.column), relation, true, true) is null
      or 'character' <> all (types)
        and rowbell.condition_error(format('pg_catalog.text_larger(%s, %s) is not null', asked.member, asked.column), relation, true, true) is null;
    return array['groups', format('column %s is of type %s, and %s of type %s', asked.n, types[2], asked.expression, types[1]),
      case when types[1] = 'character' then 'cast it to that, with its length' else format('cast it: select id::%s', types[1]) end, 'RB001'];
  end loop;
  return null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.groups_that_ended(rule rowbell.rule, columns text[], fingerprints text[], keys json[])
 RETURNS text[]
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with firing as (
    select g.subject
    from rowbell.window_group g
    join rowbell.rule_state s on s.id = g.rule
    where s.rule = rule.name and g.since is not null and rule.query is null
    union all
    select q.subject from rowbell.query_key q where q.rule = rule.name and q.key <> ''),
  -- of a NULL the alert shows null
  firing_values as (select array(select coalesce(f.subject ->> c, 'null') from unnest(columns) with ordinality as u (c, n) order by n) as values from firing f)
  select array_agg(f.fingerprint)
  from unnest(fingerprints, keys) as f (fingerprint, key)
  where array(select coalesce(f.key ->> c, 'null') from unnest(columns) with ordinality as u (c, n) order by n) not in (select v.values from firing_values v)
    and not exists (select from firing g cross join unnest(columns) c where json_typeof(g.subject -> c) in ('object', 'array'))
$function$
CREATE OR REPLACE FUNCTION rowbell.has_key_of_timers(timers rowbell.timer_feed)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select (timers.key - 'columns') = (rowbell.timer_key_of(f.relation) - 'columns') from rowbell.feed f where f.id = timers.feed
$function$
CREATE OR REPLACE FUNCTION rowbell.has_role(feed_id integer)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select from pg_roles r
    where r.rolname = rowbell.role_of(feed_id) and not (r.rolsuper or r.rolcreaterole or r.rolcanlogin or r.rolbypassrls)
      and not exists (select from pg_auth_members m where m.member = r.oid)
      and pg_has_role(r.oid, 'usage'))
$function$
CREATE OR REPLACE FUNCTION rowbell.has_row_triggers(feed_id integer)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select from rowbell.feed f
    join pg_class c on c.oid = f.relation
    where f.id = feed_id
      and (c.relkind <> 'p' and exists (select from rowbell.row_feed r where r.feed = f.id) or rowbell.foreign_part_of(f.relation) is not null
        or exists (select from pg_inherits i where i.inhrelid = f.relation)))
$function$
CREATE OR REPLACE FUNCTION rowbell.hidden_rows(feed rowbell.feed)
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.holders()
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce('while rules are being changed by ' || string_agg(distinct format('pid %s (user %s, application %s)', a.pid, a.usename, a.application_name), ', '),
    'and in vain')
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
  where l.relation in ('rowbell.rule'::regclass, 'rowbell.feed'::regclass, 'rowbell.rule_state'::regclass) and l.granted and l.pid <> pg_backend_pid()
    and l.mode not in ('AccessShareLock')
$function$
CREATE OR REPLACE FUNCTION rowbell.is_about(alert json, rule text, key json, subject text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.joined_causes(weights integer[], causes text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(string_agg(c.cause, '; ' order by c.weight, c.n) filter (where c.weight < 90), min(c.cause))
  from (
    select u.cause, min(u.weight) as weight, min(u.n) as n
    from unnest(weights, causes) with ordinality as u (weight, cause, n)
    where u.cause is not null
    group by u.cause) c
$function$
CREATE OR REPLACE FUNCTION rowbell.judge_absent(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, groups bigint[], seen timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
#variable_conflict use_variable
declare
  feed_name constant text := rowbell.shown_name(feed.relation);
  -- from the time when it fires
  forget constant interval := case when rule.groups is null and rule."by" <> '{}' then rowbell.length_of(rule.forget) - rowbell.length_of(rule.absent) end;
  -- after a stop, groups that are not expected any more do not fire: for a time, in case that it cannot be told
  unknown constant boolean := exists (select from rowbell.query_run q where rule.groups is not null and q.rule = rule.name and q.due < seen - interval '5 s');
  forgotten rowbell.rule := rule;
begin
  forgotten.reason := format('%s: forgotten after %s', coalesce(rule.reason, rule.name), rule.forget);
  -- the clock was set back: it goes on as if it had been written now
  update rowbell.window_group w set last = seen where w.id = any (groups) and (w.last > clock_timestamp()) is not false;
  with judged as materialized (
    select w.*, greatest(w.last, state.counts_since) as began, s.at
    from rowbell.window_group w
    cross join lateral rowbell.silent_at(rule, state, w.last) as s (at)
    where w.id = any (groups)),
  decided as materialized (
    select j.*, case
        when j.at > seen then case when j.since is not null then 'resolved' end
        when j.since is null then case when unknown and (j.due is null or j.due <= j.at) then 'held' else 'firing' end
        when j.at + forget <= seen and (j.due is null or j.due <= seen) then 'forgotten' end as decision
    from judged j),
  gone as (
    delete from rowbell.window_group w using decided d where w.id = d.id and d.decision = 'forgotten'),
  noted as (
    update rowbell.window_group w
    set since = n.since, due = n.due
    from (
      select d.id, case d.decision when 'firing' then d.began when 'resolved' then null else d.since end as since,
        case when d.decision = 'held' then seen + interval '20 s'
          when d.at > seen then d.at
          when forget is null then seen + interval '1 day'
          -- after a long stop, not as soon as it has fired
          when d.decision = 'firing' then greatest(d.at, seen) + forget
          else greatest(d.at + forget, d.due) end as due
      from decided d
      where d.decision is distinct from 'forgotten') n
    where w.id = n.id and (w.since, w.due) is distinct from (n.since, n.due))
  insert into rowbell.feedback (alert)
  select case d.decision
    when 'firing' then rowbell.absent_alert(rule, feed_name, 'firing', d.subject, d.began)
    when 'resolved' then rowbell.absent_alert(rule, feed_name, 'resolved', d.subject, d.since)
    else rowbell.absent_alert(forgotten, feed_name, 'resolved', d.subject, d.since) end
  from decided d
  where d.decision = 'firing' or d.decision in ('resolved', 'forgotten') and rule.resolved
  order by d.at, d.id;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.judge_what_can_be(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, groups bigint[], judged timestamp with time zone, folded timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  half constant int := cardinality(groups) / 2;
begin
  if rule.absent is not null then
    perform rowbell.judge_absent(feed, rule, state, groups, judged);
  else
    perform rowbell.judge_windows(feed, rule, state, groups, judged, folded);
  end if;
exception when data_exception or program_limit_exceeded then
  if half > 0 then
    perform rowbell.judge_what_can_be(feed, rule, state, groups[:half], judged, folded);
    perform rowbell.judge_what_can_be(feed, rule, state, groups[half + 1:], judged, folded);
  else
    perform rowbell.rule_failed(rule.name, sqlerrm, sqlstate, rowbell.shown_name(feed.relation), 'TIMER', null);
    delete from rowbell.window_group w where w.id = groups[1];
  end if;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.judge_windows(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, groups bigint[], judged timestamp with time zone, folded timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "IntervalStyle" TO 'iso_8601'
AS $function$
#variable_conflict use_variable
declare
  clock constant timestamptz := clock_timestamp();
  now constant timestamptz := least(rowbell.judgeable(folded, rule.within), clock);
  within constant interval := rowbell.length_of(rule.within);
  feed_name constant text := rowbell.shown_name(feed.relation);
  shifted rowbell.window_count[];
  g record;
begin
  -- the clock was set back: all goes on as it was at the last write
  select array_agg(c order by c.at) into shifted
  from rowbell.window_count c
  where c.group_id in (select a.group_id from rowbell.window_count a where a.group_id = any (groups) and a.at > clock);
  if shifted is not null then
    delete from rowbell.window_count c where c.group_id in (select s.group_id from unnest(shifted) s);
    insert into rowbell.window_count (group_id, at, count, sum, keys)
    select s.group_id, s.at - (max(s.at) over (partition by s.group_id) - clock), s.count, s.sum, s.keys from unnest(shifted) s;
  end if;
  delete from rowbell.window_count c where c.group_id = any (groups) and (c.at <= judged - 2 * within or c.at < state.counts_since);
  for g in
    with known as (
      select w.id, w.subject, w.since, w.due, greatest(case when w.until < clock then w.until when w.until is not null then clock end, judged - within, state.judges_since) as before
      from rowbell.window_group w
      where w.id = any (groups)),
    running as (
      select c.group_id, c.at, sum(c.count) over w as count, sum(c.sum) over w as sum
      from rowbell.window_count c
      where c.group_id = any (groups)
      window w as (partition by c.group_id order by c.at range between within preceding and current row)),
    -- as parts that take away from the sum have left the window, which grows
    left_by as (
      select c.group_id as id, c.at + within as at, sum(c.count) over w - c.count as count, sum(c.sum) over w - c.sum as sum, c.sum < 0 as grew
      from rowbell.window_count c
      where rule.sum is not null and c.group_id in (select n.group_id from rowbell.window_count n where n.group_id = any (groups) and n.sum < 0)
      window w as (partition by c.group_id order by c.at range between current row and within following)),
    -- as time goes on and nothing more is written: what is left when this part has left the window
    leaving as materialized (
      select c.group_id, c.at + within as at, coalesce(sum(c.count) over w, 0) as count, sum(c.sum) over w as sum
      from rowbell.window_count c
      where c.group_id = any (groups) and c.at > now - within
      window w as (partition by c.group_id order by c.at rows between 1 following and unbounded following)),
    current as (
      select k.id, coalesce(sum(c.count), 0) as count, sum(c.sum) as sum
      from known k
      left join rowbell.window_count c on c.group_id = k.id and c.at > now - within
      group by k.id),
    ends as (
      select r.group_id as id, r.at, r.count, r.sum from running r join known k on k.id = r.group_id and r.at > k.before and r.at <= now
      union all
      select l.id, l.at, l.count, l.sum from left_by l join known k on k.id = l.id and l.at > k.before and l.at <= now where l.grew
      union all
      select c.id, now, c.count, c.sum from current c where folded is null),
    crossed as (
      select e.id, min(e.at) as first, max(e.at) as last, (array_agg(e.count order by e.at desc))[1] as count, (array_agg(e.sum order by e.at desc))[1] as sum
      from ends e
      where rowbell.crosses(rule, e.count, e.sum)
      group by e.id),
    turns as (
      select l.group_id, min(l.at) as at
      from leaving l
      join current c on c.id = l.group_id
      where rowbell.crosses(rule, l.count, l.sum) <> rowbell.crosses(rule, c.count, c.sum)
      group by l.group_id),
    ages as (select c.group_id, max(c.at) + 2 * within as at from rowbell.window_count c where c.group_id = any (groups) group by c.group_id)
    select k.*, c.count, c.sum, x.first, x.last, x.count as crossed_count, x.sum as crossed_sum,
      rowbell.crosses(rule, c.count, c.sum) as over,
      -- while more groups are due than a call judges, one that is too old for two looks keeps its counts: it must not be due again at once
      coalesce(t.at, case when k.due > a.at and a.at < clock then clock + interval '1 min' else a.at end) as next
    from known k
    join current c on c.id = k.id
    left join crossed x on x.id = k.id
    left join turns t on t.group_id = k.id
    left join ages a on a.group_id = k.id
    order by x.first, k.id
  loop
    if g.since is null and g.first is not null then
      g.since := g.first;
      insert into rowbell.feedback (alert) values (rowbell.timer_alert(rule, feed_name, 'firing', g.subject, rowbell.subject_columns(g.subject), json_build_object(
        'since', to_char(g.since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'within', rule.within::text, 'count', g.crossed_count,
        'sum', case when rule.sum is not null then coalesce(g.crossed_sum, 0) end,
        'keys', (
          select ('[' || string_agg(k.key, ',') || ']')::json
          from (
            select u.key
            from rowbell.window_count c
            cross join unnest(c.keys) with ordinality as u (key, n)
            where c.group_id = g.id and c.at between g.last - within and g.last
            -- a row may have been written several times
            group by u.key
            order by max(c.at) desc, min(u.n)
            limit 10) k))));
      update rowbell.window_group w set since = g.since where w.id = g.id;
    end if;
    if g.since is not null and not g.over and folded is null then
      if rule.resolved then
        insert into rowbell.feedback (alert) values (rowbell.timer_alert(rule, feed_name, 'resolved', g.subject, rowbell.subject_columns(g.subject), json_build_object(
          'since', to_char(g.since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'within', rule.within::text, 'count', g.count,
          'sum', case when rule.sum is not null then coalesce(g.sum, 0) end)));
      end if;
      update rowbell.window_group w set since = null, until = now where w.id = g.id;
    end if;
    if folded is not null then
      -- not null, which is to be judged as of before
      update rowbell.window_group w set due = clock where w.id = g.id;
    elsif g.next is null then
      delete from rowbell.window_group w where w.id = g.id;
    elsif g.due is null or g.due <= now or g.next < g.due or g.due > now + 2 * within then
      update rowbell.window_group w set due = greatest(g.next, now + interval '10 ms') where w.id = g.id;
    end if;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.judgeable(folded timestamp with time zone, within interval)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select to_timestamp(floor(extract(epoch from folded)::float8 / p) * p) - interval '1 us' from rowbell.part_of(within) p
$function$
CREATE OR REPLACE FUNCTION rowbell.keep_history(keep interval)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
 SET "TimeZone" TO 'UTC'
AS $function$
declare
  old regclass;
  dropped int := 0;
begin
  if keep > interval '0' then
    perform rowbell.make_history_days();
  else
    delete from rowbell.history_routed;
    delete from rowbell.history_tried;
  end if;
  for old in
    select c.oid::regclass
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('rowbell.history_alert'::regclass, 'rowbell.history_try'::regclass)
      -- as text: PostgreSQL may look at the names of other tables first, which are no days
      and (keep <= interval '0' or right(c.relname, 8) collate "C" <= to_char(clock_timestamp() - least(keep, interval '1000 years') - interval '1 day', 'YYYYMMDD'))
    order by c.relname
  loop
    execute format('drop table %s', old);
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.key_columns(relation oid)
 RETURNS TABLE(name text, type text, n bigint, operators name)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select a.attname::text, format_type(a.atttypid, a.atttypmod), u.n, n.nspname
  from unnest(rowbell.key_of(relation)) with ordinality as u (k, n)
  join pg_attribute a on a.attrelid = relation and a.attname = u.k
  join pg_index i on i.indrelid = relation and i.indisprimary
  join pg_opclass c on c.oid = i.indclass[array_position(i.indkey::int2[], a.attnum)]
  join pg_amop m on m.amopfamily = c.opcfamily and m.amopstrategy = 3 and m.amoplefttype = c.opcintype and m.amoprighttype = c.opcintype
  join pg_operator o on o.oid = m.amopopr
  join pg_namespace n on n.oid = o.oprnamespace
$function$
CREATE OR REPLACE FUNCTION rowbell.key_cut(key text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.key_of(relation oid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[:i.indnkeyatts - 1])
  where i.indrelid = relation and i.indisprimary
$function$
CREATE OR REPLACE FUNCTION rowbell.key_part(part text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when part ~ '[\u0001-\u001f\u007f,"]' or exists (select from regexp_split_to_table(part, '') c where octet_length(c) = 4)
    then replace(to_json(part)::text, chr(127), '\u007f') else part end
$function$
CREATE OR REPLACE FUNCTION rowbell.key_pattern(columns text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
  select '^' || string_agg(regexp_replace(case when c ~ '[[:cntrl:],"]' then to_json(c)::text else c end, '([^[:alnum:]_])', '\\\1', 'g')
    || '=("(?:[^"\\[:cntrl:]]|\\(?:["\\/bfnrt]|u00(?:0[1-9a-fA-F]|1[0-9a-fA-F]|7[fF])))*"|[^,"]*)', ',' order by n) || '$'
  from unnest(columns) with ordinality as u (c, n)
$function$
CREATE OR REPLACE FUNCTION rowbell.key_query(relation oid, columns text[], key json)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('select r.* from json_to_record(%L) as r (%s)', key_query.key,
    (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ')
      from pg_attribute a where a.attrelid = relation and a.attname = any (columns)))
$function$
CREATE OR REPLACE FUNCTION rowbell.key_text(document json, key text[])
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return (
    select case when count(document -> k) = count(*) then format('{%s}', string_agg(to_json(k) || ':' || (document -> k), ',' order by n)) end
    from unnest(key) with ordinality as u (k, n));
exception when others then
  return (
    select case when count(*) = cardinality(key) then format('{%s}', string_agg(to_json(u.k) || ':' || m.value, ',' order by u.n)) end
    from unnest(key) with ordinality as u (k, n)
    join rowbell.members_of(document) m on m.name = u.k);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.key_too_long(feed rowbell.feed, rule_name text)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.rule_failed(rule_name, 'the key of a row has more than 2,600 bytes, so "for" does not watch the row', '54000',
    rowbell.shown_name(feed.relation), 'TIMER', null)
$function$
CREATE OR REPLACE FUNCTION rowbell.key_written(columns text[], written text, nullable boolean)
 RETURNS json
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.lasting_key_of(relation oid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(array_agg(k order by n), '{}')
  from unnest(rowbell.key_of(relation)) with ordinality as u (k, n)
  where not exists (
    select from rowbell.tree_of(relation) t
    join pg_partitioned_table p on p.partrelid = t.relid
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs)
    where a.attname = k)
$function$
CREATE OR REPLACE FUNCTION rowbell.length_of(within interval)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select make_interval(secs => extract(epoch from within)::float8)
$function$
CREATE OR REPLACE FUNCTION rowbell.let_check(relation oid)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.grant_right(format('usage on schema %I', n.nspname), r.rolname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  -- of a database that was copied, the role has another name
  join pg_proc p on p.oid = to_regproc('rowbell.run_0')
  join pg_roles r on r.oid = p.proowner
  where c.oid = relation and not has_schema_privilege(r.oid, n.oid, 'usage')
$function$
CREATE OR REPLACE FUNCTION rowbell.listening_session(l rowbell.listener)
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('pid %s (user %s, application %s)', a.pid, a.usename, a.application_name)
  from pg_stat_activity a
  join pg_locks k on k.pid = a.pid
  where a.pid = l.pid and a.usesysid = l.role and coalesce(a.backend_start, l.started) = l.started
    and k.locktype = 'advisory' and k.database = a.datid and k.classid::bigint << 32 | k.objid::bigint = l.key and k.objsubid = 1 and k.granted
$function$
CREATE OR REPLACE FUNCTION rowbell.lock_feed(feed_name text)
 RETURNS rowbell.feed
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select f.* from rowbell.feed f where f.name = feed_name for no key update
$function$
CREATE OR REPLACE FUNCTION rowbell.lock_rule(rule_name text)
 RETURNS rowbell.rule
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  locked rowbell.rule;
begin
  select r.* into locked from rowbell.rule r where r.name = rule_name for no key update;
  if locked.name is null then
    raise exception 'there is no rule "%"', rule_name using errcode = 'RB001', column = 'name';
  end if;
  return locked;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.look(feed_id integer, rule_id integer, keys text[], after text DEFAULT NULL::text, most integer DEFAULT NULL::integer)
 RETURNS rowbell.looked[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  looked rowbell.looked[];
  judged boolean := false;
  key text;
  context text;
begin
  execute format('select array_agg(l) from rowbell.look_%s($1, $2, $3, $4) l', feed_id) into looked using rule_id, keys, after, most;
  -- PostgreSQL undoes the effects of the functions of conditions; an event that one left for a deferred trigger would run as the role of this session
  judged := true;
  raise exception using errcode = 'RB004';
exception when others or assert_failure or query_canceled then
  if judged and sqlstate = 'RB004' then
    return coalesce(looked, '{}');
  end if;
  get stacked diagnostics context = pg_exception_context;
  if rowbell_alert.is_cancel(sqlstate, context) or keys is null and rule_id = 0 then
    raise;
  elsif cardinality(keys) = 1 and most is null then
    return array[row(keys[1], null, null, null, sqlerrm, sqlstate)::rowbell.looked];
  elsif cardinality(keys) = 1 then
    return array(
      select row(l.key, l.met, l.document, null, coalesce(l.error, sqlerrm), coalesce(l.state, sqlstate))::rowbell.looked
      from unnest(rowbell.look(feed_id, rule_id, keys)) l);
  end if;
  looked := '{}';
  foreach key in array case when keys is null then array(select l.key from unnest(rowbell.look(feed_id, 0, null, after, most)) l) else keys end loop
    looked := looked || rowbell.look(feed_id, rule_id, array[key], null, most);
  end loop;
  return looked;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.look_failed(feed rowbell.feed, rule rowbell.rule, looked rowbell.looked[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.rule_failed(rule.name, l.error, l.state, rowbell.shown_name(feed.relation), 'TIMER', l.key::json)
  from unnest(looked) l
  where l.error is not null
  limit 1;
  select rowbell.key_too_long(feed, rule.name) from unnest(looked) l where l.met and octet_length(l.key) > 2600 limit 1
$function$
CREATE OR REPLACE FUNCTION rowbell.look_of(rule text, key text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.look_sql(feed rowbell.feed, transitions rowbell.transition[])
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with key as (
    select * from rowbell.key_columns(feed.relation)),
  parts as (
    select rowbell.sql_name(feed.relation) as feed,
      string_agg(format('%I %s', name, type), ', ' order by n) as columns,
      string_agg(format('new.%1$I operator(%2$I.=) r.%1$I', name, operators), ' and ' order by n) as same,
      string_agg(format('new.%I', name), ', ' order by n) as names,
      -- as one comparison of rows, which can use the index of the key
      case when count(distinct operators) = 1
        then format('row(%s) operator(%I.>) row(%s)', string_agg(format('new.%I', name), ', ' order by n), min(operators),
          string_agg(format('(select r.%I from last_one r)', name), ', ' order by n))
        else (
          select string_agg(format('%s new.%I operator(%I.>) (select r.%2$I from last_one r)', (
            select string_agg(format('new.%1$I operator(%2$I.=) (select r.%1$I from last_one r) and', b.name, b.operators), ' ' order by b.n)
            from key b where b.n < k.n), k.name, k.operators), ' or ' order by k.n) from key k) end as later
    from key),
  rules as (
    select t.code / 2 + 1 as id, t.prefilter as condition, (t.rule).since as since
    from unnest(transitions) t
    where t.status = 'armed' and t.operation = 'UPDATE'
    union all
    select 0, 'null::bool', null)
  select format(E'\n#variable_conflict use_column\nbegin\n%s\n  raise exception ''the rule is not known'';\nend\n', string_agg(rowbell.fill($part$
  if $1 = {{rule}} and $2 is not null then
    return query
    select k.key, {{condition}} is true, row_to_json(new.*), case when $4 is not null and {{condition}} then ({{since}})::timestamptz end, null, null
    from unnest($2) as k (key)
    cross join lateral json_to_record(k.key::json) as r ({{columns}})
    join {{feed}} as new on {{same}};
    return;
  elsif $1 = {{rule}} then
    return query
    with last_one as (select * from json_to_record($3::json) as r ({{columns}}))
    select (select row_to_json(k.*)::text from (select {{names}}) as k), {{condition}} is true, null::json,
      case when {{condition}} then ({{since}})::timestamptz end, null, null
    from {{feed}} as new
    where $3 is null or {{later}}
    order by {{names}}
    limit $4;
    return;
  end if;$part$, jsonb_build_object('rule', r.id, 'condition', r.condition, 'columns', p.columns, 'feed', p.feed, 'same', p.same, 'names', p.names, 'later', p.later,
    'since', coalesce(rowbell.rows_by_name(r.since, feed.relation) || E'\n', 'null'))), E'\n' order by r.id))
  from rules r
  cross join parts p
$function$
CREATE OR REPLACE FUNCTION rowbell.make_function(signature text, kind text, settings text[], body text, owner text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  -- what functions are told apart by: the name and the types of the parameters
  called text := regexp_replace(signature, $re$(\(|, )\w+ $re$, $re$\1$re$, 'g');
  schema_name constant text := split_part(signature, '.', 1);
  -- where a function changes its owner
  workshop text;
  setting text;
begin
  if rowbell.function_is(called, body, settings, owner) then
    return;
  end if;
  execute format('create or replace function %s %s language plpgsql security definer as %L', signature, kind, body);
  execute format('revoke all on function %s from public', called);
  execute format('alter function %s reset all', called);
  foreach setting in array settings loop
    execute format('alter function %s set %I = %s', called, split_part(setting, '=', 1), case split_part(setting, '=', 1)
      when 'search_path' then substr(setting, 13) else quote_literal(substr(setting, strpos(setting, '=') + 1)) end);
  end loop;
  if owner <> (select r.rolname from pg_proc p join pg_roles r on r.oid = p.proowner where p.oid = to_regprocedure(called)) then
    -- A new owner needs the right to create in the schema of a function, for this moment alone. It gets a schema of its own for that: a grant on the schema
    -- of all functions would be a lock on it, for which the first rules of other feeds would wait.
    workshop := format('rowbell_workshop_%s', to_regprocedure(called)::oid);
    if not has_database_privilege(current_database(), 'create') then
      -- taken away since the schema was made: others wait
      execute format('grant create on schema %I to %I', schema_name, owner);
      execute format('alter function %s owner to %I', called, owner);
      execute format('revoke create on schema %I from %I', schema_name, owner);
      return;
    end if;
    execute format('create schema %I authorization %I', workshop, owner);
    execute format('alter function %s set schema %I', called, workshop);
    called := replace(called, schema_name || '.', workshop || '.');
    execute format('alter function %s owner to %I', called, owner);
    execute format('alter function %s set schema %I', called, schema_name);
    execute format('drop schema %I', workshop);
  end if;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.make_history_days()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
 SET "TimeZone" TO 'UTC'
AS $function$
declare
  parent text;
  day date;
  partition text;
begin
  for parent, day in
    select p, d
    from (
      select current_date + n as d from generate_series(0, 1) n
      union select e.at::date from rowbell.history_routed e
      union select e.at::date from rowbell.history_tried e) days
    cross join unnest('{history_alert,history_try}'::text[]) p
    where not exists (
      select from pg_inherits i
      where i.inhparent = to_regclass('rowbell.' || p) and i.inhrelid = to_regclass(format('rowbell.%s_%s', p, to_char(d, 'YYYYMMDD'))))
    order by p, d
  loop
    -- of two processes, one makes it
    execute format('lock table rowbell.%s in share update exclusive mode', parent);
    partition := format('rowbell.%s_%s', parent, to_char(day, 'YYYYMMDD'));
    if to_regclass(partition) is null then
      execute format('create table %s (like rowbell.%s including storage)', partition, parent);
    end if;
    -- also where it was detached, or what is noted of that day would never be folded
    if not exists (select from pg_inherits i where i.inhrelid = to_regclass(partition)) then
      execute format('alter table rowbell.%s attach partition %s for values from (%L) to (%L)', parent, partition, day, day + 1);
    end if;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.make_query_role()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
declare
  reader text;
begin
  if to_regproc('rowbell.run_0') is null or not rowbell.has_role(0) then
    perform rowbell.make_role(0);
  end if;
  perform rowbell.make_function('rowbell.query_rows(query text, most int)', 'returns setof json',
    rowbell.all_settings() || 'timezone_abbreviations=Default'::text, $body$
begin
  return query execute format(E'select row_to_json(_r.*) from (%s\n) as _r limit %s', query, most);
end
$body$, rowbell.evaluator_of(0));
  foreach reader in array array['rowbell_admin', 'rowbell_consumer'] loop
    if exists (select from pg_roles r where r.rolname = reader) and not has_function_privilege(reader, 'rowbell.query_rows(text, int)', 'execute') then
      perform rowbell.grant_right('execute on function rowbell.query_rows(text, int)', reader);
    end if;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.make_role(feed_id integer)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  role_name constant text := rowbell.role_of(feed_id);
begin
  if not rowbell.has_role(feed_id) then
    begin
      if not exists (select from pg_roles r where r.rolname = role_name) then
        execute format('create role %I nologin', role_name);
      end if;
      execute format('grant %I to %I %s', role_name, current_user,
        case when current_setting('server_version_num')::int >= 160000 then 'with inherit true, set true' end);
    exception when insufficient_privilege or duplicate_object or unique_violation or invalid_grant_operation then
      raise warning 'rowbell: conditions run with the rights of %, who may not make the role %: %', current_user, role_name, sqlerrm
        using hint = format('create role %I nologin; grant %1$I to %I;', role_name, current_user);
    end;
  end if;
  perform rowbell.make_function(format('rowbell.run_%s(query text)', feed_id), 'returns void',
    rowbell.all_settings() || 'timezone_abbreviations=Default'::text, 'begin execute query; end', rowbell.evaluator_of(feed_id));
end
$function$
CREATE OR REPLACE FUNCTION rowbell.max_alert_size()
 RETURNS integer
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return coalesce((
    select least(greatest(s.value::int, 10000), 100000000)
    from rowbell.setting s
    where s.name = 'alert.max-size' and s.value ~ '^[0-9]{1,9}$'), 1000000);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.may_call_strangers(feed rowbell.feed, transitions rowbell.transition[])
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.may_compare(condition text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
  select case when condition ~ '[\\$"]|--|/[*]' then condition else regexp_replace(condition, $re$'[^']*'$re$, '', 'g') end ~* '\mold\M'
$function$
CREATE OR REPLACE FUNCTION rowbell.may_look_up(feed rowbell.feed)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select not c.relrowsecurity and has_schema_privilege(e, c.relnamespace, 'usage')
    and not exists (select from unnest(rowbell.key_of(c.oid) || 'tableoid'::text) k where not has_column_privilege(e, c.oid, k, 'select'))
  from pg_class c
  cross join rowbell.evaluator_of(feed.id) e
  where c.oid = feed.relation
$function$
CREATE OR REPLACE FUNCTION rowbell.may_name(condition text, name text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select strpos(condition, name) > 0 or strpos(lower(condition), name) > 0 or strpos(condition, quote_ident(name)) > 0
$function$
CREATE OR REPLACE FUNCTION rowbell.may_notify()
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return current_setting('rowbell.notify', true) is distinct from 'off' and pg_notification_queue_usage() < 0.95;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.measure_of(rule text, max_rows integer)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.members_of(document json)
 RETURNS TABLE(name text, value text)
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
begin
  return query select e.key, e.value::text from json_each(document) as e;
exception when others then
  return query
  select e.key, e.value::text
  from json_each(regexp_replace(document::text, '(?<!\\)((?:\\\\)*)\\u(?:0000|(?!00[0-7])[[:xdigit:]]{4})', '\1?', 'g')::json) as e;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.missing_move_triggers(feed rowbell.feed)
 RETURNS TABLE(relid oid, statement text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with tree as (
    select t.relid, t.kind, has_table_privilege(t.relid, 'trigger') as may, bool_and(has_table_privilege(t.relid, 'trigger')) over () as may_all
    from rowbell.tree_of(feed.relation) t
    where rowbell.notes_moves(feed)),
  wanted as (
    select t.relid, w.name, w.clauses, w.for_row
    from tree t
    cross join (values
      -- is never called before a transaction moves rows, and within MERGE alone: a WHEN takes 1 us at each statement, a call 5 us (PostgreSQL 15)
      ('before_insert', 'before insert on %2$s for each statement when (pg_catalog.current_setting(''rowbell.moved'', true) <> '''')', false),
      ('before_update', 'before update on %2$s for each statement', false),
      ('before_delete', 'before delete on %2$s for each statement when (pg_catalog.current_setting(''rowbell.moving'', true) = ''%1$s'')', false),
      ('left', 'after delete on %2$s for each row when (pg_catalog.set_config(''rowbell.left'', pg_catalog.current_setting(''rowbell.moving'', true), true) = ''%1$s'')', true),
      ('came', 'after insert on %2$s for each row when (pg_catalog.current_setting(''rowbell.left'', true) = ''%1$s'')', true)) w (name, clauses, for_row)
    where case when not w.for_row then t.kind = 'p' and t.may when t.may_all then t.relid = feed.relation else t.kind = 'r' and t.may end)
  select w.relid, format('create trigger %I %s execute function rowbell.%s_%s()', format('rowbell_%s_%s', feed.id, w.name),
    format(w.clauses, feed.id, rowbell.sql_name(w.relid)), case when w.for_row then 'on_move' else 'before_move' end, feed.id)
  from wanted w
  where not exists (
    select from pg_trigger g
    where g.tgname = format('rowbell_%s_%s', feed.id, w.name)
      and g.tgrelid in (select p.relid from rowbell.tree_of(w.relid) p where w.for_row or p.relid = w.relid))
$function$
CREATE OR REPLACE FUNCTION rowbell.missing_triggers(feed rowbell.feed, operations text[])
 RETURNS TABLE(relid oid, statement text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.move_timers(events rowbell.timer_event[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  moved rowbell.timer[];
begin
  with gone as (
    delete from rowbell.timer t
    using unnest(events) e
    where t.rule = e.rule and t.key = e.key and t.ended = (
      select o.ended from rowbell.timer o where o.rule = e.rule and o.key = e.key and o.ended <= 0 order by o.ended = 0, o.ended desc limit 1)
    returning row(t.feed, t.rule, e.moved_to, t.since, t.began, t.fired, -e.id)::rowbell.timer as t)
  select array_agg(t) into moved from gone;
  update rowbell.timer t set ended = m.ended from unnest(moved) m where t.rule = m.rule and t.key = m.key and t.ended = 0;
  insert into rowbell.timer (feed, rule, key, since, began, fired)
  select m.feed, m.rule, m.key, m.since, m.began, m.fired from unnest(moved) m where octet_length(m.key) <= 2600
  on conflict do nothing;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.moves(feed_id integer, operation text)
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  place constant text := format('%s_%s', feed_id, pg_trigger_depth());
  settled constant text := case when operation = 'INSERT' then nullif(current_setting('rowbell.settled_' || place, true), '') end;
  first constant int := case when operation = 'INSERT' then split_part(settled, '-', 1) else nullif(current_setting('rowbell.moves_' || place, true), '') end;
  last constant int := case when operation = 'INSERT' then split_part(settled, '-', 2) else nullif(current_setting('rowbell.moved', true), '') end;
  deletes constant boolean := coalesce(current_setting('rowbell.deletes_' || place, true), '') <> '';
  moved text[];
begin
  if first is null or last is null then
    return null;
  end if;
  if operation = 'FIRST' then
    moved := rowbell.moves_between(feed_id, first, least(last, first + 20), deletes);
  end if;
  if moved is null and operation <> 'FORGET' then
    moved := rowbell.moves_between(feed_id, first, last, deletes);
  end if;
  if operation = 'INSERT' then
    perform set_config('rowbell.settled_' || place, '', true);
  elsif operation in ('UPDATE', 'FORGET') then
    perform set_config('rowbell.moves_' || place, '', true);
    perform set_config('rowbell.settled_' || place, case when operation = 'UPDATE' then format('%s-%s', first, last) else '' end, true);
  end if;
  return moved;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.moves_between(feed_id integer, first integer, last integer, deletes boolean)
 RETURNS text[]
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with noted as (
    insert into rowbell.move as m (n, feed)
    select n, 0 from generate_series(first, last) n
    on conflict on constraint move_pkey do update set feed = m.feed
    returning m.*)
  select array_agg(array[p.old, p.new] order by p.n)
  from (
    select m.n, m.came, m.key, m.written as new, lag(m.written) over w as old, lag(m.came) over w as before, lag(m.key) over w as key_before
    from noted m
    where m.feed = feed_id and m.depth = pg_trigger_depth()
    window w as (order by m.n)) p
  where p.came and not p.before and (not deletes or p.key = p.key_before)
$function$
CREATE OR REPLACE FUNCTION rowbell.moves_parts_sql(feed rowbell.feed)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.names_one(key text, pattern text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  -- of a feed that is one group, neither is there
  select case when pattern is null then key is null else char_length(key) < 190 and key ~ pattern end
$function$
CREATE OR REPLACE FUNCTION rowbell.new_id()
 RETURNS uuid
 LANGUAGE sql
 PARALLEL SAFE
AS $function$
  select pg_catalog.encode(
    pg_catalog.set_bit(pg_catalog.set_bit(
      pg_catalog.overlay(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
        pg_catalog.substring(
          pg_catalog.int8send((pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000)::pg_catalog.int8), 3),
        1, 6),
      52, 1), 53, 1),
    'hex')::pg_catalog.uuid
$function$
CREATE OR REPLACE FUNCTION rowbell.next_query()
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into rowbell.query_run (rule, schedule, due)
  select (r.rule).name, '', '-infinity' from rowbell.query_rules() r
  where not exists (select from rowbell.query_run q where q.rule = (r.rule).name)
  on conflict do nothing;
  with gone as (
    delete from rowbell.query_run q
    where q.rule in (
      select g.rule from rowbell.query_run g
      where not exists (select from rowbell.rule r where r.name = g.rule and coalesce(r.query, r.groups) is not null)
      for update skip locked)
    returning q.rule)
  delete from rowbell.query_key k where k.rule in (select g.rule from gone g);
  return (
    select greatest(0, ceil(1000 * date_part('epoch', least(greatest(min(r.due), clock_timestamp()), clock_timestamp() + interval '1 h') - clock_timestamp())))
    from rowbell.query_rules() r
    having count(*) > 0);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.note_crowded(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, left_out text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if (left_out is not null) = state.crowded then
    return;
  elsif left_out is not null then
    perform rowbell.rule_failed(rule.name, format('there are more than %s groups; others are not counted', rule.max_groups), '54000',
      rowbell.shown_name(feed.relation), 'TIMER', left_out::json);
  end if;
  -- not where an administrator changes the rule
  update rowbell.rule_state s set crowded = left_out is not null
  where s.id = any (array(select l.id from rowbell.rule_state l where l.id = state.id for no key update skip locked));
end
$function$
CREATE OR REPLACE FUNCTION rowbell.note_dead_letters(outcome text, sink text, alert_ids text[], error text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
#variable_conflict use_variable
begin
  insert into rowbell.history_tried (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors, who)
  select sink, alert_ids, array_fill(1, array[cardinality(alert_ids)]), '{0}', array[outcome], '{null}', '{null}', '{null}', array[error],
    case when error is null then session_user end
  where cardinality(alert_ids) > 0
    and has_table_privilege(session_user, 'rowbell.dead_letter', 'delete')
    and exists (select from pg_inherits i where i.inhparent = 'rowbell.history_try'::regclass);
exception when others then
  raise warning 'the history lacks that dead letters were %: %', outcome, sqlerrm;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.note_routed(path text, ids text[], keys text[], times bigint[], documents text[], silences bigint[], kinds integer[], rules text[], feeds text[], severities text[], statuses text[], reasons text[], sinks text[])
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
begin
  insert into rowbell.history_routed (path, ids, keys, times, documents, silences, kinds, rules, feeds, severities, statuses, reasons, sinks)
  values (path, ids, keys, times, documents, silences, kinds, rules, feeds, severities, statuses, reasons, sinks);
  return null;
exception when others then
  return sqlerrm;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.note_tried(sink text, alert_ids text[], tries integer[], ago bigint[], outcomes text[], attempts integer[], statuses integer[], answers text[], errors text[])
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
begin
  insert into rowbell.history_tried (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors)
  values (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors);
  return null;
exception when others then
  return sqlerrm;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.notes_moves(feed rowbell.feed)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select c.relkind = 'p' and not rowbell.has_row_triggers(feed.id) and current_setting('server_version_num')::int >= 150000
  from pg_class c
  where c.oid = feed.relation
$function$
CREATE OR REPLACE FUNCTION rowbell.on_move_sql(feed rowbell.feed)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.fill($body$
declare
  depth constant pg_catalog.int4 := pg_catalog.pg_trigger_depth();
  place constant pg_catalog.text := 'rowbell.moves_{{feed}}_' operator(pg_catalog.||) depth::pg_catalog.text;
  number pg_catalog.int4;
  written pg_catalog.text;
  key pg_catalog.text;
  mark pg_catalog.text;
begin
  begin
    if pg_catalog.has_table_privilege('rowbell.move'::pg_catalog.regclass, 'insert') then
      number := coalesce(nullif(pg_catalog.current_setting('rowbell.moved', true), '')::pg_catalog.int4, 0) operator(pg_catalog.+) 1;
    end if;
    if tg_op operator(pg_catalog.=) 'DELETE' then
      written := {{old}};{{old_key}}
    else
      written := {{new}};{{new_key}}
    end if;
  exception when others or assert_failure then
    written := null;
  end;
  if number is null then
    return null;
  end if;
  -- a number is there where the writer has set the mark back
  insert into rowbell.move as noted (n, feed, depth, came, key, written)
  values (number, {{feed}}, depth, tg_op operator(pg_catalog.=) 'INSERT', key, written)
  on conflict on constraint move_pkey do update
    set feed = excluded.feed, depth = excluded.depth, came = excluded.came, key = excluded.key, written = excluded.written;
  mark := pg_catalog.set_config('rowbell.moved', number::pg_catalog.text, true);
  if coalesce(pg_catalog.current_setting(place, true), '') operator(pg_catalog.=) '' then
    mark := pg_catalog.set_config(place, number::pg_catalog.text, true);
  end if;
  return null;
end
$body$, jsonb_build_object('feed', feed.id, 'old', rowbell.row_text_sql(feed.relation, 'old'), 'new', rowbell.row_text_sql(feed.relation, 'new'),
    'old_key', k.sql -> 'old', 'new_key', k.sql -> 'new'))
  from (
    select jsonb_object_agg(row_name, format(E'\n      key := row(%s)::pg_catalog.text;', columns)) as sql
    from (
      select row_name, string_agg(format('%s.%I', row_name, k), ', ' order by n) as columns
      from unnest(rowbell.lasting_key_of(feed.relation)) with ordinality as u (k, n)
      cross join unnest('{old,new}'::text[]) row_name
      group by row_name) c) k
$function$
CREATE OR REPLACE FUNCTION rowbell.on_row_sql(feed rowbell.feed, transitions rowbell.transition[], settings text[], fenced boolean)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.on_statement_sql(feed rowbell.feed, transitions rowbell.transition[], fenced boolean)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.one_by_one_sql(feed_id integer, operation text, relation oid, rules jsonb, known text[])
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.operations_of(rule rowbell.rule)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when rule."for" is null then rule.operations else '{insert,update,delete}' end
$function$
CREATE OR REPLACE FUNCTION rowbell.outcome_of(id text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select rowbell.joined_causes(array_agg(t.weight), array_agg(t.cause)) from rowbell.alert_timeline(outcome_of.id) t
$function$
CREATE OR REPLACE FUNCTION rowbell.part_of(within interval)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select greatest(extract(epoch from within)::float8 / 1000, 0.001)
$function$
CREATE OR REPLACE FUNCTION rowbell.partition_part(feed_id integer, written oid)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return (
    select case
        when f.relation = written then ''
        when written in (select t.relid from rowbell.tables_of(f.relation) t) then ',"partition":' || to_json(rowbell.shown_name(written))
        -- a child that came after the snapshot of this transaction, and so did its triggers
        when written not in (select t.relid from rowbell.triggers_of(f.id) t) then ''
      end
    from rowbell.feed f
    where f.id = feed_id);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.partition_sql(feed rowbell.feed, operation text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET "TimeZone" TO 'UTC'
 SET bytea_output TO 'hex'
 SET extra_float_digits TO '1'
 SET quote_all_identifiers TO 'off'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.pass_over_slow_row(rule_id integer, took interval)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  slow record;
begin
  select s.scan_pass, s.scan_after, s.paused, r.name, f.id as feed, f.relation into slow
  from rowbell.rule_state s
  join rowbell.rule r on r.name = s.rule
  join rowbell.feed f on f.name = r.feed
  where s.id = rule_id;
  if slow.paused is not null or rowbell.postpone_timers(rule_id, 1) = 0 then
    update rowbell.rule_state s
    set scan_after = case when slow.scan_pass = 0
      then (select min(t.key) from rowbell.timer t where t.rule = rule_id and t.fired is not null and t.ended = 0 and t.key > coalesce(slow.scan_after, ''))
      else (select l.key from unnest(rowbell.look(slow.feed, 0, null, slow.scan_after, 1)) l) end
    where s.id = rule_id and s.scan is not null;
  end if;
  perform rowbell.rule_failed(slow.name, format('to look at a row took longer than %s', took), '57014', rowbell.shown_name(slow.relation), 'TIMER', null);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.passes_cooldown(rule text, path text, status text, key text, at timestamp with time zone, rule_cooldown interval)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into rowbell.cooldown as c (rule, path, status, key, last)
  values (passes_cooldown.rule, passes_cooldown.path, passes_cooldown.status, passes_cooldown.key, passes_cooldown.at)
  on conflict on constraint cooldown_pkey do update set last = excluded.last, routed = excluded.routed, silenced = 0
  where excluded.last not between c.last - passes_cooldown.rule_cooldown and c.last + passes_cooldown.rule_cooldown
    or excluded.last = c.last + passes_cooldown.rule_cooldown;
  if found then
    return true;
  end if;
  update rowbell.cooldown c set silenced = c.silenced + 1
  where c.rule = passes_cooldown.rule and c.path = passes_cooldown.path and c.status = passes_cooldown.status and c.key = passes_cooldown.key;
  return false;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.pause(rule text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update rowbell.rule_state s
  set paused = coalesce(s.paused, clock_timestamp())
  from rowbell.rule r
  where r.name = pause.rule and s.rule = r.name and coalesce(r."for", r.within, r.absent) is not null;
  return found;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.pause_of(sink text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('paused since %s by %s%s', date_trunc('second', p.since), concat_ws(', ', p.who, nullif(p.application, '')), ': ' || p.note)
  from rowbell.paused_sink p
  where p.sink = pause_of.sink
$function$
CREATE OR REPLACE FUNCTION rowbell.pause_sink(sink text, note text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  known text[];
begin
  select array_agg(k.name order by k.name) into known
  from (
    select s.name from rowbell.sink s
    union
    select p.sink from rowbell.paused_sink p
    union
    select rowbell.waiting_sinks()) k;
  if pause_sink.sink = any (known) is not true then
    raise invalid_parameter_value using message = format('there is no sink "%s": %s', pause_sink.sink,
      coalesce('those that a process has, or for which alerts wait, are ' || array_to_string(known, ', '), 'no process has a sink now, and nothing waits for one'));
  end if;
  insert into rowbell.paused_sink (sink, note) values (pause_sink.sink, nullif(pause_sink.note, ''))
  on conflict on constraint paused_sink_pkey do nothing;
  return found;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.plain_condition(condition text, relation oid, as_old boolean DEFAULT false)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.postpone_timers(rule_id integer, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
declare
  postponed int;
begin
  with due as (
    select t.key, clock_timestamp() - r."for" as by
    from rowbell.rule_state s
    join rowbell.rule r on r.name = s.rule
    join rowbell.timer t on t.rule = s.id and t.fired is null and t.began <= clock_timestamp() - r."for"
    where s.id = rule_id
    order by t.began
    limit most)
  update rowbell.timer t set began = d.by + interval '1 minute' from due d where t.rule = rule_id and t.key = d.key and t.fired is null;
  get diagnostics postponed = row_count;
  return postponed;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.put_rules(rules rowbell.rule[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.put_unreadable_aside(feedback regclass, most integer)
 RETURNS SETOF text
 LANGUAGE plpgsql
AS $function$
declare
  taken record;
  document json;
  alert_id text;
begin
  for taken in execute format($$
    select t.tableoid as relation, t.ctid as place, %s::text as written, t.crt_time::timestamptz as crt_time
    from %s t
    order by t.crt_time nulls first
    limit $1
    for update skip locked
    $$, case when feedback = 'rowbell.feedback'::regclass then 't.alert' else 'row_to_json(t)' end, feedback) using most
  loop
    document := rowbell.readable(taken.written, '\\x');
    continue when document::text = taken.written;
    execute format('delete from %s where tableoid = $1 and ctid = $2', feedback) using taken.relation, taken.place;
    if feedback <> 'rowbell.feedback'::regclass then
      document := json_build_object('new', document);
    end if;
    alert_id := coalesce(rowbell.alert_text(document, 'id'), rowbell.new_id()::text);
    insert into rowbell.dead_letter (alert_id, alert, attempts, filed, last_error)
    values (alert_id, document, 0, coalesce(taken.crt_time, clock_timestamp()),
      'it has bytes that are no character of ' || getdatabaseencoding() || '; they are escaped here');
    perform rowbell.note_dead_letters('dead', null, array[alert_id], 'it has bytes that are no character of ' || getdatabaseencoding());
    return next alert_id;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.query_broken(rule_name text, problem text)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update rowbell.rule_state s set broken = problem where s.rule = rule_name;
  select rowbell.rule_failed(rule_name, problem, 'RB001', null, null, null)
$function$
CREATE OR REPLACE FUNCTION rowbell.query_error(query text, key text[], names text[] DEFAULT '{}'::text[])
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  tried constant text := E'select %1$s from (%2$s\n) as _r' || coalesce('(' || nullif(array_to_string(names, ', '), '') || ')', '')
    || E' where exists ((%2$s\n)) limit 0';
  message text;
  hint text;
  state text;
  context text;
  col text;
begin
  query := regexp_replace(query, '[;[:space:]]+$', '');
  if query !~* '^(\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|with|values|table)\M' then
    return array['query', 'only reads: it begins with select or with', '', 'RB001'];
  end if;
  -- a name that is unknown is found before a right that is missing
  foreach col in array key loop
    execute 'select rowbell.run_0($1)' using format(tried, '_r.' || quote_ident(col), query);
  end loop;
  -- whatever a function did that was called while planning is undone
  raise exception using errcode = 'RB004';
exception when others or assert_failure or query_canceled then
  get stacked diagnostics message = message_text, hint = pg_exception_hint, state = returned_sqlstate, context = pg_exception_context;
  if state = 'RB004' then
    return null;
  elsif state = '55P03' or rowbell_alert.is_cancel(state, context) then
    raise;
  elsif state = '42703' and strpos(message, '_r.') > 0 then
    return array['key', 'the result has no column ' || quote_ident(col), '', state];
  end if;
  return array['query',
    case when message like 'WITH clause containing a data-modifying statement%' then 'only reads: it has an insert, update or delete'
      -- what follows is not the rule's
      else regexp_replace(message, ' at or near "(/\*|''|\$).*$', '', 's') end,
    case
      when state = '42501' then coalesce(rowbell.grant_for(message, rowbell.evaluator_of(0)), format('grant it to %I', rowbell.evaluator_of(0)))
      when state in ('42883', '42P01', '42704', '3F000') then 'names outside of pg_catalog are written with their schema: public.movement'
      else coalesce(hint, '')
    end, state];
end
$function$
CREATE OR REPLACE FUNCTION rowbell.query_failed(taken jsonb, error text, state text, ran_as text, next timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
declare
  needed text;
begin
  if state = '42501' then
    if ran_as is null then
      -- the owner of the schema may have got the right since, to hand it on
      perform rowbell.grant_query(taken ->> 'query');
    end if;
    ran_as := coalesce(ran_as, rowbell.evaluator_of(0));
    if exists (select from pg_roles r where r.rolname = ran_as) then
      needed := rowbell.grant_for(error, ran_as);
    end if;
    error := format('%s (%s)', error, coalesce(needed, format('grant it to %I', ran_as)));
  end if;
  perform rowbell.query_next(taken ->> 'name', next);
  perform rowbell.rule_failed(r.name, error, state, null, 'TIMER', null) from rowbell.rule r where r.name = taken ->> 'name';
end
$function$
CREATE OR REPLACE FUNCTION rowbell.query_next(rule_name text, next timestamp with time zone)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update rowbell.query_run q set schedule = r.schedule, due = next
  from rowbell.query_rules() r
  where (r.rule).name = rule_name and q.rule = rule_name
$function$
CREATE OR REPLACE FUNCTION rowbell.query_of(rule rowbell.rule)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select to_jsonb(rule) || case when rule.groups is null then '{}'
    else jsonb_build_object('query', format(E'select distinct on (row_to_json(_g.*)::text) _g.* from (%s\n) as _g', rule.groups),
      'every', interval '1 minute', 'max_rows', rule.max_groups) end
$function$
CREATE OR REPLACE FUNCTION rowbell.query_ran(taken jsonb, result text[], next timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
#variable_conflict use_variable
declare
  rule rowbell.rule;
  flooded boolean;
  flood rowbell.rule;
  keys text[];
  wrong text;
begin
  select r.* into rule from rowbell.rule r where r.name = taken ->> 'name' and rowbell.query_of(r) = taken;
  if rule.name is null then
    return;
  end if;
  perform rowbell.query_next(rule.name, next);
  if result is null then
    return;
  end if;
  if rule.groups is not null then
    perform rowbell.expect_groups(rule, result);
    return;
  end if;
  flooded := cardinality(result) > rule.max_rows;
  flood := rule;
  flood.reason := format('%s: more than %s rows', coalesce(rule.reason, rule.name), rule.max_rows);
  if flooded then
    result := array['{}'];
    keys := array[''];
  else
    select array_agg(case when octet_length(k.key) > 1000 then encode(sha256(convert_to(k.key, 'UTF8')), 'hex') else k.key end order by f.n),
      min(k.missing)
    into keys, wrong
    from unnest(result) with ordinality as f (document, n)
    cross join lateral (
      select json_object_agg(c.name, f.document::json ->> c.name order by c.n)::text as key,
        min(c.name) filter (where f.document::json ->> c.name is null) as missing
      from unnest(rule.key) with ordinality as c (name, n)) k;
    if wrong is not null then
      raise exception 'a row of the result has no %', quote_ident(wrong) using errcode = 'RB001';
    end if;
    select k.key into wrong from unnest(keys) as k (key) group by k.key having count(*) > 1 limit 1;
    if wrong is not null then
      raise exception 'two rows of the result have the key %', wrong using errcode = 'RB001';
    end if;
  end if;
  keys := coalesce(keys, '{}');
  with over as (
    delete from rowbell.query_key k where k.rule = rule.name and k.key <> all (keys) and not flooded returning k.*)
  insert into rowbell.feedback (alert)
  select case when o.key = '' then rowbell.timer_alert(flood, null, 'resolved', o.subject, '{}')
    else rowbell.timer_alert(rule, null, 'resolved', o.subject, rule.key) end
  from over o
  where rule.resolved
  order by o.key;
  insert into rowbell.feedback (alert)
  select case when f.key = '' then rowbell.timer_alert(flood, null, 'firing', f.document::json, '{}')
    else rowbell.timer_alert(rule, null, 'firing', f.document::json, rule.key) end
  from unnest(keys, result) with ordinality as f (key, document, n)
  where rule.fires = 'every' or not exists (select from rowbell.query_key k where k.rule = rule.name and k.key = f.key)
  order by f.n;
  insert into rowbell.query_key as k (rule, key, subject)
  select rule.name, f.key, f.document::json from unnest(keys, result) as f (key, document)
  on conflict on constraint query_key_pkey do update set subject = excluded.subject where k.subject::text <> excluded.subject::text;
exception when others or assert_failure then
  perform rowbell.query_failed(taken, sqlerrm, sqlstate, null, next);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.query_rows(query text, most integer)
 RETURNS SETOF json
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET "TimeZone" TO 'UTC'
 SET array_nulls TO 'on'
 SET backslash_quote TO 'safe_encoding'
 SET bytea_output TO 'hex'
 SET exit_on_error TO 'off'
 SET extra_float_digits TO '1'
 SET gin_fuzzy_search_limit TO '0'
 SET "plpgsql.check_asserts" TO 'on'
 SET quote_all_identifiers TO 'off'
 SET row_security TO 'on'
 SET standard_conforming_strings TO 'on'
 SET transform_null_equals TO 'off'
 SET xmlbinary TO 'base64'
 SET xmloption TO 'content'
 SET default_text_search_config TO …
 SET lc_monetary TO …
 SET lc_numeric TO …
 SET lc_time TO …
 SET restrict_nonsystem_relation_kind TO ''
 SET timezone_abbreviations TO 'Default'
AS $function$
begin
  return query execute format(E'select row_to_json(_r.*) from (%s\n) as _r limit %s', query, most);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.query_rules()
 RETURNS TABLE(rule rowbell.rule, schedule text, due timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select r, s.schedule, case when q.schedule = s.schedule and coalesce(q.due <= clock_timestamp() + s.every, true) then q.due else '-infinity' end
  from rowbell.rule r
  left join rowbell.query_run q on q.rule = r.name
  left join rowbell.rule_state t on t.rule = r.name
  cross join lateral (
    select coalesce(t.id || ' ' || r.groups, r.every::text, concat_ws(' ', r.cron, r.zone)) as schedule,
      case when r.groups is null then r.every else interval '1 minute' end as every) s
  where coalesce(r.query, r.groups) is not null and r.enabled and t.broken is null and (r.groups is null or t.paused is null)
$function$
CREATE OR REPLACE FUNCTION rowbell.raise_alerts(feed_id integer, feed oid, feed_name text, operation text, relation oid, codes integer[], olds json[], news json[], partitions text[], failures jsonb, known integer[], heads text[], tails text[], channels text[], key text[])
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
#variable_conflict use_variable
declare
  opening constant pg_catalog.text := '{"id":"%s",%s%s,"operation":"%s","time":"%s"';
  place pg_catalog.text;
  at pg_catalog.text;
  alerts pg_catalog.json[];
  sent_to pg_catalog.text[];
  may_store pg_catalog.bool;
begin
  -- the role of a feed may pass anything
  if (operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')) is not true then
    return 0;
  end if;
  if feed operator(pg_catalog.<>) relation then
    place := rowbell.partition_part(feed_id, relation);
    if place is null then
      return 0;
    end if;
  end if;
  if failures is not null then
    begin
      perform rowbell.rule_failed(r.name, failure.value operator(pg_catalog.->>) 'error',
        failure.value operator(pg_catalog.->>) 'sqlstate', feed_name, operation, (failure.value operator(pg_catalog.->>) 'key')::pg_catalog.json)
      from pg_catalog.jsonb_array_elements(failures) as failure
      join rowbell.rule r on r.enabled and r.name operator(pg_catalog.=) coalesce(failure.value operator(pg_catalog.->>) 'rule', r.name)
      join rowbell.feed f on f.name operator(pg_catalog.=) r.feed and f.id operator(pg_catalog.=) feed_id;
    exception when others or assert_failure then
      perform rowbell.warn(pg_catalog.format('failures of rules of %s were not reported: %s', feed_name, sqlerrm));
    end;
  end if;
  -- none fired, or the only one asked did not
  if codes[1] is null then
    return 0;
  end if;
  at := pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
  may_store := pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert');
  begin
    -- 5000 bytes with all that stands around them are neither too long for a notification nor nested too deep for the stack
    select pg_catalog.array_agg(
        case when coalesce(pg_catalog.pg_column_size(alert.old), 0) operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(alert.new), 0)
            operator(pg_catalog.<) 5000
          then pg_catalog.format('%s%s%s%s', alert.opening, ',"old":' operator(pg_catalog.||) alert.old::pg_catalog.text,
            ',"new":' operator(pg_catalog.||) alert.new::pg_catalog.text, alert.closing)::pg_catalog.json
          else rowbell.fit(alert.opening, alert.old, alert.new, alert.closing, key,
            case when alert.channel is null then rowbell.max_alert_size() else 7999 end) end order by alert.n),
      pg_catalog.array_agg(alert.channel order by alert.n)
    into alerts, sent_to
    from (
      select pg_catalog.format(opening, rowbell.new_id(), heads[hit.place],
          coalesce(',"partition":' operator(pg_catalog.||) pg_catalog.to_json(
            case when pg_catalog.cardinality(partitions) operator(pg_catalog.=) 1 then partitions[1] else hit.partition end)::pg_catalog.text, place),
          operation, at) as opening,
        coalesce(hit.old, olds[1]) as old, coalesce(hit.new, news[1]) as new,
        tails[hit.place] operator(pg_catalog.||) '}' as closing, channels[hit.place] as channel, hit.n
      from (
        select pg_catalog.array_position(known, h.code) as place, h.old, h.new, h.partition, h.n
        from unnest(codes, olds, news, partitions) with ordinality as h (code, old, new, partition, n)) as hit
      where hit.place is not null) as alert;
    perform rowbell.send(pg_catalog.array_agg(a.alert), pg_catalog.array_agg(a.channel))
    from unnest(alerts, sent_to) as a (alert, channel)
    where a.channel is not null
    having pg_catalog.count(*) operator(pg_catalog.>) 0;
    if may_store then
      insert into rowbell.feedback (alert)
      select a.alert
      from unnest(alerts, sent_to) as a (alert, channel)
      where a.channel is null;
    else
      perform rowbell.warn(pg_catalog.format('the alerts of %s were not stored: %s may not insert into rowbell.feedback', feed_name, current_user));
    end if;
  exception when program_limit_exceeded or internal_error then
    -- of an array or a text of over 1 GB
    if sqlstate operator(pg_catalog.=) 'XX000' and pg_catalog.strpos(sqlerrm, 'memory alloc') operator(pg_catalog.=) 0 then
      raise;
    end if;
    perform rowbell.rule_failed(r.name, sqlerrm, sqlstate, feed_name, operation, null)
    from rowbell.rule r
    join rowbell.feed f on f.name operator(pg_catalog.=) r.feed
    where r.enabled and f.id operator(pg_catalog.=) feed_id;
    return 0;
  end;
  return coalesce(pg_catalog.cardinality(alerts), 0);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.raise_sql(feed rowbell.feed, transitions rowbell.transition[])
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.raise_timers(feed rowbell.feed, rule rowbell.rule, status text, timers rowbell.timer[], looked rowbell.looked[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'auto'
AS $function$
  insert into rowbell.feedback (alert)
  select rowbell.fit(
    format('{"id":"%s",%s,"time":"%s","since":"%s"', rowbell.new_id(), f.opening,
      to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), to_char(t.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
    null, coalesce(l.document, t.key::json), f.closing, f.key, f.most)
  -- offset 0: asked once
  from (
    select k.key, s.opening, s.closing, rowbell.max_alert_size() as most
    from rowbell.key_of(feed.relation) k (key)
    cross join lateral rowbell.timer_alert_frame(raise_timers.rule, rowbell.shown_name(feed.relation), status, k.key) s
    offset 0) f
  cross join unnest(timers) t
  -- one, where rows of two children share the key
  left join (select distinct on (l.key) l.key, l.document from unnest(looked) l order by l.key) l on l.key = t.key
  order by t.began, t.key
$function$
CREATE OR REPLACE FUNCTION rowbell.read_window_events(events rowbell.window_event[])
 RETURNS rowbell.window_added[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return array(
    select row(e.rule, e.key, e.at, (e.added ->> 'count')::int, case when a.amount - a.amount = 0 then a.amount end,
      array(select k from json_array_elements_text(e.added -> 'keys') k where octet_length(k) <= 1000 limit 10))::rowbell.window_added
    from unnest(events) e
    cross join lateral (select (e.added ->> 'sum')::numeric as amount) a
    where e.added ->> 'count' is not null);
exception when others then
  return case when cardinality(events) > 1 then (
    select array_agg(r) from unnest(events) e cross join lateral unnest(rowbell.read_window_events(array[e])) r) end;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.readable(value text, escape text DEFAULT '\x'::text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  letter text;
begin
  if getdatabaseencoding() <> 'UTF8' then
    perform convert_to(value, 'UTF8');
  end if;
  return value;
exception when untranslatable_character or character_not_in_repertoire then
  for letter in select distinct l from regexp_split_to_table(value, '') l where ascii(l) not between 1 and 127 loop
    begin
      perform convert_to(letter, 'UTF8');
    exception when untranslatable_character or character_not_in_repertoire then
      value := replace(value, letter, escape || encode(convert_to(letter, getdatabaseencoding()), 'hex'));
    end;
  end loop;
  return value;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.reads_of(rule rowbell.rule)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when coalesce(rule.within, rule.absent) is not null then concat_ws(' and ', format(E'(%s\n)', rule.condition), rowbell.counted_reads(rule))
    when rule."for" is null then rule.condition else
    format(E'(%s\n) and exists (select from %s) and (%s\n) is not null', rule.condition,
      coalesce(rowbell.sql_name(rowbell.find_feed(rule.feed)), rule.feed), coalesce(rule.since, 'true')) end
$function$
CREATE OR REPLACE FUNCTION rowbell.record_changes(news rowbell.rule[], olds rowbell.rule[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.refresh(feed_id integer DEFAULT NULL::integer)
 RETURNS TABLE(feed text, event text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
 SET lock_timeout TO '100ms'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.release_channels(channels text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  key bigint;
begin
  delete from rowbell.listener l where l.channels = channels and l.pid = pg_backend_pid() returning l.key into key;
  perform pg_advisory_unlock(key);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.rename_key(key text, now jsonb)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('{%s}', string_agg((now -> 'names' -> (v.n - 1)::int)::text || ':' || v.value, ',' order by v.n))
  from json_each(key::json) with ordinality as v (name, value, n)
  having count(*) > 0
$function$
CREATE OR REPLACE FUNCTION rowbell.replay(dead_letter bigint)
 RETURNS boolean
 LANGUAGE sql
AS $function$
  select rowbell.replay_all(array[$1]) = 1
$function$
CREATE OR REPLACE FUNCTION rowbell.replay_all(dead_letters bigint[])
 RETURNS bigint
 LANGUAGE sql
AS $function$
  with gone as (
    delete from rowbell.dead_letter d where d.id in (select unnest($1)) returning d.*),
  filed as (
    insert into rowbell.delivery (sink, documents, characters)
    select g.sink, array[g.alert::text], length(g.alert::text) from gone g where g.sink is not null order by g.died, g.id),
  routed as (
    insert into rowbell.feedback (alert) select g.alert from gone g where g.sink is null order by g.died, g.id),
  by_sink as (
    select g.sink, array_agg(g.alert_id) as alert_ids, count(*) as letters from gone g group by g.sink)
  select coalesce(sum(b.letters), 0)::bigint
  from by_sink b
  cross join lateral rowbell.note_dead_letters('replayed', b.sink, b.alert_ids) noted
$function$
CREATE OR REPLACE FUNCTION rowbell.report_failures()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.require_query_role()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform rowbell.make_query_role();
  if not rowbell.has_role(0) then
    raise exception 'there is no role of queries, so it would be tested with the rights of %', current_user
      using errcode = 'RB001', hint = format('create role %I nologin; grant %1$I to %I;', rowbell.role_of(0), current_user);
  end if;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.resolve_timers(feed rowbell.feed, rule rowbell.rule, rule_id integer, most integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  ended rowbell.timer[];
begin
  with gone as (
    delete from rowbell.timer t
    where t.ctid = any (array(
      select e.ctid from rowbell.timer e where e.rule = rule_id and e.ended <> 0 and e.ended > 0 order by e.ended limit most))
    returning t)
  select array_agg(t) into ended from gone;
  if rule.resolved and ended is not null then
    perform rowbell.raise_timers(feed, rule, 'resolved', ended, rowbell.look(feed.id, 0, array(select e.key from unnest(ended) e)));
  end if;
  return coalesce(cardinality(ended), 0);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.restart_timers(names text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform from rowbell.timer_feed t join rowbell.feed f on f.id = t.feed join rowbell.rule r on r.feed = f.name where r.name = any (names) for update of t;
  delete from rowbell.timer_event e using rowbell.rule_state s where s.rule = any (names) and e.rule = s.id;
  delete from rowbell.timer t
  using rowbell.rule_state s
  join rowbell.rule r on r.name = s.rule
  where r.name = any (names) and r.existing and t.rule = s.id and t.fired is null;
  update rowbell.timer t
  set since = clock_timestamp(), began = clock_timestamp()
  from rowbell.rule_state s
  where s.rule = any (names) and t.rule = s.id and t.fired is null;
  perform rowbell.scan_again(names);
  update rowbell.rule_state s
  set counts_since = clock_timestamp(), judges_again = true
  from rowbell.rule r
  where r.name = s.rule and r.name = any (names) and r.absent is not null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.resume(rule text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  state rowbell.rule_state;
  now constant timestamptz := clock_timestamp();
begin
  -- no process works on the timers meanwhile
  perform from rowbell.rule r join rowbell.feed f on f.name = r.feed join rowbell.timer_feed t on t.feed = f.id
  where r.name = resume.rule for update of t;
  select s.* into state from rowbell.rule_state s where s.rule = resume.rule and s.paused is not null for no key update;
  if not found then
    return false;
  end if;
  update rowbell.timer t
  set began = t.began + greatest(now - greatest(state.paused, t.began), interval '0')
  where t.rule = state.id and t.fired is null;
  update rowbell.rule_state s
  set paused = null, judges_since = clock_timestamp(), judges_again = true,
    pauses = array(select p from unnest(s.pauses) p where upper(p) > now - greatest(interval '7 days', 2 * r.absent))
      || case when s.paused < now then tstzrange(s.paused, now) end
  from rowbell.rule r
  where s.rule = resume.rule and r.name = s.rule;
  return true;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.resume_sink(sink text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  delete from rowbell.paused_sink p where p.sink = resume_sink.sink;
  return found;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.retry(sink text DEFAULT NULL::text, rule text DEFAULT NULL::text, older_than interval DEFAULT NULL::interval)
 RETURNS bigint
 LANGUAGE sql
AS $function$
  select rowbell.replay_all(array(select d.id from rowbell.dead_letters($1, $2, $3) d))
$function$
CREATE OR REPLACE FUNCTION rowbell.ring()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
begin
  perform from rowbell.doorbell_lease a
  where a.relation operator(pg_catalog.=) tg_relid
    and a.listening_until operator(pg_catalog.>) pg_catalog.clock_timestamp()
    and (a.suppressed_until operator(pg_catalog.<) pg_catalog.clock_timestamp()
      or a.suppressed_until operator(pg_catalog.>) (pg_catalog.clock_timestamp() operator(pg_catalog.+) interval '5 s'));
  if found then
    if rowbell.may_notify() then
      perform pg_catalog.pg_notify('rowbell_doorbell', '');
    end if;
  end if;
  -- new is null in a trigger for statements; the word null would be an expression to set up
  return new;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.role_of(feed_id integer)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('rowbell_%s_%s', case when octet_length(d.datname) > 40 then d.oid::text else d.datname end, feed_id)
  from pg_database d
  where d.datname = current_database()
$function$
CREATE OR REPLACE FUNCTION rowbell.row_feed_gone()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  execute format('drop function if exists rowbell.on_row_%s()', old.feed);
  return null;
exception when dependent_objects_still_exist then
  return null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.row_query(relation oid, condition text, columns text[], key json)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format(E'select row_to_json(new.*) as document, (%s\n) as met from (%s) r join %s as new on %s left join %3$s as old on false limit 1',
    rowbell.rows_by_name(condition, relation), rowbell.key_query(relation, columns, row_query.key), rowbell.sql_name(relation),
    rowbell.same_key_sql(relation, 'new', 'r'))
$function$
CREATE OR REPLACE FUNCTION rowbell.row_text_sql(relation oid, row_name text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('row(%s)::pg_catalog.text', string_agg(format('%s.%I', row_name, a.attname), ', ' order by a.attnum))
  from pg_attribute a
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$function$
CREATE OR REPLACE FUNCTION rowbell.rows_by_name(condition text, relation oid)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case
    when condition !~* '\m(new|old)\M' or not exists (
      select from pg_attribute a where a.attrelid = relation and a.attname in ('new', 'old') and not a.attisdropped) then condition
    else (
      select string_agg(case when m[2] is not null then format('(%s.*)', lower(m[2])) else m[1] end, '' order by place)
      -- the row before a cast; what may hold its name: texts, quoted names, comments and longer names; and any other character
      from regexp_matches(condition, $re$((new|old)(?=\s*::|\s+as\s)|e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*\$\3\$|--[^\n\r]*|/\*(?:[^*]|\*(?!/))*\*/|[[:alpha:]_][\w$]*(?:\s*\.\s*(?:[\w$]+|"(?:[^"]|"")*"|\*))*|.)$re$, 'gi')
        with ordinality as tokens (m, place))
  end
$function$
CREATE OR REPLACE FUNCTION rowbell.rows_in_order(condition text, relation oid, compares boolean)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when (select count(distinct rowbell.columns_of(t.relid)) from rowbell.tables_of(relation) t) <= 1 then condition
    else format('(select %s from (select %s) as new%s)', condition, rowbell.columns_sql(rowbell.columns_of(relation), 'new'),
      case when compares then format(', (select %s) as old', rowbell.columns_sql(rowbell.columns_of(relation), 'old')) end)
  end
$function$
CREATE OR REPLACE FUNCTION rowbell.rows_sql(operation text, with_both boolean, table_name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.rows_that_ended(rule rowbell.rule, relation oid, columns text[], fingerprints text[], keys json[])
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_variable
declare
  half constant int := cardinality(keys) / 2;
  ended text[];
begin
  execute format($part$
    select array_agg(f.fingerprint)
    from unnest($1, $2) as f (fingerprint, key)
    cross join lateral json_to_record(f.key) as r (%s)
    where not exists (select from %s as new where %s and %s)$part$,
    (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ')
      from pg_attribute a where a.attrelid = relation and a.attname = any (columns)),
    rowbell.sql_name(relation), (select string_agg(format('new.%1$I operator(pg_catalog.=) r.%1$I', c), ' and ') from unnest(columns) c),
    rowbell.plain_condition(rule.condition, relation))
  into ended using fingerprints, keys;
  return ended;
exception when data_exception then
  -- an alert from elsewhere may name a key that no row can have; it keeps no other on the list
  return case when half > 0 then rowbell.rows_that_ended(rule, relation, columns, fingerprints[:half], keys[:half])
    || rowbell.rows_that_ended(rule, relation, columns, fingerprints[half + 1:], keys[half + 1:]) end;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_changing()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'rules are changed in transactions of isolation level read committed'
      using errcode = 'RB002', hint = 'Another level would compile a feed without the rules that others have committed since.';
  end if;
  return null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_checked()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_failed(failed_rule text, error text, state text, feed text, operation text, key json)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  error := left(error, 1000);
  -- one is enough until it was reported; but to look for it could fail the commit of a serializable transaction
  if current_setting('transaction_isolation') <> 'serializable' and exists (select from rowbell.rule_failure f where f.rule = failed_rule) then
    return;
  end if;
  insert into rowbell.rule_failure (rule, failure, alert)
  values (failed_rule, error, json_build_object(
    'id', rowbell.new_id(),
    'rule', 'rowbell-rule-failed',
    'reason', format('rule %s failed: %s', failed_rule, error),
    'severity', 'critical',
    'status', 'firing',
    'table', feed,
    'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'key', 'rule=' || failed_rule,
    'payload', json_strip_nulls(json_build_object(
      'rule', failed_rule, 'error', error, 'sqlstate', state, 'operation', operation, 'key', key))));
exception when others or assert_failure then
  perform rowbell.warn(format('rule %s failed: %s; and that could not be reported: %s', failed_rule, error, sqlerrm));
end
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_findings(rule text, key text, look boolean)
 RETURNS TABLE(level text, finding text, about text, name text, weight integer, cause text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_history(rule text DEFAULT NULL::text)
 RETURNS TABLE(at timestamp with time zone, who text, application text, rule_name text, change text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_of(rule json)
 RETURNS rowbell.rule
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select r
  from jsonb_populate_record(null::rowbell.rule, jsonb_build_object(
    'severity', 'warning', 'fires', 'once', 'columns', '[]'::jsonb, 'delivery', 'durable', 'channel', 'channel_1', 'resolved', false,
    'operations', '["insert", "update"]'::jsonb, 'enabled', true, 'cooldown', '0', 'existing', true,
    'key', '[]'::jsonb, 'max_rows', 1000, 'by', '[]'::jsonb, 'max_groups', 10000, 'forget', '7 days')
    || case when rule ->> 'absent' is not null and rule ->> 'query' is null then '{"condition": "true"}' else '{}' end::jsonb || rule::jsonb) r
$function$
CREATE OR REPLACE FUNCTION rowbell.rule_version(rule rowbell.rule)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "IntervalStyle" TO 'iso_8601'
AS $function$
  select md5((to_jsonb($1) - 'enabled')::text)
$function$
CREATE OR REPLACE FUNCTION rowbell.rules_one_by_one(feed rowbell.feed, transitions rowbell.transition[])
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.rules_with_an_end()
 RETURNS TABLE(rule rowbell.rule, name text, relation oid, feed text, columns text[], pattern text)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select r, r.name, f.relation, rowbell.shown_name(f.relation), c.columns, rowbell.key_pattern(c.columns)
  from rowbell.rule r
  join rowbell.rule_state t on t.rule = r.name
  cross join lateral (select rowbell.find_feed(r.feed) as relation offset 0) f
  cross join lateral (
    select case when r.query is not null then r.key
      when coalesce(r.within, r.absent) is not null then array(select g.name from rowbell.group_columns(r."by") g order by g.n)
      else rowbell.key_of(f.relation) end as columns
    offset 0) c
  where r.enabled and r.delivery = 'durable' and r.fires = 'once' and t.broken is null
    and (r.query is not null or coalesce(r.within, r.absent) is not null
      or cardinality(c.columns) > 0 and regexp_replace(rowbell.plain_condition(r.condition, f.relation), '''(?:[^'']|'''')*''', '', 'g') !~* '\mold\s*[.]'
        and not exists (
          select from pg_attribute a
          join pg_type y on y.oid = a.atttypid
          where a.attrelid = f.relation and a.attname = any (c.columns)
            -- whose values read back what they show
            and not (y.typnamespace = 'pg_catalog'::regnamespace
              and y.typname in ('int2', 'int4', 'int8', 'numeric', 'text', 'varchar', 'bpchar', 'bool', 'uuid', 'date', 'timestamp', 'timestamptz', 'oid')))
        and not exists (
          select from rowbell.tree_of(f.relation) t
          join pg_class p on p.oid = t.relid
          where t.kind = 'f' or p.relrowsecurity or not has_table_privilege(t.relid, 'select')))
$function$
CREATE OR REPLACE FUNCTION rowbell.run_0(query text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET "TimeZone" TO 'UTC'
 SET array_nulls TO 'on'
 SET backslash_quote TO 'safe_encoding'
 SET bytea_output TO 'hex'
 SET exit_on_error TO 'off'
 SET extra_float_digits TO '1'
 SET gin_fuzzy_search_limit TO '0'
 SET "plpgsql.check_asserts" TO 'on'
 SET quote_all_identifiers TO 'off'
 SET row_security TO 'on'
 SET standard_conforming_strings TO 'on'
 SET transform_null_equals TO 'off'
 SET xmlbinary TO 'base64'
 SET xmloption TO 'content'
 SET default_text_search_config TO …
 SET lc_monetary TO …
 SET lc_numeric TO …
 SET lc_time TO …
 SET restrict_nonsystem_relation_kind TO ''
 SET timezone_abbreviations TO 'Default'
AS $function$begin execute query; end$function$
CREATE OR REPLACE FUNCTION rowbell.run_timers(rule_id integer, most integer DEFAULT 5000)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET standard_conforming_strings TO 'on'
 SET "TimeZone" TO 'UTC'
AS $function$
declare
  timed record;
  context text;
begin
  select r as rule, f as feed, s.paused, least(t.folded, clock_timestamp()) as folded into timed
  from rowbell.rule_state s
  join rowbell.rule r on r.name = s.rule
  join rowbell.feed f on f.name = r.feed
  join rowbell.timer_feed t on t.feed = f.id
  where s.id = rule_id and r.enabled and r."for" is not null and s.broken is null and rowbell.sql_name(f.relation) = f.name and rowbell.has_key_of_timers(t)
  for update of t skip locked;
  if not found then
    return false;
  end if;
  return rowbell.resolve_timers(timed.feed, timed.rule, rule_id, most) > 0
    -- what was committed since may have ended what seems to be due
    or timed.paused is null and rowbell.fire_timers(timed.feed, timed.rule, rule_id, timed.folded, most) > 0
    or rowbell.scan_timers(timed.feed, timed.rule, rule_id, most);
exception when others or assert_failure or query_canceled then
  get stacked diagnostics context = pg_exception_context;
  if rowbell_alert.is_cancel(sqlstate, context) or timed is null then
    raise;
  end if;
  perform rowbell.rule_failed((timed.rule).name, sqlerrm, sqlstate, rowbell.shown_name((timed.feed).relation), 'TIMER', null);
  perform rowbell.postpone_timers(rule_id, null);
  return false;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.run_windows(feed_id integer, most integer DEFAULT 50000)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET standard_conforming_strings TO 'on'
AS $function$
#variable_conflict use_variable
declare
  watched rowbell.feed;
  found_feed rowbell.window_feed;
  until timestamptz;
  now timestamptz;
  -- rules that are not tried now, and those that fail in this call
  waiting int[] := '{}';
  failed int[] := '{}';
  failing int[];
  -- until when the windows of a rule were judged
  judged timestamptz;
  -- what was committed before is in the events
  seen timestamptz;
  set_back boolean;
  backlog boolean;
  folded timestamptz;
  -- until when all windows are judged after this call
  judged_now timestamptz;
  taken rowbell.window_event[];
  events rowbell.window_added[];
  counting record;
  state rowbell.rule_state;
  groups bigint[];
  due bigint[];
  more boolean;
  context text;
begin
  select w.* into found_feed from rowbell.window_feed w where w.feed = feed_id for update skip locked;
  if not found then
    return false;
  end if;
  until := found_feed.judged;
  select f.* into watched from rowbell.feed f where f.id = feed_id and rowbell.sql_name(f.relation) = f.name;
  if not found then
    return false;
  end if;
  seen := clock_timestamp();
  if found_feed.retry between seen and seen + interval '10 s' then
    waiting := found_feed.failing;
  end if;
  with gone as (
    delete from rowbell.window_event e
    where e.feed = feed_id and e.ctid = any (array(
      select f.ctid from rowbell.window_event f where f.feed = feed_id and f.rule <> all (waiting) order by f.at limit most for update skip locked))
    returning e)
  select array_agg(e) into taken from gone;
  events := rowbell.read_window_events(taken);
  now := clock_timestamp();
  set_back := until > now;
  until := least(until, now);
  backlog := coalesce(cardinality(taken), 0) = most;
  more := backlog;
  judged_now := now;
  if backlog then
    folded := (select max(t.at) from unnest(taken) t);
    select case
        -- sums that may grow as time goes on, and groups that are to be judged as of before, are judged when all is folded
        when bool_or(r.sum is not null or s.judges_again or exists (select from rowbell.window_group g where g.rule = s.id and g.due is null)) then until
        else least(greatest(until, min(rowbell.judgeable(folded, r.within))), now) end
    into judged_now
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = watched.name and r.enabled and r.within is not null and s.paused is null and s.id <> all (found_feed.failing);
  end if;
  for counting in
    select r as rule, s as state, s.id, s.paused is not null as paused
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = watched.name and r.enabled and (r.within is not null or r.absent is not null and s.broken is null) and s.id <> all (waiting)
    order by r.name
  loop
    state := counting.state;
    judged := case when counting.id = any (found_feed.failing) then least(until, found_feed.failing_judged) else until end;
    -- the clock was set back since
    state.counts_since := case when state.counts_since > now then '-infinity' else state.counts_since end;
    state.judges_since := case when state.judges_since > now then '-infinity' else state.judges_since end;
    begin
      -- a change of the rule is under way where its state is locked
      perform from rowbell.rule_state s where s.id = counting.id and state.judges_again for no key update skip locked;
      if found then
        update rowbell.rule_state s set judges_again = false, counted_as = null where s.id = counting.id;
        if (counting.rule).absent is not null then
          perform rowbell.begin_absent(watched, counting.rule, state);
        end if;
        -- those of before come to an end; one that was counted under the new id already stays
        delete from rowbell.window_count c using rowbell.window_group w where w.id = c.group_id and w.rule = state.counted_as;
        update rowbell.window_group w set rule = counting.id
        where w.rule = state.counted_as and not exists (select from rowbell.window_group g where g.rule = counting.id and g.key = w.key);
        update rowbell.window_group w set due = null where w.rule = counting.id;
      elsif set_back then
        update rowbell.window_group w set due = null where w.rule = counting.id;
      end if;
      groups := rowbell.fold_what_can_be(watched, counting.rule, state, array(
        select e from unnest(events) e
        where e.rule = counting.id and e.at >= state.counts_since
          and ((counting.rule).within is null or e.at > judged - 2 * rowbell.length_of((counting.rule).within))), judged);
      if backlog and (counting.rule).absent is not null then
        -- a write that is not folded yet may have met the condition
        update rowbell.window_group w set due = null where w.id = any (groups);
      elsif counting.paused then
        delete from rowbell.window_count c where c.group_id = any (groups) and c.at <= judged - 2 * rowbell.length_of((counting.rule).within);
      else
        if not backlog then
          due := array(select g.id from rowbell.window_group g where g.rule = counting.id and g.due is null limit most)
            || array(select g.id from rowbell.window_group g where g.rule = counting.id and g.due <= now order by g.due limit most);
          if cardinality(due) >= most then
            more := true;
            judged_now := until;
          end if;
        elsif judged_now > until then
          -- of the part that the call before left out
          due := array(
            select g.id from rowbell.window_group g
            where g.rule = counting.id and g.due <= now and exists (select from rowbell.window_count c where c.group_id = g.id and c.at > judged));
        else
          due := '{}';
        end if;
        groups := array(select g from unnest(groups) g union select d from unnest(due) d);
        if cardinality(groups) > 0 then
          perform rowbell.judge_what_can_be(watched, counting.rule, state, groups, case when (counting.rule).absent is null then judged else seen end, folded);
        end if;
      end if;
    exception when others or assert_failure then
      get stacked diagnostics context = pg_exception_context;
      if rowbell_alert.is_cancel(sqlstate, context) then
        raise;
      end if;
      failed := failed || counting.id;
      insert into rowbell.window_event select t.* from unnest(taken) t where t.rule = counting.id;
      perform rowbell.rule_failed((counting.rule).name, sqlerrm, sqlstate, rowbell.shown_name(watched.relation), 'TIMER', null);
    end;
  end loop;
  -- one that is well again is judged as of before until all is folded
  failing := failed || case when backlog then array(select i from unnest(found_feed.failing) i where i <> all (failed)) else waiting end;
  update rowbell.window_feed w
  set judged = coalesce(judged_now, until), failing = failing,
    failing_judged = case when cardinality(failing) > 0 then least(found_feed.failing_judged, until) end,
    retry = case when cardinality(failed) > 0 then now + interval '10 s' when cardinality(waiting) > 0 then found_feed.retry end
  where w.feed = feed_id;
  return more;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.same_key_sql(relation oid, one text, other text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(string_agg(format('%s.%I operator(%I.=) %s.%2$I', one, k.name, k.operators, other), ' and ' order by k.n), 'false')
  from rowbell.key_columns(relation) k
$function$
CREATE OR REPLACE FUNCTION rowbell.scan_again(names text[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  update rowbell.rule_state s
  set scan = pg_current_xact_id(), scan_pass = 0, scan_after = null
  from rowbell.rule r
  where r.name = s.rule and r.name = any (names) and r.enabled and r."for" is not null
$function$
CREATE OR REPLACE FUNCTION rowbell.scan_timers(feed rowbell.feed, rule rowbell.rule, rule_id integer, most integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_variable
declare
  state rowbell.rule_state;
  looked rowbell.looked[];
  fired rowbell.timer[];
  ended rowbell.timer[];
  last text;
begin
  select s.* into state
  from rowbell.rule_state s
  where s.id = rule_id and s.scan is not null and (s.scan_pass < 2 or s.scan < pg_snapshot_xmin(pg_current_snapshot()))
  for no key update skip locked;
  if not found then
    return false;
  end if;
  if state.scan_pass = 0 then
    fired := array(
      select t from rowbell.timer t
      where t.rule = rule_id and t.fired is not null and t.ended = 0 and t.key > coalesce(state.scan_after, '')
      order by t.key
      limit most);
    last := fired[most].key;
    looked := case when cardinality(fired) > 0 then rowbell.look(feed.id, rule_id, array(select f.key from unnest(fired) f)) end;
    with gone as (
      delete from rowbell.timer t
      where t.rule = rule_id and t.ended = 0 and t.key = any (array(
        select f.key from unnest(fired) f where not exists (select from unnest(looked) l where l.key = f.key and (l.met or l.error is not null))))
      returning t)
    select array_agg(t) into ended from gone;
    if rule.resolved then
      perform rowbell.raise_timers(feed, rule, 'resolved', ended, looked);
    end if;
  else
    if state.scan_after is null and state.scan < pg_snapshot_xmin(pg_current_snapshot()) then
      state.scan_pass := 2;
    end if;
    looked := rowbell.look(feed.id, rule_id, null, state.scan_after, most);
    last := looked[most].key;
    insert into rowbell.timer (feed, rule, key, since, began)
    select feed.id, rule_id, l.key, t.since, t.since
    from unnest(looked) l
    -- a time that each reader of the alert can read
    cross join lateral (select case when l.since < timestamptz '0001-01-01 00:00:00+00' then timestamptz '0001-01-01 00:00:00+00' else least(l.since, clock_timestamp()) end as since) t
    where l.met and octet_length(l.key) <= 2600
    on conflict do nothing;
  end if;
  perform rowbell.look_failed(feed, rule, looked);
  update rowbell.rule_state s
  set scan = case when last is not null or state.scan_pass < 2 and rule.existing then s.scan end,
    scan_pass = state.scan_pass + case when last is null then 1 else 0 end, scan_after = last
  where s.id = rule_id;
  return true;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.send(alerts json[], channels text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if not rowbell.may_notify() then
    perform rowbell.warn(format('%s notifications were not sent', cardinality(alerts)));
    return;
  end if;
  for i in 1 .. cardinality(alerts) loop
    begin
      -- PostgreSQL ends the session of a listener that cannot read a notification
      perform pg_notify(channels[i], rowbell.readable(alerts[i]::text, '\\x'));
    exception when others then
      perform rowbell.warn(format('a notification on %s was not sent: %s', channels[i], sqlerrm));
    end;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.shared_filters(feed rowbell.feed, transitions rowbell.transition[])
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.shown_name(relation oid)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select n.nspname || '.' || c.relname
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$function$
CREATE OR REPLACE FUNCTION rowbell.silent_at(rule rowbell.rule, state rowbell.rule_state, last timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
  select began.at + rowbell.length_of(rule.absent)
    + coalesce((select sum(upper(p) - greatest(lower(p), began.at)) from unnest(state.pauses) p where upper(p) > began.at), interval '0')
  from (select greatest(silent_at.last, state.counts_since) as at) began
$function$
CREATE OR REPLACE FUNCTION rowbell.silent_triggers()
 RETURNS TABLE(feed text, problem text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.sink_trouble(sink text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
  select coalesce(
    format('the sink %s is ', sink_trouble.sink) || rowbell.pause_of(sink_trouble.sink),
    (
      select case when count(*) = 0 then format('no running process has the sink %s', sink_trouble.sink)
        when bool_and(s.circuit_error is not null) then format('the circuit of the sink %s is open, %s tries in a row failed, next try %s: %s', sink_trouble.sink,
          max(s.circuit_failures), rowbell.ahead(min(s.next_try)), max(s.circuit_error)) end
      from rowbell.sink s
      where s.name = sink_trouble.sink and s.seen > clock_timestamp() - interval '1 minute'))
$function$
CREATE OR REPLACE FUNCTION rowbell.sql_name(relation oid)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$function$
CREATE OR REPLACE FUNCTION rowbell.subject_columns(subject json)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select array(select json_object_keys(case when json_typeof(subject) = 'object' then subject else '{}' end))
$function$
CREATE OR REPLACE FUNCTION rowbell.tables_of(relation oid)
 RETURNS TABLE(relid oid)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select t.relid from rowbell.tree_of(relation) t where t.kind in ('r', 'p')
$function$
CREATE OR REPLACE FUNCTION rowbell.take_query()
 RETURNS TABLE(rule jsonb, due timestamp with time zone, settings text[], clock timestamp with time zone)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
#variable_conflict use_column
declare
  name text;
begin
  for name in select (r.rule).name from rowbell.query_rules() r where r.due <= clock_timestamp() order by r.due, 1 loop
    perform from rowbell.query_run q where q.rule = name for update skip locked;
    continue when not found;
    -- once more: another process may have run it since
    return query
    select rowbell.query_of(r.rule), nullif(r.due, '-infinity'), rowbell.all_settings(), clock_timestamp()
    from rowbell.query_rules() r
    where (r.rule).name = name and r.due <= clock_timestamp();
    if found then
      perform rowbell.make_query_role();
      return;
    end if;
  end loop;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.test_rule(rule text, max_rows integer DEFAULT 100)
 RETURNS SETOF json
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.timer_alert(rule rowbell.rule, feed text, status text, subject json, key text[], more json DEFAULT NULL::json)
 RETURNS json
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'auto'
AS $function$
declare
  frame constant record := rowbell.timer_alert_frame(rule, feed, status, key);
begin
  return rowbell.fit(
    format('{"id":"%s",%s,"time":"%s"%s', rowbell.new_id(), frame.opening,
      to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      (select string_agg(format(',%s:%s', to_json(m.name), m.value), '' order by m.n)
       from rowbell.members_of(more) with ordinality as m (name, value, n) where m.value <> 'null')),
    null, subject, frame.closing, key, rowbell.max_alert_size());
end
$function$
CREATE OR REPLACE FUNCTION rowbell.timer_alert_frame(rule rowbell.rule, feed text, status text, key text[], OUT opening text, OUT closing text)
 RETURNS record
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select format('"rule":%s,"reason":%s,"severity":"%s","status":"%s"%s,"operation":"TIMER"', to_json(rule.name), to_json(coalesce(rule.reason, rule.name)),
      rule.severity, status, ',"table":' || to_json(feed)),
    format(',"channel":%s,"key":%s}', to_json(rule.channel), to_json(key))
$function$
CREATE OR REPLACE FUNCTION rowbell.timer_feeds()
 RETURNS TABLE(feed integer, rule integer, name text, due_in double precision)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $function$
#variable_conflict use_column
begin
  return query
  select t.feed, null::int, f.name, case when exists (select from rowbell.timer_event e where e.feed = t.feed) then 0 end::double precision
  from rowbell.timer_feed t
  join rowbell.feed f on f.id = t.feed
  union all
  select t.feed, s.id, r.name, case
    when s.scan is not null and (s.scan_pass < 2 or s.scan < pg_snapshot_xmin(pg_current_snapshot())) then 0
    when exists (select from rowbell.timer e where e.rule = s.id and e.ended <> 0) then 0
    when s.paused is null then (
      select extract(epoch from a.began + r."for" - clock_timestamp()) * 1000
      from rowbell.timer a
      where a.rule = s.id and a.fired is null
      order by a.began
      limit 1) end
  from rowbell.timer_feed t
  join rowbell.feed f on f.id = t.feed
  join rowbell.rule r on r.feed = f.name
  join rowbell.rule_state s on s.rule = r.name
  where r.enabled and r."for" is not null and s.broken is null
  order by 1, 2 nulls first;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.timer_key_of(relation oid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select jsonb_build_object('names', jsonb_agg(a.attname order by a.attnum), 'types', jsonb_agg(format_type(a.atttypid, null) order by a.attnum),
    'columns', jsonb_agg(a.attnum order by a.attnum))
  from pg_attribute a
  where a.attrelid = relation and a.attname = any (rowbell.key_of(relation))
$function$
CREATE OR REPLACE FUNCTION rowbell.timers_changed(news rowbell.rule[], olds rowbell.rule[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  others int[];
begin
  insert into rowbell.timer_feed (feed, key)
  select distinct f.id, rowbell.timer_key_of(f.relation) from unnest(news) n join rowbell.feed f on f.name = n.feed where n.enabled and n."for" is not null
  on conflict do nothing;
  others := array(
    select s.id
    from unnest(news) n
    join unnest(olds) o on o.name = n.name and o."for" is not null
    join rowbell.rule_state s on s.rule = n.name
    where n."for" is null or not o.enabled
      -- by its number: the table may have been renamed
      or exists (select from rowbell.timer t where t.rule = s.id and t.feed is distinct from (select f.id from rowbell.feed f where f.name = n.feed)));
  if cardinality(others) > 0 then
    -- no process works on them meanwhile
    perform from rowbell.timer_feed t
    where t.feed in (select o.feed from rowbell.timer o where o.rule = any (others) union select f.id from unnest(news) n join rowbell.feed f on f.name = n.feed)
    order by t.feed
    for update;
    delete from rowbell.timer t where t.rule = any (others);
    delete from rowbell.timer_event e where e.rule = any (others);
  end if;
  perform rowbell.scan_again(array(
    select n.name
    from unnest(news) n
    left join unnest(olds) o on o.name = n.name and o.feed = n.feed and o.condition = n.condition and o.enabled and o."for" is not null
      and (o.existing or not n.existing)
    where o.name is null));
end
$function$
CREATE OR REPLACE FUNCTION rowbell.times(n bigint)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select n || case when n = 1 then ' time' else ' times' end
$function$
CREATE OR REPLACE FUNCTION rowbell.transitions_of(feed rowbell.feed)
 RETURNS SETOF rowbell.transition
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.tree_of(relation oid)
 RETURNS TABLE(relid oid, kind "char")
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with recursive tree (relid) as (
    select relation
    union
    select i.inhrelid
    from tree t
    join pg_inherits i on i.inhparent = t.relid)
  select t.relid, c.relkind
  from tree t
  join pg_class c on c.oid = t.relid
  where c.relpersistence <> 't'
$function$
CREATE OR REPLACE FUNCTION rowbell.trial_of(rule json)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.triggers_of(feed_id integer)
 RETURNS TABLE(relid oid, name name)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select g.tgrelid, g.tgname
  from pg_trigger g
  join pg_proc p on p.oid = g.tgfoid
  where p.pronamespace = 'rowbell'::regnamespace and p.proname = any (array(
      select format('%s_%s', f, feed_id) from unnest('{on_statement,on_row,before_move,on_move}'::text[]) f))
    and g.tgparentid = 0
$function$
CREATE OR REPLACE FUNCTION rowbell.unacknowledge(rule text, key text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with gone as (
    delete from rowbell.acknowledgement a
    using rowbell.firing_state f
    where f.fingerprint = a.fingerprint and f.rule = $1 and ($2 is null or f.key = $2)
    returning f.id = a.firing and f.times > 0 as counts)
  select count(*) from gone where counts
$function$
CREATE OR REPLACE FUNCTION rowbell.unless_plain_sql(plain boolean)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.unwatch(feed text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  drops constant text[] := rowbell.drops_of(feed);
begin
  perform rowbell.change_triggers(feed, drops, '10 s');
  return cardinality(drops);
end
$function$
CREATE OR REPLACE FUNCTION rowbell.unwatched(feed rowbell.feed)
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when t.kind = 'f' then format('has the foreign table %s below it, which is not watched; all others are watched by row triggers, for which a row that'
        ' moves to another partition is deleted and inserted', rowbell.shown_name(t.relid))
      else format('writes to %1$s are not watched: grant trigger on %1$s to %2$I', rowbell.sql_name(t.relid), current_user) end
  from rowbell.tree_of(feed.relation) t
  where exists (select from rowbell.rule r where r.feed = feed.name and r.enabled)
    and (t.kind = 'f' or t.kind in ('r', 'p') and not has_table_privilege(t.relid, 'trigger'))
  order by t.relid
$function$
CREATE OR REPLACE FUNCTION rowbell.validate_absent(rule rowbell.rule)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if rule.absent is null then
    return query
    select f.name, 'goes with absent, and the rule has none', 'write absent: 10m'
    from (values ('groups', rule.groups is not null), ('forget', rule.forget <> interval '7 days')) f (name, given)
    where f.given;
    return;
  end if;
  if rowbell.length_of(rule.absent) <= interval '0' or rowbell.length_of(rule.absent) > interval '10 years' then
    return query select 'absent', 'give a duration above 0 and of at most 10 years', '';
  end if;
  if coalesce(rule.count::text, rule.sum, rule.within::text, rule.over::text) is not null then
    return query select 'absent', 'goes not with count and sum', 'make two rules of it';
  elsif rule."for" is not null then
    return query select 'for', 'goes not with absent, which is about writes: a write does not last', 'make two rules of it';
  end if;
  if rule.fires <> 'once' then
    return query select 'fires', 'a rule with absent fires once there was no write for so long', 'leave fires out';
  end if;
  if rule.delivery = 'notify' then
    return query select 'delivery', 'a rule with absent is durable: there is no writer that could notify', 'leave delivery out';
  end if;
  if rule.groups is not null and coalesce(rule."by", '{}') = '{}' then
    return query select 'groups', 'goes with by, and the rule has none', 'write by: [NEW.sensor]';
  end if;
  if rule.forget is null then
    return query select 'forget', 'give a duration', '';
  elsif rule."by" = '{}' and rule.forget <> interval '7 days' then
    return query select 'forget', 'goes with by: the feed as a whole is not forgotten', 'leave forget out';
  elsif rule."by" <> '{}' and rule.groups is null and rowbell.length_of(rule.forget) <= rowbell.length_of(rule.absent) then
    return query select 'forget', format('is not longer than absent, so that a group would be forgotten before it fires: %s', rule.forget), 'write forget: 30d';
  end if;
  return query select g.* from rowbell.validate_groups(rule) g;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.validate_counted(rule rowbell.rule, relation oid, feed_id integer)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.validate_groups(rule rowbell.rule)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.validate_query(rule rowbell.rule)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  error text[];
begin
  return query
  select f.name, case f.name when 'feed' then 'feed and query: a rule has one of them' else 'goes with a feed, and the rule has a query' end, ''
  from (values ('feed', rule.feed is not null), ('condition', rule.condition is not null), ('columns', rule.columns <> '{}'), ('for', rule."for" is not null),
    ('count', rule.count is not null), ('sum', rule.sum is not null), ('over', rule.over is not null), ('within', rule.within is not null), ('by', rule."by" <> '{}'),
    ('max_groups', rule.max_groups <> 10000), ('absent', rule.absent is not null), ('groups', rule.groups is not null),
    ('forget', rule.forget <> interval '7 days'), ('operations', rule.operations <> '{insert,update}')) f (name, given)
  where f.given;
  if rule.delivery = 'notify' then
    return query select 'delivery', 'notify is for rules with a feed: the alerts of a query are durable', '';
  end if;
  if rule.fires = 'changed' then
    return query select 'fires', 'changed is for rules with a feed', 'once: when a key comes into the result; every: at each run';
  elsif rule.fires = 'every' and rule.resolved then
    return query select 'fires', 'every has each key fire at each run, so nothing resolves', 'write fires: once, or leave out resolved';
  end if;
  if coalesce(rule.key, '{}') = '{}' then
    return query select 'key', 'has no key', 'name the columns of the result that tell its rows apart: [account]';
  elsif array_position(rule.key, null) is not null then
    return query select 'key', 'has a name that is NULL', '';
  elsif cardinality(rule.key) > (select count(distinct k) from unnest(rule.key) k) then
    return query select 'key', 'has a name twice', '';
  end if;
  if (rule.every is null) = (rule.cron is null) then
    return query select 'every', case when rule.cron is null then 'has neither every nor cron' else 'every and cron: one of them says when the query runs' end,
      'every: 1m, or cron: "0 8 * * MON-FRI"';
  elsif rule.every < interval '1 s' then
    return query select 'every', 'give a duration of at least a second', '';
  elsif rule.every is not null and rule.zone is not null then
    return query select 'zone', 'goes with cron', '';
  elsif rule.cron !~ '^\s*([[:alnum:]*,/-]+\s+){4}[[:alnum:]*,/-]+\s*$' then
    return query select 'cron', 'give five fields: minute, hour, day of the month, month, day of the week', 'write it as "0 8 * * MON-FRI"';
  elsif rule.zone not in (select z.name from pg_timezone_names z) then
    return query select 'zone', format('there is no time zone %s', rule.zone), 'write it as Europe/Berlin or UTC';
  end if;
  if rule.max_rows between 1 and 10000 is not true then
    return query select 'max_rows', 'give a number from 1 to 10000', '';
  end if;
  if rule.enabled then
    error := rowbell.query_error(rule.query, rule.key);
    if error[4] <> '42501' then
      return query select error[1], error[2], error[3];
    end if;
  end if;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.validate_rule(rule rowbell.rule, feed_id integer DEFAULT 0)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET standard_conforming_strings TO 'on'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.validate_window(rule rowbell.rule)
 RETURNS TABLE(field text, problem text, hint text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.wait_of(sink text, due timestamp with time zone, last_error text, trouble text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select 'waits: ' || coalesce(trouble, case when last_error is null then format('for the sink %s, due %s', sink, rowbell.ahead(due))
    else format('the sink %s failed, next try %s: %s', sink, rowbell.ahead(due), last_error) end)
$function$
CREATE OR REPLACE FUNCTION rowbell.waiting_since(id text)
 RETURNS SETOF timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.waiting_sinks()
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with recursive waiting as (
    (select min(d.sink) as sink from rowbell.delivery d)
    union all
    select (select min(d.sink) from rowbell.delivery d where d.sink > w.sink) from waiting w where w.sink is not null)
  select w.sink from waiting w where w.sink is not null
$function$
CREATE OR REPLACE FUNCTION rowbell.warn(message text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise warning 'rowbell: %', message;
exception when others then
  null;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.warning_sql(feed_name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select quote_literal(format('rowbell: the rules of %s were not judged: %%', replace(feed_name, '%', '%%')))
$function$
CREATE OR REPLACE FUNCTION rowbell.window_feeds()
 RETURNS TABLE(feed integer, name text, due_in double precision)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
begin
  return query
  select f.id, f.name, (case when w.judged > clock_timestamp() or exists (select from rowbell.window_event e where e.feed = f.id and e.rule <> all (a.waiting)) then 0 else (
    select min(case when s.paused is null then case when s.judges_again and (r.absent is not null or exists (select from rowbell.window_group g where g.rule = s.id)) then 0 else (
      select case when exists (select from rowbell.window_group n where n.rule = s.id and n.due is null) then 0
        else extract(epoch from min(g.due) - clock_timestamp()) * 1000 end
      from (select g.due from rowbell.window_group g where g.rule = s.id order by g.due limit 1) g) end end)
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = f.name and r.enabled and (r.within is not null or r.absent is not null and s.broken is null) and s.id <> all (a.waiting)) end)::double precision
  from rowbell.window_feed w
  cross join lateral (
    select case when w.retry between clock_timestamp() and clock_timestamp() + interval '10 s' then w.failing else '{}' end as waiting) a
  join rowbell.feed f on f.id = w.feed;
end
$function$
CREATE OR REPLACE FUNCTION rowbell.windows_changed(news rowbell.rule[], olds rowbell.rule[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into rowbell.window_feed (feed)
  select distinct f.id from unnest(news) n join rowbell.feed f on f.name = n.feed where n.enabled and coalesce(n.within, n.absent) is not null
  on conflict do nothing;
  update rowbell.rule_state s
  set judges_again = true,
    counts_since = case when exists (
      select from unnest(olds) o
      -- one that is no more may have had another name
      where (o.name = n.name or o.name not in (select r.name from unnest(news) r)) and o.enabled and coalesce(o.within, o.absent) is not null
        and (o.feed, o.condition, o.fires, o.operations, o.by, o.sum, o.absent is null)
          is not distinct from (n.feed, n.condition, n.fires, n.operations, n.by, n.sum, n.absent is null))
      then s.counts_since else clock_timestamp() end
  from unnest(news) n
  where n.name = s.rule and n.enabled and coalesce(n.within, n.absent) is not null;
  -- one that begins at zero does so under another id, since writers go on to call the functions of before until this is committed
  update rowbell.rule_state s
  set id = default, counted_as = coalesce(s.counted_as, s.id)
  from unnest(news) n
  where n.name = s.rule and n.enabled and coalesce(n.within, n.absent) is not null and cardinality(olds) > 0 and s.counts_since >= now()
    and not exists (
      select from unnest(olds) o
      where (o.name = n.name or o.name not in (select r.name from unnest(news) r)) and o.enabled and o.absent is not null and n.absent is not null
        and (o.feed, o.by) is not distinct from (n.feed, n.by))
$function$
CREATE OR REPLACE FUNCTION rowbell.with_columns(sql text, known text[], now text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select replace(replace(sql, format('(select %s) as new', rowbell.columns_sql(known, 'new')), format('(select %s) as new', rowbell.columns_sql(now, 'new'))),
    format('(select %s) as old', rowbell.columns_sql(known, 'old')), format('(select %s) as old', rowbell.columns_sql(now, 'old')))
$function$
CREATE OR REPLACE FUNCTION rowbell.with_moves_sql(operation text, written oid, feed_relation oid, rows text, transition_table text, side integer)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell.with_override(rule rowbell.rule)
 RETURNS rowbell.rule
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when exists (select from rowbell.rule_override v where v.rule = ($1).name) then jsonb_populate_record($1, '{"enabled": false}') else $1 end
$function$
CREATE OR REPLACE FUNCTION rowbell.write_rule(rule json, began text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
CREATE OR REPLACE FUNCTION rowbell_alert.failure(rule text, error text, state text, key json)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select jsonb_build_array(jsonb_build_object('rule', rule, 'error', left(error, 1000), 'sqlstate', state, 'key', key::text))
$function$
CREATE OR REPLACE FUNCTION rowbell_alert.is_cancel(state text, context text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select state operator(pg_catalog.=) '57014'
    and pg_catalog.regexp_replace(context, '"([^"]|"")*"', '', 'g') operator(pg_catalog.!~) '^(PL/pgSQL[^[:cntrl:]]* RAISE([[:cntrl:]]|$)|remote SQL command|while [^[:cntrl:]]* dblink connection)'
$function$
CREATE OR REPLACE FUNCTION rowbell_alert.judge_each(rules jsonb, old_rows anyarray, new_rows anyarray, OUT codes integer[], OUT olds json[], OUT news json[], OUT partitions text[], OUT failures jsonb)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET timezone_abbreviations TO 'Default'
AS $function$
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
$function$
