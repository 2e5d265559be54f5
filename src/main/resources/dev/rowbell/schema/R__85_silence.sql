-- Cooldowns.

-- Where an alert stands in its rule's cooldown: true, and the row is remembered, where it may be delivered. rule_cooldown: of the rule; key: of
-- the row. An alert that is older than the last one by more than the cooldown is delivered as well: then the clock was set back.
create or replace function rowbell.rings(rule text, status text, key text, at timestamptz, rule_cooldown interval) returns boolean
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
