-- Rowbell takes ids of deliveries before it needs them, so that no crash makes the sequence give them out again.

do $do$
begin
  if exists (select from pg_roles where rolname = 'rowbell_consumer') then
    execute format('grant usage on sequence %s to rowbell_consumer', pg_get_serial_sequence('rowbell.delivery', 'id'));
  end if;
end
$do$;
