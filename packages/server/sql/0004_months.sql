-- Tables that grow are split by month: months made ahead, old ones dropped whole, and one that takes what no month covers.
-- Needs 0001, and at work the tables of 0005, 0011 and 0012. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.partitioned_tables (
    -- in the schema holdfast
    table_name     text        primary key,
    -- the column whose month decides
    time_column    name        not null,
    -- a month is dropped when all of it is older
    keep           interval    not null,
    -- a month is dropped only once holdfast.finish_archive has said that it was read back
    needs_archive  boolean     not null default false,
    -- with "hold", nothing is dropped at all (a legal hold)
    is_held        boolean     not null default false,
    constraint partitioned_tables_keep_a_day check (keep >= interval '1 day')
);

alter table holdfast.partitioned_tables enable row level security;
revoke all on holdfast.partitioned_tables from public;

-- What was written elsewhere before a month was dropped, and how to see that it is whole.
create table if not exists holdfast.archives (
    partition_name text        primary key,
    table_name     text        not null,
    from_at        timestamptz not null,
    to_at          timestamptz not null,
    row_count      bigint      not null,
    -- each line hashed with the hash before it, from an empty one; see holdfast.archive_digest
    digest         bytea       not null,
    -- where it was written, in words of whoever did
    location       text        not null,
    archived_at    timestamptz not null default now(),
    dropped_at     timestamptz,
    constraint archives_row_count_not_negative check (row_count >= 0)
);

alter table holdfast.archives enable row level security;
revoke all on holdfast.archives from public;

create or replace function holdfast.partition_name(table_name text, at timestamptz)
returns text
language sql
stable
set search_path = ''
return format('%s_%s', table_name, to_char(at at time zone 'UTC', 'YYYYMM'));

-- The months of a table, oldest first, without the default one.
create or replace function holdfast.partitions(of_table text)
returns table (partition_name text, from_at timestamptz, to_at timestamptz)
language sql
stable
set search_path = ''
begin atomic
    -- a month later by the calendar of UTC, whatever that of the session says
    select child.relname::text, month.start,
           (month.start at time zone 'UTC' + interval '1 month') at time zone 'UTC'
    from pg_catalog.pg_inherits as link
    join pg_catalog.pg_class as parent on parent.oid = link.inhparent
    join pg_catalog.pg_class as child on child.oid = link.inhrelid
    cross join lateral (
        select to_timestamp(right(child.relname, 6) || '01 00:00:00 +00', 'YYYYMMDD HH24:MI:SS TZH') as start
    ) as month
    where parent.relname = of_table
      and parent.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'holdfast')
      and child.relname ~ '_[0-9]{6}$'
    order by month.start;
end;

-- What a new partition does not take over from its table. Without a primary key a row is known by all that it holds, or where a
-- publication tells of deletions, rows could not move out of the default partition.
create or replace function holdfast.finish_partition(partition_name text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    execute format('alter table holdfast.%I enable row level security', partition_name);
    if not exists (
        select from pg_catalog.pg_index as key
        where key.indrelid = to_regclass(format('holdfast.%I', partition_name)) and key.indisprimary
    ) then
        execute format('alter table holdfast.%I replica identity full', partition_name);
    end if;
end
$$;

-- Security definer: only the owner can make tables in the schema. It makes those of the registry and no others.
create or replace function holdfast.ensure_partitions(
    months_ahead integer default 3,
    at timestamptz default now()
)
returns integer
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    registered record;
    from_at timestamptz;
    to_at timestamptz;
    new_name text;
    made_count integer := 0;
begin
    -- of two servers doing it at once, one waits and finds it done
    perform pg_advisory_xact_lock(4856201974);
    for registered in select known.table_name, known.time_column from holdfast.partitioned_tables as known loop
        if to_regclass(format('holdfast.%I', registered.table_name || '_default')) is null then
            execute format('create table holdfast.%1$I partition of holdfast.%2$I default',
                registered.table_name || '_default', registered.table_name);
            perform holdfast.finish_partition(registered.table_name || '_default');
        end if;
        for month in 0..months_ahead loop
            from_at := (date_trunc('month', at at time zone 'UTC') + make_interval(months => month)) at time zone 'UTC';
            to_at := (date_trunc('month', at at time zone 'UTC') + make_interval(months => month + 1)) at time zone 'UTC';
            new_name := holdfast.partition_name(registered.table_name, from_at);
            continue when to_regclass(format('holdfast.%I', new_name)) is not null;
            -- rows of this month that came before it was made are in the default one, and move
            execute format('create table holdfast.%1$I (like holdfast.%2$I including all)', new_name, registered.table_name);
            perform holdfast.finish_partition(new_name);
            execute format(
                'with moved as (delete from holdfast.%1$I where %2$I >= $1 and %2$I < $2 returning *) '
                'insert into holdfast.%3$I select * from moved',
                registered.table_name || '_default', registered.time_column, new_name)
            using from_at, to_at;
            execute format('alter table holdfast.%1$I attach partition holdfast.%2$I for values from (%3$L) to (%4$L)',
                registered.table_name, new_name, from_at, to_at);
            made_count := made_count + 1;
        end loop;
    end loop;
    return made_count;
end
$$;

comment on function holdfast.ensure_partitions(integer, timestamptz) is
    'Makes this month and the next ones of every table that is split by month, and says how many were missing. Rows that '
    'had to go to the default partition move into their month. Part of holdfast.maintain().';

-- What a watchman looks at: the default partition should be empty, and there should be months ahead.
create or replace function holdfast.partition_report(at timestamptz default now())
returns table (table_name text, month_count integer, months_ahead integer, misplaced_rows bigint, oldest_at timestamptz)
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    for table_name in select known.table_name from holdfast.partitioned_tables as known order by known.table_name loop
        select count(*), count(*) filter (where part.from_at > at), min(part.from_at)
        into month_count, months_ahead, oldest_at
        from holdfast.partitions(table_name) as part;
        execute format('select count(*) from (select from holdfast.%I limit 100000) as misplaced', table_name || '_default')
        into misplaced_rows;
        return next;
    end loop;
end
$$;

comment on function holdfast.partition_report(timestamptz) is
    'For each table that is split by month: how many months there are, how many of them ahead, and how many rows no month '
    'covers (counted up to 100,000; there should be none).';

create or replace function holdfast.set_retention(
    of_table text,
    keep interval,
    needs_archive boolean default false,
    is_held boolean default false
)
returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    -- an archive is in the order of the ids
    if needs_archive and not exists (
        select from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = to_regclass(format('holdfast.%I', of_table)) and attribute.attname = 'id'
    ) then
        raise exception using errcode = 'HF020', message = format('"%s" cannot be archived.', left(of_table, 100)),
            hint = 'The chain of hashes is kept as long as the rows that it seals, and the manifests of their archives say where it stood.';
    end if;
    update holdfast.partitioned_tables as known
    set keep = set_retention.keep, needs_archive = set_retention.needs_archive, is_held = set_retention.is_held
    where known.table_name = of_table;
    if not found then
        raise exception using errcode = 'HF020', message = format('No table "%s" is split by month.', of_table),
            hint = 'See select table_name, keep from holdfast.partitioned_tables.';
    end if;
end
$$;

comment on function holdfast.set_retention(text, interval, boolean, boolean) is
    'How long rows of a table are kept at least (whole months are dropped), whether a month must have been archived before '
    'it is dropped, and whether nothing may be dropped for now. For operators.';

-- The highest id in a part of the audit log; null where there is none. The last of each workspace is looked at, one after the other down the
-- index: no row is read, however many there are.
create or replace function holdfast.last_audit_id(partition_name text)
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
declare
    last_id bigint;
begin
    execute format(
        'with recursive last as ('
        '(select log.workspace_id, log.id from holdfast.%1$I as log where log.workspace_id is not null '
        'order by log.workspace_id desc, log.id desc limit 1) '
        'union all '
        'select earlier.workspace_id, earlier.id from last cross join lateral ('
        'select log.workspace_id, log.id from holdfast.%1$I as log where log.workspace_id < last.workspace_id '
        'order by log.workspace_id desc, log.id desc limit 1) as earlier'
        '), without_workspace as ('
        'select log.id from holdfast.%1$I as log where log.workspace_id is null '
        'order by log.workspace_id desc, log.id desc limit 1'
        ') select greatest((select max(last.id) from last), (select known.id from without_workspace as known))',
        partition_name)
    into last_id;
    return last_id;
end
$$;

-- What else must happen before a month goes: readers of the feed whose place goes with it, and the chain of hashes, must know.
create or replace function holdfast.before_drop(of_table text, partition_name text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    last_id bigint;
begin
    if of_table = 'audit_log' then
        last_id := holdfast.last_audit_id(partition_name);
        update holdfast.epochs as known set trimmed_id = greatest(known.trimmed_id, last_id);
        update holdfast.seal_state as state
        set dropped_before = greatest(state.dropped_before, month.to_at)
        from holdfast.partitions('audit_log') as month
        where month.partition_name = before_drop.partition_name;
    elsif of_table = 'audit_chain' then
        execute format(
            'update holdfast.audit_heads as head set kept_place = last.place, kept_hash = last.hash '
            'from (select distinct on (workspace_id) workspace_id, place, hash from holdfast.%I '
            'order by workspace_id, place desc) as last where last.workspace_id = head.workspace_id', partition_name);
    end if;
end
$$;

-- Security definer: only the owner can drop its tables. Whole months go, never single rows, so nothing is scanned. Links of the
-- chain of hashes stay as long as the rows that they seal.
create or replace function holdfast.enforce_retention(at timestamptz default now())
returns text[]
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    doomed record;
    dropped text[] := '{}';
begin
    perform pg_advisory_xact_lock(4856201974);
    for doomed in
        select known.table_name, part.partition_name, part.to_at
        from holdfast.partitioned_tables as known
        cross join lateral holdfast.partitions(known.table_name) as part
        where part.to_at <= at - known.keep
          and not known.is_held
          and (not known.needs_archive or exists (
              select from holdfast.archives as archive where archive.partition_name = part.partition_name
          ))
        order by known.table_name = 'audit_chain', part.from_at, known.table_name
    loop
        continue when doomed.table_name = 'audit_chain' and exists (
            select from holdfast.partitions('audit_log') as month where month.to_at <= doomed.to_at
        );
        perform holdfast.before_drop(doomed.table_name, doomed.partition_name);
        execute format('drop table holdfast.%I', doomed.partition_name);
        update holdfast.archives as archive set dropped_at = now() where archive.partition_name = doomed.partition_name;
        dropped := dropped || doomed.partition_name;
    end loop;
    return dropped;
end
$$;

comment on function holdfast.enforce_retention(timestamptz) is
    'Drops the months that are older than their table keeps them, and says which. Part of holdfast.maintain().';

-- One line of an archive after another; equal for whoever reads the same lines in the same order.
create or replace function holdfast.add_to_digest(digest bytea, line text)
returns bytea
language sql
immutable
set search_path = ''
return sha256(digest || convert_to(line, 'UTF8'));

create or replace aggregate holdfast.archive_digest(text) (
    sfunc = holdfast.add_to_digest,
    stype = bytea,
    initcond = ''
);

comment on aggregate holdfast.archive_digest(text) is
    'sha256 over the hash so far and the next line, from an empty one: write it with "order by".';

-- Security definer: the list of archives belongs to the owner. Times are in UTC, as in the archive.
create or replace function holdfast.finish_archive(of_partition text, row_count bigint, digest bytea, location text)
returns void
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
as $$
declare
    part record;
    actual_count bigint;
    actual_digest bytea;
begin
    select known.table_name, found.partition_name, found.from_at, found.to_at into part
    from holdfast.partitioned_tables as known
    cross join lateral holdfast.partitions(known.table_name) as found
    where found.partition_name = of_partition;
    if not found or part.to_at > now() then
        raise exception using errcode = 'HF020', message = format('"%s" is no month that is over.', left(of_partition, 100)),
            hint = 'See select partition_name from holdfast.partitions(''audit_log'').';
    end if;
    -- what was read back from the archive must be what is here, at this moment
    execute format(
        'select count(*), coalesce(holdfast.archive_digest(to_jsonb(archived.*)::text order by archived.id), %L::bytea) '
        'from holdfast.%I as archived', '', of_partition)
    into actual_count, actual_digest;
    if actual_count <> row_count or actual_digest <> digest then
        raise exception using errcode = 'HF020',
            message = format('The archive of %s does not hold what the database does: %s rows against %s.',
                of_partition, row_count, actual_count),
            hint = 'Write it once more; nothing was dropped.';
    end if;
    insert into holdfast.archives as former (partition_name, table_name, from_at, to_at, row_count, digest, location)
    values (of_partition, part.table_name, part.from_at, part.to_at, row_count, digest, location)
    on conflict on constraint archives_pkey do update
        set row_count = excluded.row_count, digest = excluded.digest, location = excluded.location, archived_at = now();
end
$$;

comment on function holdfast.finish_archive(text, bigint, bytea, text) is
    'Records that a month was written elsewhere and read back: compares the count and the digest of the lines read back with '
    'the month itself. The month may be dropped from then on, once it is old enough.';

revoke all on function
    holdfast.partition_name(text, timestamptz), holdfast.partitions(text), holdfast.finish_partition(text),
    holdfast.ensure_partitions(integer, timestamptz),
    holdfast.partition_report(timestamptz), holdfast.set_retention(text, interval, boolean, boolean),
    holdfast.last_audit_id(text), holdfast.before_drop(text, text), holdfast.enforce_retention(timestamptz), holdfast.add_to_digest(bytea, text),
    holdfast.archive_digest(text), holdfast.finish_archive(text, bigint, bytea, text)
from public;

reset role;
