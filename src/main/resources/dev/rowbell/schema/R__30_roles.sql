-- Roles that evaluate. Conditions, casts and output functions may be written by strangers, so they run as a role that owns nothing of value: one for
-- each feed. It may call two functions of the schema rowbell_alert, which raise alerts of this feed, and read what conditions of this feed name. It has
-- no right on the schema rowbell, where its own functions are, so it cannot alter them. docs/security.md says more.

-- The role of a feed; 0: the role that checks conditions before there is a feed. Roles belong to all databases of a server, so the name has the database.
create or replace function rowbell.role_of(feed_id int) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('rowbell_%s_%s', case when octet_length(d.datname) > 40 then d.oid::text else d.datname end, feed_id)
  from pg_database d
  where d.datname = current_database()
$fn$;

-- Whether functions can be given to the role of a feed: it exists, has no right beside its own, and the owner of the schema is a member.
create or replace function rowbell.has_role(feed_id int) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (
    select from pg_roles r
    where r.rolname = rowbell.role_of(feed_id) and not (r.rolsuper or r.rolcreaterole or r.rolcanlogin or r.rolbypassrls)
      and not exists (select from pg_auth_members m where m.member = r.oid)
      and pg_has_role(r.oid, 'usage'))
$fn$;

-- The owner of the functions that evaluate for a feed: its role, or the owner of the schema where that may make no roles.
create or replace function rowbell.evaluator_of(feed_id int) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when rowbell.has_role(feed_id) then rowbell.role_of(feed_id) else current_user::text end
$fn$;

-- Makes a function or changes it, for this owner alone to call; leaves one alone that is as it should be.
create or replace function rowbell.make_function(signature text, kind text, settings text[], body text, owner text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
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
$fn$;

-- Makes the role of a feed, and run_N, which runs a query as this role. Without the right to make roles it warns, and the functions of the feed run with the
-- rights of the owner of the schema.
create or replace function rowbell.make_role(feed_id int) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
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
$fn$;

-- Every setting that can change what a condition or a document means, each with the value that Rowbell judges by; but for timezone_abbreviations, see
-- unless_plain_sql(). What depends on the place, as money does,
-- has the value of the database.
create or replace function rowbell.all_settings() returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
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
$fn$;

-- Grants a right as far as the owner of the schema may, and as no other transaction has granted one on the same object for a second: it may be at work for as
-- long as a stranger's function takes. Again where one did meanwhile, which PostgreSQL takes for an error. To be called for rights that the role has not: a grant
-- is a lock on its object.
create or replace function rowbell.grant_right(right_name text, role_name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $fn$
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
$fn$;

-- What to grant to a role that was denied a right, by PostgreSQL's message; null where that does not tell.
create or replace function rowbell.grant_for(message text, role_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
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
$fn$;

-- An error in words, with what to grant to the owner of the schema where it lacks a right.
create or replace function rowbell.denied(message text, state text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select message || case when state = '42501' then format(' (%s)', coalesce(rowbell.grant_for(message, current_user), 'grant it to ' || quote_ident(current_user)))
    else '' end
$fn$;

-- Whether a condition may name an object: its name is in there.
create or replace function rowbell.may_name(condition text, name text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select strpos(condition, name) > 0 or strpos(lower(condition), name) > 0 or strpos(condition, quote_ident(name)) > 0
$fn$;

-- Lets the role of a feed read what a condition names: tables, and the schemas of tables, functions, operators and types. What a function reads in turn is
-- not seen; it has to be granted by hand. A right that cannot be granted is reported when the condition is checked as this role.
create or replace function rowbell.grant_reads(feed rowbell.feed, condition text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform rowbell.grant_named(feed.id, feed.relation, condition,
    format(E'select (%2$s\n) from (select (null::%1$s).*) as new, (select (null::%1$s).*) as old',
      rowbell.sql_name(feed.relation), rowbell.rows_by_name(condition, feed.relation)));
end
$fn$;

-- The same for a text that stands in a select. relation: the feed, null where there is none.
create or replace function rowbell.grant_named(feed_id int, relation oid, condition text, selected text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
-- PostgreSQL guesses that there are many tables, and would compile the query for 100 ms
set jit = off
as $fn$
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
$fn$;
