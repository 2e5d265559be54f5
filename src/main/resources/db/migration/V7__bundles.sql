-- The deliveries of one batch and sink are one row; and a queue that is empty may be cut off.

-- What one transaction filed for a sink that takes batches, and handed to it after the commit: one row is proof of all of them. It is deleted when
-- the sink has all of it. Where that fails, or whoever took it dies, its lines become rows of rowbell.delivery, each with its own retries.
create table rowbell.bundle (
  id bigint generated always as identity primary key,
  sink text not null,
  deliveries int not null,
  -- a document a line, as in the file of the file sink
  alerts text not null,
  filed timestamptz not null default clock_timestamp(),
  taken_until timestamptz not null,
  taken_by uuid not null
);

-- lives for milliseconds: to compress it takes longer than to write it
alter table rowbell.bundle alter column alerts set storage external;

comment on table rowbell.bundle is 'The outbox, in flight: deliveries that were handed to their sink together; those that wait are in rowbell.delivery';

do $do$
begin
  if exists (select from pg_roles where rolname = 'rowbell_consumer') then
    grant select, insert, update, delete on rowbell.bundle to rowbell_consumer;
    -- a queue that is empty gives its room back
    grant truncate on rowbell.feedback, rowbell.delivery, rowbell.bundle to rowbell_consumer;
  end if;
end
$do$;
