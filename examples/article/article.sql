create table feed (
  id int8 primary key,
  c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int, c11 int, c12 int
);

-- by notification: fastest, and gone where nobody listens
create function feed_notify() returns trigger language plpgsql as $fn$
begin
  perform pg_notify('channel_1', 'Resone:c2 overflow::' || row_to_json(new));
  return null;
end
$fn$;

create trigger feed_notify after insert or update on feed
  for each row when (new.c2 > 9999) execute function feed_notify();

-- where it must not be lost: into a table that is read by delete … returning
create table feedback_table (crt_time timestamp default now(), reason text, info json);
create index on feedback_table (crt_time);

create function feed_feedback() returns trigger language plpgsql as $fn$
begin
  insert into feedback_table (reason, info)
  select 'c1 overflow', row_to_json(n)
  from new_rows n
  where n.c1 > 9999;
  return null;
end
$fn$;

create trigger feed_feedback_inserted after insert on feed
  referencing new table as new_rows
  for each statement execute function feed_feedback();
create trigger feed_feedback_updated after update on feed
  referencing new table as new_rows
  for each statement execute function feed_feedback();
