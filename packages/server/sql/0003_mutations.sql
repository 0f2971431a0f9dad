-- What a mutation must look like, and what it is known by. Needs 0001. Running it twice changes nothing.
--
-- Their bodies name everything in full and were read when they were made, so a search path changes nothing in them; without one
-- of their own the planner writes them into the statements that call them, and 100 mutations are looked at in a third of the time.
-- What they call is stable by its own account, so they have to say the same of themselves.

set role holdfast_owner;

create or replace function holdfast.is_counter(value jsonb, least_value bigint)
returns boolean
language sql
immutable
-- whole, and exact in JavaScript
return case when jsonb_typeof(value) = 'number'
    then value::numeric between least_value and 9007199254740991 and value::numeric = trunc(value::numeric)
    else false
end;

create or replace function holdfast.is_uuid(value jsonb)
returns boolean
language sql
immutable
return coalesce(
    value #>> '{}' ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' and jsonb_typeof(value) = 'string',
    false
);

-- Why a mutation cannot even be looked at; null when it can.
create or replace function holdfast.malformed_reason(mutation jsonb)
returns text
language sql
immutable
return case
    when jsonb_typeof(mutation) is distinct from 'object' then 'is not an object'
    when not holdfast.is_uuid(mutation -> 'id') then 'has no UUID as "id"'
    when not holdfast.is_counter(mutation -> 'seq', 1) then 'has no positive whole number as "seq"'
    when coalesce(jsonb_typeof(mutation -> 'after'), 'null') <> 'null'
        and not holdfast.is_counter(mutation -> 'after', 1) then 'has an "after" that is no sequence number'
    when mutation ? 'generation' and not (
        holdfast.is_counter(mutation -> 'generation', 0) and (mutation -> 'generation')::numeric <= 2147483647
    ) then 'has a "generation" that is no whole number'
    when jsonb_typeof(mutation -> 'type') is distinct from 'string'
        or length(mutation ->> 'type') not between 1 and 200 then 'has no "type"'
    when coalesce(mutation ->> 'operation', '') not in ('create', 'update', 'delete', 'restore', 'custom')
        then 'has no known "operation"'
    when jsonb_typeof(mutation -> 'payload') is distinct from 'object' then 'has no object as "payload"'
    when coalesce(jsonb_typeof(mutation -> 'entity'), 'null') <> 'null' and (
        jsonb_typeof(mutation #> '{entity,table}') is distinct from 'string'
        or jsonb_typeof(mutation #> '{entity,id}') is distinct from 'string'
        or length(mutation #>> '{entity,id}') not between 1 and 200
    ) then 'has an "entity" without "table" and "id"'
    when mutation ? 'base' and not holdfast.is_counter(mutation #> '{base,rowVersion}', 0)
        then 'has a "base" without a whole number as "rowVersion"'
    when mutation ? 'rebases' and not (
        holdfast.is_counter(mutation -> 'rebases', 0) and (mutation -> 'rebases')::numeric <= 2147483647
    ) then 'has "rebases" that are no whole number'
    when mutation ? 'hlc' and (
        jsonb_typeof(mutation -> 'hlc') <> 'string'
        or mutation ->> 'hlc' !~ '^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-z-]{1,36}$'
    ) then 'has an "hlc" that is no hybrid time'
    when mutation ? 'encoding' and mutation -> 'encoding' not in ('"mergePatch"', '"jsonPatch"')
        then 'has no known "encoding"'
    when mutation ? 'encoding' and not (mutation ? 'base' and mutation ->> 'operation' = 'update')
        then 'has a patch without a "base", or to something else than an update'
end;

-- What a mutation is known by, beside its id: its first form, whatever was made of it since ("original" is the form that an earlier
-- version of the app may have sent). The text of a jsonb value is canonical: one spelling whatever the order of keys or the blanks
-- were. Each text seeds the hash of the next, so no two mutations are put together to the same. 64 bits are enough, since nobody
-- gains by a hash that meets another: it would be told the outcome of a mutation of its own. Postgres keeps these functions as they
-- are, because partitions by hash depend on them.
create or replace function holdfast.payload_hash(mutation jsonb)
returns bigint
language sql
stable
return (
    select hashtextextended((first.form -> 'payload')::text, hashtextextended(coalesce(first.form #>> '{entity,id}', ''),
        hashtextextended(coalesce(first.form #>> '{entity,table}', ''),
        hashtextextended(concat(first.form ->> 'operation', first.form -> 'encoding'),
        hashtextextended(mutation ->> 'type', 0)))))
    from (select coalesce(mutation -> 'original', mutation) as form) as first
);

-- How an outcome tells the version of the row; rows that have none say nothing.
create or replace function holdfast.row_version_field(row_version bigint)
returns jsonb
language sql
stable
return case when row_version is null then '{}' else jsonb_build_object('rowVersion', row_version) end;

revoke all on function
    holdfast.is_counter(jsonb, bigint), holdfast.is_uuid(jsonb), holdfast.malformed_reason(jsonb),
    holdfast.payload_hash(jsonb), holdfast.row_version_field(bigint)
from public;
grant execute on function
    holdfast.is_counter(jsonb, bigint), holdfast.is_uuid(jsonb), holdfast.malformed_reason(jsonb),
    holdfast.payload_hash(jsonb), holdfast.row_version_field(bigint)
to authenticated;

reset role;
