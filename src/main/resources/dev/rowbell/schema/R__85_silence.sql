-- Cooldowns.

drop function if exists rowbell.passes_cooldown(text, text, text, timestamptz, interval);

-- Whether an alert passes the cooldown of its rule and may be delivered; its row is remembered then. rule_cooldown: of the rule; path: durable or notify;
-- key: of the row. An alert that is older than the last one by more than the cooldown passes as well: the clock was set back.
create or replace function rowbell.passes_cooldown(rule text, path text, status text, key text, at timestamptz, rule_cooldown interval) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
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
$fn$;
