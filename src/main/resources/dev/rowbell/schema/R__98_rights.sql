-- All rights on the schema. Two roles share them: rowbell_admin writes rules, rowbell_consumer is what the running Rowbell needs. Where this file may
-- not make roles, the owner of the schema does both, until a DBA makes the roles and runs this file again.

revoke all on all functions in schema rowbell from public;
-- each of its functions has the rights of its own
grant usage on schema rowbell_alert to public;
revoke all on all functions in schema rowbell_alert from public;
grant execute on function rowbell_alert.judge_each(jsonb, anyarray, anyarray), rowbell_alert.is_cancel(text, text),
  rowbell_alert.failure(text, text, text, json) to public;
grant execute on function rowbell.new_id(), rowbell.alert(text, text, regclass, text, json, json, text, text, text), rowbell.key_of(oid), rowbell.ring(),
  rowbell.replay(bigint), rowbell.delivered(text) to public;
-- these run as their caller; note_dead_letters() notes nothing for a user who may not delete dead letters
grant execute on function rowbell.replay_all(bigint[]), rowbell.discard_all(bigint[]), rowbell.note_dead_letters(text, text, text[], text) to public;
-- for owners of tables; each runs as its caller, but for one that reads which triggers a table has
grant execute on function rowbell.unwatch(text), rowbell.drops_of(text), rowbell.change_triggers(text, text[], interval) to public;

do $do$
declare
  role_name text;
begin
  foreach role_name in array array['rowbell_admin', 'rowbell_consumer'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception when insufficient_privilege then
        raise notice 'the role % was not made: %', role_name, sqlerrm;
      when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;

  -- A condition runs in the transaction of every writer, so this role is to be given with care.
  if exists (select from pg_roles where rolname = 'rowbell_admin') then
    grant usage on schema rowbell to rowbell_admin;
    grant select, insert, update, delete on rowbell.rule, rowbell.silence to rowbell_admin;
    grant select, update on rowbell.rule_state to rowbell_admin;
    grant select on rowbell.feed, rowbell.row_feed, rowbell.waiting, rowbell.timer, rowbell.window_group, rowbell.window_count to rowbell_admin;
    grant execute on function rowbell.check_rule(json), rowbell.validate_rule(rowbell.rule, int), rowbell.rule_of(json),
      rowbell.apply_rules(text, json, text[], text), rowbell.refresh(int), rowbell.test_rule(text, int), rowbell.find_feed(text),
      rowbell.feeds_named(text), rowbell.rows_by_name(text, oid), rowbell.tables_of(oid), rowbell.tree_of(oid), rowbell.sql_name(oid),
      rowbell.for_each(text, text), rowbell.readable(text, text), rowbell.pause(text), rowbell.resume(text), rowbell.disable(text, text, text),
      rowbell.enable(text), rowbell.write_rule(json, text), rowbell.rule_version(rowbell.rule), rowbell.trial_of(json), rowbell.measure_of(text, int), rowbell.look_of(text, text), rowbell.key_text(json, text[]),
      rowbell.members_of(json), rowbell.all_settings(), rowbell.explain(text, text, boolean), rowbell.rule_findings(text, text, boolean), rowbell.row_query(oid, text, text[], json), rowbell.same_key_sql(oid, text, text), rowbell.key_columns(oid), rowbell.explain_alert(text), rowbell.alert_timeline(text),
      rowbell.explain_rule(rowbell.rule, text, json), rowbell.key_written(text[], text, boolean), rowbell.key_part(text), rowbell.key_cut(text), rowbell.key_query(oid, text[], json), rowbell.times(bigint), rowbell.group_columns(text[]), rowbell.denied(text, text), rowbell.grant_for(text, text),
      rowbell.plain_condition(text, oid, boolean), rowbell.document_settings(oid) to rowbell_admin;
    grant execute on function rowbell.silent_at(rowbell.rule, rowbell.rule_state, timestamptz), rowbell.length_of(interval), rowbell.may_compare(text) to rowbell_admin;
    grant select on rowbell.query_run, rowbell.query_key, rowbell.rule_change, rowbell.rule_override, rowbell.firing, rowbell.history,
      rowbell.history_alert, rowbell.history_try, rowbell.paused_sink to rowbell_admin;
    grant select, delete on rowbell.audit to rowbell_admin;
    grant execute on function rowbell.erase_history(text, text), rowbell.rule_history(text), rowbell.end_firing(text, text), rowbell.acknowledge(text, text, text, text),
      rowbell.unacknowledge(text, text), rowbell.pause_sink(text, text), rowbell.resume_sink(text) to rowbell_admin;
  end if;

  -- no right to write rules
  if exists (select from pg_roles where rolname = 'rowbell_consumer') then
    grant usage on schema rowbell to rowbell_consumer;
    grant select, insert, update, delete on rowbell.feedback, rowbell.notification, rowbell.delivery, rowbell.dead_letter, rowbell.cooldown,
      rowbell.sink, rowbell.listener to rowbell_consumer;
    grant select, insert, update on rowbell.doorbell_lease, rowbell.setting to rowbell_consumer;
    grant select on rowbell.waiting, rowbell.timer, rowbell.timer_event, rowbell.window_event, rowbell.window_group to rowbell_consumer;
    grant select on rowbell.rule, rowbell.rule_change, rowbell.rule_override, rowbell.feed, rowbell.silence, rowbell.paused_sink, rowbell.flyway_schema_history to rowbell_consumer;
    grant update (silenced) on rowbell.silence to rowbell_consumer;
    grant insert on rowbell.firing_event to rowbell_consumer;
    grant select, insert on rowbell.audit to rowbell_consumer;
    grant select on rowbell.firing, rowbell.firing_state, rowbell.firing_event, rowbell.acknowledgement to rowbell_consumer;
    grant execute on function rowbell.acknowledge(text, text, text, text), rowbell.unacknowledge(text, text), rowbell.pause_sink(text, text),
      rowbell.resume_sink(text) to rowbell_consumer;
    grant execute on function rowbell.fires_anew(rowbell.rule), rowbell.may_compare(text), rowbell.fold_firing(int), rowbell.end_firing_of_gone_rules(), rowbell.end_unseen(text, text, int), rowbell.forget_firing(interval, timestamptz, int) to rowbell_consumer;
    grant select on rowbell.history, rowbell.history_alert, rowbell.history_try to rowbell_consumer;
    grant execute on function rowbell.note_routed(text, text[], text[], bigint[], text[], bigint[], int[], text[], text[], text[], text[], text[], text[]),
      rowbell.note_tried(text, text[], int[], bigint[], text[], int[], int[], text[], text[]), rowbell.fold_history(int), rowbell.keep_history(interval) to rowbell_consumer;
    grant select, update on rowbell.rule_state to rowbell_consumer;
    grant execute on function rowbell.refresh(int), rowbell.definitions(), rowbell.report_failures(), rowbell.forget_moves(), rowbell.timer_feeds(),
      rowbell.begin_fold(int), rowbell.fold_timers(int, int, bigint), rowbell.run_timers(int, int), rowbell.pass_over_slow_row(int, interval),
      rowbell.forget_timers(int), rowbell.window_feeds(), rowbell.run_windows(int, int),
      rowbell.forget_windows(int), rowbell.silent_triggers(), rowbell.claim_channels(text),
      rowbell.release_channels(text), rowbell.listening_session(rowbell.listener), rowbell.passes_cooldown(text, text, text, text, timestamptz, interval),
      rowbell.readable(text, text), rowbell.alert_text(json, text), rowbell.put_unreadable_aside(regclass, int),
      rowbell.dead_letters(text, text, interval), rowbell.retry(text, text, interval), rowbell.discard(text, text, interval),
      rowbell.next_query(), rowbell.take_query(), rowbell.query_ran(jsonb, text[], timestamptz), rowbell.query_failed(jsonb, text, text, text, timestamptz),
      rowbell.query_broken(text, text), rowbell.rule_history(text), rowbell.rule_version(rowbell.rule), rowbell.explain_alert(text),
      rowbell.alert_timeline(text) to rowbell_consumer;
  end if;
end
$do$;

-- The role that checks conditions before there is a feed, and runs the queries of rules.
select rowbell.make_query_role();
