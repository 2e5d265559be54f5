-- The demo of the article: a wide order table that several systems merge their columns into. Run at every start of the embedded PostgreSQL.
-- What is wrong with a row stands in rules.yaml.
create table if not exists public.feed (
  id int8 primary key,
  c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int, c11 int, c12 int
);

-- Orders that are to be shipped.
create table if not exists public.shipment (
  id bigint generated always as identity primary key,
  ordered_at timestamptz not null default clock_timestamp(),
  shipped_at timestamptz
);

-- Before there were rules the demo had triggers of its own, which would raise each alert a second time.
drop trigger if exists c2_inserted on public.feed;
drop trigger if exists c2_updated on public.feed;
drop trigger if exists c4_inserted on public.feed;
drop trigger if exists c4_updated on public.feed;
drop function if exists public.feed_c2_inserted();
drop function if exists public.feed_c2_updated();
drop function if exists public.feed_c4();
