-- The demo of the article: a wide order table that several systems merge their columns into. Run at every start of the embedded PostgreSQL.
create table if not exists public.feed (
  id int8 primary key,
  c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int, c11 int, c12 int
);

-- Statement trigger with transition tables, durable. An upsert of many rows is judged at once, and rings once when c2 passes 9999.
create or replace function public.feed_c2_inserted() returns trigger language plpgsql as $fn$
begin
  insert into rowbell.feedback (alert)
  select rowbell.alert('c2-overflow', 'c2 overflow', tg_relid, tg_op, null, row_to_json(n))
  from new_rows n
  where n.c2 > 9999;
  return null;
end
$fn$;

create or replace function public.feed_c2_updated() returns trigger language plpgsql as $fn$
begin
  insert into rowbell.feedback (alert)
  select rowbell.alert('c2-overflow', 'c2 overflow', tg_relid, tg_op, row_to_json(o), row_to_json(n))
  from new_rows n
  join old_rows o on o.id = n.id
  where n.c2 > 9999 and (o.c2 > 9999) is not true;
  return null;
end
$fn$;

-- Row trigger, by notification: fastest, and lost where nobody listens.
create or replace function public.feed_c4() returns trigger language plpgsql as $fn$
begin
  perform pg_notify('channel_1', rowbell.alert('c4-negative', 'c4 below zero', tg_relid, tg_op,
    case when tg_op = 'UPDATE' then row_to_json(old) end, row_to_json(new), severity => 'critical')::text);
  return null;
end
$fn$;

do $do$
begin
  if not exists (select from pg_trigger where tgrelid = 'public.feed'::regclass and not tgisinternal) then
    create trigger c2_inserted after insert on public.feed
      referencing new table as new_rows
      for each statement execute function public.feed_c2_inserted();
    create trigger c2_updated after update on public.feed
      referencing old table as old_rows new table as new_rows
      for each statement execute function public.feed_c2_updated();
    create trigger c4_inserted after insert on public.feed
      for each row when (new.c4 < 0) execute function public.feed_c4();
    create trigger c4_updated after update on public.feed
      for each row when (new.c4 < 0 and (old.c4 < 0) is not true) execute function public.feed_c4();
  end if;
end
$do$;
